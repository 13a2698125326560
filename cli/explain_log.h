// explain_log - dstack explain --expected … --log …: reads both sides and says where they part.
#pragma once
#include <stdbool.h>

#include "base/err.h"

struct explain_args {
	const char
		*expected; // image folder, measurement.tdx.cbor, GetQuote answer or envelope, or another log
	const char *log;   // any form of eventlog_show.h
	const char *vm_config; // file with the machine's description, or NULL: that of the files themselves
	bool json;
};
// The exit code: 0 when there is no difference, that of ERR_UNTRUSTED when there is one; -1 on failure.
int explain_log(const struct explain_args *a, struct err *e);
