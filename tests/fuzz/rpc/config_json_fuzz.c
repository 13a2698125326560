// Any text as a configuration in JSON: refused with a code, or every key of the table answers.
#include <stdlib.h>

#include "base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

static const struct config_key keys[] = {
	{ "name", CONFIG_STRING, .def = "x", .doc = "a string" },
	{ "a.count", CONFIG_INT, .def = "3", .min = 1, .max = 9, .doc = "a number" },
	{ "a.on", CONFIG_BOOL, .doc = "a switch" },
	{ "list", CONFIG_STRINGS, .doc = "strings" },
	{ "table[].port", CONFIG_INT, .required = true, .doc = "of each table" },
};

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct err e;
	struct config *c =
		config_parse((const char *)d, n, "fuzz.json", keys, sizeof keys / sizeof *keys, &e);

	if (!c)
		return 0;
	int64_t count = config_int(c, "a.count");
	if (count < 1 || count > 9)
		abort();
	config_str(c, "name");
	config_bool(c, "a.on");
	for (size_t i = 0; i < config_count(c, "list"); i++)
		config_item(c, i, "list");
	for (size_t i = 0; i < config_count(c, "table"); i++)
		config_int(c, "table[%zu].port", i);
	config_free(c);
	return 0;
}
