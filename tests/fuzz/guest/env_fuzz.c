// The plain text of the sealed environment: its author is whoever knows the app's public key.
#include <stdlib.h>
#include <string.h>

#include "env.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const names[] = { "A", "B", "PASSWORD" };
	const struct texts allowed = { (const char **)(uintptr_t)names, 3 };
	struct env_files f;
	struct json doc;
	struct err e;
	auto_arena *a = arena_new(64 << 20);

	if (!a)
		abort();
	if (!env_render(span_of(p, n), &allowed, a, &f, &e)) {
		// what goes to the app is always proper JSON with allowed names only
		if (f.n > 3 || json_parse(&doc, span_of(f.json.p, f.json.n), NULL))
			abort();
		env_free(&f);
	}
	return 0;
}
