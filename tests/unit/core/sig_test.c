// The core's own signature checks against OpenSSL: constants, thousands of good and spoilt signatures, every
// edge value of r, s, digest and key, sums that meet infinity, and x(R) above the order.
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "core/sig/curve.h"
#include "core/sig/ecdsa.h"
#include "core/sig/own.h"

enum { WIDE = 48 };

#ifdef BIT_STEP // a sanitizer build takes fewer
enum { KEYS_256 = 8, KEYS_384 = 3, ROUNDS = 24 };
#else
enum { KEYS_256 = 60, KEYS_384 = 10, ROUNDS = 48 };
#endif

struct lab {
	const char *name;
	const struct curve *own;
	EC_GROUP *group;
	BN_CTX *ctx;
	BIGNUM *p, *n;
	size_t width; // of one number, bytes
	bool (*verify)(const uint8_t *key, const uint8_t *digest, const uint8_t *sig);
	size_t good, total;
};

struct signature {
	uint8_t key[2 * WIDE], digest[WIDE], sig[2 * WIDE];
};

static uint64_t seed = 20260101; // xorshift64: the same cases each time

static uint32_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32);
}

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)next();
}

static bool p256(const uint8_t *key, const uint8_t *digest, const uint8_t *sig)
{
	return ecdsa_p256(key, digest, sig);
}

static bool p384(const uint8_t *key, const uint8_t *digest, const uint8_t *sig)
{
	return ecdsa_p384(key, digest, sig);
}

static struct lab lab[2] = {
	{ .name = "prime256v1", .own = &curve_p256, .width = 32, .verify = p256 },
	{ .name = "secp384r1", .own = &curve_p384, .width = 48, .verify = p384 },
};

static int open_lab(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct lab *l = &lab[i];

		l->group = EC_GROUP_new_by_curve_name(OBJ_txt2nid(l->name));
		l->ctx = BN_CTX_new();
		l->p = BN_new();
		l->n = BN_new();
		if (!l->group || EC_GROUP_get_curve(l->group, l->p, NULL, NULL, l->ctx) != 1 ||
		    EC_GROUP_get_order(l->group, l->n, l->ctx) != 1)
			return -1;
	}
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		EC_GROUP_free(lab[i].group);
		BN_CTX_free(lab[i].ctx);
		BN_free(lab[i].p);
		BN_free(lab[i].n);
	}
	return 0;
}

// ---- the oracle

static EVP_PKEY *make_key(const struct lab *l, const uint8_t *key)
{
	EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	char group[16];
	uint8_t point[1 + 2 * WIDE] = { 4 };
	EVP_PKEY *made = NULL;

	strcpy(group, l->name);
	memcpy(point + 1, key, 2 * l->width);
	OSSL_PARAM param[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
			       OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
								 1 + 2 * l->width),
			       OSSL_PARAM_construct_end() };
	if (EVP_PKEY_fromdata_init(maker) != 1 ||
	    EVP_PKEY_fromdata(maker, &made, EVP_PKEY_PUBLIC_KEY, param) != 1)
		made = NULL;
	EVP_PKEY_CTX_free(maker);
	ERR_clear_error();
	return made;
}

static bool oracle(const struct lab *l, const struct signature *s)
{
	EVP_PKEY *key = make_key(l, s->key);
	EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	uint8_t *der = NULL;

	ECDSA_SIG_set0(sig, BN_bin2bn(s->sig, (int)l->width, NULL),
		       BN_bin2bn(s->sig + l->width, (int)l->width, NULL));
	int n = i2d_ECDSA_SIG(sig, &der);
	bool ok = ctx && n > 0 && EVP_PKEY_verify_init(ctx) == 1 &&
		  EVP_PKEY_verify(ctx, der, (size_t)n, s->digest, l->width) == 1;
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}

static bool agree(struct lab *l, const struct signature *s)
{
	bool want = oracle(l, s), got = l->verify(s->key, s->digest, s->sig);
	char hex[4 * WIDE + 1];

	l->total++;
	l->good += want;
	if (want != got) {
		struct wr w = wr_to(hex, sizeof hex - 1);
		wr_hex(&w, s->sig, 2 * l->width);
		hex[w.n] = 0;
		fail_msg("%s: OpenSSL says %d, own code %d; signature %s", l->name, want, got, hex);
	}
	return got;
}

// ---- making signatures by the book, with OpenSSL's numbers

static void put_point(const struct lab *l, uint8_t *key, const EC_POINT *q)
{
	BIGNUM *x = BN_new(), *y = BN_new();

	assert_int_equal(EC_POINT_get_affine_coordinates(l->group, q, x, y, l->ctx), 1);
	BN_bn2binpad(x, key, (int)l->width);
	BN_bn2binpad(y, key + l->width, (int)l->width);
	BN_free(x);
	BN_free(y);
}

static void key_of(const struct lab *l, uint8_t *key, const BIGNUM *d)
{
	EC_POINT *q = EC_POINT_new(l->group);

	assert_int_equal(EC_POINT_mul(l->group, q, d, NULL, NULL, l->ctx), 1);
	put_point(l, key, q);
	EC_POINT_free(q);
}

static BIGNUM *random_scalar(const struct lab *l)
{
	uint8_t b[WIDE];
	BIGNUM *v;

	fill(b, sizeof b);
	v = BN_bin2bn(b, (int)l->width, NULL);
	BN_mod(v, v, l->n, l->ctx);
	return v;
}

static void sign(const struct lab *l, struct signature *s, const BIGNUM *d)
{
	BIGNUM *k = random_scalar(l), *e = BN_bin2bn(s->digest, (int)l->width, NULL), *r = BN_new();
	BIGNUM *v = BN_new();
	uint8_t point[2 * WIDE];

	key_of(l, point, k);
	BN_bin2bn(point, (int)l->width, r);
	BN_mod(r, r, l->n, l->ctx);
	BN_mod_mul(v, r, d, l->n, l->ctx);
	BN_mod_add(v, v, e, l->n, l->ctx);
	BN_mod_inverse(k, k, l->n, l->ctx);
	BN_mod_mul(v, v, k, l->n, l->ctx);
	BN_bn2binpad(r, s->sig, (int)l->width);
	BN_bn2binpad(v, s->sig + l->width, (int)l->width);
	BN_free(k);
	BN_free(e);
	BN_free(r);
	BN_free(v);
}

// 0, 1, n-1, n, n+1, p-1, p, 2^w-1, p-n+1 (as r: r + n is above p and fits)
enum { EDGES = 9 };

static void edge(const struct lab *l, uint8_t *out, unsigned which)
{
	BIGNUM *v = BN_new();
	const BIGNUM *of = which >= 5 ? l->p : l->n;

	BN_zero(v);
	if (which >= 2)
		BN_copy(v, of);
	if (which == 1 || which == 4)
		BN_add_word(v, 1);
	if (which == 2 || which == 5)
		BN_sub_word(v, 1);
	if (which == 8)
		BN_add_word((BN_sub(v, l->p, l->n), v), 1);
	BN_bn2binpad(v, out, (int)l->width);
	if (which == 7)
		memset(out, 0xff, l->width);
	BN_free(v);
}

static void set_digest(const struct lab *l, uint8_t *digest, unsigned i)
{
	if (i % 6 < 2)
		edge(l, digest, (i / 6) % EDGES);
	else
		fill(digest, l->width);
}

// ---- tests

static void same_limbs(const struct lab *l, const uint32_t *got, const BIGNUM *plain, bool mont)
{
	BIGNUM *v = BN_dup(plain);
	uint8_t want[WIDE], have[WIDE];

	if (mont) {
		BN_lshift(v, v, (int)(8 * l->width));
		BN_mod(v, v, l->p, l->ctx);
	}
	BN_bn2binpad(v, want, (int)l->width);
	limbs_write(have, got, l->width / 4);
	assert_memory_equal(have, want, l->width);
	BN_free(v);
}

static void same_modulus(const struct lab *l, const struct modulus *m, const BIGNUM *want)
{
	BIGNUM *r = BN_new();

	assert_int_equal(m->n, l->width / 4);
	assert_int_equal(m->m0, mont_m0(m->m[0]));
	assert_int_equal((uint32_t)(m->m0 * m->m[0]), 0xffffffff);
	same_limbs(l, m->m, want, false);
	BN_one(r);
	BN_lshift(r, r, (int)(8 * l->width));
	BN_mod(r, r, want, l->ctx);
	same_limbs(l, m->one, r, false);
	BN_mod_sqr(r, r, want, l->ctx);
	same_limbs(l, m->rr, r, false);
	BN_free(r);
}

static void constants(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct lab *l = &lab[i];
		BIGNUM *b = BN_new(), *x = BN_new(), *y = BN_new(), *k = BN_new();
		EC_POINT *q = EC_POINT_new(l->group);

		same_modulus(l, &l->own->p, l->p);
		same_modulus(l, &l->own->n, l->n);
		EC_GROUP_get_curve(l->group, NULL, NULL, b, l->ctx);
		same_limbs(l, l->own->b, b, true);
		for (unsigned j = 0; j < CURVE_ODD; j++) {
			BN_set_word(k, 2 * j + 1);
			EC_POINT_mul(l->group, q, k, NULL, NULL, l->ctx);
			EC_POINT_get_affine_coordinates(l->group, q, x, y, l->ctx);
			same_limbs(l, l->own->g[j].x, x, true);
			same_limbs(l, l->own->g[j].y, y, true);
		}
		EC_POINT_free(q);
		BN_free(b);
		BN_free(x);
		BN_free(y);
		BN_free(k);
	}
}

static void spoil(const struct lab *l, struct signature *s, unsigned how)
{
	uint8_t *part[] = { s->sig, s->sig, s->digest, s->key };
	size_t size[] = { 2 * l->width, 2 * l->width, l->width, 2 * l->width };
	uint8_t half[WIDE];

	if (how >= 1 && how <= 3) {
		part[how][next() % size[how]] ^= (uint8_t)(1 << next() % 8);
	} else if (how == 4) { // swapped
		memcpy(half, s->sig, l->width);
		memmove(s->sig, s->sig + l->width, l->width);
		memcpy(s->sig + l->width, half, l->width);
	} else if (how == 5) { // n - s: as good as s
		BIGNUM *v = BN_bin2bn(s->sig + l->width, (int)l->width, NULL);
		BN_sub(v, l->n, v);
		BN_bn2binpad(v, s->sig + l->width, (int)l->width);
		BN_free(v);
	} else if (how == 6) {
		edge(l, s->sig, next() % EDGES);
	} else if (how == 7) {
		edge(l, s->sig + l->width, next() % EDGES);
	}
}

static void differential(struct lab *l, unsigned keys)
{
	l->good = l->total = 0;
	for (unsigned k = 0; k < keys; k++) {
		BIGNUM *d = k < 4 ? BN_new() : random_scalar(l);
		struct signature s;

		if (k == 0 || k == 2) // keys G, -G, 3G, -2G
			BN_set_word(d, k + 1);
		else if (k < 4)
			BN_sub_word((BN_copy(d, l->n), d), k == 1 ? 1 : 2);
		for (unsigned i = 0; i < ROUNDS; i++) {
			key_of(l, s.key, d);
			set_digest(l, s.digest, i / 8 + k);
			sign(l, &s, d);
			spoil(l, &s, i % 8);
			bool ok = agree(l, &s);
			if (i % 8 == 0 || i % 8 == 5)
				assert_true(ok);
		}
		BN_free(d);
	}
	assert_true(l->good >= l->total / 4 && l->good < l->total / 2);
	print_message("%s: %zu signatures, %zu of them good, the same answers as OpenSSL\n", l->name,
		      l->total, l->good);
}

static void many_p256(void **state)
{
	(void)state;
	differential(&lab[0], KEYS_256);
}

static void many_p384(void **state)
{
	(void)state;
	differential(&lab[1], KEYS_384);
}

// Every pair of edge values as r and s, on a few digests, under G, -G and another key.
static void qv_16_edge_scalars(void **state)
{
	(void)state;
	for (size_t c = 0; c < 2; c++) {
		struct lab *l = &lab[c];
		BIGNUM *d = BN_new();

		for (unsigned key = 0; key < 3; key++)
			for (unsigned i = 0; i < EDGES * EDGES; i++) {
				struct signature s;

				BN_set_word(d, key == 0 ? 1 : 77);
				if (key == 1)
					BN_sub_word((BN_copy(d, l->n), d), 1);
				key_of(l, s.key, d);
				edge(l, s.sig, i % EDGES);
				edge(l, s.sig + l->width, i / EDGES);
				for (unsigned digest = 0; digest < (c ? 2 : EDGES); digest++) {
					edge(l, s.digest, digest);
					assert_false(agree(l, &s));
				}
			}
		BN_free(d);
	}
}

// Sums that meet each other or infinity on the way: small multiples of G as keys, u = +-v, u G = -v Q.
static void qv_16_infinity(void **state)
{
	(void)state;
	for (size_t c = 0; c < 2; c++) {
		struct lab *l = &lab[c];
		BIGNUM *d = BN_new(), *r = BN_new(), *e = BN_new();

		for (unsigned i = 1; i <= 40; i++) {
			struct signature s;
			BIGNUM *v = random_scalar(l);

			BN_set_word(d, (i + 1) / 2);
			if (i % 2)
				BN_sub(d, l->n, d);
			key_of(l, s.key, d);
			BN_set_word(r, i);
			BN_bn2binpad(v, s.sig + l->width, (int)l->width);
			BN_bn2binpad(r, s.sig, (int)l->width);
			BN_mod_mul(e, r, d, l->n, l->ctx); // u = -v d: infinity
			BN_sub(e, l->n, e);
			BN_bn2binpad(e, s.digest, (int)l->width);
			assert_false(agree(l, &s));
			BN_bn2binpad(r, s.digest, (int)l->width); // u = v
			agree(l, &s);
			BN_sub(e, l->n, r); // u = -v
			BN_bn2binpad(e, s.digest, (int)l->width);
			agree(l, &s);
			memset(s.digest, 0, sizeof s.digest); // u = 0
			agree(l, &s);
			sign(l, &s, d);
			assert_true(agree(l, &s));
			BN_free(v);
		}
		BN_free(d);
		BN_free(r);
		BN_free(e);
	}
}

// x(R) = r + n: r small enough, and a point with that x. The key is made to fit: Q = (s R - e G) / r.
static bool wrapped(const struct lab *l, struct signature *s, unsigned small)
{
	BIGNUM *x = BN_dup(l->n), *r = BN_new(), *inverse = BN_new(), *a = random_scalar(l);
	BIGNUM *b = random_scalar(l);
	EC_POINT *point = EC_POINT_new(l->group), *q = EC_POINT_new(l->group);

	BN_add_word(x, small);
	BN_set_word(r, small);
	bool on_curve = BN_cmp(x, l->p) < 0 &&
			EC_POINT_set_compressed_coordinates(l->group, point, x, small & 1, l->ctx) == 1;
	if (on_curve) {
		BN_bn2binpad(r, s->sig, (int)l->width);
		BN_bn2binpad(a, s->sig + l->width, (int)l->width);
		BN_bn2binpad(b, s->digest, (int)l->width);
		BN_mod_inverse(inverse, r, l->n, l->ctx);
		BN_mod_mul(a, a, inverse, l->n, l->ctx);
		BN_mod_mul(b, b, inverse, l->n, l->ctx);
		BN_sub(b, l->n, b);
		EC_POINT_mul(l->group, q, b, point, a, l->ctx);
		put_point(l, s->key, q);
	}
	EC_POINT_free(point);
	EC_POINT_free(q);
	BN_free(x);
	BN_free(r);
	BN_free(inverse);
	BN_free(a);
	BN_free(b);
	ERR_clear_error();
	return on_curve;
}

static void x_above_the_order(void **state)
{
	(void)state;
	for (size_t c = 0; c < 2; c++) {
		unsigned made = 0;

		for (unsigned small = 1; made < 20; small++) {
			struct signature s;

			if (!wrapped(&lab[c], &s, small))
				continue;
			made++;
			assert_true(agree(&lab[c], &s));
			s.sig[lab[c].width - 1] ^= 1;
			assert_false(agree(&lab[c], &s));
		}
	}
}

// Keys that are none: off the curve, (0, 0), a coordinate of p or more that is right modulo p.
static void qv_16_keys(void **state)
{
	(void)state;
	for (size_t c = 0; c < 2; c++) {
		struct lab *l = &lab[c];
		BIGNUM *d = random_scalar(l), *x = BN_new();
		EC_POINT *q = EC_POINT_new(l->group);
		struct signature s, good;
		unsigned big = 0;

		fill(good.digest, sizeof good.digest);
		key_of(l, good.key, d);
		sign(l, &good, d);
		assert_true(agree(l, &good));
		for (unsigned i = 0; i < (c ? 800 : 4000); i++) {
			s = good;
			s.key[i % (2 * l->width)] ^= (uint8_t)(1 + next() % 255);
			assert_false(l->verify(s.key, s.digest, s.sig));
		}
		s = good;
		memset(s.key, 0, sizeof s.key);
		assert_false(agree(l, &s));
		s = good;
		memset(s.key + l->width, 0xff, l->width);
		assert_false(agree(l, &s));
		for (unsigned i = 0; big < 8; i++) { // (x, y) with x tiny, written as (x + p, y)
			BN_set_word(x, i);
			if (EC_POINT_set_compressed_coordinates(l->group, q, x, 0, l->ctx) != 1)
				continue;
			big++;
			s = good;
			put_point(l, s.key, q);
			// s = 1, e = 0: the sum is r Q. With r = 1 it is Q itself and x its x.
			memset(s.digest, 0, sizeof s.digest);
			memset(s.sig, 0, sizeof s.sig);
			s.sig[l->width - 1] = s.sig[2 * l->width - 1] = 1;
			agree(l, &s);
			BN_add(x, x, l->p);
			BN_bn2binpad(x, s.key, (int)l->width);
			assert_false(agree(l, &s));
		}
		ERR_clear_error();
		EC_POINT_free(q);
		BN_free(x);
		BN_free(d);
	}
}

// The one door to all of them: by the algorithm, with the lengths that belong to it.
static void by_algorithm(void **state)
{
	uint8_t key[96], sig[96];
	struct sig_check c = { REASON_OK, SIG_P256_SHA256, span_of("m", 1), span_of(key, 64),
			       span_of(sig, 64) };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct lab *l = &lab[i];
		BIGNUM *d = random_scalar(l);
		struct signature s;

		EVP_Digest("m", 1, s.digest, NULL, i ? EVP_sha384() : EVP_sha256(), NULL);
		key_of(l, key, d);
		sign(l, &s, d);
		memcpy(sig, s.sig, sizeof sig);
		c.alg = i ? SIG_P384_SHA384 : SIG_P256_SHA256;
		c.key.n = c.sig.n = 2 * l->width;
		assert_true(sig_own(&c));
		c.msg.n = 0;
		assert_false(sig_own(&c));
		c.msg.n = 1;
		c.sig.n--;
		assert_false(sig_own(&c));
		c.sig.n++;
		c.key.n--;
		assert_false(sig_own(&c));
		BN_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constants),          cmocka_unit_test(by_algorithm),
		cmocka_unit_test(many_p256),          cmocka_unit_test(many_p384),
		cmocka_unit_test(qv_16_edge_scalars), cmocka_unit_test(qv_16_infinity),
		cmocka_unit_test(qv_16_keys),         cmocka_unit_test(x_above_the_order),
	};
	return cmocka_run_group_tests(tests, open_lab, close_lab);
}
