#include "base/config.h"

#include <string.h>
#include <unistd.h>
#include "base/log.h"

static void help_value(FILE *to, const struct config_key *k, const char *name)
{
	const char *def = k->def ? k->def : "";

	fprintf(to, "# %s%s\n", k->doc ? k->doc : "", k->required ? " (required)" : "");
	switch (k->type) {
	case CONFIG_STRING:
		fprintf(to, "# %s = \"%s\"\n", name, def);
		break;
	case CONFIG_INT:
		fprintf(to, "# %s = %s", name, *def ? def : "0");
		if (k->max)
			fprintf(to, "   # %lld to %lld", (long long)k->min, (long long)k->max);
		fputc('\n', to);
		break;
	case CONFIG_BOOL:
		fprintf(to, "# %s = %s\n", name, *def ? def : "false");
		break;
	case CONFIG_ELSEWHERE:
		break;
	case CONFIG_STRINGS:
		fprintf(to, "# %s = []\n", name);
		break;
	case CONFIG_SIZE:
		fprintf(to, "# %s = %s\n", strcmp(name, "*") ? name : "NAME", *def ? def : "0");
		break;
	}
}

void config_help(FILE *to, const struct config_key *keys, size_t n_keys)
{
	char table[256] = "";

	for (size_t i = 0; i < n_keys; i++) {
		const char *dot = strrchr(keys[i].key, '.');
		size_t n = dot ? (size_t)(dot - keys[i].key) : 0;
		if (n >= sizeof table || keys[i].type == CONFIG_ELSEWHERE)
			continue;
		if (n != strlen(table) || strncmp(table, keys[i].key, n)) {
			snprintf(table, sizeof table, "%.*s", (int)n, keys[i].key);
			bool array = n > 2 && !strcmp(table + n - 2, "[]");
			fprintf(to, array ? "\n[[%.*s]]\n" : "\n[%.*s]\n", (int)(array ? n - 2 : n), table);
		}
		help_value(to, &keys[i], dot ? dot + 1 : keys[i].key);
	}
}

struct config *config_start_at(const char *file, int argc, char **argv, const char *program,
			       const char *summary, const struct config_key *keys, size_t n_keys, bool *check,
			       int *status)
{
	struct config_args a = {
		.program = program, .summary = summary, .keys = keys, .n_keys = n_keys, .file_optional = file
	};
	struct err e = { 0 };

	*status = config_args(&a, argc, argv);
	*check = a.check;
	if (*status >= 0)
		return NULL;
	if (!a.file && !access(file, F_OK))
		a.file = file;
	struct config *c = a.file ? config_read(a.file, keys, n_keys, &e)
				  : config_parse("", 0, "defaults", keys, n_keys, &e);
	if (!c) {
		log_error("config", "%s code=%s", e.text, e.code[0] ? e.code : "none");
		*status = err_exit(&e);
	}
	return c;
}

struct config *config_start(int argc, char **argv, const char *program, const char *summary,
			    const struct config_key *keys, size_t n_keys, bool *check, int *status)
{
	return config_start_at(NULL, argc, argv, program, summary, keys, n_keys, check, status);
}
