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
#include "key_cache.h"
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
	assert_false(f.public_logs);
	assert_string_equal(f.host_api_url, "vsock://2:10000/api");
	assert_string_equal(f.vm_config, "{\"a\":1}");
	app_files_free(&f);
	static const char *const bad[] = { "{}",
					   "{\"name\":1}",
					   "{\"name\":\"x\",\"public_tcbinfo\":1}",
					   "{\"name\":\"x\",\"public_sysinfo\":\"true\"}",
					   "{\"name\":\"x\",\"public_logs\":1}",
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

static void same_key(const struct key_file *kept, const struct key_file *bare, const char *path,
		     const char *purpose, const char *algorithm)
{
	struct derived_key a, b;
	struct err e = { 0 };

	memset(&a, 0x11, sizeof a); // nothing of the answer may come from what was there
	memset(&b, 0x22, sizeof b);
	assert_int_equal(derive_key(kept, path, purpose, algorithm, &a, &e), 0);
	assert_int_equal(derive_key(bare, path, purpose, algorithm, &b, &e), 0);
	assert_memory_equal(a.key, b.key, sizeof a.key);
	assert_memory_equal(a.public, b.public, sizeof a.public);
	assert_int_equal(a.public_n, b.public_n);
	assert_memory_equal(a.signature, b.signature, sizeof a.signature);
}

// Every answer is byte for byte that of an agent that keeps nothing: first and again, for questions that
// differ little, for more of them than there is room, for names around the longest that is kept.
static void cached_keys_are_the_same(void **state)
{
	static const char *const algorithms[] = { "", "secp256k1", "k256", "ed25519" };
	static const char *const names[][2] = { { "", "" },    { "a", "bc" }, { "ab", "c" }, { "abc", "" },
						{ "", "abc" }, { "e", "" },   { "k", "" },   { "", "k" } };
	struct key_file kept, bare;
	struct err e = { 0 };
	char path[2 * KEY_CACHE_NAMES];

	(void)state;
	assert_int_equal(parse(KEYS("\"" K256 "\"", "\"\"", "\"C\"", LOCAL), &kept, &e), 0);
	assert_int_equal(parse(KEYS("\"" K256 "\"", "\"\"", "\"C\"", LOCAL), &bare, &e), 0);
	key_cache_free(bare.cache);
	bare.cache = NULL;
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			for (size_t k = 0; k < 4; k++)
				same_key(&kept, &bare, names[i][0], names[i][1], algorithms[k]);
		for (int i = 0; i < KEY_CACHE_ENTRIES + 8; i++) {
			snprintf(path, sizeof path, "many/%d", i);
			same_key(&kept, &bare, path, "test", "");
			same_key(&kept, &bare, "many/0", "test", ""); // stays
		}
		for (size_t n = KEY_CACHE_NAMES - 6; n < KEY_CACHE_NAMES + 2; n++) {
			memset(path, 'p', n);
			path[n] = 0;
			same_key(&kept, &bare, path, "xy", "ed25519");
			same_key(&kept, &bare, "xy", path, "k256");
		}
	}
	key_file_free(&kept);
	key_file_free(&bare);
}

// What is kept, how long, and what is not.
static void key_cache(void **state)
{
	struct key_cache *c = key_cache_new();
	struct derived_key d = { .key = { 1 }, .public = { 2 }, .public_n = 33, .signature = { 3 } },
			   got = { 0 };
	char path[2 * KEY_CACHE_NAMES];

	(void)state;
	assert_non_null(c);
	assert_false(key_cache_get(NULL, false, "a", "b", &got));
	key_cache_put(NULL, false, "a", "b", &d);
	assert_false(key_cache_get(c, false, "a", "b", &got));
	key_cache_put(c, false, "a", "b", &d);
	key_cache_put(c, false, "a", "b", &d); // again is no second entry
	assert_true(key_cache_get(c, false, "a", "b", &got));
	assert_int_equal(got.key[0], 0);
	assert_int_equal(got.public[0], 2);
	assert_int_equal(got.public_n, 33);
	assert_int_equal(got.signature[0], 3);
	assert_false(key_cache_get(c, true, "a", "b", &got));
	assert_false(key_cache_get(c, false, "ab", "", &got));
	for (int i = 0; i < KEY_CACHE_ENTRIES; i++) {
		snprintf(path, sizeof path, "%d", i);
		key_cache_put(c, true, path, "", &d);
		assert_true(key_cache_get(c, false, "a", "b", &got)); // in use: others give way
	}
	assert_false(key_cache_get(c, true, "0", "", &got));
	assert_true(key_cache_get(c, true, "1", "", &got));
	memset(path, 'p', KEY_CACHE_NAMES - 2);
	path[KEY_CACHE_NAMES - 2] = 0;
	key_cache_put(c, true, path, "", &d);
	assert_true(key_cache_get(c, true, path, "", &got));
	key_cache_put(c, true, path, "x", &d); // too long
	assert_false(key_cache_get(c, true, path, "x", &got));
	key_cache_free(c);
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
		cmocka_unit_test(cached_keys_are_the_same),
		cmocka_unit_test(key_cache),
		cmocka_unit_test(certificates_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
