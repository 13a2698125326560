// The agent's parts that need no TEE: its files, derived keys, what certificates are refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/strings.h"
#include "cert.h"
#include "crypto/k256.h"
#include "keys.h"

#define K256 "d6e88992cdeeee35fe70b5db61ab66cdb191fb9b6ec9313757ef162dd7214d5d"
#define KEYS(k256, sig, ca, provider)                                                                        \
	"{\"k256_key\":" k256 ",\"k256_signature\":" sig ",\"ca_cert\":" ca ",\"key_provider\":" provider    \
	",\"newer\":[1,{}],\"env_crypt_key\":\"\"}"
#define LOCAL "{\"Local\":{\"key\":\"PEM\\n\",\"mr\":\"\"}}"

static int parse(const char *text, struct key_file *k, struct err *e)
{
	return key_file_parse("keys", text, strlen(text), k, e);
}

static void keys_of_every_provider(void **state)
{
	struct key_file k;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse(KEYS("\"" K256 "\"", "\"\"", "\"C\\nC\"", LOCAL), &k, &e), 0);
	assert_int_equal(k.provider, PROVIDER_LOCAL);
	assert_int_equal(k.k256->n, 32);
	assert_int_equal(k.k256->b[0], 0xd6);
	assert_int_equal(k.ca_key->n, 4);
	assert_memory_equal(k.ca_key->b, "PEM\n", 4);
	assert_string_equal(k.ca_cert, "C\nC");
	assert_int_equal(k.k256_signature_n, 0);
	key_file_free(&k);
	assert_int_equal(parse(KEYS("\"" K256 "\"", "\"0A0b\"", "\"C\"",
				    "{\"Kms\":{\"url\":\"https://x/prpc\",\"pubkey\":\"\"}}"),
			       &k, &e),
			 0);
	assert_int_equal(k.provider, PROVIDER_KMS);
	assert_string_equal(k.kms_url, "https://x/prpc");
	assert_null(k.ca_key);
	assert_int_equal(k.k256_signature_n, 2);
	key_file_free(&k);
	assert_int_equal(parse(KEYS("\"" K256 "\"", "null", "\"C\"", "{\"None\":{\"key\":\"x\"}}"), &k, &e),
			 0);
	key_file_free(&k);
}

static void keys_that_are_none(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"k256_key\":1}",
		KEYS("\"00\"", "\"\"", "\"C\"", LOCAL),
		KEYS("\"0000000000000000000000000000000000000000000000000000000000000000\"", "\"\"", "\"C\"",
		     LOCAL),
		KEYS("\"" K256 "zz\"", "\"\"", "\"C\"", LOCAL),
		KEYS("\"" K256 "\"", "\"x\"", "\"C\"", LOCAL),
		KEYS("\"" K256 "\"", "7", "\"C\"", LOCAL),
		KEYS("\"" K256 "\"", "\"\"", "1", LOCAL),
		KEYS("\"" K256 "\"", "\"\"", "\"C\"", "{}"),
		KEYS("\"" K256 "\"", "\"\"", "\"C\"", "{\"Else\":{}}"),
		KEYS("\"" K256 "\"", "\"\"", "\"C\"", "{\"Local\":{}}"),
		KEYS("\"" K256 "\"", "\"\"", "\"C\"", "{\"Kms\":{\"url\":5}}"),
		KEYS("\"" K256 "\"", "\"\"", "\"C\"", "{\"None\":{\"key\":\"x\"},\"Kms\":{\"url\":\"x\"}}"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct key_file k;
		struct err e = { 0 };
		if (!parse(bad[i], &k, &e))
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(e.code, "agent.keys");
		assert_null(strstr(e.text, K256));
	}
}

static void app_files(void **state)
{
	char dir[] = "/tmp/agent-test.XXXXXX", compose[64], sys[64];
	struct app_files f;
	struct err e = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(compose, sizeof compose, "%s/c", dir);
	snprintf(sys, sizeof sys, "%s/s", dir);
	assert_int_equal(
		file_write_str(compose, 0600, "{\"name\":\"n\\u00e9\",\"public_tcbinfo\":false} ", &e), 0);
	assert_int_equal(file_write_str(sys, 0600, "{\"vm_config\":\"{\\\"a\\\":1}\"}", &e), 0);
	assert_int_equal(app_files_read(compose, sys, &f, &e), 0);
	assert_string_equal(f.name, "n\xc3\xa9");
	assert_false(f.public_tcbinfo);
	assert_false(f.public_sysinfo);
	assert_string_equal(f.host_api_url, "vsock://2:10000/api");
	assert_string_equal(f.vm_config, "{\"a\":1}");
	app_files_free(&f);
	static const char *const bad[] = { "{}",
					   "{\"name\":1}",
					   "{\"name\":\"x\",\"public_tcbinfo\":1}",
					   "{\"name\":\"x\",\"public_sysinfo\":\"true\"}",
					   "{\"name\":\"x\"",
					   "[]" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(file_write_str(compose, 0600, bad[i], &e), 0);
		assert_int_equal(app_files_read(compose, sys, &f, &e), -1);
		assert_string_equal(e.code, "agent.compose");
	}
	assert_int_equal(file_write_str(compose, 0600, "{\"name\":\"x\"}", &e), 0);
	static const char *const urls[][2] = { { "http://10.0.2.2:1/api", "http://10.0.2.2:1/api" },
					       { "unix:/run/docker.sock:/x", "vsock://2:10000/api" } };
	for (size_t i = 0; i < 2; i++) {
		char text[128];
		snprintf(text, sizeof text, "{\"vm_config\":\"{}\",\"host_api_url\":\"%s\"}", urls[i][0]);
		assert_int_equal(file_write_str(sys, 0600, text, &e), 0);
		assert_int_equal(app_files_read(compose, sys, &f, &e), 0);
		assert_string_equal(f.host_api_url, urls[i][1]);
		app_files_free(&f);
	}
	assert_int_equal(file_write_str(sys, 0600, "{\"vm_config\":{}}", &e), 0);
	assert_int_equal(app_files_read(compose, sys, &f, &e), -1);
	assert_string_equal(e.code, "agent.sys_config");
	assert_int_equal(file_remove_tree(dir, &e), 0);
}

// Spec 10 section 13: upstream's simulator; the signer of chain[0] is the app's root key.
static void known_keys(void **state)
{
	struct key_file k;
	struct derived_key d;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse(KEYS("\"" K256 "\"", "\"\"", "\"C\"", LOCAL), &k, &e), 0);
	assert_int_equal(derive_key(&k, "/", "test", "", &d, &e), 0);
	assert_string_equal(STR_HEX(d.key, 32),
			    "f6c1ed94488394d78e0a4e5ab75d62e9f085d73b0b555d0614fb90ca13d9464d");
	assert_int_equal(derive_key(&k, "", "", "k256", &d, &e), 0);
	assert_string_equal(STR_HEX(d.key, 32),
			    "aa221ae548b5a8f52fcb8687cfd873712f6a1232b2717e5ee3d58ab74f21905b");
	assert_int_equal(derive_key(&k, "vms", "signing", "ed25519", &d, &e), 0);
	assert_int_equal(d.public_n, 32);
	assert_string_equal(STR_HEX(d.public, 32),
			    "698f56bd587d8ce3ca8db0e1c361ba9d190089f98dc4d9df800ff92ed073a65d");
	assert_int_equal(derive_key(&k, "vms", "signing", "secp256k1", &d, &e), 0);
	assert_string_equal(STR_HEX(d.public, 33),
			    "036105f01d1fd781568f7c208b087b1c4f522601410ed7e9c7870d573de7c46d54");
	assert_int_equal(derive_key(&k, "/", "", "ed448", &d, &e), -1);
	assert_string_equal(e.code, "agent.algorithm");
	char long_path[1026];
	memset(long_path, 'a', 1025);
	long_path[1025] = 0;
	assert_int_equal(derive_key(&k, long_path, "", "", &d, &e), -1);
	assert_string_equal(e.code, "agent.path");
	key_file_free(&k);
}

static void certificates_refused(void **state)
{
	static const char *const names[] = { "" };
	static const char *const spaced[] = { "a b" };
	struct agent g = { 0 };
	struct tls_answer out;
	struct err e = { 0 };
	auto_arena *a = arena_new(0);
	char large[300];

	(void)state;
	memset(large, 'x', sizeof large - 1);
	large[sizeof large - 1] = 0;
	const struct tls_request bad[] = {
		{ .subject = "",
		  .has_not_before = true,
		  .has_not_after = true,
		  .not_before = 5,
		  .not_after = 5 },
		{ .subject = "", .has_not_after = true, .not_after = UINT64_MAX },
		{ .subject = large },
		{ .subject = "", .names = names, .n_names = 1 },
		{ .subject = "", .names = spaced, .n_names = 1 },
		{ .subject = "", .names = names, .n_names = 1000 },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(cert_make(&g, &bad[i], a, &out, &e), -1);
		assert_string_equal(e.code, i < 2 ? "agent.validity" : "agent.name");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_every_provider),
		cmocka_unit_test(keys_that_are_none),
		cmocka_unit_test(app_files),
		cmocka_unit_test(known_keys),
		cmocka_unit_test(certificates_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
