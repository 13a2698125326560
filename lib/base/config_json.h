// config_json - a configuration file written as JSON by another program, read against the same table of keys.
//
// Objects are tables, arrays of objects are arrays of tables; null is as if absent.
#pragma once
#include "base/toml.h"

int config_json(const char *text, size_t n, const char *name, struct arena *a, toml_fn *fn, void *arg,
		struct err *e);
