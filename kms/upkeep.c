#include "upkeep.h"

#include <stdlib.h>

#include "agent.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "keyfiles.h"
#include "ratls/issue.h"
#include "rpc/pool.h"

static int rpc_evidence(const struct service *s, uint8_t **out, size_t *n, struct err *e)
{
	auto_pkey EVP_PKEY *key = keyfiles_read_key(s->config->keys.dir, "rpc.key", e);
	uint8_t spki[P256_SPKI], report_data[RATLS_REPORT_DATA];

	if (!key || p256_spki(key, spki, e))
		return -1;
	ratls_report_data(span_of(spki, sizeof spki), report_data);
	return agent_attest_stripped((void *)(uintptr_t)s->config->agent, report_data, out, n, e);
}

static X509 *make_cert(const struct service *s, struct err *e)
{
	auto_free uint8_t *evidence = NULL;
	size_t n = 0;

	if (s->config->attest_rpc && rpc_evidence(s, &evidence, &n, e)) {
		err_wrap(e, "RPC certificate");
		return NULL;
	}
	X509 *c = keyproc_rpc_cert(s->keys, 0, span_of(evidence, n), e);
	if (c && keyfiles_write_cert(s->config->keys.dir, "rpc.crt", c, e)) {
		X509_free(c);
		return NULL;
	}
	return c;
}

int upkeep_first_cert(struct service *s, struct err *e)
{
	auto_x509 X509 *c = make_cert(s, e);

	return c ? 0 : -1;
}

static void work(void *arg)
{
	struct upkeep *u = arg;
	struct service *s = u->service;
	struct err e = { 0 };

	if (s->config->self_authorize && self_check(&s->self, &e))
		log_warn("kms", "own evidence: %s code=%s", e.text, e.code);
	service_probe_policy(s);
	if (!s->config->attest_rpc || time_mono_ms() < u->renew_at)
		return;
	u->fresh = make_cert(s, &e);
	if (!u->fresh)
		log_warn("kms", "the RPC certificate is not renewed: %s code=%s", e.text, e.code);
}

static void on_worked(void *arg, enum pool_end end)
{
	struct upkeep *u = arg;

	(void)end;
	u->busy = false;
	if (!u->fresh)
		return;
	if (SSL_CTX_use_certificate(u->tls, u->fresh) == 1)
		log_info("kms", "RPC certificate renewed");
	u->renew_at = time_mono_ms() + (uint64_t)u->service->config->rpc_cert_s * 1000;
	X509_free(u->fresh);
	u->fresh = NULL;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct upkeep *u = arg;

	(void)fd, (void)what;
	if (!u->busy && !pool_add(u->pool, work, on_worked, u))
		u->busy = true;
}

int upkeep_start(struct upkeep *u, struct service *s, SSL_CTX *tls, struct event_base *base, struct err *e)
{
	const struct kms_config *c = s->config;
	struct timeval every = { .tv_sec = c->self_check_s };

	*u = (struct upkeep){ .service = s, .tls = tls };
	SSL_CTX_up_ref(tls);
	u->renew_at = time_mono_ms() + (uint64_t)c->rpc_cert_s * 1000;
	if (!c->self_authorize && !c->attest_rpc)
		return 0;
	u->pool = pool_new(base, 1);
	u->timer = u->pool ? event_new(base, -1, EV_PERSIST, on_timer, u) : NULL;
	if (!u->timer || event_add(u->timer, &every)) {
		upkeep_free(u);
		return err_set(e, ERR_SYSTEM, "start the upkeep");
	}
	if (c->self_authorize && self_check(&s->self, e))
		log_warn("kms", "own evidence: %s code=%s", e->text, e->code);
	service_probe_policy(s);
	return 0;
}

void upkeep_free(struct upkeep *u)
{
	if (u->timer)
		event_free(u->timer);
	pool_free(u->pool); // delivers what is done
	SSL_CTX_free(u->tls);
	*u = (struct upkeep){ 0 };
}
