// qgs - the quoting service's protocol (spec 50 section 10.4): a TDREPORT in, a quote out.
//
// Used where the kernel has no configfs-tsm but /etc/tdx-attest.conf names the service's vsock port.
// The answer is the host's word: its sizes are checked here, its content by whoever verifies the quote.
#pragma once
#include "tee/tee.h"

enum { QGS_REPORT = 1024 };

int qgs_quote(const char *address, const uint8_t report[static QGS_REPORT], struct tee_quote *out,
	      struct err *e);

// The answer alone, for tests and fuzzing.
int qgs_parse(const uint8_t *msg, size_t n, struct tee_quote *out, struct err *e);

// The port of a tdx-attest.conf ("port=4050", lines starting with # are comments); 0 when it names none.
uint32_t qgs_conf_port(const char *text);
