// The tree of RFC 6962: roots and paths against the definition spelled out as recursion, for every size up to
// 70 and every pair of sizes; the known roots of certificate-transparency-go's test; every altered proof
// refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "audit/merkle.h"
#include "base/strings.h"
#include "core/hash/sha2.h"

enum { LEAVES = 70 };

static merkle_hash leaf[LEAVES];

static void mth(uint64_t at, uint64_t n, merkle_hash out) // RFC 6962 section 2.1
{
	merkle_hash l, r;
	uint64_t k = 1;

	if (!n) {
		sha256("", 0, out);
		return;
	}
	if (n == 1) {
		memcpy(out, leaf[at], sizeof l);
		return;
	}
	while (2 * k < n)
		k *= 2;
	mth(at, k, l);
	mth(at + k, n - k, r);
	merkle_node(l, r, out);
}

static int node(void *arg, unsigned level, uint64_t index, merkle_hash out, struct err *e)
{
	(void)arg, (void)e;
	assert_true((index + 1) << level <= LEAVES);
	mth(index << level, UINT64_C(1) << level, out);
	return 0;
}

static const struct merkle_source source = { node, NULL };

static int setup(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < LEAVES; i++)
		merkle_leaf(span_of(&i, 1), leaf[i]);
	return 0;
}

// The roots that RFC 6962 implementations publish for these eight inputs.
static void known_roots(void **state)
{
	static const char *const input[] = { "",
					     "00",
					     "10",
					     "2021",
					     "3031",
					     "40414243",
					     "5051525354555657",
					     "606162636465666768696a6b6c6d6e6f" };
	static const char *const root[] = {
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	};
	struct merkle m = { 0 };
	merkle_hash h, want;

	(void)state;
	for (size_t i = 0; i <= 8; i++) {
		uint8_t b[16];
		size_t n = 0;

		merkle_root(&m, h);
		assert_true(hex_exact(want, 32, root[i]));
		assert_memory_equal(h, want, 32);
		if (i == 8)
			break;
		assert_int_equal(hex_read(b, sizeof b, input[i], strlen(input[i]), &n), 0);
		merkle_leaf(span_of(b, n), h);
		merkle_add(&m, h, NULL, NULL);
	}
}

static void roots_by_definition(void **state)
{
	struct merkle m = { 0 };
	merkle_hash got, want;
	struct err e;

	(void)state;
	for (uint64_t n = 0;; n++) {
		merkle_root(&m, got);
		mth(0, n, want);
		assert_memory_equal(got, want, 32);
		assert_int_equal(merkle_root_at(&source, n, got, &e), 0);
		assert_memory_equal(got, want, 32);
		if (n == LEAVES)
			break;
		merkle_add(&m, leaf[n], NULL, NULL);
	}
}

static void inclusion(void **state)
{
	struct merkle_path p;
	merkle_hash root;
	struct err e;

	(void)state;
	for (uint64_t n = 1; n <= LEAVES; n++) {
		mth(0, n, root);
		for (uint64_t i = 0; i < n; i++) {
			assert_int_equal(merkle_prove_leaf(&source, n, i, &p, &e), 0);
			assert_true(merkle_holds_leaf(root, n, i, leaf[i], &p));
			assert_false(merkle_holds_leaf(root, n, i, leaf[(i + 1) % LEAVES], &p));
			for (uint64_t j = 0; j <= n; j++)
				assert_true(j == i || !merkle_holds_leaf(root, n, j, leaf[i], &p));
			for (size_t k = 0; k < p.n; k++) {
				p.hash[k][k % 32] ^= 1;
				assert_false(merkle_holds_leaf(root, n, i, leaf[i], &p));
				p.hash[k][k % 32] ^= 1;
			}
			p.n++;
			assert_false(merkle_holds_leaf(root, n, i, leaf[i], &p));
			p.n -= 2;
			assert_true(p.n > LEAVES || !merkle_holds_leaf(root, n, i, leaf[i], &p));
		}
		assert_int_equal(merkle_prove_leaf(&source, n, n, &p, &e), -1);
		assert_string_equal(e.code, "audit.range");
	}
	assert_false(merkle_holds_leaf(root, 0, 0, leaf[0], &p));
}

static void consistency(void **state)
{
	struct merkle_path p;
	merkle_hash first, root;
	struct err e;

	(void)state;
	for (uint64_t n = 1; n <= LEAVES; n++) {
		mth(0, n, root);
		for (uint64_t m = 1; m <= n; m++) {
			mth(0, m, first);
			assert_int_equal(merkle_prove_prefix(&source, m, n, &p, &e), 0);
			assert_true(merkle_holds_prefix(first, m, root, n, &p));
			for (uint64_t j = 1; j <= n; j++)
				assert_true(j == m || !merkle_holds_prefix(first, j, root, n, &p));
			first[0] ^= 1;
			assert_false(merkle_holds_prefix(first, m, root, n, &p));
			first[0] ^= 1;
			for (size_t k = 0; k < p.n; k++) {
				p.hash[k][31] ^= 0x80;
				assert_false(merkle_holds_prefix(first, m, root, n, &p));
				p.hash[k][31] ^= 0x80;
			}
		}
		assert_int_equal(merkle_prove_prefix(&source, n + 1, n, &p, &e), -1);
		assert_int_equal(merkle_prove_prefix(&source, 0, n, &p, &e), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_roots),
		cmocka_unit_test(roots_by_definition),
		cmocka_unit_test(inclusion),
		cmocka_unit_test(consistency),
	};

	return cmocka_run_group_tests_name("merkle", tests, setup, NULL);
}
