#include "kms_link.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "agent.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "crypto/ssl.h"
#include "evidence.h"
#include "prpc.pb-c.h"
#include "ratls/issue.h"
#include "ratls/tls.h"
#include "renewal.h"
#include "rpc/client.h"

enum { NOT_OLD_S = 300 };

struct kms_link {
	struct agent *g;
	pthread_mutex_t lock; // guards the rest
	pthread_cond_t made;
	struct ratls_identity id;
	struct renewal life;
	unsigned number; // of the identity; 0: none yet
	bool making, threaded;
	bool suspect;             // the KMS may not take the identity: make another
	bool ca_refused;          // for which it is asked for its temporary CA
	char *tmp_cert, *tmp_key; // PEM; NULL: no identity is made
	struct line *kept;        // a connection nobody uses
};

// One connection, and what it is made with.
struct line {
	const struct kms_link *l;
	struct rpc_client *client;
	X509 *cert; // NULL: none is shown
	EVP_PKEY *key;
	unsigned number; // of the identity, 0: none
};

static int set_tls(SSL_CTX *ctx, void *arg, struct err *e)
{
	const struct line *d = arg;
	struct tls_conf c = { .roots_pem = span_str(d->l->g->keys.ca_cert),
			      .peer = TLS_PEER_REQUIRED,
			      .peer_usage = "kms:rpc",
			      .cert = d->cert,
			      .key = d->key };

	return tls_ctx_setup(ctx, &c, e);
}

static int attest(void *arg, const uint8_t report_data[static RATLS_REPORT_DATA], uint8_t **out, size_t *n,
		  struct err *e)
{
	struct agent *g = arg;
	auto_arena *a = arena_new(0);
	struct evidence *v = a ? evidence_get(g, report_data, a, e) : NULL;
	struct span bytes = { 0 };

	if (!v)
		return a ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	int rc = evidence_envelope(v, g->app.vm_config, true, a, &bytes, e);
	evidence_done(v);
	*out = rc ? NULL : malloc(bytes.n);
	if (!rc && !*out)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (!rc)
		memcpy(*out, bytes.p, bytes.n);
	*n = bytes.n;
	return rc;
}

static void hang_up(struct line *line)
{
	if (!line)
		return;
	rpc_client_free(line->client);
	X509_free(line->cert);
	EVP_PKEY_free(line->key);
	free(line);
}

static struct line *dial(const struct kms_link *l, X509 *cert, EVP_PKEY *key, unsigned number, struct err *e)
{
	struct line *line = calloc(1, sizeof *line);

	if (!line) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	*line = (struct line){ .l = l, .cert = cert, .key = key, .number = number };
	struct rpc_client_opts o = { .connect_s = 5, .timeout_s = 60, .tls = set_tls, .arg = line };
	if (cert)
		X509_up_ref(cert);
	if (key)
		EVP_PKEY_up_ref(key);
	line->client = rpc_client_new(l->g->keys.kms_url, &o, e);
	if (line->client)
		return line;
	hang_up(line);
	return NULL;
}

struct kms_link *kms_link_new(struct agent *g)
{
	struct kms_link *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->g = g;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->made, NULL);
	if (*g->keys.tmp_ca_cert && *g->keys.tmp_ca_key) {
		l->tmp_cert = strdup(g->keys.tmp_ca_cert);
		l->tmp_key = strdup(g->keys.tmp_ca_key);
	}
	return l;
}

void kms_link_free(struct kms_link *l)
{
	if (!l)
		return;
	hang_up(l->kept);
	ratls_identity_free(&l->id);
	free(l->tmp_cert);
	free(l->tmp_key);
	pthread_cond_destroy(&l->made);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

// The temporary CA as it is now. It is public, and came over a connection pinned to the KMS root.
static int ask_temp_ca(struct kms_link *l, struct err *e)
{
	auto_arena *a = arena_new(0);
	struct line *line = a ? dial(l, NULL, NULL, 0, e) : NULL;
	Kms__GetTempCaCertResponse *r;

	if (!line)
		return a ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	int rc = rpc_client_call(line->client, "GetTempCaCert", NULL,
				 &kms__get_temp_ca_cert_response__descriptor, a, (void **)&r, e);
	hang_up(line);
	if (rc)
		return err_wrap(e, "ask the KMS for its temporary CA");
	char *cert = strdup(r->temp_ca_cert), *key = strdup(r->temp_ca_key);
	if (!cert || !key) {
		free(cert);
		free(key);
		return err_set(e, ERR_SYSTEM, "out of memory");
	}
	free(l->tmp_cert); // only who makes an identity reads them
	free(l->tmp_key);
	l->tmp_cert = cert;
	l->tmp_key = key;
	return 0;
}

static int make(struct kms_link *l, bool ask, struct ratls_identity *id, struct err *e)
{
	if (ask && ask_temp_ca(l, e))
		return -1;
	return ratls_identity_new(span_str(l->tmp_cert), span_str(l->tmp_key), attest, l->g, id, e);
}

static bool due(const struct kms_link *l)
{
	uint64_t mono = time_mono_ms();

	return renewal_due(&l->life, time_now(), mono) || (l->suspect && mono >= l->life.retry_ms);
}

// Called and returned with the lock held; another thread may make one meanwhile.
static void renew(struct kms_link *l)
{
	struct ratls_identity id = { 0 };
	struct err e = { 0 };
	bool ask = l->ca_refused;

	if (!l->tmp_cert || l->making || !due(l))
		return;
	l->making = true;
	pthread_mutex_unlock(&l->lock);
	int rc = make(l, ask, &id, &e);
	if (rc)
		log_warn("agent", "no new certificate for the KMS, again later: %s code=%s", e.text,
			 e.code[0] ? e.code : "none");
	pthread_mutex_lock(&l->lock);
	if (rc) {
		renewal_failed(&l->life, time_mono_ms());
	} else {
		ratls_identity_free(&l->id);
		l->id = id;
		l->number++;
		l->suspect = l->ca_refused = false;
		renewal_made(&l->life, time_now(), cert_not_after(id.cert));
		log_info("agent", "certificate for the KMS made number=%u", l->number);
	}
	l->making = false;
	pthread_cond_broadcast(&l->made);
}

// The connection that waits, or a new one, with the newest certificate that is still good.
static struct line *take(struct kms_link *l, struct err *e)
{
	pthread_mutex_lock(&l->lock);
	renew(l);
	while (l->making && !renewal_good(&l->life, time_now()))
		pthread_cond_wait(&l->made, &l->lock);
	bool good = renewal_good(&l->life, time_now());
	unsigned number = good ? l->number : 0;
	struct line *line = l->kept, *old = NULL;
	l->kept = NULL;
	if (line && line->number != number) {
		old = line;
		line = NULL;
	}
	if (!line)
		line = dial(l, good ? l->id.cert : NULL, good ? l->id.key : NULL, number, e);
	pthread_mutex_unlock(&l->lock);
	hang_up(old);
	return line;
}

static void put_back(struct kms_link *l, struct line *line, bool worked)
{
	pthread_mutex_lock(&l->lock);
	if (worked && line->number == l->number)
		l->suspect = l->ca_refused = false;
	if (!l->kept) {
		l->kept = line;
		line = NULL;
	}
	pthread_mutex_unlock(&l->lock);
	hang_up(line);
}

// Whether a failure may be for our certificate, which then is made anew. A connection that fails: the KMS may
// have another temporary CA, which TLS 1.3 tells late and curl as a lost connection. A refusal: the evidence
// we showed may be too old for it.
static bool blame_identity(struct kms_link *l, unsigned number, const struct err *e)
{
	bool broken = !strcmp(e->code, "rpc.tls") || !strcmp(e->code, "rpc.connect");
	bool refused = e->class == ERR_INPUT || e->class == ERR_DENIED || e->class == ERR_UNTRUSTED;

	if (!number || !(broken || refused))
		return false;
	pthread_mutex_lock(&l->lock);
	bool blame = broken || number != l->number || time_now() - l->life.made > NOT_OLD_S;
	if (blame && number == l->number) {
		l->suspect = true;
		l->ca_refused |= broken;
	}
	pthread_mutex_unlock(&l->lock);
	return blame;
}

int kms_link_sign(struct kms_link *l, const Kms__SignCertRequest *in, struct arena *a,
		  Kms__SignCertResponse **out, struct err *e)
{
	struct line *line = take(l, e);

	for (bool again = true; line; again = false) {
		unsigned number = line->number;
		if (!rpc_client_call(line->client, "SignCert", &in->base,
				     &kms__sign_cert_response__descriptor, a, (void **)out, e)) {
			put_back(l, line, true);
			return 0;
		}
		hang_up(line);
		if (!again || !blame_identity(l, number, e))
			return -1;
		struct err why = *e;
		line = take(l, e);
		if (line && line->number == number) { // no other could be made; this one serves on
			put_back(l, line, false);
			*e = why;
			return -1;
		}
	}
	return -1;
}

static void *run(void *arg)
{
	struct kms_link *l = arg;

	pthread_mutex_lock(&l->lock);
	renew(l);
	l->threaded = false;
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

void kms_link_kick(struct kms_link *l)
{
	pthread_t t;

	pthread_mutex_lock(&l->lock);
	if (l->tmp_cert && !l->threaded && due(l) && !pthread_create(&t, NULL, run, l)) {
		pthread_detach(t);
		l->threaded = true;
	}
	pthread_mutex_unlock(&l->lock);
}

bool kms_link_idle(struct kms_link *l)
{
	pthread_mutex_lock(&l->lock);
	bool idle = !l->threaded;
	pthread_mutex_unlock(&l->lock);
	return idle;
}
