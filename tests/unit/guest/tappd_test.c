// What the older services add: report data of every mode, keys by path, events that apps may not emit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/x509v3.h>
#include "base/arena.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "cert.h"
#include "core/attest/reportdata.h"
#include "core/hash/keccak.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "emit.h"
#include "report_data.h"
#include "sign.h"
#include "tee/runtime.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void of_text(const char *hash, const char *tag, const char *content, uint8_t out[static 64])
{
	struct err e = { 0 };

	if (report_data_of(hash, tag, span_str(content), out, &e))
		fail_msg("%s: %s", hash, e.text);
}

// Over "app-data:test content"; sha512 is spec 10 section 13's, the others are of Python's hashlib.
static void ga_05_hash_matrix_known(void **state)
{
	static const char *const known[][2] = {
		{ "sha256", "278fdb367382d9d10871ebb44498a29d54e705fa8924ce0a6fe8629542fc1a65" },
		{ "sha384", "3967015e6798cc3d90f60b0a8dd045856e33273c4118dcdf04cc40a051ef8f3c"
			    "008c73fb6e89d0af961c91a3a73efc5e" },
		{ "sha512", "7ea0b744ed5e9c0c83ff9f575668e1697652cd349f2027cdf26f918d4c53e8cd50b5ea9b449b4c3d"
			    "50e20ae00ec29688d5a214e8daff8a10041f5d624dae8a01" },
		{ "sha3-256", "bb98d4376d590cb17968d89250ac8f3d6241c9267d74995121a60766d0a6c665" },
		{ "sha3-384", "9a1bc92ced9fae72a75d0b446894269c15d47c270829e7375f107d920e2e20fc"
			      "2bba3ae0a514721e44d185f89bea7e78" },
		{ "sha3-512", "dc18076a2308b0373d2417d85f62d041398a8387894bd7a46afe857a5cc951f7"
			      "7726fbcf9019bcc224fa11ee0784c94035ad3669f607dcc704079faf244dc3ba" },
	};
	static const uint8_t zeros[32];
	uint8_t data[64];

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		size_t n = strlen(known[i][1]) / 2;
		of_text(known[i][0], "app-data", "test content", data);
		assert_string_equal(STR_HEX(data, n), known[i][1]);
		assert_memory_equal(data + n, zeros, 64 - n);
	}
	of_text("sha256", "mine", "", data);
	assert_string_not_equal(STR_HEX(data, 32), known[0][1]);
}

// The original padding, not SHA-3's; the sponge has its known answers in tests/unit/core.
static void ga_05_hash_matrix_keccak(void **state)
{
	static const char text[] = "t:abc";
	static const uint8_t zeros[32];
	uint8_t data[64], want[64];

	(void)state;
	keccak256(text, 5, want);
	of_text("keccak256", "t", "abc", data);
	assert_memory_equal(data, want, 32);
	assert_memory_equal(data + 32, zeros, 32);
	keccak384(text, 5, want);
	of_text("keccak384", "t", "abc", data);
	assert_memory_equal(data, want, 48);
	assert_memory_equal(data + 48, zeros, 16);
	keccak512(text, 5, want);
	of_text("keccak512", "t", "abc", data);
	assert_memory_equal(data, want, 64);
	sha3_512(text, 5, want);
	assert_memory_not_equal(data, want, 64);
}

static void ga_05_raw_and_refused(void **state)
{
	static const char *const none[] = {
		"", "SHA512", "sha1", "md5", "sha-512", "sha3", "keccak", "raw "
	};
	uint8_t content[65], data[64];
	struct err e;

	(void)state;
	memset(content, 0xa5, sizeof content);
	assert_int_equal(report_data_of("raw", "unused", span_of(content, 64), data, &e), 0);
	assert_memory_equal(data, content, 64);
	for (size_t n = 0; n <= 65; n++) {
		if (n == 64)
			continue;
		assert_int_equal(report_data_of("raw", "", span_of(content, n), data, &e), -1);
		assert_string_equal(e.code, "agent.report_data");
		assert_non_null(strstr(e.text, "invalid content length"));
	}
	for (size_t i = 0; i < COUNT(none); i++) {
		assert_int_equal(report_data_of(none[i], "t", span_of(content, 64), data, &e), -1);
		assert_string_equal(e.code, "agent.hash");
		assert_string_equal(e.text, "invalid hash algorithm");
	}
}

// CH-02: what speaks for the system is not minted for a container; what only looks like it is.
static void ch_02_system_domain(void **state)
{
	uint8_t raw[64] = REPORT_SYSTEM, data[64];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(strlen(REPORT_SYSTEM), 16);
	assert_int_equal(report_data_of("raw", "", span_of(raw, 64), data, &e), -1);
	assert_string_equal(e.code, "agent.reserved");
	assert_int_equal(report_data_of_app(span_of(raw, 16), &e), -1);
	assert_string_equal(e.code, "agent.reserved");
	assert_int_equal(report_data_of_app(span_of(raw, 15), &e), 0);
	raw[15] ^= 1;
	assert_int_equal(report_data_of("raw", "", span_of(raw, 64), data, &e), 0);
	memmove(raw + 1, REPORT_SYSTEM, 16);
	assert_int_equal(report_data_of("raw", "", span_of(raw, 64), data, &e), 0);
	assert_int_equal(report_data_of("sha512", "dstack-system-1", span_of(raw, 64), data, &e), 0);
}

static void open_keys(struct key_file *k, const char *root, const char *ca, const char *ca_key)
{
	char text[4096];
	struct err e = { 0 };

	snprintf(text, sizeof text,
		 "{\"k256_key\":\"%s\",\"k256_signature\":\"\",\"ca_cert\":\"%s\","
		 "\"key_provider\":{\"Local\":{\"key\":\"%s\",\"mr\":\"\"}}}",
		 root, ca, ca_key);
	if (key_file_parse("keys", text, strlen(text), k, &e))
		fail_msg("%s", e.text);
}

// Spec 10 section 13, upstream's unit test of the agent.
static void report_data_of_app_keys(void **state)
{
	struct key_file k;
	struct derived_key d;
	struct err e;
	uint8_t data[64];

	(void)state;
	open_keys(&k, "1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a2b", "C", "P");
	assert_int_equal(app_signing_key(&k, "ed25519", &d, &e), 0);
	assert_int_equal(report_data_of_key(span_of(d.public, d.public_n), data, &e), 0);
	assert_memory_equal(data, "dip1::ed25519-pk:5Pbre1Amf1hrp2V2bbfKlIfxpQb2pJAmrgmhxgVoG9s\0\0\0\0", 64);
	assert_int_equal(app_signing_key(&k, "k256", &d, &e), 0);
	assert_int_equal(report_data_of_key(span_of(d.public, d.public_n), data, &e), 0);
	assert_memory_equal(data, "dip1::secp256k1c-pk:A6t_JdVkVdMAocH3f1f20WGT6JzdntxcXimUtEax8zc9", 64);
	key_file_free(&k);
}

// JSON text of a PEM text.
static void escaped(const char *pem, char *out)
{
	for (; *pem; pem++)
		if (*pem == '\n')
			out += sprintf(out, "\\n");
		else
			*out++ = *pem;
	*out = 0;
}

// tests/vectors/kms.json derive_dh_secret_upstream: parts have no separator, so its contexts are one path.
#define ROOT   "f57527cea4ab7ffb49af99b158cdc0e3ec06398f528349ea236b7d2afe19cec1"
#define SCALAR "b60ac47b8fcfbdf96031b9e94f0b60cfe9de05eccb5a1dca41a26f757833c0e7"

static void scalar_of(const char *pem, char hex[static 65])
{
	struct err e = { 0 };
	uint8_t d[P256_SCALAR];
	auto_pkey EVP_PKEY *k = p256_from_pem(span_str(pem), &e);

	assert_non_null(k);
	assert_int_equal(p256_scalar(k, d, &e), 0);
	snprintf(hex, 65, "%s", STR_HEX(d, sizeof d));
}

static void local_ca(struct agent *g)
{
	static char cert[CERT_PEM_MAX], cert_json[2048], key_json[1024];
	static struct keyring keyring;
	static struct custody custody;
	struct key_file file;
	char key[P256_PEM_MAX];
	struct err e = { 0 };
	auto_pkey EVP_PKEY *k = p256_new(&e);
	struct cert_spec spec = { .cn = "App Root Cert",
				  .is_ca = true,
				  .path_len = 1,
				  .not_before = 1,
				  .not_after = (int64_t)time_now() + 1000 };
	struct cert_issuer self = { .key = k };
	auto_x509 X509 *c = cert_issue(&spec, k, &self, &e);

	assert_non_null(c);
	assert_int_equal(cert_to_pem(c, cert, sizeof cert, &e), 0);
	assert_int_equal(p256_to_pem(k, key, &e), 0);
	escaped(cert, cert_json);
	escaped(key, key_json);
	open_keys(&file, ROOT, cert_json, key_json);
	g->custody = &custody;
	assert_int_equal(custody_here(&custody, &keyring, &file, &g->keys, &e), 0);
	assert_int_equal(cert_open(g, &e), 0);
}

// The agent has no TEE here: a local CA needs no quote unless the certificate is to carry one.
static void certificates_of_a_local_ca(void **state)
{
	static const char *const names[] = { "a.test", "10.0.0.1", "2001:db8::1" };
	struct tls_request r = { .path = "context onecontext two", .subject = "" };
	struct agent g = { 0 };
	struct tls_answer out = { 0 };
	struct err e = { 0 };
	char hex[65], again[65], text[256];
	auto_arena *a = arena_new(0);

	(void)state;
	local_ca(&g);
	assert_int_equal(cert_make(&g, &r, a, &out, &e), 0);
	scalar_of(out.key, hex);
	assert_string_equal(hex, SCALAR);
	assert_int_equal(out.n_chain, 2);
	r.path = "";
	assert_int_equal(cert_make(&g, &r, a, &out, &e), 0);
	scalar_of(out.key, again);
	assert_string_not_equal(hex, again);
	r.path = NULL; // fresh
	assert_int_equal(cert_make(&g, &r, a, &out, &e), 0);
	scalar_of(out.key, hex);
	assert_int_equal(cert_make(&g, &r, a, &out, &e), 0);
	scalar_of(out.key, again);
	assert_string_not_equal(hex, again);

	r = (struct tls_request){ .subject = "",
				  .names = names,
				  .n_names = 3,
				  .server_auth = true,
				  .client_auth = true,
				  .has_not_before = true,
				  .not_before = 1700000000,
				  .has_not_after = true,
				  .not_after = 1700000001 };
	assert_int_equal(cert_make(&g, &r, a, &out, &e), 0);
	auto_x509 X509 *leaf = cert_from_pem(span_str(out.chain[0]), &e);
	auto_x509 X509 *ca = cert_from_pem(span_str(out.chain[1]), &e);
	assert_non_null(leaf);
	assert_int_equal(X509_verify(leaf, X509_get0_pubkey(ca)), 1);
	assert_int_equal(X509_check_host(leaf, "a.test", 0, 0, NULL), 1);
	assert_int_equal(X509_check_ip_asc(leaf, "10.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(leaf, "2001:db8::1", 0), 1);
	assert_int_equal(X509_check_host(leaf, "b.test", 0, 0, NULL), 0);
	assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER | XKU_SSL_CLIENT);
	assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(leaf)), 1); // an empty CN
	X509_NAME_oneline(X509_get_subject_name(leaf), text, sizeof text);
	assert_string_equal(text, "/CN=");
	assert_true(cert_usage_is(leaf, "app:custom"));
	struct tm t;
	ASN1_TIME_to_tm(X509_get0_notBefore(leaf), &t);
	assert_int_equal(timegm(&t), 1700000000);
	ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &t);
	assert_int_equal(timegm(&t), 1700000001);

	char long_path[1026];
	memset(long_path, 'a', 1025);
	long_path[1025] = 0;
	r = (struct tls_request){ .path = long_path, .subject = "" };
	assert_int_equal(cert_make(&g, &r, a, &out, &e), -1);
	assert_string_equal(e.code, "agent.path");
	cert_close(&g);
	custody_stop(g.custody);
}

// Refused before anything is extended: this agent has no TEE to extend.
static void events_of_the_system_are_refused(void **state)
{
	static const char *const names[] = { "",
					     "app-id",
					     "compose-hash",
					     "instance-id",
					     "key-provider",
					     "boot-mr-done",
					     "os-image-hash",
					     "storage-fs",
					     "init-script-hash",
					     "system-ready",
					     "system-anything",
					     "system-",
					     "gpu-policy-hash",
					     "gpu-attestation",
					     "system-preparing" };
	struct agent g = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct err e = { 0 };
		assert_int_equal(app_emit(&g, names[i], span_str("x"), &e), -1);
		assert_string_equal(e.code, "agent.event_name");
		assert_int_equal(e.class, ERR_INPUT);
	}
}

static void events_the_log_cannot_carry(void **state)
{
	char dir[] = "/tmp/agent-emit.XXXXXX", path[64];
	struct agent g = { 0 };
	struct err e = { 0 };
	static char log[EMIT_EVENTS_MAX * 32];
	size_t n = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(setenv("DSTACK_RUNTIME_LOG_DIR", dir, 1), 0);
	assert_int_equal(app_emit(&g, "mine", span_str("x"), &e), -1);
	assert_string_equal(e.code, "runtime.version_unset");
	assert_int_equal(runtime_set_version(dir, 1, &e), 0);
	assert_int_equal(app_emit(&g, "a:b", span_str("x"), &e), -1);
	assert_string_equal(e.code, "runtime.name");
	for (size_t i = 0; i < EMIT_EVENTS_MAX; i++)
		n += (size_t)snprintf(log + n, sizeof log - n, "{\"event\":\"x\",\"payload\":\"\"}\n");
	snprintf(path, sizeof path, "%s/runtime_events.log", dir);
	assert_int_equal(file_write(path, 0600, log, n, &e), 0);
	assert_int_equal(app_emit(&g, "mine", span_str("x"), &e), -1);
	assert_string_equal(e.code, "agent.events_full");
	assert_int_equal(unsetenv("DSTACK_RUNTIME_LOG_DIR"), 0);
	assert_int_equal(file_remove_tree(dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ga_05_hash_matrix_known),
		cmocka_unit_test(ga_05_hash_matrix_keccak),
		cmocka_unit_test(ga_05_raw_and_refused),
		cmocka_unit_test(report_data_of_app_keys),
		cmocka_unit_test(ch_02_system_domain),
		cmocka_unit_test(certificates_of_a_local_ca),
		cmocka_unit_test(events_of_the_system_are_refused),
		cmocka_unit_test(events_the_log_cannot_carry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
