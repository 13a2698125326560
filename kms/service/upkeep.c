#include "upkeep.h"

#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "../keys/keyfiles.h"
#include "../keys/keyring.h"
#include "ratls/issue.h"
#include "rpc/pool.h"

enum { RETRY_S = 5 };

static int rpc_evidence(const struct service *s, uint8_t **out, size_t *n, struct err *e)
{
	auto_pkey EVP_PKEY *key = keyfiles_read_key(s->config->keys.dir, "rpc.key", e);
	uint8_t spki[P256_SPKI], report_data[RATLS_REPORT_DATA];

	if (!key || p256_spki(key, spki, e))
		return -1;
	ratls_report_data(span_of(spki, sizeof spki), report_data);
	return agent_attest_stripped((void *)(uintptr_t)s->config->agent, report_data, out, n, e);
}

struct evidence_bytes {
	uint8_t *p;
	size_t n;
	bool known;
};

// The evidence is over the RPC key, so one is enough for all of a KMS's certificates.
static X509 *make_cert(const struct service *s, const struct face *f, struct evidence_bytes *b, struct err *e)
{
	if (s->config->attest_rpc && !b->known && rpc_evidence(s, &b->p, &b->n, e)) {
		err_wrap(e, "RPC certificate");
		return NULL;
	}
	b->known = true;
	X509 *c = keyproc_rpc_cert(s->keys, f->root, span_of(b->p, b->n), e);
	if (c && !f->root && keyfiles_write_cert(s->config->keys.dir, "rpc.crt", c, e)) {
		X509_free(c);
		return NULL;
	}
	return c;
}

static void keep_evidence(struct evidence_bytes *b, struct span found)
{
	free(b->p);
	b->known = false;
	b->p = malloc(found.n + 1);
	if (!b->p)
		return;
	memcpy(b->p, found.p, found.n);
	b->n = found.n;
	b->known = true;
}

// The one of the start before, when it is still this key's: what its evidence says of this KMS is as true as
// it was.
static X509 *kept_cert(struct service *s, struct evidence_bytes *b, const struct err *why)
{
	const char *dir = s->config->keys.dir;
	struct span evidence;
	struct err e;
	auto_x509 X509 *c = keyfiles_read_cert(dir, "rpc.crt", &e);
	auto_pkey EVP_PKEY *key = c ? keyfiles_read_key(dir, "rpc.key", &e) : NULL;
	uint8_t own[P256_SPKI], its[CERT_SPKI_MAX];
	size_t n = 0;

	if (!key || p256_spki(key, own, &e) || cert_spki(c, its, &n, &e) || n != sizeof own ||
	    memcmp(own, its, n) != 0 || cert_ext(c, CERT_EXT_ATTESTATION, &evidence, &e) != 1 ||
	    cert_not_after(c) <= time_now())
		return NULL;
	log_warn("kms", "no fresh evidence; the certificate of the start before is served: %s code=%s",
		 why->text, why->code);
	s->kept_cert = true;
	keep_evidence(b, evidence);
	return TAKE_SSL(c);
}

static int first_cert(struct service *s, struct face *f, struct evidence_bytes *b, struct err *e)
{
	if (!*f->address)
		return 0;
	auto_x509 X509 *c = make_cert(s, f, b, e);
	if (!c && !f->root)
		c = kept_cert(s, b, e);
	SSL_CTX *tls = c ? service_tls(s, f, c, e) : NULL;
	atomic_store(&f->tls, tls);
	return tls ? 0 : -1;
}

int upkeep_face(struct service *s, struct face *f, struct err *e)
{
	struct evidence_bytes b = { 0 };
	int rc = first_cert(s, f, &b, e);

	free(b.p);
	return rc;
}

int upkeep_new_faces(struct service *s, struct err *e)
{
	uint32_t n;

	if (keyring_count(s->config->keys.dir, &n, e))
		return -1;
	while (atomic_load(&s->faces.n) < n) {
		struct face *f = faces_read_next(&s->faces, e);
		if (!f)
			return -1;
		if (upkeep_face(s, f, e)) // without a certificate the next upkeep makes one
			log_warn("kms", "root set %u is not served yet: %s", f->root, e->text);
		faces_add(&s->faces);
	}
	return 0;
}

// The certificate there is, and the evidence in it for those of other sets.
static bool reuse_cert(struct service *s, struct face *f, struct evidence_bytes *b)
{
	struct span found;
	struct err why;
	auto_x509 X509 *c = keyfiles_read_cert(s->config->keys.dir, "rpc.crt", &why);
	SSL_CTX *tls = c ? service_tls(s, f, c, &why) : NULL;

	atomic_store(&f->tls, tls);
	if (tls && cert_ext(c, CERT_EXT_ATTESTATION, &found, &why) == 1)
		keep_evidence(b, found);
	return tls != NULL;
}

int upkeep_first_certs(struct service *s, bool reuse, struct err *e)
{
	struct evidence_bytes b = { 0 };
	int rc = 0;
	bool reused = reuse && reuse_cert(s, &s->faces.face[0], &b);

	for (uint32_t r = reused; !rc && r < atomic_load(&s->faces.n); r++)
		rc = first_cert(s, &s->faces.face[r], &b, e) && !(r && s->kept_cert) ? -1 : 0;
	free(b.p);
	return rc;
}

// Fresh certificates for what is served; the first one for a set that was made while there was no evidence.
static void renew(struct upkeep *u, struct err *e)
{
	struct service *s = u->service;
	struct evidence_bytes b = { 0 };

	for (uint32_t r = 0; r < atomic_load(&s->faces.n); r++) {
		struct face *f = &s->faces.face[r];
		if (!*f->address)
			continue;
		bool ok = atomic_load(&f->tls) ? (u->fresh[r] = make_cert(s, f, &b, e)) != NULL
					       : !first_cert(s, f, &b, e);
		if (!ok)
			log_warn("kms", "the RPC certificate is not renewed: %s code=%s", e->text, e->code);
	}
	free(b.p);
}

// What failed is tried again soon.
static void set_pace(struct upkeep *u)
{
	long s = (long)u->service->config->self_check_s;
	struct timeval every = { .tv_sec = u->failed && s > RETRY_S ? RETRY_S : s };

	if (event_add(u->timer, &every))
		log_error("kms", "no timer for the upkeep");
}

static void work(void *arg)
{
	struct upkeep *u = arg;
	struct service *s = u->service;
	struct err e = { 0 };

	u->failed = s->config->self_authorize && self_check(&s->self, &e);
	if (u->failed)
		log_warn("kms", "own evidence: %s code=%s", e.text, e.code);
	service_probe_policy(s);
	pthread_mutex_lock(&s->faces.turn);
	if (upkeep_new_faces(s, &e))
		log_warn("kms", "root sets: %s code=%s", e.text, e.code);
	pthread_mutex_unlock(&s->faces.turn);
	if (s->config->attest_rpc && time_mono_ms() >= u->renew_at) {
		renew(u, &e);
		u->failed |= !u->fresh[0];
	}
}

static void on_worked(void *arg, enum pool_end end)
{
	struct upkeep *u = arg;

	(void)end;
	u->busy = false;
	for (uint32_t r = 0; r < ROOT_SETS_MAX; r++) {
		if (!u->fresh[r])
			continue;
		if (SSL_CTX_use_certificate(atomic_load(&u->service->faces.face[r].tls), u->fresh[r]) == 1)
			log_info("kms", "RPC certificate renewed set=%u", r);
		if (!r)
			u->renew_at = time_mono_ms() + (uint64_t)u->service->config->rpc_cert_s * 1000;
		X509_free(u->fresh[r]);
		u->fresh[r] = NULL;
	}
	set_pace(u);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct upkeep *u = arg;

	(void)fd, (void)what;
	if (!u->busy && !pool_add(u->pool, work, on_worked, u))
		u->busy = true;
}

int upkeep_start(struct upkeep *u, struct service *s, bool fresh, struct event_base *base, struct err *e)
{
	const struct kms_config *c = s->config;

	*u = (struct upkeep){ .service = s };
	u->renew_at = s->kept_cert ? 0 : time_mono_ms() + (uint64_t)c->rpc_cert_s * 1000;
	u->failed = s->kept_cert;
	if (!c->self_authorize && !c->attest_rpc)
		return 0;
	u->pool = pool_new(base, 1);
	u->timer = u->pool ? event_new(base, -1, EV_PERSIST, on_timer, u) : NULL;
	if (!u->timer) {
		upkeep_free(u);
		return err_set(e, ERR_SYSTEM, "start the upkeep");
	}
	if (c->self_authorize && self_check(&s->self, e)) {
		log_warn("kms", "own evidence: %s code=%s", e->text, e->code);
		u->failed = true;
	}
	set_pace(u);
	service_probe_policy(s);
	if (fresh) {
		u->renew_at = 0;
		event_active(u->timer, EV_TIMEOUT, 0);
	}
	return 0;
}

void upkeep_free(struct upkeep *u)
{
	if (u->timer)
		event_free(u->timer);
	pool_free(u->pool); // delivers what is done
	*u = (struct upkeep){ 0 };
}
