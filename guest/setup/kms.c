#include "kms.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"
#include "kms.pb-c.h"
#include "peerquote.h"
#include "ratls/issue.h"
#include "ratls/tls.h"
#include "rpc/client.h"
#include "rpc/race.h"
#include "setup.h"

enum { FACTS_MAX = 256 << 10, REPLY_MAX = 1 << 20, CONNECT_SECONDS = 5 };

static const struct kms_times usual = { .probe_ms = 30000, .head_start_ms = 300, .ask_s = 8, .last_s = 60 };

enum state {
	OPEN,     // has not answered
	ANSWERED, // its facts are in `offer`
	SLOW,     // gave no keys in ask_s
	REFUSED,  // by it or by us: `why`
};

struct candidate {
	const char *url;
	enum state state;
	struct rpc_client *client; // of the probe
	struct guest_keys offer;
	struct err why;
};

struct choice {
	struct setup *s;
	const struct kms_times *t;
	struct candidate c[URLS_MAX];
	size_t n;
};

struct hook {
	struct setup *setup;
	const struct guest_keys *keys;
	const struct ratls_identity *id;
	struct err why;
};

static int check_leaf(void *arg, X509 *leaf, struct err *e)
{
	return peerquote_check_cert(arg, leaf, e);
}

static int set_tls(SSL_CTX *ctx, void *arg, struct err *e)
{
	struct hook *h = arg;
	const struct tls_conf c = {
		.cert = h->id->cert,
		.key = h->id->key,
		.roots_pem = span_str(h->keys->ca_cert),
		.peer = TLS_PEER_REQUIRED,
		.peer_usage = "kms:rpc",
		.check = check_leaf,
		.check_arg = h->setup,
		.why = &h->why,
	};

	return tls_ctx_setup(ctx, &c, e);
}

struct rpc_client *kms_client(struct setup *s, const struct guest_keys *k, const struct ratls_identity *id,
			      int seconds, struct err *e)
{
	static struct hook hook; // the client keeps a pointer to it; there is one KMS connection at a time
	struct rpc_client_opts o = { .timeout_s = seconds,
				     .reply_max = REPLY_MAX,
				     .tls = set_tls,
				     .arg = &hook,
				     .reason = &hook.why };

	hook = (struct hook){ .setup = s, .keys = k, .id = id };
	return rpc_client_new(k->url, &o, e);
}

static void refuse(struct candidate *c, const struct err *why)
{
	c->state = REFUSED;
	c->why = *why;
	log_warn("setup", "KMS %s: %s code=%s", c->url, why->text, why->code);
}

static int take_provider_id(struct guest_keys *k, struct err *e)
{
	auto_x509 X509 *ca = cert_from_pem(span_str(k->ca_cert), e);
	uint8_t spki[CERT_SPKI_MAX];

	if (!ca || cert_spki(ca, spki, &k->provider_id_n, e))
		return -1;
	if (k->provider_id_n > sizeof k->provider_id)
		return err_code(e, ERR_INPUT, "keys.reply", "KMS: its CA key is too large");
	memcpy(k->provider_id, spki, k->provider_id_n);
	return 0;
}

// Public facts over an unchecked connection: what comes is checked by its use (spec 60 section 7).
static int probe(struct choice *ch, struct candidate *c, struct rpc_race *race, struct err *e)
{
	struct rpc_client_opts o = { .connect_s = CONNECT_SECONDS,
				     .timeout_s = (ch->t->probe_ms + 999) / 1000,
				     .reply_max = FACTS_MAX,
				     .insecure = true };

	if (!str_starts(c->url, "https://"))
		return err_code(e, ERR_DENIED, "rpc.not_tls", "url %s: want https://", STR_QZ(c->url));
	const char *end = str_ends(c->url, "/prpc") ? "" : "/prpc";
	c->offer.url = arena_fmt(ch->s->arena, "%s%s", c->url, end);
	if (!c->offer.url)
		return err_set(e, ERR_SYSTEM, "out of memory");
	c->client = rpc_client_new(c->offer.url, &o, e);
	return c->client ? rpc_race_add(race, c->client, "GetTempCaCert", NULL, e) : -1;
}

// The provider's id is known from here on, so a pinned guest turns others away before it shows them evidence.
static int take_facts(struct choice *ch, struct candidate *c, struct rpc_race *race, struct err *e)
{
	Kms__GetTempCaCertResponse *r;

	if (rpc_race_result(race, &kms__get_temp_ca_cert_response__descriptor, ch->s->arena, (void **)&r, e))
		return -1;
	c->offer.temp_ca_cert = r->temp_ca_cert;
	c->offer.temp_ca_key = r->temp_ca_key;
	c->offer.ca_cert = r->ca_cert;
	return take_provider_id(&c->offer, e) || keys_check_pin(&ch->s->compose, c->offer.provider_id,
								c->offer.provider_id_n, e)
		       ? -1
		       : 0;
}

// Is somebody before the first that answered still to be waited for?
static bool earlier_is_open(const struct choice *ch)
{
	for (size_t i = 0; i < ch->n && ch->c[i].state != ANSWERED; i++)
		if (ch->c[i].state == OPEN)
			return true;
	return false;
}

static struct candidate *of_client(struct choice *ch, const struct rpc_client *client)
{
	size_t i = 0;

	while (ch->c[i].client != client)
		i++;
	return &ch->c[i];
}

static void wait_for_facts(struct choice *ch, struct rpc_race *race)
{
	uint64_t end = time_mono_ms() + (uint64_t)ch->t->probe_ms;
	bool answered = false;

	while (earlier_is_open(ch)) {
		uint64_t now = time_mono_ms();
		struct rpc_client *client = now < end ? rpc_race_next(race, (int)(end - now)) : NULL;
		struct err why = { 0 };

		if (!client)
			break;
		struct candidate *c = of_client(ch, client);
		if (take_facts(ch, c, race, &why)) {
			refuse(c, &why);
			continue;
		}
		c->state = ANSWERED;
		now = time_mono_ms();
		if (!answered && end > now + (uint64_t)ch->t->head_start_ms)
			end = now + (uint64_t)ch->t->head_start_ms;
		answered = true;
	}
	for (size_t i = 0; i < ch->n && !answered; i++)
		if (ch->c[i].state == OPEN) {
			struct err why;
			err_code(&why, ERR_AGAIN, "rpc.timeout", "GetTempCaCert: no answer in time");
			refuse(&ch->c[i], &why);
		}
}

// All that are open at once, until one has answered or none will. Those not heard stay open: they are asked
// anew when those heard give nothing.
static int probe_all(struct choice *ch, struct err *e)
{
	struct rpc_race *race = rpc_race_new(e);

	if (!race)
		return -1;
	for (size_t i = 0; i < ch->n; i++) {
		struct err why = { 0 };
		if (ch->c[i].state == OPEN && probe(ch, &ch->c[i], race, &why))
			refuse(&ch->c[i], &why);
	}
	wait_for_facts(ch, race);
	rpc_race_free(race);
	for (size_t i = 0; i < ch->n; i++) {
		rpc_client_free(ch->c[i].client);
		ch->c[i].client = NULL;
	}
	return 0;
}

static int take(uint8_t *out, size_t n, ProtobufCBinaryData b, const char *what, struct err *e)
{
	if (b.len != n)
		return err_code(e, ERR_INPUT, "keys.reply", "KMS: %s has %zu bytes, not %zu", what, b.len, n);
	memcpy(out, b.data, n);
	return 0;
}

static int take_reply(struct guest_keys *k, const Kms__AppKeyResponse *r, struct err *e)
{
	if (strcmp(r->ca_cert, k->ca_cert) != 0)
		return err_code(e, ERR_UNTRUSTED, "keys.ca_changed",
				"KMS: its CA certificate changed between two calls");
	k->gateway_app_id = *r->gateway_app_id ? r->gateway_app_id : r->tproxy_app_id;
	k->has_env = r->env_crypt_key.len != 0;
	k->has_os_image_hash = r->os_image_hash.len != 0;
	return take(k->disk, sizeof k->disk, r->disk_crypt_key, "disk key", e) ||
			       (k->has_env &&
				take(k->env, sizeof k->env, r->env_crypt_key, "environment key", e)) ||
			       take(k->k256, sizeof k->k256, r->k256_key, "k256 key", e) ||
			       take(k->k256_sig, sizeof k->k256_sig, r->k256_signature, "k256 signature",
				    e) ||
			       (k->has_os_image_hash &&
				take(k->os_image_hash, 32, r->os_image_hash, "image hash", e))
		       ? -1
		       : 0;
}

static int take_earlier(struct guest_keys *k, const Kms__AppKeyResponse *r, struct err *e)
{
	for (size_t i = 0; i < r->n_epochs && k->n_earlier < KEYS_EARLIER_MAX; i++) {
		const Kms__EpochKeys *m = r->epochs[i];
		size_t n = k->n_earlier;
		if (take(k->earlier_disk[n], 32, m->disk_crypt_key, "earlier disk key", e) ||
		    take(k->earlier_env[n], 32, m->env_crypt_key, "earlier environment key", e))
			return -1;
		k->n_earlier++;
	}
	if (r->epoch || k->n_earlier)
		log_info("setup", "keys of epoch %llu and %zu before it", (unsigned long long)r->epoch,
			 k->n_earlier);
	return 0;
}

static int call(struct setup *s, const struct guest_keys *offer, const struct ratls_identity *id, int seconds,
		Kms__AppKeyResponse **r, struct err *e)
{
	Kms__GetAppKeyRequest req = KMS__GET_APP_KEY_REQUEST__INIT;
	auto_rpc_client *c = kms_client(s, offer, id, seconds, e);

	req.api_version = 1;
	req.vm_config = (char *)(uintptr_t)s->sys.vm_config;
	req.want_previous = true; // upstream's KMS knows neither this nor the seed
	req.deployment_seed =
		(ProtobufCBinaryData){ s->compose.deployment_seed_n, s->compose.deployment_seed };
	return c ? rpc_client_call(c, "GetAppKey", &req.base, &kms__app_key_response__descriptor, s->arena,
				   (void **)r, e)
		 : -1;
}

// Nothing of an answer stays unless all of it is good.
static int ask(struct setup *s, const struct candidate *c, int seconds, struct err *e)
{
	struct guest_keys k = c->offer;
	struct ratls_identity id = { 0 };
	Kms__AppKeyResponse *r;

	if (ratls_identity_new(span_str(k.temp_ca_cert), span_str(k.temp_ca_key), setup_attest, s, &id, e))
		return -1;
	int rc = call(s, &k, &id, seconds, &r, e) || take_reply(&k, r, e) || take_earlier(&k, r, e) ? -1 : 0;
	ratls_identity_free(&id);
	if (!rc)
		s->keys = k;
	OPENSSL_cleanse(&k, sizeof k);
	return rc;
}

static bool others_remain(const struct choice *ch, const struct candidate *c)
{
	for (size_t i = 0; i < ch->n; i++)
		if (&ch->c[i] != c && (ch->c[i].state == OPEN || ch->c[i].state == ANSWERED))
			return true;
	return false;
}

// 1: the keys are here; 0: nobody in `state` gave any; *asked when there was somebody.
static int ask_those(struct choice *ch, enum state state, bool *asked)
{
	*asked = false;
	for (size_t i = 0; i < ch->n; i++) {
		struct candidate *c = &ch->c[i];
		struct err why = { 0 };

		if (c->state != state)
			continue;
		bool patient = state == SLOW || !others_remain(ch, c);
		*asked = true;
		if (!ask(ch->s, c, patient ? ch->t->last_s : ch->t->ask_s, &why)) {
			log_info("setup", "keys from KMS %s", c->url);
			return 1;
		}
		refuse(c, &why);
		if (!patient && !strcmp(why.code, "rpc.timeout"))
			c->state = SLOW;
	}
	return 0;
}

// The first URL's error is what is reported (spec 20 section 0); the others' reasons follow by their codes.
static int report(const struct choice *ch, struct err *e)
{
	*e = ch->c[0].why;
	err_wrap(e, "KMS %s", ch->c[0].url);
	for (size_t i = 1; i < ch->n; i++) {
		size_t at = strlen(e->text);
		const char *code = *ch->c[i].why.code ? ch->c[i].why.code : "failed";
		snprintf(e->text + at, sizeof e->text - at, "; %s: %s", ch->c[i].url, code);
	}
	return -1;
}

int kms_obtain(struct setup *s, const struct kms_times *t, struct err *e)
{
	struct choice ch = { .s = s, .t = t ? t : &usual, .n = s->sys.kms_urls.n };
	bool asked;

	if (!ch.n)
		return err_code(e, ERR_INPUT, "keys.no_url", "the app needs a KMS but the host named none");
	for (size_t i = 0; i < ch.n; i++)
		ch.c[i].url = s->sys.kms_urls.v[i];
	do {
		if (probe_all(&ch, e))
			return -1;
		if (ask_those(&ch, ANSWERED, &asked))
			return 0;
	} while (asked);
	return ask_those(&ch, SLOW, &asked) ? 0 : report(&ch, e);
}
