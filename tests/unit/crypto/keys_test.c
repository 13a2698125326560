// Derivations, signatures and sealing against tests/vectors/kms.json, and what must be refused.
#include "known.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

#include "crypto/appkeys.h"
#include "crypto/k256.h"
#include "crypto/kdf.h"
#include "crypto/p256.h"
#include "crypto/seal.h"
#include "crypto/ssl.h"
#include "ratls/issue.h"

static struct json all;

static void derive_secret_upstream(void **state)
{
	struct json v = known(all, "derive_dh_secret_upstream");
	const struct span parts[] = { span_str("context one"), span_str("context two") };
	struct span root = known_bytes(v, "root_p256_scalar");
	uint8_t child[32], secret[32], der[P256_PKCS8];
	struct err e;

	(void)state;
	assert_int_equal(p256_derive(root.p, parts, 2, child, &e), 0);
	known_is(v, "derived_p256_scalar", child, 32);
	assert_int_equal(p256_pkcs8(child, der, &e), 0);
	known_is(v, "derived_pkcs8_der", der, sizeof der);
	assert_int_equal(p256_pkcs8(root.p, der, &e), 0);
	known_is(v, "root_pkcs8_der", der, sizeof der);
	assert_int_equal(p256_derive_secret(root.p, parts, 2, secret, &e), 0);
	known_is(v, "secret", secret, 32);
}

static void env_signature_upstream(void **state)
{
	struct json v = known(all, "env_pubkey_signature_legacy_upstream");
	struct span sig = known_bytes(v, "signature"), pk = known_bytes(v, "public_key");
	uint8_t digest[32], pub[33];
	struct err e;

	(void)state;
	assert_int_equal(
		k256_statement("dstack-env-encrypt-pubkey", known_bytes(v, "app_id"), pk, digest, &e), 0);
	known_is(v, "digest_keccak256", digest, 32);
	assert_int_equal(k256_recover(digest, sig.p, pub, &e), 0);
	known_is(v, "recovered_signer_compressed", pub, 33);
}

static struct roots roots_of(struct json name)
{
	char text[8];
	struct roots r;

	assert_int_equal(json_cstr(name, text, sizeof text), 0);
	struct json v = known(known(all, "roots"), text);
	memcpy(r.ca, known_bytes(v, "root_ca_p256_scalar").p, 32);
	memcpy(r.k256, known_bytes(v, "root_k256_scalar").p, 32);
	return r;
}

static void root_encodings(void **state)
{
	struct json key, v;
	struct err e;

	(void)state;
	for (struct json_iter it = json_iter(known(all, "roots")); json_next(&it, &key, &v);) {
		uint8_t spki[P256_SPKI], d[32], pub[33];
		char pem[P256_PEM_MAX];
		auto_pkey EVP_PKEY *k = p256_from_scalar(known_bytes(v, "root_ca_p256_scalar").p, &e);

		assert_non_null(k);
		assert_int_equal(p256_spki(k, spki, &e), 0);
		known_is(v, "root_ca_spki_der", spki, sizeof spki);
		assert_int_equal(p256_to_pem(k, pem, &e), 0);
		auto_pkey EVP_PKEY *again = p256_from_pem(span_str(pem), &e);
		assert_non_null(again);
		assert_int_equal(p256_scalar(again, d, &e), 0);
		known_is(v, "root_ca_p256_scalar", d, 32);
		assert_int_equal(k256_public(known_bytes(v, "root_k256_scalar").p, pub, &e), 0);
		known_is(v, "root_k256_pubkey_compressed", pub, 33);
	}
}

static void km_05_epoch0(void **state)
{
	struct json v;
	struct err e;
	int n = 0;

	(void)state;
	struct json cases = known(known(all, "epoch0_cases"), "cases");
	for (struct json_iter it = json_iter(cases); json_next(&it, NULL, &v); n++) {
		struct roots r = roots_of(known(v, "root"));
		struct span app = known_bytes(v, "app_id"), inst = known_bytes(v, "instance_id");
		struct json env = known(v, "env_pubkey_response");
		struct app_keys k;
		struct env_key ek;
		uint8_t ca[32], spki[P256_SPKI];

		// The file's "timestamp" went through a double; the signed message has it exactly.
		struct rd msg = rd_span(known_bytes(env, "signature_v1_message"));
		rd_take(&msg, strlen("dstack-env-encrypt-pubkey:") + APP_ID);
		uint64_t time = rd_be64(&msg);

		assert_int_equal(appkeys_derive(&r, app.p, inst, &k, &e), 0);
		known_is(known(v, "disk_crypt_key"), "value", k.disk, 32);
		known_is(known(v, "env_crypt_key"), "value", k.env, 32);
		known_is(known(v, "k256_key"), "value", k.k256, 32);
		known_is(known(v, "k256_key"), "k256_signature", k.k256_sig, 65);
		assert_int_equal(appkeys_ca(&r, app.p, ca, &e), 0);
		known_is(known(v, "app_ca"), "p256_scalar", ca, 32);
		auto_pkey EVP_PKEY *cak = p256_from_scalar(ca, &e);
		assert_int_equal(p256_spki(cak, spki, &e), 0);
		known_is(known(v, "app_ca"), "spki_der", spki, sizeof spki);
		assert_int_equal(appkeys_env(&r, app.p, time, &ek, &e), 0);
		known_is(env, "public_key", ek.pub, 32);
		known_is(env, "signature", ek.sig, 65);
		known_is(env, "signature_v1", ek.sig_v1, 65);
	}
	assert_true(n >= 10);
}

// Derivation epochs: other secrets, the same signers; epoch 0 without a seed is upstream's.
static void proposed_epochs(void **state)
{
	struct json v;
	struct err e;
	int n = 0;

	(void)state;
	struct json cases = known(known(all, "proposed_epochs"), "cases");
	for (struct json_iter it = json_iter(cases); json_next(&it, NULL, &v); n++) {
		struct roots r = roots_of(known(v, "root")), by;
		struct span app = known_bytes(v, "app_id"), inst = known_bytes(v, "instance_id");
		struct app_epoch at = { .seed = known_bytes(v, "deployment_seed") };
		struct app_keys k, zero;
		struct env_key ek;
		uint8_t pub[K256_PUB], root_pub[K256_PUB], signer[K256_PUB], digest[32];

		assert_int_equal(json_u64(known(v, "epoch"), UINT64_MAX, &at.epoch), 0);
		assert_int_equal(appkeys_epoch_roots(&r, &at, &by, &e), 0);
		known_is(v, "epoch_root_ca_ikm", by.ca, 32);
		known_is(v, "epoch_root_k256_ikm", by.k256, 32);
		assert_int_equal(appkeys_derive_at(&r, &at, app.p, inst, &k, &e), 0);
		known_is(v, "disk_crypt_key", k.disk, 32);
		known_is(v, "env_crypt_key", k.env, 32);
		known_is(v, "k256_key", k.k256, 32);
		// Whatever the epoch, the root of epoch 0 signs.
		assert_int_equal(k256_public(k.k256, pub, &e), 0);
		assert_int_equal(k256_public(r.k256, root_pub, &e), 0);
		assert_int_equal(
			k256_statement("dstack-kms-issued", app, span_of(pub, sizeof pub), digest, &e), 0);
		assert_int_equal(k256_recover(digest, k.k256_sig, signer, &e), 0);
		assert_memory_equal(signer, root_pub, sizeof signer);
		assert_int_equal(appkeys_derive(&r, app.p, inst, &zero, &e), 0);
		assert_int_equal(!memcmp(&zero, &k, sizeof k), !at.epoch && !at.seed.n);
		// The environment key of an epoch says which one it is of.
		assert_int_equal(appkeys_env_at(&r, &at, app.p, 1000, &ek, &e), 0);
		assert_int_equal(appkeys_env_check(&ek, app.p, 1000, 1010, root_pub, &e), 0);
		assert_int_equal(appkeys_env_check_at(&ek, &at, app.p, 1000, 1010, root_pub, &e), 0);
		assert_int_equal(appkeys_env_check_at(&ek, &at, app.p, 1000, 2000, root_pub, &e), -1);
		assert_string_equal(e.code, "kms.env_key_time");
		at.epoch++;
		assert_int_equal(appkeys_env_check_at(&ek, &at, app.p, 1000, 1010, root_pub, &e), -1);
		assert_string_equal(e.code, "kms.env_key_signature");
		at.epoch--;
		at.seed = span_str("another");
		assert_int_equal(appkeys_env_check_at(&ek, &at, app.p, 1000, 1010, root_pub, &e), -1);
	}
	assert_int_equal(n, 6);
	struct app_epoch far = { 1, span_of(known_room(APPKEYS_SEED_MAX + 1), APPKEYS_SEED_MAX + 1) };
	struct roots r = { .ca = { 1 }, .k256 = { 2 } }, by;
	assert_int_equal(appkeys_epoch_roots(&r, &far, &by, &e), -1);
}

static void seed_keys(void **state)
{
	struct json v;
	struct err e;

	(void)state;
	struct json cases = known(known(all, "seed_app_keys"), "cases");
	for (struct json_iter it = json_iter(cases); json_next(&it, NULL, &v);) {
		struct app_keys k;
		uint8_t ca[32];

		assert_int_equal(appkeys_from_seed(known_bytes(v, "seed").p, &k, ca, &e), 0);
		known_is(v, "app_key_p256", ca, 32);
		known_is(v, "disk_crypt_key", k.disk, 32);
		known_is(v, "k256_key", k.k256, 32);
	}
}

static void ratls_binding(void **state)
{
	struct json v;

	(void)state;
	struct json cases = known(known(all, "ratls_report_data"), "cases");
	for (struct json_iter it = json_iter(cases); json_next(&it, NULL, &v);) {
		uint8_t rd[64];

		ratls_report_data(known_bytes(v, "spki_der"), rd);
		known_is(v, "report_data", rd, sizeof rd);
	}
}

static void scalars_refused(void **state)
{
	static const uint8_t zero[32] = { 0 };
	uint8_t ff[32];
	struct err e;

	(void)state;
	memset(ff, 0xff, sizeof ff);
	assert_null(p256_from_scalar(zero, &e));
	assert_string_equal(e.code, "key.scalar");
	assert_null(p256_from_scalar(ff, &e));
	assert_int_equal(k256_check(zero, &e), -1);
	assert_int_equal(k256_check(ff, &e), -1);
}

static void km_05_id_sizes_refused(void **state)
{
	struct roots r = { .ca = { 1 }, .k256 = { 2 } };
	uint8_t app[20] = { 0 }, inst[21] = { 0 };
	struct app_keys k;
	struct err e;

	(void)state;
	assert_int_equal(appkeys_derive(&r, app, span_of(inst, 19), &k, &e), -1);
	assert_int_equal(appkeys_derive(&r, app, span_of(inst, 21), &k, &e), -1);
	assert_int_equal(appkeys_derive(&r, app, span_of(inst, 0), &k, &e), 0);
}

static void km_13_env_key_checked(void **state)
{
	struct roots r = { .ca = { 1 }, .k256 = { 2 } };
	uint8_t app[20] = { 7 }, other[20] = { 8 }, pub[33], wrong[33];
	struct env_key k;
	struct err e;

	(void)state;
	assert_int_equal(k256_public(r.k256, pub, &e), 0);
	memcpy(wrong, pub, 33);
	wrong[5] ^= 1;
	assert_int_equal(appkeys_env(&r, app, 1000000, &k, &e), 0);
	assert_int_equal(appkeys_env_check(&k, app, 1000000, 1000300, pub, &e), 0);
	assert_int_equal(appkeys_env_check(&k, app, 1000000, 1000301, pub, &e), -1);
	assert_string_equal(e.code, "kms.env_key_time");
	assert_int_equal(appkeys_env_check(&k, app, 1000000, 999939, pub, &e), -1);
	assert_int_equal(appkeys_env_check(&k, app, 1000001, 1000001, pub, &e), -1);
	assert_string_equal(e.code, "kms.env_key_signature");
	assert_int_equal(appkeys_env_check(&k, other, 1000000, 1000000, pub, &e), -1);
	assert_int_equal(appkeys_env_check(&k, app, 1000000, 1000000, wrong, &e), -1);
	k.pub[0] ^= 1;
	assert_int_equal(appkeys_env_check(&k, app, 1000000, 1000000, pub, &e), -1);
}

static void sealing(void **state)
{
	static const char text[] = "{\"env\":[{\"key\":\"A\",\"value\":\"b\"}]}";
	uint8_t sk[32] = { 9 }, pk[32], zero[32] = { 0 }, box[sizeof text + SEAL_OVERHEAD],
		plain[sizeof text];
	struct err e;

	(void)state;
	assert_int_equal(seal_public(sk, pk, &e), 0);
	assert_int_equal(seal_encrypt(pk, span_of(text, sizeof text), box, &e), 0);
	assert_int_equal(seal_decrypt(sk, span_of(box, sizeof box), plain, &e), 0);
	assert_memory_equal(plain, text, sizeof text);
	for (size_t i = 0; i < sizeof box; i += 7) {
		box[i] ^= 1;
		assert_int_equal(seal_decrypt(sk, span_of(box, sizeof box), plain, &e), -1);
		box[i] ^= 1;
	}
	assert_int_equal(seal_decrypt(sk, span_of(box, SEAL_OVERHEAD - 1), plain, &e), -1);
	assert_string_equal(e.code, "seal.size");
	memset(box, 0, 32); // a public key of small order gives a shared secret of zeros
	assert_int_equal(seal_decrypt(sk, span_of(box, sizeof box), plain, &e), -1);
	assert_int_equal(seal_encrypt(zero, span_of(text, sizeof text), box, &e), -1);
	assert_int_equal(seal_encrypt(pk, span_of(text, 0), box, &e), 0);
	assert_int_equal(seal_decrypt(sk, span_of(box, SEAL_OVERHEAD), plain, &e), 0);
}

static void p256_signatures(void **state)
{
	uint8_t sig[P256_SIG_MAX];
	size_t n = 0;
	struct err e;
	auto_pkey EVP_PKEY *k = p256_new(&e), *other = p256_new(&e);

	(void)state;
	assert_int_equal(p256_sign(k, span_str("message"), sig, &n, &e), 0);
	assert_int_equal(p256_verify(k, span_str("message"), span_of(sig, n), &e), 0);
	assert_int_equal(p256_verify(k, span_str("massage"), span_of(sig, n), &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(p256_verify(other, span_str("message"), span_of(sig, n), &e), -1);
	assert_int_equal(p256_verify(k, span_str("message"), span_of(sig, n - 1), &e), -1);
	assert_int_equal(p256_verify(k, span_str("message"), span_of(NULL, 0), &e), -1);
}

static void other_keys_refused(void **state)
{
	uint8_t der[256], *p = der;
	struct err e;
	auto_pkey EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), *p384 = EVP_EC_gen("P-384");

	(void)state;
	int n = i2d_PUBKEY(ed, &p);
	assert_null(p256_from_spki(span_of(der, (size_t)n), &e));
	p = der;
	n = i2d_PUBKEY(p384, &p);
	assert_null(p256_from_spki(span_of(der, (size_t)n), &e));
	auto_pkey EVP_PKEY *k = p256_new(&e);
	assert_int_equal(p256_spki(k, der, &e), 0);
	assert_null(p256_from_spki(span_of(der, P256_SPKI + 1), &e)); // trailing byte
	assert_null(p256_from_spki(span_of(der, P256_SPKI - 1), &e));
	char pem[P256_PEM_MAX];
	assert_int_equal(p256_to_pem(k, pem, &e), 0);
	char *public = strstr(pem, "-----END") - 12; // a digit within the public key
	*public = *public == 'A' ? 'B' : 'A';
	assert_null(p256_from_pem(span_str(pem), &e));
	assert_null(p256_from_pem(span_str("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
				  &e));
}

// Written by hand, since OpenSSL's encoders are slow: the bytes must be OpenSSL's.
static void p256_encodings(void **state)
{
	struct err e;

	(void)state;
	for (int i = 0; i < 64; i++) {
		auto_pkey EVP_PKEY *k = p256_new(&e);
		uint8_t spki[P256_SPKI], *theirs = NULL;
		char pem[P256_PEM_MAX], *text;

		if (i & 1) // a key whose preferred form is the short one
			EVP_PKEY_set_utf8_string_param(k, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
						       "compressed");
		assert_int_equal(p256_spki(k, spki, &e), 0);
		assert_int_equal(p256_to_pem(k, pem, &e), 0);
		EVP_PKEY_set_utf8_string_param(k, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed");
		assert_int_equal(i2d_PUBKEY(k, &theirs), P256_SPKI);
		assert_memory_equal(spki, theirs, P256_SPKI);
		auto_bio BIO *b = BIO_new(BIO_s_mem());
		assert_int_equal(PEM_write_bio_PKCS8PrivateKey(b, k, NULL, NULL, 0, NULL, NULL), 1);
		long n = BIO_get_mem_data(b, &text);
		assert_int_equal(strlen(pem), n);
		assert_memory_equal(pem, text, n);
		OPENSSL_free(theirs);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(derive_secret_upstream),
		cmocka_unit_test(env_signature_upstream),
		cmocka_unit_test(root_encodings),
		cmocka_unit_test(km_05_epoch0),
		cmocka_unit_test(proposed_epochs),
		cmocka_unit_test(seed_keys),
		cmocka_unit_test(ratls_binding),
		cmocka_unit_test(scalars_refused),
		cmocka_unit_test(km_05_id_sizes_refused),
		cmocka_unit_test(km_13_env_key_checked),
		cmocka_unit_test(sealing),
		cmocka_unit_test(p256_signatures),
		cmocka_unit_test(p256_encodings),
		cmocka_unit_test(other_keys_refused),
	};

	if (argc != 2)
		return 2;
	all = known_open(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
