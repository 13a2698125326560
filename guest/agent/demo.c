#include "demo.h"

#include <stdlib.h>
#include "base/log.h"
#include "base/sb.h"
#include "base/time.h"
#include "cert.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"

static char *ask(struct agent *g, uint64_t *end, struct err *e)
{
	static const struct tls_request request = { .subject = "demo-cert",
						    .client_auth = true,
						    .ra_tls = true };
	struct tls_answer answer = { 0 };
	auto_arena *a = arena_new(0);
	auto_sb chain = { 0 };

	if (!a) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	if (cert_make(g, &request, a, &answer, e))
		return NULL;
	auto_x509 X509 *leaf = cert_from_pem(span_str(answer.chain[0]), e);
	if (!leaf)
		return NULL;
	*end = cert_not_after(leaf);
	for (size_t i = 0; i < answer.n_chain; i++) {
		if (i)
			sb_chr(&chain, '\n');
		sb_str(&chain, answer.chain[i]);
	}
	char *text = sb_take(&chain);
	if (!text)
		err_set(e, ERR_SYSTEM, "out of memory");
	return text;
}

static void *run(void *arg)
{
	struct agent *g = arg;
	struct demo *d = &g->demo;
	struct err e = { 0 };
	uint64_t end = 0;
	char *text = ask(g, &end, &e);

	if (!text)
		log_warn("agent", "no demonstration certificate, again later: %s code=%s", e.text,
			 e.code[0] ? e.code : "none");
	pthread_mutex_lock(&d->lock);
	if (text) {
		free(d->chain);
		d->chain = text;
		renewal_made(&d->life, time_now(), end);
	} else {
		renewal_failed(&d->life, time_mono_ms());
	}
	d->busy = false;
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

void demo_kick(struct agent *g)
{
	struct demo *d = &g->demo;
	pthread_t t;

	pthread_mutex_lock(&d->lock);
	if (!d->busy && renewal_due(&d->life, time_now(), time_mono_ms()) &&
	    !pthread_create(&t, NULL, run, g)) {
		pthread_detach(t);
		d->busy = true;
	}
	pthread_mutex_unlock(&d->lock);
}

// One that has expired still shows what it was.
char *demo_text(struct agent *g, struct arena *a)
{
	struct demo *d = &g->demo;

	pthread_mutex_lock(&d->lock);
	char *text = arena_str(a, d->chain ? d->chain : "");
	pthread_mutex_unlock(&d->lock);
	return text;
}

bool demo_idle(struct agent *g)
{
	pthread_mutex_lock(&g->demo.lock);
	bool idle = !g->demo.busy;
	pthread_mutex_unlock(&g->demo.lock);
	return idle;
}

void demo_free(struct agent *g)
{
	pthread_mutex_lock(&g->demo.lock);
	free(g->demo.chain);
	g->demo.chain = NULL;
	pthread_mutex_unlock(&g->demo.lock);
}
