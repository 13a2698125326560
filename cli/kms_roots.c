// kms roots - the root sets of a KMS, checked: each must be signed by the one before it. Whoever pins the
// K256 key of one set learns from it the keys of the newer ones.
#include "kms_roots.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "command.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"
#include "kms.h"
#include "ratls/trust.h"
#include "rpc/client.h"

struct roots_args {
	const char *url, *save;
	uint8_t pin[33];
	uint64_t root;
	struct trust_config trust;
	bool pinned, has_root, births, json;
};

struct birth {
	bool known;
	uint8_t mr[32], compose[32];
	enum anchor anchor;
};

struct ring {
	struct rotation set[ROOT_SETS_MAX]; // of set 0 only k256_pub
	const Kms__RootRotation *said[ROOT_SETS_MAX];
	uint32_t n, from, serves; // from: the pinned one
	struct birth birth[ROOT_SETS_MAX];
};

static bool copy(uint8_t *out, size_t n, ProtobufCBinaryData b)
{
	if (b.len != n)
		return false;
	memcpy(out, b.data, n);
	return true;
}

int kms_root_read(const Kms__RootRotation *m, struct rotation *r, struct err *e)
{
	*r = (struct rotation){ .index = m->index, .time = m->time };
	if (copy(r->ca_spki, sizeof r->ca_spki, m->ca_pubkey) &&
	    copy(r->k256_pub, sizeof r->k256_pub, m->k256_pubkey) &&
	    copy(r->signature, sizeof r->signature, m->signature) &&
	    copy(r->own_signature, sizeof r->own_signature, m->own_signature))
		return 0;
	return err_code(e, ERR_INPUT, "roots.statement", "the statement of root set %u is malformed",
			m->index);
}

void kms_root_print(const struct rotation *r, bool attested)
{
	uint8_t id[32];

	rotation_id(r->ca_spki, r->k256_pub, id);
	printf("{\"set\":%u,\"time\":%llu,\"id\":\"%s\",\"attested\":%s,", r->index,
	       (unsigned long long)r->time, STR_HEX(id, sizeof id), attested ? "true" : "false");
	printf("\"ca_pubkey\":\"%s\",", STR_HEX(r->ca_spki, sizeof r->ca_spki));
	printf("\"k256_pubkey\":\"%s\"}", STR_HEX(r->k256_pub, sizeof r->k256_pub));
}

static int mismatch(const char *what, struct err *e)
{
	return err_code(e, ERR_UNTRUSTED, "roots.statement", "%s", what);
}

static int find_pin(struct ring *g, const uint8_t pin[static 33], struct err *e)
{
	for (g->from = 0; g->from < g->n; g->from++)
		if (!memcmp(g->set[g->from].k256_pub, pin, 33))
			return 0;
	return mismatch("no root set of this KMS has the pinned K256 key", e);
}

static int read_ring(struct ring *g, const Kms__GetMetaResponse *m, struct err *e)
{
	uint8_t own[33];

	g->n = (uint32_t)m->n_roots + 1;
	if (m->n_roots >= ROOT_SETS_MAX || !copy(own, sizeof own, m->k256_pubkey))
		return err_code(e, ERR_INPUT, "roots.statement", "the KMS answered no root key, or %zu sets",
				m->n_roots);
	for (uint32_t i = 1; i < g->n; i++) {
		g->said[i] = m->roots[i - 1];
		if (kms_root_read(g->said[i], &g->set[i], e))
			return -1;
	}
	if (g->n == 1)
		memcpy(g->set[0].k256_pub, own, sizeof own);
	else if (rotation_signer(&g->set[1], g->set[0].k256_pub, e))
		return -1;
	for (uint32_t i = 1; i < g->n; i++)
		if (rotation_check(&g->set[i], i, g->set[i - 1].k256_pub, e))
			return -1;
	for (g->serves = 0; g->serves < g->n; g->serves++)
		if (!memcmp(g->set[g->serves].k256_pub, own, sizeof own))
			return 0;
	return mismatch("the address serves a root set that is none of the KMS's", e);
}

// The certificate is only worth what the signed key in it is.
static int save_cert(const struct ring *g, const struct roots_args *a, struct err *e)
{
	uint8_t spki[CERT_SPKI_MAX];
	size_t n = 0;

	if (!a->save)
		return 0;
	if (!a->root || a->root >= g->n)
		return err_code(e, ERR_ABSENT, "kms.no_root_set",
				"the KMS has no root set %llu after the first", (unsigned long long)a->root);
	if (a->pinned && a->root < g->from)
		return mismatch("the pinned key says nothing about the sets before its own", e);
	auto_x509 X509 *c = cert_from_pem(span_str(g->said[a->root]->ca_cert), e);
	if (!c || cert_spki(c, spki, &n, e))
		return -1;
	if (n != sizeof g->set[0].ca_spki || memcmp(spki, g->set[a->root].ca_spki, n) != 0)
		return mismatch("the certificate is not of the CA key that was signed", e);
	return file_write_str(a->save, 0644, g->said[a->root]->ca_cert, e);
}

static int judge(struct trust *t, struct trust_result *r, ProtobufCBinaryData evidence,
		 const uint8_t report_data[static 64], struct birth *out, struct err *e)
{
	struct trust_expect x = { .report_data = report_data, .judge_tcb = true };

	if (trust_check_envelope(t, r, span_of(evidence.data, evidence.len), &x, e))
		return -1;
	memcpy(out->mr, r->boot.mr_aggregated, sizeof out->mr);
	memcpy(out->compose, r->boot.compose_hash, sizeof out->compose);
	out->anchor = r->verdict.anchor;
	out->known = true;
	return 0;
}

// That each set was born in a TEE, and in which. The first one's evidence is shown at its own address, if it
// has some.
static int judge_births(struct ring *g, const struct roots_args *a, const Kms__GetMetaResponse *m,
			struct trust_result *r, struct err *e)
{
	const Kms__BootstrapResponse *first = g->serves ? NULL : m->bootstrap_info;
	struct trust *t = trust_new(&a->trust, e);
	uint8_t spki[91], said[64];
	int rc = t ? 0 : -1;

	if (!rc && first && first->attestation.len) {
		if (!copy(spki, sizeof spki, first->ca_pubkey))
			rc = mismatch("the first set's birth is malformed", e);
		rotation_report_data(spki, g->set[0].k256_pub, said);
		rc = rc || judge(t, r, first->attestation, said, &g->birth[0], e)
			     ? err_wrap(e, "birth of root set 0")
			     : 0;
	}
	for (uint32_t i = 1; !rc && i < g->n; i++) {
		rotation_report_data(g->set[i].ca_spki, g->set[i].k256_pub, said);
		if (judge(t, r, g->said[i]->attestation, said, &g->birth[i], e))
			rc = err_wrap(e, "birth of root set %u", i);
	}
	trust_free(t);
	return rc;
}

static int ask(const struct roots_args *a, struct ring *g, struct arena *arena, struct err *e)
{
	auto_free char *url = str_format("%s%s", a->url, str_ends(a->url, "/prpc") ? "" : "/prpc");
	// Who answers does not matter: what is believed is signed.
	struct rpc_client_opts o = { .insecure = true };
	auto_rpc_client *c = arena && url ? rpc_client_new(url, &o, e) : NULL;
	auto_free struct trust_result *r = calloc(1, sizeof *r);
	Kms__GetMetaResponse *m = NULL;

	if (!r)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return !c ||
			       rpc_client_call(c, "GetMeta", NULL, &kms__get_meta_response__descriptor, arena,
					       (void **)&m, e) ||
			       read_ring(g, m, e) || (a->pinned && find_pin(g, a->pin, e)) ||
			       (a->births && judge_births(g, a, m, r, e)) || save_cert(g, a, e)
		       ? -1
		       : 0;
}

static void print_births(const struct ring *g)
{
	const char *comma = "";

	printf("],\"births\":[");
	for (uint32_t i = 0; i < g->n; i++) {
		const struct birth *b = &g->birth[i];
		if (!b->known)
			continue;
		printf("%s{\"set\":%u,\"mr_aggregated\":\"%s\",", comma, i, STR_HEX(b->mr, 32));
		printf("\"compose_hash\":\"%s\",\"anchor\":\"%s\"}", STR_HEX(b->compose, 32),
		       anchor_name(b->anchor));
		comma = ",";
	}
}

static void print_json(const struct ring *g, const struct roots_args *a)
{
	printf("{\"ok\":true,\"pinned_set\":");
	if (a->pinned)
		printf("%u", g->from);
	else
		printf("null");
	printf(",\"serves\":%u,\"sets\":[{\"set\":0,\"k256_pubkey\":\"%s\"}", g->serves,
	       STR_HEX(g->set[0].k256_pub, 33));
	for (uint32_t i = 1; i < g->n; i++) {
		putchar(',');
		kms_root_print(&g->set[i], g->said[i]->attestation.len != 0);
	}
	if (a->births)
		print_births(g);
	printf("]}\n");
}

static void print(const struct ring *g, const struct roots_args *a)
{
	if (a->json) {
		print_json(g, a);
		return;
	}
	for (uint32_t i = 0; i < g->n; i++) {
		const struct birth *b = &g->birth[i];
		printf("set %u    k256_pubkey %s%s\n", i, STR_HEX(g->set[i].k256_pub, 33),
		       i == g->serves ? ", served here" : "");
		if (b->known)
			printf("         born in compose %s, %s root\n", STR_HEX(b->compose, 32),
			       anchor_name(b->anchor));
	}
	if (a->pinned)
		printf("pinned   set %u; those after it are signed from there\n", g->from);
	else
		printf("pinned   none: the KMS's own word (--k256-pubkey HEX)\n");
}

static bool take(struct roots_args *a, int c)
{
	switch (c) {
	case 'k':
		return a->pinned = hex_exact(a->pin, sizeof a->pin, optarg);
	case 'r':
		return a->has_root = str_u64(optarg, &a->root);
	case 's':
		a->save = optarg;
		return true;
	case 'b':
		return a->births = true;
	case 'i':
		a->trust.image_dir = optarg;
		return true;
	case 'p':
		a->trust.pccs_url = optarg;
		return true;
	case 'd':
		a->trust.development_root = optarg;
		return a->trust.insecure_development = true;
	case 'j':
		return a->json = true;
	default:
		return false;
	}
}

static bool parse(int argc, char **argv, struct roots_args *a)
{
	static const struct option opts[] = { { "k256-pubkey", required_argument, NULL, 'k' },
					      { "root", required_argument, NULL, 'r' },
					      { "save", required_argument, NULL, 's' },
					      { "births", no_argument, NULL, 'b' },
					      { "image-dir", required_argument, NULL, 'i' },
					      { "pccs-url", required_argument, NULL, 'p' },
					      { "development-root", required_argument, NULL, 'd' },
					      { "json", no_argument, NULL, 'j' },
					      { NULL, 0, NULL, 0 } };

	optind = 1;
	for (int c; (c = getopt_long(argc, argv, "", opts, NULL)) != -1;)
		if (!take(a, c))
			return false;
	a->url = argv[optind];
	return argc - optind == 1 && a->has_root == (a->save != NULL);
}

int kms_roots(int argc, char **argv)
{
	auto_arena *arena = arena_new(0);
	struct roots_args a = { 0 };
	struct ring g = { 0 };
	struct err e = { 0 };

	if (!parse(argc, argv, &a))
		return kms_usage("roots");
	if (ask(&a, &g, arena, &e))
		return command_fail(&e, a.json);
	print(&g, &a);
	return 0;
}
