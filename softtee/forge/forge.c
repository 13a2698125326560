#include "forge/forge.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "forge/layers.h"
#include "pki.h"

enum { DAY = 86400, YEAR = 365 * DAY };

const char *const forge_layer_name[FORGE_LAYERS] = {
	"root",        "ca",        "pck",   "tcb",   "spare", "root_crl", "pck_crl",    "tcb_info",
	"qe_identity", "qe_report", "quote", "chain", "auth",  "whole",    "collateral",
};
const char *const forge_key_name[FORGE_KEYS + 1] = {
	"root", "ca", "pck", "tcb", "attestation", "other_root", "other_ca", "other", "own",
};

static int load_folder(struct forge_keys *k, const char *dir, struct err *e)
{
	struct pki p;
	uint8_t hash[32];
	char seed[65] = "", label[16];

	if (pki_load(&p, dir, e))
		return -1;
	layer_take(&k->root, p.cert[PKI_ROOT].der, p.cert[PKI_ROOT].n);
	SHA256(p.key[PKI_ROOT].pub, KEY_RAW, hash);
	for (size_t i = 0; i < sizeof hash; i++)
		snprintf(seed + 2 * i, 3, "%02x", hash[i]);
	for (int i = 0; i < PKI_KEYS; i++) {
		k->key[i] = p.key[i]; // the folder's order is ours
		p.key[i] = (struct dev_key){ 0 };
	}
	for (int i = PKI_KEYS; i < FORGE_KEYS; i++) {
		snprintf(label, sizeof label, "%d", i);
		if (key_from_seed(&k->key[i], seed, label, e))
			return -1;
	}
	return k->root.bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

int forge_keys_load(struct forge_keys *k, const char *dir, const char *seed, struct err *e)
{
	uint8_t hash[32];

	*k = (struct forge_keys){ 0 };
	if (dir && load_folder(k, dir, e))
		return -1;
	for (int i = 0; !dir && i < FORGE_KEYS; i++)
		if (key_from_seed(&k->key[i], seed, forge_key_name[i], e))
			return -1;
	for (int i = 0; i < FORGE_CERTS; i++) {
		SHA256(k->key[i].pub, KEY_RAW, hash);
		memcpy(k->serial[i], hash, sizeof k->serial[i]);
		k->serial[i][0] = (k->serial[i][0] & 0x7f) | 0x10;
	}
	SHA256(k->key[FORGE_KEY_ROOT].pub, KEY_RAW, k->ppid);
	return 0;
}

void forge_keys_free(struct forge_keys *k)
{
	for (int i = 0; i < FORGE_KEYS; i++)
		key_free(&k->key[i]);
	sb_free(&k->root);
}

static void init_certs(struct forge *f)
{
	static const char *const name[FORGE_CERTS] = { "Intel SGX Root CA", "Intel SGX PCK Platform CA",
						       "Intel SGX PCK Certificate", "Intel SGX TCB Signing",
						       "Intel SGX Root CA" };
	static const int issuer[FORGE_CERTS] = { FORGE_ROOT, FORGE_ROOT, FORGE_CA, FORGE_ROOT, FORGE_SPARE };

	for (int i = 0; i < FORGE_CERTS; i++) {
		bool is_ca = i == FORGE_ROOT || i == FORGE_CA || i == FORGE_SPARE;

		f->cert[i] = (struct forge_cert){
			.version = 2,
			.serial = span_of(f->keys->serial[i], sizeof f->keys->serial[i]),
			.subject = name[i],
			.issuer = name[issuer[i]],
			.not_before = f->now - 2 * YEAR,
			.not_after = f->now + 14 * YEAR,
			.key = i == FORGE_SPARE ? FORGE_KEY_OTHER_ROOT : (enum forge_key)i,
			.under = i == FORGE_SPARE ? FORGE_KEY_OTHER_ROOT : (enum forge_key)issuer[i],
			.constraints = true,
			.ca = is_ca,
			.path_len = i == FORGE_CA ? 0
				    : is_ca       ? 1
						  : -1,
			.usage = is_ca ? CERT_SIGN | CRL_SIGN : DIGITAL_SIGNATURE | NON_REPUDIATION,
		};
	}
	if (f->keys->root.n)
		f->cert[FORGE_ROOT].der = span_of(f->keys->root.p, f->keys->root.n);
	for (int i = 0; i < 2; i++)
		f->crl[i] = (struct forge_crl){
			.version = 1,
			.issuer = name[i ? FORGE_CA : FORGE_ROOT],
			.this_update = f->now - 10 * DAY,
			.next_update = f->now + (i ? 20 : 320) * DAY,
			.number = 1,
		};
	static const uint8_t fmspc[6] = { 0xb0, 0xc0, 0x6f }, pce_id[2];
	f->sgx_count = 1;
	f->sgx = (struct sgx_spec){
		.ppid = span_of(f->keys->ppid, 16),
		.pce_id = span_of(pce_id, sizeof pce_id),
		.fmspc = span_of(fmspc, sizeof fmspc),
		.instance = span_of(f->keys->ppid + 16, 16),
		.pce_svn = 13,
		.type = 1,
	};
	memset(f->sgx.component, 5, sizeof f->sgx.component);
}

static void put(uint8_t *at, const char *hex)
{
	(void)hex_exact(at, strlen(hex) / 2, hex);
}

static void init_enclave(uint8_t *r, const char *signer, uint8_t product, uint8_t svn)
{
	memset(r + SGX_CPUSVN, 5, 16);
	put(r + SGX_ATTRIBUTES, "110000000000000000e7000000000000");
	memset(r + SGX_MRENCLAVE, 0xaa, 32);
	put(r + SGX_MRSIGNER, signer);
	r[SGX_PRODID] = product;
	r[SGX_SVN] = svn;
}

static void init_quote(struct forge *f)
{
	static const uint8_t auth[32] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
					  16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };
	static const uint8_t type[] = {
		[FORGE_TDX4] = 2, [FORGE_TDX5] = 3, [FORGE_TDX5_10] = 2, [FORGE_TDX5_EX] = 4, [FORGE_SGX3] = 1
	};
	struct forge_quote *q = &f->quote;
	bool sgx = f->kind == FORGE_SGX3;

	*q = (struct forge_quote){
		.version = sgx                     ? 3
			   : f->kind == FORGE_TDX4 ? 4
						   : 5,
		.key_type = 2,
		.tee = sgx ? 0 : 0x81,
		.body_type = type[f->kind],
		.body_size = FORGE_AUTO,
		.bind = true,
		.qe_auth = span_of(auth, sizeof auth),
		.qe_auth_len = FORGE_AUTO,
		.cert_len = FORGE_AUTO,
		.outer_len = FORGE_AUTO,
		.auth_len = FORGE_AUTO,
		.cert_type = 5,
		.outer_type = 6,
	};
	put(q->vendor, "939a7233f79c4ca9940a0db3957f0607");
	memset(q->user_data, 0x42, sizeof q->user_data);
	init_enclave(q->enclave, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 0, 0);
	memset(q->enclave + SGX_REPORT_DATA, 0x77, 64);
	init_enclave(q->qe,
		     sgx ? "8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff"
			 : "dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5",
		     sgx ? 1 : 2, 4);
	put(q->td + TD_SVN, "050103");
	memset(q->td + TD_MRSEAM, 0x5b, 48);
	q->td[TD_ATTRIBUTES + 3] = 0x10; // SEPT_VE_DISABLE
	put(q->td + TD_XFAM, "e702060000000000");
	memset(q->td + TD_MRTD, 0x21, 48);
	for (int i = 0; i < 4; i++)
		memset(q->td + TD_RTMR + 48 * i, 0x34 + i, 48);
	memset(q->td + TD_REPORT_DATA, 0x77, 64);
	put(q->td + TD_SVN2, "050103");
}

void forge_init(struct forge *f, const struct forge_keys *k, enum forge_kind kind, int64_t now)
{
	*f = (struct forge){ .keys = k, .kind = kind, .now = now };
	init_certs(f);
	init_quote(f);
	f->chain[FORGE_CHAIN_QUOTE] = "pck ca root";
	f->chain[FORGE_CHAIN_CRL] = "ca root";
	f->chain[FORGE_CHAIN_TCB] = f->chain[FORGE_CHAIN_QE] = "tcb root";
	for (int l = 0; l < FORGE_SIGNED; l++)
		f->sign[l].by = FORGE_KEY_OWN;
}

void forge_edit(struct forge *f, struct forge_edit edit)
{
	if (f->edits < FORGE_EDITS)
		f->edit[f->edits] = edit;
	f->edits++;
}

void forge_member(struct forge *f, enum forge_layer layer, const char *name, const char *json)
{
	if (f->members < FORGE_MEMBERS)
		f->member[f->members] = (struct forge_member){ layer, name, json };
	f->members++;
}

int layer_sign(const struct forge *f, enum forge_layer l, enum forge_key own, struct forge_out *out,
	       struct err *e)
{
	const struct forge_sign *s = &f->sign[l];
	struct sb *b = &out->sig[l];
	struct span msg = s->over.p ? s->over : span_of(out->layer[l].p, out->layer[l].n);
	enum forge_key by = s->by == FORGE_KEY_OWN ? own : s->by;
	uint8_t sig[KEY_RAW] = { 0 }, half[32];

	if (s->raw.p) {
		layer_take(b, s->raw.p, s->raw.n);
		return 0;
	}
	if (s->fault != FORGE_ZERO && key_sign_fixed(&f->keys->key[by], msg.p, msg.n, sig, e))
		return -1;
	if (s->fault == FORGE_FLIP)
		sig[31] ^= 1;
	if (s->fault == FORGE_SWAP) {
		memcpy(half, sig, 32);
		memcpy(sig, sig + 32, 32);
		memcpy(sig + 32, half, 32);
	}
	layer_take(b, sig, s->fault == FORGE_NONE ? 0 : KEY_RAW);
	return b->bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

int forge_build(const struct forge *f, struct forge_out *out, struct err *e)
{
	if (f->edits > FORGE_EDITS || f->members > FORGE_MEMBERS)
		return err_code(e, ERR_INPUT, "forge.recipe", "more than %d edits or %d members", FORGE_EDITS,
				FORGE_MEMBERS);
	if (layer_certs(f, out, e) || layer_documents(f, out, e) || layer_quote(f, out, e) ||
	    layer_collateral(f, out, e))
		return -1;
	for (int l = 0; l < FORGE_LAYERS; l++)
		if (out->layer[l].bad || (l < FORGE_SIGNED && out->sig[l].bad))
			return err_set(e, ERR_SYSTEM, "out of memory");
	return 0;
}

void forge_out_free(struct forge_out *out)
{
	for (int l = 0; l < FORGE_LAYERS; l++)
		sb_free(&out->layer[l]);
	for (int l = 0; l < FORGE_SIGNED; l++)
		sb_free(&out->sig[l]);
}
