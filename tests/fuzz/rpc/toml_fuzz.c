// Any text as a configuration file.
#include <string.h>
#include "base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	static const struct config_key keys[] = {
		{ "a", CONFIG_STRING },
		{ "b.i", CONFIG_INT, .min = 1, .max = 9 },
		{ "b.f", CONFIG_BOOL },
		{ "b.l", CONFIG_STRINGS },
		{ "c.d[].x", CONFIG_INT, .required = true },
		{ "c.d[].e[].y", CONFIG_STRING },
		{ "s.*", CONFIG_SIZE },
	};
	struct err e;
	struct config *c = config_parse((const char *)d, n, "f", keys, sizeof keys / sizeof *keys, &e);

	if (!c)
		return 0;
	size_t sum = strlen(config_str(c, "a")) + config_count(c, "b.l");
	for (size_t i = 0; i < config_count(c, "c.d"); i++)
		sum += (size_t)config_int(c, "c.d[%zu].x", i) + config_count(c, "c.d[%zu].e", i);
	size_t at = 0;
	for (const char *name; (name = config_name(c, "s", &at));)
		sum += (size_t)config_size(c, "s.%s", name);
	config_free(c);
	return sum == SIZE_MAX;
}
