// quote - verify an SGX or TDX quote, or an SEV-SNP report, with its collateral, or show what one says.
//
//   dstack quote verify --quote FILE --collateral FILE --at UNIX [--root FILE.der] [--json]
//   dstack quote show FILE [--json]
//   dstack quote verify --quote REPORT --collateral CERTS [--crl FILE] ..   (SEV-SNP: CERTS is PEM or a
//                                                                            certificate table)
// Quote files are raw or hex. Exit 0 accepted, 5 not trusted, 2 unreadable input.
#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "core/attest/dcap_text.h"
#include "core/attest/quote_show.h"
#include "crypto/engine.h"

enum { FILE_MAX = 1 << 20 };

static int read_file(const char *path, uint8_t **out, size_t *n, struct err *e)
{
	auto_file FILE *f = fopen(path, "rb");
	auto_free uint8_t *p = malloc(FILE_MAX);

	if (!f || !p)
		return err_code(e, ERR_INPUT, "input.unreadable", "cannot read %s", path);
	*n = fread(p, 1, FILE_MAX, f);
	if (ferror(f) || *n == FILE_MAX)
		return err_code(e, ERR_INPUT, "input.unreadable", "%s is no file of less than 1 MiB", path);
	*out = TAKE(p);
	return 0;
}

static int read_quote(const char *path, uint8_t **out, struct span *quote, struct err *e)
{
	size_t n;

	if (read_file(path, out, &n, e))
		return -1;
	if (!n)
		return err_code(e, ERR_INPUT, "input.unreadable", "%s is empty", path);
	*quote = quote_unhex(*out, n);
	return 0;
}

struct verify_args {
	const char *quote, *collateral, *root, *at, *crl;
	bool json, intel_components;
};

// `json`: the text to print instead, NULL: for people.
static void print_verdict(const struct verdict *v, const struct wr *json)
{
	if (json) {
		printf("%.*s\n", (int)json->n, (const char *)json->p);
		return;
	}
	for (size_t i = 0; i < v->n; i++) {
		const struct claim *c = &v->claim[i];
		printf("%-4s %-12s %s%s%s%s\n", c->ok ? "ok" : "NO", c->name, c->value,
		       *c->detail ? " (" : "", c->detail, *c->detail ? ")" : "");
	}
	if (v->ok)
		printf("accepted, anchor: %s\n", anchor_name(v->anchor));
	else
		printf("not trusted: %s [%s]\n", v->error, v->code);
}

static char verdict_text[64 * 1024];

static int judge(struct engine *g, const struct dcap_input *in, bool json)
{
	struct dcap_result r;
	struct verdict v;
	struct err e;

	int rc = dcap_verify(g, in, &r, &e);
	if (rc && e.class == ERR_INPUT)
		return command_fail(&e, json);
	dcap_verdict(&v, rc ? NULL : &r, e.code, e.text);
	struct wr w = wr_to(verdict_text, sizeof verdict_text);
	dcap_json(&w, rc ? NULL : &r, &v);
	print_verdict(&v, json ? &w : NULL);
	return v.ok ? 0 : err_exit(&(struct err){ .class = ERR_UNTRUSTED });
}

// Certificates as PEM or DER, or as the table that the kernel hands out with an extended report.
static int judge_report(struct engine *g, const struct dcap_input *quote, struct span crl, bool json)
{
	struct snp_input in = { .report = quote->quote, .crl = crl, .now = quote->now };
	struct span certs = quote->collateral;
	struct snp_result r;
	struct verdict v;
	struct err e;

	if (certs.n && (certs.p[0] == '-' || certs.p[0] == 0x30)) {
		in.items[in.n_items++] = certs;
	} else if (snp_table_read(&in, certs)) {
		const struct reason_text *why = reason_text(REASON_SNP_TABLE);
		err_code(&e, ERR_INPUT, why->code, "%s", why->text);
		return command_fail(&e, json);
	}
	int rc = snp_verify(g, &in, &r, &e);
	if (rc && e.class == ERR_INPUT)
		return command_fail(&e, json);
	snp_verdict(&v, rc ? NULL : &r, e.code, e.text);
	struct wr w = wr_to(verdict_text, sizeof verdict_text);
	snp_json(&w, rc ? NULL : &r, &v);
	print_verdict(&v, json ? &w : NULL);
	return v.ok ? 0 : err_exit(&(struct err){ .class = ERR_UNTRUSTED });
}

AUTO_DEFINE(struct engine *, engine_free)

static int verify(const struct verify_args *a)
{
	auto_free uint8_t *quote = NULL, *collateral = NULL, *root = NULL, *crl = NULL;
	struct dcap_input in = { .now = (uint64_t)time(NULL), .intel_components = a->intel_components };
	struct err e;
	size_t n, crl_n = 0;
	AUTO(engine_free_auto) struct engine *g = engine_new(&e);

	if (!g || read_quote(a->quote, &quote, &in.quote, &e) ||
	    read_file(a->collateral, &collateral, &n, &e))
		return command_fail(&e, a->json);
	in.collateral = span_of(collateral, n);
	if (a->at && !str_u64(a->at, &in.now)) {
		err_code(&e, ERR_INPUT, "input.time", "--at %s is no Unix time", a->at);
		return command_fail(&e, a->json);
	}
	if (a->root && (read_file(a->root, &root, &n, &e) || engine_only_root(g, span_of(root, n), &e)))
		return command_fail(&e, a->json);
	if (a->crl && read_file(a->crl, &crl, &crl_n, &e))
		return command_fail(&e, a->json);
	if (snp_is_report(in.quote))
		return judge_report(g, &in, span_of(crl, crl_n), a->json);
	return judge(g, &in, a->json);
}

static int refuse_to_show(enum reason why, const uint32_t arg[static 2], bool json)
{
	char text[200];
	struct wr w = wr_to(text, sizeof text);
	struct err e;

	wr_reason(&w, why, arg);
	err_code(&e, ERR_INPUT, reason_text(why)->code, "%.*s", (int)w.n, text);
	return command_fail(&e, json);
}

static int show(const char *path, bool json)
{
	auto_free uint8_t *bytes = NULL;
	uint32_t arg[2] = { 0 };
	struct span s;
	struct err e;

	if (read_quote(path, &bytes, &s, &e))
		return command_fail(&e, json);
	auto_free char *text = malloc(QUOTE_SHOW_MAX);
	struct wr w = wr_to(text, text ? QUOTE_SHOW_MAX : 0);
	enum reason why = quote_show_any(&w, s, json, arg);

	if (why)
		return refuse_to_show(why, arg, json);
	if (w.bad)
		return err_set(&e, ERR_SYSTEM, "out of memory"), command_fail(&e, json);
	fwrite(text, 1, w.n, stdout);
	return 0;
}

int cmd_quote(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quote", required_argument, NULL, 'q' }, { "collateral", required_argument, NULL, 'c' },
		{ "at", required_argument, NULL, 'a' },    { "root", required_argument, NULL, 'r' },
		{ "crl", required_argument, NULL, 'l' },   { "tdx-components", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },        { 0 },
	};
	struct verify_args a = { 0 };

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'q':
			a.quote = optarg;
			break;
		case 'c':
			a.collateral = optarg;
			break;
		case 'a':
			a.at = optarg;
			break;
		case 'r':
			a.root = optarg;
			break;
		case 'l':
			a.crl = optarg;
			break;
		case 't':
			if (strcmp(optarg, "all") != 0 && strcmp(optarg, "intel") != 0)
				return command_usage("quote");
			a.intel_components = !strcmp(optarg, "intel");
			break;
		case 'j':
			a.json = true;
			break;
		default:
			return command_usage("quote");
		}
	}
	const char *verb = optind < argc ? argv[optind] : "";
	if (!strcmp(verb, "verify") && optind + 1 == argc && a.quote && a.collateral)
		return verify(&a);
	if (!strcmp(verb, "show") && optind + 2 == argc)
		return show(argv[optind + 1], a.json);
	return command_usage("quote");
}
