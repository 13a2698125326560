#include "keys.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sb.h"
#include "base/strings.h"
#include "crypto/appkeys.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "kms.pb-c.h"
#include "prpc.pb-c.h"
#include "ratls/issue.h"
#include "ratls/tls.h"
#include "rpc/client.h"
#include "localkey.h"
#include "setup.h"

enum { CALL_SECONDS = 60, CA_DAYS = 3650, DAY = 86400 };

struct hook {
	const struct guest_keys *keys;
	const struct ratls_identity *id;
};

static int set_tls(SSL_CTX *ctx, void *arg, struct err *e)
{
	const struct hook *h = arg;
	const struct tls_conf c = {
		.cert = h->id->cert,
		.key = h->id->key,
		.roots_pem = span_str(h->keys->ca_cert),
		.peer = TLS_PEER_REQUIRED,
		.peer_usage = "kms:rpc",
	};

	return tls_ctx_setup(ctx, &c, e);
}

struct rpc_client *keys_kms_client(const struct guest_keys *k, struct ratls_identity *id, struct err *e)
{
	static struct hook hook; // the client keeps a pointer to it; there is one KMS connection at a time
	struct rpc_client_opts o = { .timeout_s = CALL_SECONDS, .tls = set_tls, .arg = &hook };

	hook = (struct hook){ k, id };
	return rpc_client_new(k->url, &o, e);
}

// Public facts over an unchecked connection: what comes is checked by its use (spec 60 section 7).
static int get_temp_ca(const char *url, struct arena *a, struct guest_keys *k, struct err *e)
{
	struct rpc_client_opts o = { .timeout_s = CALL_SECONDS, .insecure = true };
	Kms__GetTempCaCertResponse *r;
	auto_rpc_client *c = rpc_client_new(url, &o, e);

	if (!c || rpc_client_call(c, "GetTempCaCert", NULL, &kms__get_temp_ca_cert_response__descriptor, a,
				  (void **)&r, e))
		return -1;
	k->url = url;
	k->temp_ca_cert = r->temp_ca_cert;
	k->temp_ca_key = r->temp_ca_key;
	k->ca_cert = r->ca_cert;
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

static int ask_kms(struct setup *s, const char *url, struct err *e)
{
	struct guest_keys *k = &s->keys;
	struct ratls_identity id = { 0 };
	Kms__GetAppKeyRequest req = KMS__GET_APP_KEY_REQUEST__INIT;
	Kms__AppKeyResponse *r;
	const char *full = str_ends(url, "/prpc") ? url : arena_fmt(s->arena, "%s/prpc", url);

	if (!full || get_temp_ca(full, s->arena, k, e) ||
	    ratls_identity_new(span_str(k->temp_ca_cert), span_str(k->temp_ca_key), setup_attest, s, &id, e))
		return -1;
	req.api_version = 1;
	req.vm_config = (char *)(uintptr_t)s->sys.vm_config;
	req.want_previous = true; // upstream's KMS knows neither this nor the seed
	req.deployment_seed =
		(ProtobufCBinaryData){ s->compose.deployment_seed_n, s->compose.deployment_seed };
	auto_rpc_client *c = keys_kms_client(k, &id, e);
	int rc =
		!c ||
				rpc_client_call(c, "GetAppKey", &req.base, &kms__app_key_response__descriptor,
						s->arena, (void **)&r, e) ||
				take_reply(k, r, e) || take_earlier(k, r, e)
			? -1
			: 0;
	ratls_identity_free(&id);
	return rc ? -1 : take_provider_id(k, e);
}

// Each in turn; the first one's error is what is reported.
static int from_kms(struct setup *s, struct err *e)
{
	struct err first = { 0 };

	if (!s->sys.kms_urls.n)
		return err_code(e, ERR_INPUT, "keys.no_url", "the app needs a KMS but the host named none");
	for (size_t i = 0; i < s->sys.kms_urls.n; i++) {
		if (!ask_kms(s, s->sys.kms_urls.v[i], e))
			return 0;
		log_warn("setup", "KMS %s: %s code=%s", s->sys.kms_urls.v[i], e->text, e->code);
		if (!i)
			first = *e;
	}
	*e = first;
	return err_wrap(e, "KMS %s", s->sys.kms_urls.v[0]);
}

// The app's own CA, self-signed, with this boot's evidence over its key.
static int own_ca(struct setup *s, const uint8_t scalar[static P256_SCALAR], struct err *e)
{
	auto_pkey EVP_PKEY *key = p256_from_scalar(scalar, e);
	uint8_t spki[P256_SPKI], report_data[RATLS_REPORT_DATA];
	auto_free uint8_t *evidence = NULL;
	char *pem = arena_alloc(s->arena, CERT_PEM_MAX), *key_pem = arena_alloc(s->arena, P256_PEM_MAX);
	size_t n;
	int64_t now = time(NULL);

	if (!key || !pem || !key_pem || p256_spki(key, spki, e) || p256_to_pem(key, key_pem, e))
		return -1;
	ratls_report_data(span_of(spki, sizeof spki), report_data);
	if (setup_attest(s, report_data, &evidence, &n, e))
		return -1;
	struct cert_spec spec = { .cn = "App Root Cert",
				  .is_ca = true,
				  .path_len = 1,
				  .not_before = now - DAY,
				  .not_after = now + (int64_t)CA_DAYS * DAY,
				  .attestation = span_of(evidence, n) };
	struct cert_issuer by = { .key = key };
	auto_x509 X509 *ca = cert_issue(&spec, key, &by, e);
	if (!ca || cert_to_pem(ca, pem, CERT_PEM_MAX, e))
		return -1;
	s->keys.ca_cert = pem;
	s->keys.own_ca_key = key_pem;
	return 0;
}

// The app's keys out of a 32-byte seed, which is wiped (spec 20 section 2.4).
static int from_seed(struct setup *s, uint8_t seed[static 32], struct err *e)
{
	struct app_keys made;
	uint8_t ca[P256_SCALAR];
	int rc = appkeys_from_seed(seed, &made, ca, e);

	if (!rc) {
		memcpy(s->keys.disk, made.disk, sizeof made.disk);
		memcpy(s->keys.k256, made.k256, sizeof made.k256);
		s->keys.gateway_app_id = "";
		rc = own_ca(s, ca, e);
	}
	OPENSSL_cleanse(seed, 32);
	OPENSSL_cleanse(ca, sizeof ca);
	appkeys_wipe(&made);
	return rc;
}

static int from_nothing(struct setup *s, struct err *e)
{
	uint8_t seed[32];

	if (RAND_bytes(seed, sizeof seed) != 1)
		return err_set(e, ERR_SYSTEM, "no random numbers");
	return from_seed(s, seed, e);
}

static int from_local(struct setup *s, struct err *e)
{
	uint8_t seed[LOCALKEY_SEED];

	if (localkey_seed(s, seed, s->keys.provider_id, e))
		return -1;
	s->keys.provider_id_n = LOCALKEY_MR;
	return from_seed(s, seed, e);
}

int keys_obtain(struct setup *s, struct err *e)
{
	switch (s->compose.provider) {
	case PROVIDER_KMS:
		return from_kms(s, e);
	case PROVIDER_LOCAL:
		return from_local(s, e);
	case PROVIDER_NONE:
		return from_nothing(s, e);
	default:
		return err_code(e, ERR_DENIED, "keys.provider",
				"key provider %s is not built into this guest: use kms, local or none",
				provider_name(s->compose.provider));
	}
}

static void put_hex(struct sb *b, const char *name, const void *p, size_t n)
{
	sb_json_key(b, name);
	sb_chr(b, '"');
	sb_hex(b, p, n);
	sb_chr(b, '"');
}

static void put_text(struct sb *b, const char *name, const char *text)
{
	sb_json_key(b, name);
	sb_json_str(b, text);
}

int keys_json(const struct guest_keys *k, struct arena *a, struct span *out, struct err *e)
{
	auto_sb b = { 0 };

	sb_chr(&b, '{');
	put_hex(&b, "disk_crypt_key", k->disk, sizeof k->disk);
	if (k->has_env)
		put_hex(&b, "env_crypt_key", k->env, sizeof k->env);
	put_hex(&b, "k256_key", k->k256, sizeof k->k256);
	put_hex(&b, "k256_signature", k->k256_sig, k->url ? sizeof k->k256_sig : 0);
	put_text(&b, "gateway_app_id", k->gateway_app_id);
	put_text(&b, "ca_cert", k->ca_cert);
	sb_json_key(&b, "key_provider");
	if (k->url) {
		sb_str(&b, "{\"Kms\":{");
		put_text(&b, "url", k->url);
		put_hex(&b, "pubkey", k->provider_id, k->provider_id_n);
		put_text(&b, "tmp_ca_key", k->temp_ca_key);
		put_text(&b, "tmp_ca_cert", k->temp_ca_cert);
	} else {
		sb_str(&b, k->provider_id_n ? "{\"Local\":{" : "{\"None\":{");
		put_text(&b, "key", k->own_ca_key);
		if (k->provider_id_n)
			put_hex(&b, "mr", k->provider_id, k->provider_id_n);
	}
	sb_str(&b, "}}}");
	const void *kept = b.bad ? NULL : arena_dup(a, b.p, b.n);
	*out = span_of(kept, b.n);
	return kept ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

int keys_read(struct span json, struct arena *a, struct guest_keys *out, struct err *e)
{
	struct fields f = fields_begin(json, ".appkeys.json", "keys.file", a, e);
	struct json provider, kms;

	*out = (struct guest_keys){ 0 };
	if (f.bad)
		return -1;
	out->gateway_app_id = field_text(&f, "gateway_app_id", "");
	out->ca_cert = field_text(&f, "ca_cert", "");
	if (!field_has(&f, "key_provider", &provider) || !json_get(provider, "Kms", &kms))
		return err_code(e, ERR_ABSENT, "keys.file", ".appkeys.json names no KMS");
	struct fields k = fields_of(kms, &f);
	out->url = field_text(&k, "url", NULL);
	out->temp_ca_cert = field_text(&k, "tmp_ca_cert", NULL);
	out->temp_ca_key = field_text(&k, "tmp_ca_key", NULL);
	if (f.bad || k.bad)
		return -1;
	return out->url && out->temp_ca_cert && out->temp_ca_key
		       ? 0
		       : err_code(e, ERR_INPUT, "keys.file", ".appkeys.json: Kms is incomplete");
}
