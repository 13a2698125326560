// dstack verify URL|FILE: is what answers there, or what lies there, the code it should be?
#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/sha.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "context.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"
#include "lint.h"
#include "out.h"
#include "page.h"
#include "kms_checked.h"
#include "peer.h"
#include "ratls/trust.h"

enum { FILE_MAX = 16 << 20, COMPOSE_MAX = 1 << 20, POLICY_MAX = 1 << 20, ROOT_MAX = 4096 };

struct text {
	char *p;
	size_t n;
};

struct job {
	const char *target, *connect, *image_dir, *pccs, *root, *kms_root, *dir;
	const char *kms_cert; // of the KMS, got earlier
	bool ask_kms;         // over the network also where the target is a file
	bool kms_left_out;    // this stack's KMS has evidence, which was not looked at
	struct text policy, collateral, only_root, compose; // files given
	struct context context;
	bool has_context, json;
	uint8_t app_id[20], compose_hash[32], image_hash[32], spki[CERT_SPKI_MAX];
	struct trust_expect x;
};

static int hex_option(const uint8_t **to, uint8_t *bytes, size_t n, const char *text, const char *name,
		      struct err *e)
{
	if (!hex_exact(bytes, n, text))
		return err_code(e, ERR_INPUT, "cli.option", "--%s takes %zu bytes in hex", name, n);
	*to = bytes;
	return 0;
}

static int compose_option(struct job *j, const char *path, struct err *e)
{
	free(TAKE(j->compose.p));
	if (file_read(path, COMPOSE_MAX, &j->compose.p, &j->compose.n, e))
		return -1;
	SHA256((const uint8_t *)j->compose.p, j->compose.n, j->compose_hash);
	j->x.compose_hash = j->compose_hash;
	return 0;
}

// Any provider's id, of the KMS or of a local one.
static int provider_option(struct job *j, const char *text, struct err *e)
{
	size_t n;

	if (hex_read(j->spki, sizeof j->spki, text, strlen(text), &n) || !n)
		return err_code(e, ERR_INPUT, "cli.option", "--key-provider-id takes 1 to %zu bytes in hex",
				sizeof j->spki);
	j->x.key_provider_id = span_of(j->spki, n);
	return 0;
}

static int text_option(struct text *t, const char *path, size_t max, struct err *e)
{
	free(TAKE(t->p));
	if (file_read(path, max, &t->p, &t->n, e)) {
		e->class = ERR_INPUT;
		return -1;
	}
	return t->n ? 0 : err_code(e, ERR_INPUT, "input.unreadable", "%s is empty", path);
}

static int time_option(struct job *j, const char *text, struct err *e)
{
	return str_u64(text, &j->x.now) && j->x.now
		       ? 0
		       : err_code(e, ERR_INPUT, "input.time", "--at %s is no Unix time", text);
}

static int option(struct job *j, int c, struct err *e)
{
	switch (c) {
	case 'P':
		return text_option(&j->policy, optarg, POLICY_MAX, e);
	case 'C':
		return text_option(&j->collateral, optarg, FILE_MAX, e);
	case 'R':
		return text_option(&j->only_root, optarg, ROOT_MAX, e);
	case 't':
		return time_option(j, optarg, e);
	case 'c':
		j->connect = optarg;
		return 0;
	case 'a':
		return hex_option(&j->x.app_id, j->app_id, 20, optarg, "app-id", e);
	case 'f':
		return compose_option(j, optarg, e);
	case 'h':
		return hex_option(&j->x.compose_hash, j->compose_hash, 32, optarg, "compose-hash", e);
	case 'i':
		return hex_option(&j->x.os_image_hash, j->image_hash, 32, optarg, "image-hash", e);
	case 'k':
		j->kms_root = optarg;
		return 0;
	case 'K':
		return provider_option(j, optarg, e);
	case 'd':
		j->image_dir = optarg;
		return 0;
	case 'p':
		j->pccs = optarg;
		return 0;
	case 'r':
		j->root = optarg;
		return 0;
	case 'D':
		j->dir = optarg;
		return 0;
	case 'j':
		j->json = true;
		return 0;
	case 'Q':
		j->ask_kms = true;
		return 0;
	case 'q':
		j->kms_cert = optarg;
		return 0;
	default:
		return err_code(e, ERR_INPUT, "cli.option", "see dstack verify --help");
	}
}

static int read_args(struct job *j, int argc, char **argv, struct err *e)
{
	static const struct option options[] = {
		{ "policy", required_argument, NULL, 'P' },
		{ "collateral", required_argument, NULL, 'C' },
		{ "root", required_argument, NULL, 'R' },
		{ "at", required_argument, NULL, 't' },
		{ "connect", required_argument, NULL, 'c' },
		{ "app-id", required_argument, NULL, 'a' },
		{ "compose", required_argument, NULL, 'f' },
		{ "compose-hash", required_argument, NULL, 'h' },
		{ "image-hash", required_argument, NULL, 'i' },
		{ "kms-root", required_argument, NULL, 'k' },
		{ "key-provider-id", required_argument, NULL, 'K' },
		{ "image-dir", required_argument, NULL, 'd' },
		{ "pccs-url", required_argument, NULL, 'p' },
		{ "development-root", required_argument, NULL, 'r' },
		{ "dir", required_argument, NULL, 'D' },
		{ "kms", no_argument, NULL, 'Q' },
		{ "kms-cert", required_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
		if (option(j, c, e))
			return -1;
	if (optind + 1 != argc)
		return err_code(e, ERR_INPUT, "cli.option",
				"dstack verify takes one URL or file; see --help");
	if (j->root && *j->root && j->only_root.p)
		return err_code(e, ERR_INPUT, "cli.option", "--root excludes --development-root");
	if (j->kms_root && j->x.key_provider_id.n)
		return err_code(e, ERR_INPUT, "cli.option", "--kms-root excludes --key-provider-id");
	if (j->ask_kms && j->kms_cert)
		return err_code(e, ERR_INPUT, "cli.option", "--kms excludes --kms-cert");
	j->target = argv[optind];
	j->x.policy = span_of(j->policy.p, j->policy.n);
	j->x.collateral = span_of(j->collateral.p, j->collateral.n);
	j->x.judge_tcb = true;
	return 0;
}

// What was not said on the command line comes from the stack's config.toml; "" means none.
static const char *or_context(struct job *j, const char *said, const char *key)
{
	const char *v = said ? said : j->has_context ? context_get(&j->context, key) : "";

	return *v ? v : NULL;
}

static int add_context(struct job *j, struct err *e)
{
	if (context_open(&j->context, j->dir, e) == 0)
		j->has_context = true;
	else if (j->dir || e->class != ERR_ABSENT)
		return -1;
	j->image_dir = or_context(j, j->image_dir, "images");
	j->pccs = or_context(j, j->pccs, "pccs");
	j->root = j->only_root.p ? NULL : or_context(j, j->root, "development_root");
	j->kms_root = j->x.key_provider_id.n ? NULL : or_context(j, j->kms_root, "kms_root");
	return 0;
}

static int add_key_provider(struct job *j, struct err *e)
{
	auto_free char *pem = NULL;
	size_t n, spki_n;

	if (!j->kms_root)
		return 0;
	if (file_read(j->kms_root, FILE_MAX, &pem, &n, e))
		return err_wrap(e, "KMS root");
	auto_x509 X509 *cert = cert_from_pem(span_of(pem, n), e);

	if (!cert || cert_spki(cert, j->spki, &spki_n, e))
		return err_wrap(e, "KMS root %s", j->kms_root);
	j->x.key_provider_id = span_of(j->spki, spki_n);
	return 0;
}

// The gateway's address for names under its domain: a local stack's names are in no DNS.
static int find_gateway(struct job *j, struct err *e)
{
	const char *address = or_context(j, NULL, "gateway_address"), *domain = or_context(j, NULL, "domain");
	char host[256], tail[256];

	if (j->connect || !address || !domain)
		return 0;
	if (peer_host(host, sizeof host, j->target, e))
		return -1;
	snprintf(tail, sizeof tail, ".%s", domain);
	if (str_ends(host, tail))
		j->connect = address;
	return 0;
}

static int check_url(struct job *j, struct trust *t, struct trust_result *out, struct err *e)
{
	if (find_gateway(j, e))
		return -1;
	auto_x509 X509 *cert = peer_certificate(j->target, j->connect, e);

	if (!cert)
		return -1;
	int r = trust_check_cert(t, out, cert, &j->x, e);
	const struct claim *binding = verdict_find(&out->verdict, "binding");

	if (binding && binding->ok) // the key of the evidence is that of the handshake we finished
		verdict_pass(&out->verdict, "tls_key", span_str("this connection's key is the attested one"),
			     binding->anchor)
			->fresh = true;
	return r;
}

static bool is_url(const struct job *j)
{
	return str_starts(j->target, "https://");
}

// A KMS that runs in a CVM of this stack is judged with the app that has its keys from it. -1: it is what
// fails. What lies in a file is judged without asking anybody but for collateral, unless told so.
static int check_kms(struct job *j, struct trust *t, struct trust_result *out, struct err *why)
{
	const char *compose = or_context(j, NULL, "kms_compose"), *url = or_context(j, NULL, "kms");
	auto_free struct trust_result *kms = calloc(1, sizeof *kms);
	auto_free char *text = NULL, *root = NULL;
	struct err e = { 0 };
	uint8_t hash[32];
	size_t n;

	if (!compose || !url || !j->kms_root)
		return j->ask_kms || j->kms_cert
			       ? err_code(why, ERR_INPUT, "cli.option",
					  "--kms and --kms-cert are for a stack whose KMS runs in a CVM")
			       : 0;
	if (!is_url(j) && !j->ask_kms && !j->kms_cert) {
		j->kms_left_out = true;
		return 0;
	}
	if (!kms)
		return err_set(why, ERR_SYSTEM, "out of memory");
	struct kms_expect x = { .url = url, .cert_file = j->kms_cert, .compose_hash = hash };
	int rc = file_read(compose, COMPOSE_MAX, &text, &n, &e) ||
		 file_read(j->kms_root, FILE_MAX, &root, &n, &e);
	if (!rc) {
		SHA256((const uint8_t *)text, strlen(text), hash);
		x.root_pem = root;
		rc = kms_checked(t, &x, kms, &e);
	}
	kms_claims(&out->verdict, kms, rc, &e);
	if (rc)
		*why = e;
	return rc ? -1 : 0;
}

static int check_file(struct job *j, struct trust *t, struct trust_result *out, struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	if (file_read(j->target, FILE_MAX, &text, &n, e)) {
		e->class = ERR_INPUT;
		return -1;
	}
	return trust_check_evidence(t, out, span_of(text, n), &j->x, e);
}

static void print_table(const struct verdict *v)
{
	static const char *const head[] = { "", "claim", "value", "anchor", "detail", NULL };
	const char *cell[VERDICT_CLAIMS][6], *const *rows[VERDICT_CLAIMS + 1] = { head };
	char value[VERDICT_CLAIMS][72];

	for (size_t i = 0; i < v->n; i++) {
		const struct claim *c = &v->claim[i];

		snprintf(value[i], sizeof value[i], "%.66s%s", c->value, strlen(c->value) > 66 ? ".." : "");
		cell[i][0] = c->ok ? "ok" : "NO";
		cell[i][1] = c->name;
		cell[i][2] = value[i];
		cell[i][3] = c->anchor == ANCHOR_NONE ? "-" : anchor_name(c->anchor);
		cell[i][4] = c->detail;
		cell[i][5] = NULL;
		rows[i + 1] = cell[i];
	}
	out_table(stdout, rows, v->n + 1);
}

static struct span compose_text(const struct job *j)
{
	return span_of(j->compose.p, j->compose.n);
}

// The verdict as everybody prints it; with --compose one more member, `lint`; `kms` where that was left out.
static void print_json(const struct job *j, const struct trust_result *r)
{
	struct wr w = wr_to(malloc(1 << 20), 1 << 20);
	struct err e = { 0 };
	auto_free char *list = j->compose.p ? lint_member(compose_text(j), &e) : NULL;

	if (w.p) {
		trust_json(&w, r);
		bool more = list || j->kms_left_out;
		printf("%.*s", (int)w.n - (more ? 1 : 0), (const char *)w.p);
		if (list)
			printf(",\"lint\":%s", list);
		puts(j->kms_left_out ? ",\"kms\":\"not_checked\"}" : more ? "}" : "");
	}
	free(w.p);
}

// No part of the verdict: what the measured text lets the app do, for a person to judge.
static void print_lint(const struct job *j)
{
	struct err e = { 0 };

	puts("\nthe compose file says:");
	if (lint_print(stdout, "  ", compose_text(j), &e) == 0)
		puts("  nothing that lets the app do more than its images do");
}

static int print(const struct job *j, const struct trust_result *r, const struct err *e)
{
	const struct verdict *v = &r->verdict;
	int status = v->ok ? 0 : err_exit(e);

	if (j->json) {
		print_json(j, r);
		return status;
	}
	print_table(v);
	if (v->ok)
		printf("\ntrusted   anchor: %s%s\n", anchor_name(v->anchor),
		       v->anchor == ANCHOR_DEVELOPMENT
			       ? "   (a software TEE: proves the path, not the hardware)"
			       : "");
	else
		printf("\nNOT trusted: %s [%s]\n", v->error[0] ? v->error : e->text,
		       v->code[0] ? v->code : e->code);
	if (j->kms_left_out)
		puts("KMS: not checked, a file is judged without asking it (--kms, --kms-cert FILE)");
	if (j->compose.p)
		print_lint(j);
	return status;
}

static int verify(struct job *j, struct err *e)
{
	struct trust_config config = { .pccs_url = j->pccs,
				       .image_dir = j->image_dir,
				       .development_root = j->root,
				       .only_root = span_of(j->only_root.p, j->only_root.n),
				       .insecure_development = j->root };
	struct trust *t = trust_new(&config, e);
	auto_free struct trust_result *out = calloc(1, sizeof *out);

	if (!t || !out) {
		trust_free(t);
		free(TAKE(out));
		return t ? (err_set(e, ERR_SYSTEM, "out of memory"), -1) : -1;
	}
	int r = is_url(j) ? check_url(j, t, out, e) : check_file(j, t, out, e);

	if (!r)
		r = check_kms(j, t, out, e);
	trust_free(t);
	return r && !out->verdict.n ? -1 : print(j, out, e);
}

// The page that verifies in a browser: the same bytes as build/web/verify.html.
static int emit_page(void)
{
	struct span page = verify_page();
	struct err e;

	if (fwrite(page.p, 1, page.n, stdout) == page.n && !fflush(stdout))
		return 0;
	err_errno(&e, "write the page");
	return command_fail(&e, false);
}

int cmd_verify(int argc, char **argv)
{
	struct err e = { 0 };
	struct job j = { 0 };
	int status = -1;

	if (argc == 1)
		return command_usage("verify");
	if (argc == 2 && !strcmp(argv[1], "--emit-page"))
		return emit_page();
	for (int i = 1; i < argc; i++)
		j.json |= !strcmp(argv[i], "--json");
	if (!read_args(&j, argc, argv, &e) && !add_context(&j, &e) && !add_key_provider(&j, &e))
		status = verify(&j, &e);
	if (j.has_context)
		context_close(&j.context);
	free(j.policy.p);
	free(j.collateral.p);
	free(j.only_root.p);
	free(j.compose.p);
	return status < 0 ? command_fail(&e, j.json) : status;
}
