// Sign and Verify: upstream's known answers, both verdicts for every algorithm, what is malformed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/strings.h"
#include "core/hash/keccak.h"
#include "core/hash/sha2.h"
#include "sign.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
// Spec 10 section 13: the key of upstream's simulator, and what its SDKs' tests expect of it.
#define ROOT        "d6e88992cdeeee35fe70b5db61ab66cdb191fb9b6ec9313757ef162dd7214d5d"
#define ROOT_PUB    "02818494263695e8839122dbd88e281d7380622999df4e60a14befa0f2d096fc7c"
#define K256_PUBLIC "036105f01d1fd781568f7c208b087b1c4f522601410ed7e9c7870d573de7c46d54"
#define K256_SIGNED                                                                                          \
	"673932366ab5452967919dbb290a20b095e0a65ef35baa7bd47abcc23e37f0dc"                                   \
	"3f42c80fc1680af6ba57c9cb5bcf08f5d89aa4b6f69c819ef28045b0e0134992"
#define ED_PUBLIC "698f56bd587d8ce3ca8db0e1c361ba9d190089f98dc4d9df800ff92ed073a65d"
static const char message[] = "Test message for signing";

static struct span text(const char *s)
{
	return span_str(s);
}

static struct span bytes(const char *hex)
{
	static uint8_t room[8][128];
	static unsigned next;
	uint8_t *p = room[next++ % COUNT(room)];
	size_t n;

	assert_int_equal(hex_read(p, 128, hex, strlen(hex), &n), 0);
	return span_of(p, n);
}

static void open_keys(struct key_file *k)
{
	static const char json[] = "{\"k256_key\":\"" ROOT "\",\"k256_signature\":\"\",\"ca_cert\":\"C\","
				   "\"key_provider\":{\"Local\":{\"key\":\"P\",\"mr\":\"\"}}}";
	struct err e;

	assert_int_equal(key_file_parse("keys", json, sizeof json - 1, k, &e), 0);
}

static void known_signatures(void **state)
{
	struct key_file k;
	struct app_signature s, alias;
	struct err e;

	(void)state;
	open_keys(&k);
	assert_int_equal(app_sign(&k, "secp256k1", text(message), &s, &e), 0);
	assert_string_equal(STR_HEX(s.bytes, 64), K256_SIGNED);
	assert_string_equal(STR_HEX(s.public, s.public_n), K256_PUBLIC);
	assert_int_equal(app_sign(&k, "k256", text(message), &alias, &e), 0);
	assert_memory_equal(s.bytes, alias.bytes, 64);
	assert_int_equal(app_sign(&k, "ed25519", text(message), &s, &e), 0);
	assert_string_equal(STR_HEX(s.public, s.public_n), ED_PUBLIC);
	assert_string_equal(STR_HEX(s.bytes, 4), "5d1b9014");
	assert_string_equal(STR_HEX(s.bytes + 61, 3), "288f04");
	key_file_free(&k);
}

// The prehashed form over SHA-256 of the data is the plain form.
static void prehashed(void **state)
{
	struct key_file k;
	struct app_signature s;
	struct err e;
	uint8_t digest[32];

	(void)state;
	open_keys(&k);
	sha256(message, sizeof message - 1, digest);
	assert_int_equal(app_sign(&k, "secp256k1_prehashed", span_of(digest, 32), &s, &e), 0);
	assert_string_equal(STR_HEX(s.bytes, 64), K256_SIGNED);
	assert_int_equal(app_sign(&k, "secp256k1_prehashed", text(message), &s, &e), -1);
	assert_string_equal(e.code, "agent.digest");
	assert_string_equal(e.text, "Pre-hashed signing requires a 32-byte digest, but received 24 bytes");
	assert_int_equal(app_sign(&k, "secp256k1_prehashed", text(""), &s, &e), -1);
	assert_string_equal(e.code, "agent.digest");
	key_file_free(&k);
}

// The chain's second element: whoever knows the app's root key learns that the signing key is the app's.
static void chain_leads_to_the_root(void **state)
{
	static const char *const algorithms[] = { "secp256k1", "ed25519" };
	struct key_file k;
	struct app_signature s;
	struct err e;
	uint8_t digest[32], signer[33];
	char statement[128];

	(void)state;
	open_keys(&k);
	for (size_t i = 0; i < COUNT(algorithms); i++) {
		assert_int_equal(app_sign(&k, algorithms[i], text(message), &s, &e), 0);
		snprintf(statement, sizeof statement, "signing:%s", STR_HEX(s.public, s.public_n));
		keccak256(statement, strlen(statement), digest);
		assert_int_equal(k256_recover(digest, s.key_signature, signer, &e), 0);
		assert_string_equal(STR_HEX(signer, 33), ROOT_PUB);
	}
	key_file_free(&k);
}

static void algorithms_that_do_not_sign(void **state)
{
	static const char *const bad[] = { "",          "rsa", "ED25519", "secp256r1", "ed25519_prehashed",
					   "secp256k1 " };
	struct key_file k;
	struct app_signature s;
	struct derived_key d;
	struct err e;
	bool valid;

	(void)state;
	open_keys(&k);
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(app_sign(&k, bad[i], text("x"), &s, &e), -1);
		assert_string_equal(e.code, "agent.algorithm");
		assert_string_equal(e.text, "Unsupported algorithm");
		assert_int_equal(
			app_verify(bad[i], text("x"), bytes(K256_SIGNED), bytes(K256_PUBLIC), &valid, &e),
			-1);
		assert_string_equal(e.text, "Unsupported algorithm");
		assert_int_equal(app_signing_key(&k, bad[i], &d, &e), -1);
	}
	assert_int_equal(app_signing_key(&k, "secp256k1_prehashed", &d, &e), -1);
	assert_string_equal(e.text, "Unsupported algorithm");
	key_file_free(&k);
}

static bool holds(const char *algorithm, struct span data, struct span sig, struct span pub)
{
	bool valid = false;
	struct err e = { 0 };

	if (app_verify(algorithm, data, sig, pub, &valid, &e))
		fail_msg("%s: %s", algorithm, e.text);
	return valid;
}

static void verify_both_ways(void **state)
{
	static const char *const algorithms[] = { "secp256k1", "k256", "ed25519", "secp256k1_prehashed" };
	struct key_file k;
	struct app_signature s;
	struct err e;

	(void)state;
	open_keys(&k);
	for (size_t i = 0; i < COUNT(algorithms); i++) {
		struct span data = text("0123456789abcdef0123456789abcdef");
		assert_int_equal(app_sign(&k, algorithms[i], data, &s, &e), 0);
		struct span sig = span_of(s.bytes, 64), pub = span_of(s.public, s.public_n);
		assert_true(holds(algorithms[i], data, sig, pub));
		assert_false(holds(algorithms[i], text("0123456789abcdef0123456789abcdeF"), sig, pub));
		assert_false(holds(algorithms[i], text("short"), sig, pub));
		s.bytes[40] ^= 1;
		assert_false(holds(algorithms[i], data, sig, pub));
		s.bytes[40] ^= 1;
		assert_int_equal(app_sign(&k, algorithms[i], data, &s, &e), 0);
	}
	assert_false(holds("ed25519", text(""), span_of(s.bytes, 64), bytes(ED_PUBLIC)));
	key_file_free(&k);
}

// RFC 8032 section 7.1, tests 1 to 3: an independent source.
static void ed25519_of_the_rfc(void **state)
{
	static const struct {
		const char *pub, *msg, *sig;
	} t[] = {
		{ "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
		  "f9b46b"
		  "d25bf5f0595bbe24655141438e7a100b" },
		{ "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
		  "f11d8c"
		  "387b2eaeb4302aeeb00d291612bb0c00" },
		{ "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f76098"
		  "4dc659"
		  "4a7c15e9716ed28dc027beceea1ec40a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		assert_true(holds("ed25519", bytes(t[i].msg), bytes(t[i].sig), bytes(t[i].pub)));
		assert_false(holds("ed25519", bytes("73"), bytes(t[i].sig), bytes(t[i].pub)));
	}
}

// s and n - s are both solutions; only the lower is taken, so a signature cannot be changed into another.
static void the_high_half_does_not_hold(void **state)
{
	static const char high[] = "673932366ab5452967919dbb290a20b095e0a65ef35baa7bd47abcc23e37f0dc"
				   "c0bd37f03e97f50945a83634a430f708e214382fb8ac1e9ccd5218dbf022f7af";
	struct key_file k;
	struct err e;
	bool valid = true;

	(void)state;
	open_keys(&k);
	assert_true(holds("secp256k1", text(message), bytes(K256_SIGNED), bytes(K256_PUBLIC)));
	assert_int_equal(app_verify("secp256k1", text(message), bytes(high), bytes(K256_PUBLIC), &valid, &e),
			 0);
	assert_false(valid);
	key_file_free(&k);
}

static void digests_of_other_lengths(void **state)
{
	struct key_file k;
	struct app_signature s;
	struct err e;
	uint8_t data[40] = { 0 };

	(void)state;
	open_keys(&k);
	memset(data + 12, 0x5a, sizeof data - 12);
	assert_int_equal(app_sign(&k, "secp256k1_prehashed", span_of(data, 32), &s, &e), 0);
	struct span sig = span_of(s.bytes, 64), pub = span_of(s.public, s.public_n);
	assert_true(holds("secp256k1_prehashed", span_of(data, 40), sig, pub));      // its left 32 bytes
	assert_true(holds("secp256k1_prehashed", span_of(data + 12, 20), sig, pub)); // the same number
	assert_false(holds("secp256k1_prehashed", span_of(data + 17, 15), sig, pub));
	assert_false(holds("secp256k1_prehashed", span_of(data, 0), sig, pub));
	key_file_free(&k);
}

static void malformed_input(void **state)
{
	static const char zero_r[] = "0000000000000000000000000000000000000000000000000000000000000000"
				     "0000000000000000000000000000000000000000000000000000000000000001";
	static const char order[] = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
				    "0000000000000000000000000000000000000000000000000000000000000001";
	static const char off_curve[] = "020000000000000000000000000000000000000000000000000000000000000005";
	static const char hybrid[] = "0679be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
				     "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
	static const char no_point[] = "0200000000000000000000000000000000000000000000000000000000000000";
	const struct {
		const char *algorithm, *sig, *pub, *code;
	} bad[] = {
		{ "secp256k1", "00", K256_PUBLIC, "key.signature" },
		{ "secp256k1", "", K256_PUBLIC, "key.signature" },
		{ "secp256k1", K256_SIGNED "00", K256_PUBLIC, "key.signature" },
		{ "secp256k1", zero_r, K256_PUBLIC, "key.signature" },
		{ "secp256k1", order, K256_PUBLIC, "key.signature" },
		{ "secp256k1_prehashed", order, K256_PUBLIC, "key.signature" },
		{ "secp256k1", K256_SIGNED, "", "key.public" },
		{ "secp256k1", K256_SIGNED, ED_PUBLIC, "key.public" },
		{ "secp256k1", K256_SIGNED, off_curve, "key.public" },
		{ "secp256k1", K256_SIGNED, hybrid, "key.public" },
		{ "ed25519", "00", ED_PUBLIC, "key.signature" },
		{ "ed25519", K256_SIGNED, K256_PUBLIC, "key.public" },
		{ "ed25519", K256_SIGNED, "", "key.public" },
		{ "ed25519", K256_SIGNED, no_point, "key.public" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = { 0 };
		bool valid = true;
		if (!app_verify(bad[i].algorithm, text(message), bytes(bad[i].sig), bytes(bad[i].pub), &valid,
				&e))
			fail_msg("accepted: %s %zu", bad[i].algorithm, i);
		assert_string_equal(e.code, bad[i].code);
		assert_int_equal(e.class, ERR_INPUT);
		assert_false(valid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_signatures),
		cmocka_unit_test(prehashed),
		cmocka_unit_test(chain_leads_to_the_root),
		cmocka_unit_test(algorithms_that_do_not_sign),
		cmocka_unit_test(verify_both_ways),
		cmocka_unit_test(ed25519_of_the_rfc),
		cmocka_unit_test(the_high_half_does_not_hold),
		cmocka_unit_test(digests_of_other_lengths),
		cmocka_unit_test(malformed_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
