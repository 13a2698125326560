// lint - what a compose file lets its app do that nobody sees in its hash.
#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "lint.h"
#include "lint/lint.h"

enum { FILE_MAX = 4 << 20 };

int lint_print(FILE *to, const char *indent, struct span text, struct err *e)
{
	auto_free struct lint *l = calloc(1, sizeof *l);
	int found = -1;

	if (!l || lint_app(l, text, e))
		return l ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	for (size_t i = 0; i < l->n; i++)
		fprintf(to, "%s%s %s [%s]\n", indent, l->found[i].where, l->found[i].text, l->found[i].code);
	if (l->more)
		fprintf(to, "%sthere is more than this list can hold [lint.unread]\n", indent);
	found = l->n > 0;
	lint_free(l);
	return found;
}

char *lint_member(struct span text, struct err *e)
{
	auto_free struct lint *l = calloc(1, sizeof *l);
	auto_sb b = { 0 };

	if (!l || lint_app(l, text, e)) {
		if (!l)
			err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	lint_json(&b, l);
	lint_free(l);
	return sb_take(&b);
}

int cmd_lint(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
	auto_free char *text = NULL, *list = NULL;
	bool json = false;
	struct err e = { 0 };
	size_t n;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c != 'j')
			return command_usage("lint");
		json = true;
	}
	if (optind + 1 != argc)
		return command_usage("lint");
	if (file_read(argv[optind], FILE_MAX, &text, &n, &e))
		return command_fail(&e, json);
	if (!json) {
		int found = lint_print(stdout, "", span_of(text, n), &e);
		return found < 0 ? command_fail(&e, json) : found ? 3 : 0;
	}
	if (!(list = lint_member(span_of(text, n), &e)))
		return command_fail(&e, json);
	printf("{\"findings\":%s}\n", list);
	return list[1] == ']' ? 0 : 3;
}
