// volatile - files that are written anew at every start: replaced by rename, but not forced to disk.
//
// After a crash of the host they may be empty or old; whoever reads them then takes them as absent. What has
// to survive goes through base/file.
#pragma once
#include <stddef.h>

#include "base/err.h"

int volatile_write(const char *path, const void *p, size_t n, struct err *e); // mode 0600
