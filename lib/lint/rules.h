// rules - what lint looks for. Private to lib/lint.
#pragma once
#include "lint/lint.h"
#include "lint/ytree.h"

void lint_add(struct lint *l, const char *code, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

void rules_compose(struct lint *l, const struct ynode *root);
// Text that a shell runs. `fetches`: also what only brings something (a health check may ask its own server).
void rules_code(struct lint *l, const char *where, const char *text, bool fetches);
