#include "ratls/trust.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/time.h"
#include "core/attest/reportdata.h"
#include "core/hash/sha2.h"
#include "crypto/engine.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"
#include "ratls/judge.h"
#include "ratls/pccs.h"

enum { KEPT = 32, KEEP_SECONDS = 600, ROOT_MAX = 64 << 10 };

// A positive result, by certificate and expectation. Refusals are not kept: they may be about a passing
// state.
struct kept {
	uint8_t key[32];
	uint64_t until;
	struct trust_result result;
};

struct trust {
	struct pccs *pccs;
	pthread_mutex_t lock; // engine, images and kept
	struct engine *engine;
	struct images *images;
	struct kept *kept;
	size_t next;
};

static const char *const required[] = { "quote",  "tcb",          "collateral", "binding", "event_log",
					"app_id", "compose_hash", "os_image",   "mrtd",    "rtmr0",
					"rtmr1",  "rtmr2",        NULL };

// DER, or the first certificate of a PEM file.
static int add_root(struct engine *g, const char *path, struct err *e)
{
	auto_free char *text = NULL;
	uint8_t *der = NULL;
	char *name = NULL, *header = NULL;
	long der_n = 0;
	size_t n;

	if (file_read(path, ROOT_MAX, &text, &n, e))
		return err_wrap(e, "development root");
	if (n < 11 || memcmp(text, "-----BEGIN ", 11) != 0)
		return engine_add_root(g, span_of(text, n), e);
	BIO *bio = BIO_new_mem_buf(text, (int)n);
	int ok = bio && PEM_read_bio(bio, &name, &header, &der, &der_n) == 1;
	int r = ok ? engine_add_root(g, span_of(der, (size_t)der_n), e)
		   : err_code(e, ERR_INPUT, "config.development_root", "%s is neither DER nor PEM", path);

	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	BIO_free(bio);
	return r;
}

struct trust *trust_new(const struct trust_config *c, struct err *e)
{
	if (c->development_root && !c->insecure_development) {
		err_code(e, ERR_INPUT, "config.development_root",
			 "a development root is configured without insecure_development = true");
		return NULL;
	}
	struct trust *t = calloc(1, sizeof *t);

	if (!t || !(t->kept = calloc(KEPT, sizeof *t->kept))) {
		free(t);
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&t->lock, NULL);
	struct pccs_config source = { .url = c->pccs_url,
				      .cache_dir = c->cache_dir,
				      .compat = c->collateral_compat };

	if (!(t->pccs = pccs_new(&source, e)) || !(t->engine = engine_new(e)) ||
	    !(t->images = images_new(c->image_dir, e)) ||
	    (c->development_root && add_root(t->engine, c->development_root, e))) {
		trust_free(t);
		return NULL;
	}
	return t;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	pccs_free(t->pccs);
	engine_free(t->engine);
	images_free(t->images);
	pthread_mutex_destroy(&t->lock);
	free(t->kept);
	free(t);
}

static int verify_once(struct trust *t, struct dcap_result *q, struct span quote, const struct pccs_answer *a,
		       struct err *e)
{
	struct dcap_input in = { .quote = quote, .collateral = span_of(a->json, a->n), .now = time_now() };

	pthread_mutex_lock(&t->lock);
	int r = dcap_verify(t->engine, &in, q, e);
	pthread_mutex_unlock(&t->lock);
	return r;
}

// With one piece of collateral after the other, as long as another may help.
static int verify_with_collateral(struct trust *t, struct pccs_answer *a, struct dcap_result *q,
				  struct span quote, const struct dcap_platform *platform, struct err *e)
{
	int got;

	while (!(got = pccs_get(t->pccs, a, platform, e))) {
		if (verify_once(t, q, quote, a, e))
			pccs_refused(t->pccs, a, e);
		else if (!pccs_verified(t->pccs, a, q->expires, e))
			return 0;
	}
	return -1;
}

// Refusals that newer collateral may lift.
static bool about_collateral(const struct err *e)
{
	static const char *const stages[] = { "collateral.",  "crl.", "tcb_info.",
					      "qe_identity.", "tcb.", "root.time" };

	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		if (strncmp(e->code, stages[i], strlen(stages[i])) == 0)
			return true;
	return false;
}

// The quote under its platform's collateral.
static int verify_quote(struct trust *t, struct trust_result *out, struct dcap_result *q, struct span quote,
			struct err *e)
{
	struct dcap_platform platform;
	struct pccs_answer a = { 0 };
	enum reason why = dcap_platform(quote, &platform);

	if (why != REASON_OK) {
		verdict_fail(&out->verdict, "quote", (struct span){ 0 }, ANCHOR_NONE, reason_text(why)->code,
			     reason_text(why)->text);
		return err_code(e, ERR_UNTRUSTED, reason_text(why)->code, "%s", reason_text(why)->text);
	}
	int r = verify_with_collateral(t, &a, q, quote, &platform, e);

	if (r)
		verdict_fail(&out->verdict, about_collateral(e) ? "collateral" : "quote", (struct span){ 0 },
			     ANCHOR_NONE, e->code, e->text);
	else
		dcap_claims(q, &out->verdict);
	if (!r && a.older)
		snprintf(verdict_pass(&out->verdict, "collateral_age", span_str("older than seen before"),
				      q->anchor)
				 ->detail,
			 sizeof out->verdict.claim[0].detail,
			 "collateral.downgrade: newer collateral was seen; accepted because the mode is "
			 "compat");
	pccs_release(&a);
	return r;
}

static int check(struct trust *t, struct trust_result *out, struct evidence *ev, const struct trust_expect *x,
		 uint64_t *until, struct err *e)
{
	auto_free struct dcap_result *q = calloc(1, sizeof *q);
	struct verdict *v = &out->verdict;

	if (!q)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (ev->env.kind != ENVELOPE_TDX) {
		verdict_fail(v, "platform", (struct span){ 0 }, ANCHOR_NONE, "envelope.platform",
			     "evidence is of a platform that is not verified here");
		verdict_close(v, required);
		return err_code(e, ERR_UNTRUSTED, v->code, "%s", v->error);
	}
	// Cheap, and before anything that costs: is it about this key at all?
	if (x->report_data && memcmp(x->report_data, ev->env.report_data, 64) != 0) {
		struct span want = span_of(x->report_data, 64);

		verdict_equal(v, "binding", span_of(ev->env.report_data, 64), &want, ANCHOR_NONE,
			      x->is_cert ? "ratls.key_mismatch" : "report_data.mismatch");
		verdict_close(v, required);
		return err_code(e, ERR_UNTRUSTED, v->code, "report data mismatch: %s", v->error);
	}
	if (verify_quote(t, out, q, ev->env.quote, e)) {
		verdict_close(v, required);
		return -1;
	}
	if (judge_guest(out, ev, q, x)) {
		pthread_mutex_lock(&t->lock);
		judge_base(out, ev, q, t->images, x);
		pthread_mutex_unlock(&t->lock);
	}
	*until = q->expires;
	if (verdict_close(v, required))
		return 0;
	return err_code(e, ERR_UNTRUSTED, v->code, "%s", v->error);
}

static void begin(struct trust_result *out)
{
	memset(out, 0, sizeof *out);
	verdict_init(&out->verdict);
}

static int check_and_free(struct trust *t, struct trust_result *out, struct evidence *ev,
			  const struct trust_expect *x, uint64_t *until, struct err *e)
{
	int r = check(t, out, ev, x, until, e);

	evidence_free(ev);
	return r;
}

int trust_check_envelope(struct trust *t, struct trust_result *out, struct span bytes,
			 const struct trust_expect *x, struct err *e)
{
	struct evidence ev;
	uint64_t until;

	begin(out);
	return evidence_read(&ev, bytes, e) ? -1 : check_and_free(t, out, &ev, x, &until, e);
}

int trust_check_quote(struct trust *t, struct trust_result *out, struct span quote,
		      struct span event_log_json, const struct trust_expect *x, struct err *e)
{
	struct evidence ev;
	uint64_t until;

	begin(out);
	return evidence_read_quote(&ev, quote, event_log_json, e) ? -1
								  : check_and_free(t, out, &ev, x, &until, e);
}

static void add(struct sha256 *h, const void *p, size_t n)
{
	uint64_t len = p ? n : UINT64_MAX;

	sha256_add(h, &len, sizeof len);
	if (p)
		sha256_add(h, p, n);
}

static int cache_key(uint8_t key[32], X509 *cert, const struct trust_expect *x, struct err *e)
{
	uint8_t *der = NULL;
	int n = i2d_X509(cert, &der);
	struct sha256 h;

	if (n <= 0)
		return err_code(e, ERR_INPUT, "ratls.certificate", "certificate cannot be encoded");
	sha256_init(&h);
	add(&h, der, (size_t)n);
	add(&h, x->app_id, 20);
	add(&h, x->compose_hash, 32);
	add(&h, x->os_image_hash, 32);
	add(&h, x->key_provider_id.p, x->key_provider_id.n);
	add(&h, x->vm_config.p, x->vm_config.n);
	add(&h, &x->boottime, sizeof x->boottime);
	sha256_end(&h, key);
	OPENSSL_free(der);
	return 0;
}

static bool find_kept(struct trust *t, struct trust_result *out, const uint8_t key[32])
{
	bool found = false;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < KEPT && !found; i++) {
		const struct kept *k = &t->kept[i];

		found = k->until > time_now() && memcmp(k->key, key, 32) == 0;
		if (found)
			*out = k->result;
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

static void keep(struct trust *t, const struct trust_result *r, const uint8_t key[32], uint64_t until)
{
	uint64_t latest = time_now() + KEEP_SECONDS;

	pthread_mutex_lock(&t->lock);
	struct kept *k = &t->kept[t->next];

	t->next = (t->next + 1) % KEPT;
	memcpy(k->key, key, 32);
	k->until = until < latest ? until : latest;
	k->result = *r;
	pthread_mutex_unlock(&t->lock);
}

// What the issuer wrote beside the evidence must not say otherwise.
static int check_cert_fields(struct trust_result *out, X509 *cert, struct err *e)
{
	uint8_t id[20];
	struct err none;

	if (X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0 ||
	    X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0)
		return err_code(e, ERR_UNTRUSTED, "ratls.time",
				"certificate has expired or is not yet valid");
	if (!cert_app_id(id, cert, &none)) {
		if (memcmp(id, out->boot.app_id, 20) != 0)
			return err_code(e, ERR_UNTRUSTED, "ratls.app_id",
					"certificate names another app id than its evidence");
	} else if (none.class != ERR_ABSENT) {
		*e = none;
		return -1;
	}
	return 0;
}

int trust_check_cert(struct trust *t, struct trust_result *out, X509 *cert, const struct trust_expect *x,
		     struct err *e)
{
	uint8_t key[32], report_data[64], spki[CERT_SPKI_MAX];
	struct trust_expect with = *x;
	struct evidence ev;
	uint64_t until = 0;
	size_t n;

	begin(out);
	if (cache_key(key, cert, x, e))
		return -1;
	if (!find_kept(t, out, key)) {
		if (cert_spki(cert, spki, &n, e) || evidence_read_cert(&ev, cert, e))
			return -1;
		report_data_tagged(report_data, REPORT_RATLS_CERT, span_of(spki, n));
		with.report_data = report_data;
		with.is_cert = true;
		if (check_and_free(t, out, &ev, &with, &until, e))
			return -1;
		keep(t, out, key, until);
	}
	if (check_cert_fields(out, cert, e)) {
		verdict_fail(&out->verdict, "certificate", (struct span){ 0 }, ANCHOR_NONE, e->code, e->text);
		verdict_close(&out->verdict, required);
		return -1;
	}
	return 0;
}

void trust_app_info(struct app_info *out, const struct boot_info *b)
{
	*out = (struct app_info){
		.app_id = span_of(b->app_id, b->has_app_id ? sizeof b->app_id : 0),
		.compose_hash = span_of(b->compose_hash, b->has_compose_hash ? sizeof b->compose_hash : 0),
		.instance_id = span_of(b->instance_id, b->has_instance_id ? sizeof b->instance_id : 0),
		.device_id = span_of(b->device_id, sizeof b->device_id),
		.mr_system = span_of(b->mr_system, sizeof b->mr_system),
		.mr_aggregated = span_of(b->mr_aggregated, sizeof b->mr_aggregated),
		.os_image_hash =
			span_of(b->os_image_hash, b->has_os_image_hash ? sizeof b->os_image_hash : 0),
		.key_provider_info = span_of(b->key_provider_info, b->key_provider_info_n),
	};
}
