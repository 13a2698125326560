// Root sets after the first against answers of another implementation (tests/vectors/roots.py), and
// statements that do not hold.
#include "known.h"

#include "crypto/appkeys.h"
#include "crypto/k256.h"
#include "crypto/p256.h"
#include "crypto/rotation.h"
#include "crypto/ssl.h"

static struct json all;

static void keys_of_a_set(void **state)
{
	struct json v;
	struct err e;
	int n = 0;

	(void)state;
	struct json cases = known(all, "cases");
	for (struct json_iter it = json_iter(cases); json_next(&it, NULL, &v); n++) {
		struct span app = known_bytes(v, "app_id"), inst = known_bytes(v, "instance_id");
		struct app_epoch at = { .seed = known_bytes(v, "deployment_seed") };
		uint8_t d[32], spki[P256_SPKI];
		struct app_keys k;
		struct roots r;

		memcpy(r.ca, known_bytes(v, "ca").p, 32);
		memcpy(r.k256, known_bytes(v, "k256").p, 32);
		assert_int_equal(json_u64(known(v, "epoch"), UINT64_MAX, &at.epoch), 0);
		assert_int_equal(appkeys_derive_at(&r, &at, app.p, inst, &k, &e), 0);
		known_is(v, "disk_crypt_key", k.disk, 32);
		known_is(v, "env_crypt_key", k.env, 32);
		known_is(v, "k256_key", k.k256, 32);
		known_is(v, "k256_signature", k.k256_sig, 65);
		assert_int_equal(appkeys_ca(&r, app.p, d, &e), 0);
		auto_pkey EVP_PKEY *ca = p256_from_scalar(d, &e);
		assert_int_equal(p256_spki(ca, spki, &e), 0);
		known_is(v, "app_ca_spki", spki, sizeof spki);
	}
	assert_int_equal(n, 6);
}

static struct rotation rotation_of(struct json v, uint8_t before[static 33])
{
	struct rotation r = { 0 };
	uint64_t index;
	struct err e;

	assert_int_equal(json_u64(known(v, "index"), 8, &index), 0);
	assert_int_equal(json_u64(known(v, "time"), UINT64_MAX, &r.time), 0);
	r.index = (uint32_t)index;
	memcpy(r.ca_spki, known_bytes(v, "ca_pubkey").p, sizeof r.ca_spki);
	memcpy(r.k256_pub, known_bytes(v, "k256_pubkey").p, sizeof r.k256_pub);
	assert_int_equal(k256_public(known_bytes(v, "before_k256").p, before, &e), 0);
	return r;
}

static void statements(void **state)
{
	struct json v;
	struct err e;
	int n = 0;

	(void)state;
	struct json cases = known(all, "rotations");
	for (struct json_iter it = json_iter(cases); json_next(&it, NULL, &v); n++) {
		uint8_t before[33], signer[33], id[32];
		struct rotation r = rotation_of(v, before), again;

		assert_int_equal(
			rotation_sign(&r, known_bytes(v, "before_k256").p, known_bytes(v, "k256").p, &e), 0);
		known_is(v, "signature", r.signature, 65);
		known_is(v, "own_signature", r.own_signature, 65);
		rotation_id(r.ca_spki, r.k256_pub, id);
		known_is(v, "id", id, 32);
		assert_int_equal(rotation_check(&r, r.index, before, &e), 0);
		assert_int_equal(rotation_signer(&r, signer, &e), 0);
		assert_memory_equal(signer, before, 33);
		auto_sb text = { 0 };
		rotation_write(&text, &r, span_str("evidence"));
		assert_int_equal(rotation_read(&again, span_of(text.p, text.n), &e), 0);
		assert_memory_equal(&again, &r, sizeof r);
	}
	assert_int_equal(n, 2);
}

static void refused(const struct rotation *r, uint32_t index, const uint8_t before[static 33])
{
	struct err e = { 0 };

	assert_int_equal(rotation_check(r, index, before, &e), -1);
	assert_string_equal(e.code, "roots.statement");
}

// Another key, another place, anything in it changed, signed by one side only.
static void statements_that_do_not_hold(void **state)
{
	struct json cases = known(all, "rotations"), v;
	struct json_iter it = json_iter(cases);
	uint8_t before[33];
	struct err e;

	(void)state;
	assert_true(json_next(&it, NULL, &v));
	struct rotation r = rotation_of(v, before), bad;
	const uint8_t *first = known_bytes(v, "before_k256").p, *own = known_bytes(v, "k256").p;
	assert_int_equal(rotation_sign(&r, first, own, &e), 0);
	assert_int_equal(rotation_check(&r, 1, before, &e), 0);
	refused(&r, 2, before);
	refused(&r, 1, r.k256_pub);
	for (int i = 0; i < 5; i++) {
		bad = r;
		uint8_t *const part[] = { (uint8_t *)&bad.time, bad.ca_spki + 90, bad.k256_pub + 32,
					  bad.signature + 10, bad.own_signature + 10 };
		*part[i] ^= 1;
		refused(&bad, 1, before);
	}
	bad = r;
	assert_int_equal(rotation_sign(&bad, first, first, &e), 0); // without the new key
	refused(&bad, 1, before);
	assert_int_equal(rotation_sign(&bad, own, own, &e), 0); // without the old one
	refused(&bad, 1, before);
	assert_int_equal(rotation_read(&bad, span_str("{}"), &e), -1);
	assert_int_equal(rotation_read(&bad, span_str("[1,2,3,4,5,6,7]"), &e), -1);
	assert_string_equal(e.code, "roots.statement");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_a_set),
		cmocka_unit_test(statements),
		cmocka_unit_test(statements_that_do_not_hold),
	};

	if (argc != 2)
		return 2;
	all = known_open(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
