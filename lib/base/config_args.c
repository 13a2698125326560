#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "base/version.h"

enum { OPT_CHECK = 256, OPT_HELP_CONFIG, OPT_LOG, OPT_LEVEL, OPT_VERSION, OPT_OWN };

static const struct option common[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "help-config", no_argument, NULL, OPT_HELP_CONFIG },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "log-level", required_argument, NULL, OPT_LEVEL },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
};
enum { COMMON = sizeof common / sizeof *common };
enum { GO_ON = 0, END_DONE = 1, END_SYSTEM = 2, END_USAGE = 3 }; // the status to exit with, plus 1

static void usage(FILE *to, const struct config_args *a)
{
	fprintf(to,
		"usage: %s %s [options]\n%s\n\n"
		"  -c, --config FILE     configuration (TOML)%s\n",
		a->program, a->file_optional ? "[-c FILE]" : "-c FILE", a->summary,
		a->file_doc ? a->file_doc : "");
	for (size_t i = 0; i < a->n_options; i++) {
		const struct config_option *o = &a->option[i];
		int n = fprintf(to, "      --%s %s", o->name, o->argument);
		fprintf(to, "%*s%s\n", n < 22 ? 24 - n : 2, "", o->doc);
	}
	fputs("      --check           read and check the configuration, then exit\n"
	      "      --help-config     print every key with its default and meaning\n"
	      "      --log FORMAT      text (default) or json\n"
	      "      --log-level L     error, warn, info (default) or debug\n"
	      "      --version         print the version\n"
	      "  -h, --help            print this\n",
	      to);
}

struct said {
	bool json;
	enum log_level level;
};

static int take(struct config_args *a, struct said *s, int o)
{
	switch (o) {
	case 'c':
		a->file = optarg;
		return GO_ON;
	case OPT_CHECK:
		a->check = true;
		return GO_ON;
	case OPT_HELP_CONFIG:
		config_help(stdout, a->keys, a->n_keys);
		return END_DONE;
	case OPT_LOG:
		s->json = !strcmp(optarg, "json");
		return s->json || !strcmp(optarg, "text") ? GO_ON : END_USAGE;
	case OPT_LEVEL:
		return log_level_parse(optarg, &s->level) ? GO_ON : END_USAGE;
	case OPT_VERSION:
		printf("%s %s (%s)\n", a->program, version_text, version_rev);
		return END_DONE;
	case 'h':
		usage(stdout, a);
		return END_DONE;
	default:
		if (o < OPT_OWN || (size_t)(o - OPT_OWN) >= a->n_options)
			return END_USAGE;
		*a->option[o - OPT_OWN].value = optarg;
		return GO_ON;
	}
}

int config_args(struct config_args *a, int argc, char **argv)
{
	struct option *all = calloc(COMMON + a->n_options + 1, sizeof *all);
	struct said said = { .level = LOG_LEVEL_INFO };
	int end = all ? GO_ON : END_SYSTEM;

	if (all)
		memcpy(all, common, sizeof common);
	for (size_t i = 0; all && i < a->n_options; i++)
		all[COMMON + i] =
			(struct option){ a->option[i].name, required_argument, NULL, OPT_OWN + (int)i };
	for (int o; !end && (o = getopt_long(argc, argv, "c:h", all, NULL)) != -1;)
		end = take(a, &said, o);
	free(all);
	if (!end && (optind != argc || (!a->file && !a->file_optional)))
		end = END_USAGE;
	if (end == END_USAGE)
		usage(stderr, a);
	if (end)
		return end - 1;
	log_setup(said.json, said.level);
	return -1;
}
