// dstack-softtee - the machine's stand-in for a TEE, for development without TDX hardware.
//
// Everything it signs is under a development root; verifiers that trust that root mark every verdict so.
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "base/version.h"
#include "collateral.h"
#include "forge/recipe.h"
#include "quote.h"
#include "sealing.h"
#include "serve.h"
#include "vm.h"

static const char usage[] =
	"dstack-softtee: a software TEE for development\n"
	"\n"
	"  pki --dir D                make the development PKI in D, once (root.pem, root.der, keys)\n"
	"  serve --dir D --listen tcp:127.0.0.1:PORT\n"
	"                             serve its collateral in the form of a PCCS\n"
	"  keyprovider --dir D --listen tcp:127.0.0.1:PORT\n"
	"                             be the local key provider: keys sealed to this machine and a measured "
	"guest\n"
	"  vm --dir D --ctrl-listen SOCKET --swtpm-ctrl SOCKET --listen unix:SOCKET --mrtd HEX [--mrconfigid "
	"HEX]\n"
	"                             [--mrowner HEX] [--mrownerconfig HEX] [--td-attributes HEX]\n"
	"                             the TEE of one machine, between QEMU and swtpm\n"
	"  quote --dir D [--qe-dir D] [--chain-dir D] [--qe-svn N] [body values as for vm] [--rtmr0..3 HEX]\n"
	"        [--report-data HEX] [--tcb-svn HEX] [--mrseam HEX] --out FILE\n"
	"                             sign any quote; tests only\n"
	"  collateral --dir D [--tcb-status S] [--qe-status S] [--fmspc HEX] [--now SECONDS] [--out FILE]\n"
	"                             collateral as one JSON document\n"
	"  forge --help               evidence that is wrong on purpose, signed at every layer; tests only\n"
	"  --version, --help\n";

struct options {
	const char *dir, *qe_dir, *chain_dir, *listen, *ctrl_listen, *swtpm_ctrl, *out;
	struct quote_body body;
	struct collateral_opts collateral;
	uint64_t qe_svn, now;
};

enum { OPT_HEX = 256, OPT_TEXT = 512, OPT_NUMBER = 768 };

struct hex_option {
	const char *name;
	size_t at, n; // in struct quote_body
};
#define BODY(name, field)                                                                                    \
	{                                                                                                    \
		name, offsetof(struct quote_body, field), sizeof((struct quote_body *)0)->field              \
	}
static const struct hex_option hex_options[] = {
	BODY("mrtd", mr_td),
	BODY("mrconfigid", mr_config_id),
	BODY("mrowner", mr_owner),
	BODY("mrownerconfig", mr_owner_config),
	BODY("td-attributes", td_attributes),
	BODY("tcb-svn", tee_tcb_svn),
	BODY("mrseam", mr_seam),
	BODY("mrsignerseam", mr_signer_seam),
	BODY("rtmr0", rtmr[0]),
	BODY("rtmr1", rtmr[1]),
	BODY("rtmr2", rtmr[2]),
	BODY("rtmr3", rtmr[3]),
	BODY("report-data", report_data),
};
#define TEXT(name, field)                                                                                    \
	{                                                                                                    \
		name, offsetof(struct options, field), 0                                                     \
	}
static const struct hex_option text_options[] = {
	TEXT("dir", dir),
	TEXT("qe-dir", qe_dir),
	TEXT("chain-dir", chain_dir),
	TEXT("listen", listen),
	TEXT("ctrl-listen", ctrl_listen),
	TEXT("swtpm-ctrl", swtpm_ctrl),
	TEXT("out", out),
	TEXT("tcb-status", collateral.tcb_status),
	TEXT("qe-status", collateral.qe_status),
	TEXT("fmspc", collateral.fmspc),
};
static const struct hex_option number_options[] = { TEXT("qe-svn", qe_svn), TEXT("now", now) };

enum {
	HEX_OPTIONS = sizeof hex_options / sizeof hex_options[0],
	TEXT_OPTIONS = sizeof text_options / sizeof text_options[0],
	NUMBER_OPTIONS = sizeof number_options / sizeof number_options[0],
	ALL_OPTIONS = HEX_OPTIONS + TEXT_OPTIONS + NUMBER_OPTIONS,
};

static void long_options(struct option out[static ALL_OPTIONS + 1])
{
	size_t n = 0;

	for (int i = 0; i < HEX_OPTIONS; i++)
		out[n++] = (struct option){ hex_options[i].name, required_argument, NULL, OPT_HEX + i };
	for (int i = 0; i < TEXT_OPTIONS; i++)
		out[n++] = (struct option){ text_options[i].name, required_argument, NULL, OPT_TEXT + i };
	for (int i = 0; i < NUMBER_OPTIONS; i++)
		out[n++] = (struct option){ number_options[i].name, required_argument, NULL, OPT_NUMBER + i };
	out[n] = (struct option){ 0 };
}

static int parse(struct options *o, int argc, char **argv, struct err *e)
{
	struct option table[ALL_OPTIONS + 1];
	int c;

	long_options(table);
	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (c >= OPT_NUMBER) {
			const struct hex_option *h = &number_options[c - OPT_NUMBER];
			if (!str_u64(optarg, (uint64_t *)(void *)((char *)o + h->at)))
				return err_set(e, ERR_INPUT, "--%s takes a number", h->name);
		} else if (c >= OPT_TEXT) {
			*(const char **)(void *)((char *)o + text_options[c - OPT_TEXT].at) = optarg;
		} else if (c >= OPT_HEX) {
			const struct hex_option *h = &hex_options[c - OPT_HEX];
			if (!hex_exact((uint8_t *)&o->body + h->at, h->n, optarg))
				return err_set(e, ERR_INPUT, "--%s takes %zu bytes in hex", h->name, h->n);
		} else {
			return err_set(e, ERR_INPUT, "see --help");
		}
	}
	if (optind < argc)
		return err_set(e, ERR_INPUT, "unexpected argument %s", STR_QZ(argv[optind]));
	return o->dir ? 0 : err_set(e, ERR_INPUT, "--dir is needed");
}

static int run_vm(const struct options *o, const struct pki *p, struct err *e)
{
	struct vm_config c = { o->ctrl_listen, o->swtpm_ctrl, o->listen, o->body };

	if (!c.ctrl_listen || !c.swtpm_ctrl || !c.listen)
		return err_set(e, ERR_INPUT, "vm needs --ctrl-listen, --swtpm-ctrl and --listen");
	if (str_starts(c.listen, "unix:"))
		c.listen += 5;
	memset(c.body.rtmr, 0, sizeof c.body.rtmr); // these are measured, never given
	memset(c.body.report_data, 0, sizeof c.body.report_data);
	return vm_run(&c, p, e);
}

static int run_sealing(const struct options *o, const struct pki *p, struct err *e)
{
	static struct sealing s;

	if (!o->listen)
		return err_set(e, ERR_INPUT, "keyprovider needs --listen");
	int rc = sealing_init(&s, p, o->dir, e) || sealing_run(&s, o->listen, e) ? -1 : 0;
	sealing_free(&s);
	return rc;
}

static int run_quote(const struct options *o, const struct pki *p, struct err *e)
{
	static struct quote_signer signer;
	struct pki qe = { 0 }, chain = { 0 };
	uint8_t out[QUOTE_CAP];
	size_t n;

	if (!o->out)
		return err_set(e, ERR_INPUT, "quote needs --out");
	int rc = (o->qe_dir && pki_load(&qe, o->qe_dir, e)) ||
				 (o->chain_dir && pki_load(&chain, o->chain_dir, e)) ||
				 quote_signer_init(&signer, p, o->qe_dir ? &qe : p, o->chain_dir ? &chain : p,
						   (uint16_t)o->qe_svn, e) ||
				 quote_sign(&signer, &o->body, out, &n, e) ||
				 file_write(o->out, 0644, out, n, e)
			 ? -1
			 : 0;
	pki_free(&qe);
	pki_free(&chain);
	return rc;
}

static int run_collateral(const struct options *o, const struct pki *p, struct err *e)
{
	auto_sb json = { 0 };

	if (collateral_json(p, &o->collateral, (int64_t)o->now, &json, e))
		return -1;
	sb_chr(&json, '\n');
	if (json.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (o->out)
		return file_write(o->out, 0644, json.p, json.n, e);
	return fwrite(json.p, 1, json.n, stdout) == json.n ? 0 : err_errno(e, "write");
}

static int run(const char *verb, const struct options *o, struct err *e)
{
	struct pki p;
	int rc;

	if (!strcmp(verb, "pki"))
		return pki_make(o->dir, (int64_t)o->now, e);
	if (pki_load(&p, o->dir, e))
		return -1;
	if (!strcmp(verb, "serve"))
		rc = o->listen ? serve_run(&p, o->listen, e) : err_set(e, ERR_INPUT, "serve needs --listen");
	else if (!strcmp(verb, "keyprovider"))
		rc = run_sealing(o, &p, e);
	else if (!strcmp(verb, "vm"))
		rc = run_vm(o, &p, e);
	else if (!strcmp(verb, "quote"))
		rc = run_quote(o, &p, e);
	else if (!strcmp(verb, "collateral"))
		rc = run_collateral(o, &p, e);
	else
		rc = err_set(e, ERR_INPUT, "unknown command %s: see --help", STR_QZ(verb));
	pki_free(&p);
	return rc;
}

int main(int argc, char **argv)
{
	struct options o = { .qe_svn = 4, .now = time_now() };
	struct err e = { 0 };

	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0);
	if (argc < 2 || !strcmp(argv[1], "--help")) {
		fputs(usage, argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : 0;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("dstack-softtee %s %s\n", version_text, version_rev);
		return 0;
	}
	if (!strcmp(argv[1], "forge"))
		return forge_command(argc - 1, argv + 1);
	quote_body_init(&o.body);
	if (parse(&o, argc - 1, argv + 1, &e) || run(argv[1], &o, &e)) {
		log_error("softtee", "%s code=%s", e.text, e.code[0] ? e.code : "-");
		return err_exit(&e);
	}
	return 0;
}
