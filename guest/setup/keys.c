#include "keys.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/sb.h"
#include "base/strings.h"
#include "crypto/appkeys.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "kms.h"
#include "localkey.h"
#include "ratls/issue.h"
#include "setup.h"

enum { CA_DAYS = 3650, DAY = 86400 };

int keys_check_pin(const struct compose *c, const uint8_t *id, size_t n, struct err *e)
{
	char hex[2 * PROVIDER_ID_MAX + 1];

	if (!*c->provider_id)
		return 0;
	if (n <= PROVIDER_ID_MAX) {
		hex_encode(hex, id, n);
		if (!strcasecmp(c->provider_id, hex))
			return 0;
	}
	return err_code(e, ERR_DENIED, "binding.key_provider",
			"the key provider is not the one that key_provider_id pins");
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

	if (keys_check_pin(&s->compose, NULL, 0, e)) // a pin names somebody, and this is nobody
		return -1;
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
	if (keys_check_pin(&s->compose, s->keys.provider_id, LOCALKEY_MR, e)) {
		OPENSSL_cleanse(seed, sizeof seed);
		return -1;
	}
	return from_seed(s, seed, e);
}

int keys_obtain(struct setup *s, struct err *e)
{
	switch (s->compose.provider) {
	case PROVIDER_KMS:
		return kms_obtain(s, NULL, e);
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
