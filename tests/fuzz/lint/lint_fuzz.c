// Any bytes as app-compose.json or a compose file: findings in bounded time, each with its words, in JSON
// that is JSON.
#include <stdlib.h>

#include "core/codec/json.h"
#include "lint/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	static struct lint l;
	struct err e = { 0 };
	auto_sb b = { 0 };
	struct json v;

	if (lint_app(&l, span_of(d, n), &e))
		abort();
	for (size_t i = 0; i < l.n; i++)
		if (!*l.found[i].code || !*l.found[i].where || !*l.found[i].text)
			abort();
	lint_json(&b, &l);
	if (b.bad || json_parse(&v, span_of(b.p, b.n), NULL))
		abort();
	lint_free(&l);
	return 0;
}
