#include "base/config.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/version.h"

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
		if (n >= sizeof table)
			continue;
		if (n != strlen(table) || strncmp(table, keys[i].key, n)) {
			snprintf(table, sizeof table, "%.*s", (int)n, keys[i].key);
			bool array = n > 2 && !strcmp(table + n - 2, "[]");
			fprintf(to, array ? "\n[[%.*s]]\n" : "\n[%.*s]\n", (int)(array ? n - 2 : n), table);
		}
		help_value(to, &keys[i], dot ? dot + 1 : keys[i].key);
	}
}

static void usage(FILE *to, const char *program, const char *summary, bool optional)
{
	fprintf(to,
		"usage: %s %s [options]\n%s\n\n"
		"  -c, --config FILE     configuration (TOML)\n"
		"      --check           read and check the configuration, then exit\n"
		"      --help-config     print every key with its default and meaning\n"
		"      --log FORMAT      text (default) or json\n"
		"      --log-level L     error, warn, info (default) or debug\n"
		"      --version         print the version\n"
		"  -h, --help            print this\n",
		program, optional ? "[-c FILE]" : "-c FILE", summary);
}

enum { OPT_CHECK = 256, OPT_HELP_CONFIG, OPT_LOG, OPT_LEVEL, OPT_VERSION };

struct args {
	const char *file, *otherwise;
	bool json, help_config;
	enum log_level level;
};

// -1: go on; else the status to exit with.
static int parse_args(int argc, char **argv, const char *program, const char *summary, struct args *a,
		      bool *check)
{
	static const struct option opts[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, OPT_CHECK },
		{ "help-config", no_argument, NULL, OPT_HELP_CONFIG },
		{ "log", required_argument, NULL, OPT_LOG },
		{ "log-level", required_argument, NULL, OPT_LEVEL },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};

	for (int o; (o = getopt_long(argc, argv, "c:h", opts, NULL)) != -1;) {
		bool good = true;
		switch (o) {
		case 'c':
			a->file = optarg;
			break;
		case OPT_CHECK:
			*check = true;
			break;
		case OPT_HELP_CONFIG:
			a->help_config = true;
			break;
		case OPT_LOG:
			a->json = !strcmp(optarg, "json");
			good = a->json || !strcmp(optarg, "text");
			break;
		case OPT_LEVEL:
			good = log_level_parse(optarg, &a->level);
			break;
		case OPT_VERSION:
			printf("%s %s (%s)\n", program, version_text, version_rev);
			return 0;
		case 'h':
			usage(stdout, program, summary, a->otherwise);
			return 0;
		default:
			good = false;
		}
		if (!good) {
			usage(stderr, program, summary, a->otherwise);
			return 2;
		}
	}
	if (optind != argc || (!a->file && !a->otherwise && !a->help_config)) {
		usage(stderr, program, summary, a->otherwise);
		return 2;
	}
	return -1;
}

struct config *config_start_at(const char *file, int argc, char **argv, const char *program,
			       const char *summary, const struct config_key *keys, size_t n_keys, bool *check,
			       int *status)
{
	struct args a = { .level = LOG_LEVEL_INFO, .otherwise = file };
	struct err e = { 0 };

	*check = false;
	*status = parse_args(argc, argv, program, summary, &a, check);
	if (*status >= 0)
		return NULL;
	if (a.help_config) {
		config_help(stdout, keys, n_keys);
		*status = 0;
		return NULL;
	}
	log_setup(a.json, a.level);
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
