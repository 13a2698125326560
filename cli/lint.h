// lint - findings of lib/lint as the commands show them.
#pragma once
#include <stdio.h>

#include "base/err.h"
#include "core/codec/buf.h"

// A line a finding of app-compose.json or a compose file: 1 when there are any, 0 when not, -1 out of memory.
int lint_print(FILE *to, const char *indent, struct span text, struct err *e);
char *lint_member(struct span text, struct err *e); // the JSON array, owned; NULL out of memory
