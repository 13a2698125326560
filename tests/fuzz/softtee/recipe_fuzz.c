// A recipe of dstack-softtee forge as JSON: read, built, written as an event log.
#include <stdlib.h>

#include "forge/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct recipe r;
	static struct forge_out out;
	struct err e;

	if (recipe_init(&r, NULL, "fuzz", 1768867200, &e))
		abort();
	if (!recipe_apply(&r, span_of(data, n), &e) && !forge_build(&r.f, &out, &e) &&
	    (!out.layer[FORGE_WHOLE].p || !out.layer[FORGE_COLLATERAL].p))
		__builtin_trap();
	recipe_free(&r);
	return 0;
}
