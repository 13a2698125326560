// explain - what a stable reason code means and what to do about it; with --expected and --log, where a boot
// log departs from the expected one (explain_log.c).
#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "core/verdict/reason.h"
#include "explain_log.h"
#include "out.h"

static void print(const struct reason_text *r, bool json)
{
	if (!json) {
		printf("%s: %s\n  means:   %s\n  to do:   %s\n", r->code, r->text, r->why, r->todo);
		return;
	}
	fputs("{\"code\":", stdout);
	out_json_text(stdout, r->code);
	fputs(",\"text\":", stdout);
	out_json_text(stdout, r->text);
	fputs(",\"means\":", stdout);
	out_json_text(stdout, r->why);
	fputs(",\"todo\":", stdout);
	out_json_text(stdout, r->todo);
	puts("}");
}

int cmd_explain(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "expected", required_argument, NULL, 'e' },
						 { "log", required_argument, NULL, 'l' },
						 { "vm-config", required_argument, NULL, 'v' },
						 { 0 } };
	struct explain_args a = { 0 };
	struct err e = { 0 };
	bool json = false;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'j')
			json = a.json = true;
		else if (c == 'e')
			a.expected = optarg;
		else if (c == 'l')
			a.log = optarg;
		else if (c == 'v')
			a.vm_config = optarg;
		else
			return command_usage("explain");
	}
	if (a.expected || a.log || a.vm_config) {
		if (!a.expected || !a.log || optind < argc)
			return command_usage("explain");
		int code = explain_log(&a, &e);

		return code < 0 ? command_fail(&e, json) : code;
	}
	if (optind + 1 < argc)
		return command_usage("explain");
	if (optind == argc) {
		const struct reason_text *each;
		for (size_t i = 0; (each = reason_at(i)); i++)
			print(each, json);
		return 0;
	}
	const struct reason_text *r = reason_find(span_str(argv[optind]));
	if (r) {
		print(r, json);
		return 0;
	}
	err_code(&e, ERR_ABSENT, "cli.no_such_code", "no reason code '%s'; dstack explain lists all",
		 argv[optind]);
	return command_fail(&e, json);
}
