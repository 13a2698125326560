// KM-05 and KM-06 at the guest's GetKey: paths of any kind give keys or a code, and what two algorithms at
// one path share is exactly upstream's rule, nothing between other paths.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "keys.h"

static struct secret *root(void)
{
	uint8_t k[32];

	memset(k, 7, sizeof k);
	return secret_dup(k, sizeof k);
}

static void km_06_one_path_two_algorithms(void **state)
{
	struct key_file k = { .k256 = root() };
	struct derived_key a, b, other;
	struct err e;

	(void)state;
	assert_int_equal(derive_key(&k, "wallet/1", "p", "secp256k1", &a, &e), 0);
	assert_int_equal(derive_key(&k, "wallet/1", "p", "ed25519", &b, &e), 0);
	assert_memory_equal(a.key, b.key, sizeof a.key); // upstream's bytes; documented in keys.h
	assert_true(a.public_n != b.public_n);
	assert_int_equal(derive_key(&k, "wallet/2", "p", "ed25519", &other, &e), 0);
	assert_memory_not_equal(b.key, other.key, sizeof b.key);
	assert_int_equal(derive_key(&k, "wallet/1", "q", "k256", &other, &e),
			 0); // the purpose is only signed
	assert_memory_equal(a.key, other.key, sizeof a.key);
	assert_memory_not_equal(a.signature, other.signature, sizeof a.signature);
	secret_free(k.k256);
}

static void km_05_paths(void **state)
{
	struct key_file k = { .k256 = root() };
	char *path = malloc(65537);
	struct derived_key a, b;
	struct err e;

	(void)state;
	assert_int_equal(derive_key(&k, "", "", "", &a, &e), 0);
	memset(path, 'a', 65536);
	path[65536] = 0;
	assert_int_equal(derive_key(&k, path, "", "", &b, &e), -1);
	assert_string_equal(e.code, "agent.path");
	path[1024] = 0;
	assert_int_equal(derive_key(&k, path, "", "", &b, &e), 0);
	assert_memory_not_equal(a.key, b.key, sizeof a.key);
	free(path);
	secret_free(k.k256);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(km_06_one_path_two_algorithms),
					    cmocka_unit_test(km_05_paths) };

	return cmocka_run_group_tests_name("getkey", tests, NULL, NULL);
}
