#include "core/sig/ecdsa.h"

#include "core/hash/sha2.h"
#include "core/sig/curve.h"

enum { BITS_MAX = 32 * CURVE_LIMBS, WINDOW = 16, DIGITS = BITS_MAX + 1 };

// Jacobian: (x / z^2, y / z^3); z = 0 is the point at infinity.
struct point {
	uint32_t x[CURVE_LIMBS], y[CURVE_LIMBS], z[CURVE_LIMBS];
};

static void twice(uint32_t *r, const uint32_t *a, const struct modulus *p)
{
	mont_add(r, a, a, p);
}

// "dbl-2001-b" of the Explicit-Formulas Database, a = -3.
static void point_double(struct point *r, const struct point *a, const struct modulus *p)
{
	uint32_t delta[CURVE_LIMBS], gamma[CURVE_LIMBS], beta[CURVE_LIMBS], alpha[CURVE_LIMBS];
	uint32_t t[CURVE_LIMBS], u[CURVE_LIMBS];

	mont_mul(delta, a->z, a->z, p);
	mont_mul(gamma, a->y, a->y, p);
	mont_mul(beta, a->x, gamma, p);
	mont_sub(t, a->x, delta, p);
	mont_add(u, a->x, delta, p);
	mont_mul(t, t, u, p);
	twice(alpha, t, p);
	mont_add(alpha, alpha, t, p);
	mont_add(u, a->y, a->z, p);
	mont_mul(u, u, u, p);
	mont_sub(u, u, gamma, p);
	mont_sub(r->z, u, delta, p);
	twice(beta, beta, p);
	twice(beta, beta, p); // 4 beta
	mont_mul(t, alpha, alpha, p);
	mont_sub(t, t, beta, p);
	mont_sub(r->x, t, beta, p);
	mont_sub(t, beta, r->x, p);
	mont_mul(t, alpha, t, p);
	mont_mul(gamma, gamma, gamma, p);
	twice(gamma, gamma, p);
	twice(gamma, gamma, p);
	twice(gamma, gamma, p); // 8 gamma^2
	mont_sub(r->y, t, gamma, p);
}

// "add-1998-cmo-2" of the same, with the cases it leaves out. `r` may be `a`. `b` is not infinity: it is a
// small multiple of a point whose order is a large prime.
static void point_add(struct point *r, const struct point *a, const struct point *b, const struct modulus *p)
{
	uint32_t za[CURVE_LIMBS], zb[CURVE_LIMBS], ua[CURVE_LIMBS], ub[CURVE_LIMBS], sa[CURVE_LIMBS];
	uint32_t sb[CURVE_LIMBS], h[CURVE_LIMBS], d[CURVE_LIMBS], t[CURVE_LIMBS];

	if (limbs_zero(a->z, p->n)) {
		*r = *b;
		return;
	}
	mont_mul(za, a->z, a->z, p);
	mont_mul(zb, b->z, b->z, p);
	mont_mul(ua, a->x, zb, p);
	mont_mul(ub, b->x, za, p);
	mont_mul(sa, a->y, zb, p);
	mont_mul(sa, sa, b->z, p);
	mont_mul(sb, b->y, za, p);
	mont_mul(sb, sb, a->z, p);
	mont_sub(h, ub, ua, p);
	mont_sub(d, sb, sa, p);
	if (limbs_zero(h, p->n)) {
		if (limbs_zero(d, p->n))
			point_double(r, a, p);
		else
			*r = (struct point){ 0 }; // a = -b
		return;
	}
	mont_mul(t, a->z, b->z, p);
	mont_mul(r->z, t, h, p);
	mont_mul(t, h, h, p);
	mont_mul(ua, ua, t, p);
	mont_mul(h, h, t, p); // h^3
	mont_mul(t, d, d, p);
	mont_sub(t, t, h, p);
	mont_sub(t, t, ua, p);
	mont_sub(r->x, t, ua, p);
	mont_sub(t, ua, r->x, p);
	mont_mul(t, d, t, p);
	mont_mul(sa, sa, h, p);
	mont_sub(r->y, t, sa, p);
}

// 1, 3, 5 .. 15 times `a`.
static void odd_multiples(struct point t[CURVE_ODD], const struct point *a, const struct modulus *p)
{
	struct point two;

	point_double(&two, a, p);
	t[0] = *a;
	for (int i = 1; i < CURVE_ODD; i++)
		point_add(&t[i], &t[i - 1], &two, p);
}

// Signed digits: each 0 or odd and below WINDOW in size, of any five in a row at most one not 0. Their
// number.
static int digits(int8_t out[DIGITS], const uint32_t *k, size_t n)
{
	uint32_t v[CURVE_LIMBS + 1] = { 0 };
	int count = 0;

	limbs_set(v, k, n);
	for (int i = 0; !limbs_zero(v, n + 1); i++) {
		uint32_t step[CURVE_LIMBS + 1] = { 0 };
		int d = v[0] & 1 ? (int)(v[0] & (2 * WINDOW - 1)) : 0;

		if (d >= WINDOW)
			d -= 2 * WINDOW;
		step[0] = (uint32_t)(d < 0 ? -d : d);
		if (d < 0)
			limbs_add(v, v, step, n + 1);
		else
			limbs_sub(v, v, step, n + 1);
		for (size_t j = 0; j <= n; j++)
			v[j] = v[j] >> 1 | (j < n ? v[j + 1] << 31 : 0);
		out[i] = (int8_t)d;
		count = i + 1;
	}
	return count;
}

static void add_digit(struct point *sum, struct point q, int d, const struct modulus *p)
{
	static const uint32_t zero[CURVE_LIMBS];

	if (d < 0)
		mont_sub(q.y, zero, q.y, p);
	point_add(sum, sum, &q, p);
}

static int size(int d)
{
	return (d < 0 ? -d : d) / 2;
}

// u G + v Q, both from the highest digit down at once.
static void two_products(struct point *sum, const struct curve *c, const uint32_t *u, const uint32_t *v,
			 const struct point *q)
{
	struct point multiple[CURVE_ODD], g = { 0 };
	int8_t du[DIGITS], dv[DIGITS];
	int nu = digits(du, u, c->n.n), nv = digits(dv, v, c->n.n);

	odd_multiples(multiple, q, &c->p);
	limbs_set(g.z, c->p.one, c->p.n);
	*sum = (struct point){ 0 };
	for (int i = nu > nv ? nu : nv; i--;) {
		point_double(sum, sum, &c->p);
		if (i < nu && du[i]) {
			limbs_set(g.x, c->g[size(du[i])].x, c->p.n);
			limbs_set(g.y, c->g[size(du[i])].y, c->p.n);
			add_digit(sum, g, du[i], &c->p);
		}
		if (i < nv && dv[i])
			add_digit(sum, multiple[size(dv[i])], dv[i], &c->p);
	}
}

// The public key, if both coordinates are below p and y^2 = x^3 - 3 x + b.
static bool read_key(struct point *q, const uint8_t *key, const struct curve *c)
{
	const struct modulus *p = &c->p;
	uint32_t x[CURVE_LIMBS], y[CURVE_LIMBS], left[CURVE_LIMBS], right[CURVE_LIMBS];

	limbs_read(x, p->n, key);
	limbs_read(y, p->n, key + 4 * p->n);
	if (limbs_cmp(x, p->m, p->n) >= 0 || limbs_cmp(y, p->m, p->n) >= 0)
		return false;
	mont_in(q->x, x, p);
	mont_in(q->y, y, p);
	limbs_set(q->z, p->one, p->n);
	mont_mul(left, q->y, q->y, p);
	mont_mul(right, q->x, q->x, p);
	mont_mul(right, right, q->x, p);
	mont_add(right, right, c->b, p);
	twice(x, q->x, p);
	mont_add(x, x, q->x, p);
	mont_sub(right, right, x, p);
	return !limbs_cmp(left, right, p->n);
}

// x(a) = r, without a division: X = r Z^2.
static bool has_x(const struct point *a, const uint32_t *r, const struct modulus *p)
{
	uint32_t t[CURVE_LIMBS], z[CURVE_LIMBS];

	mont_mul(z, a->z, a->z, p);
	mont_in(t, r, p);
	mont_mul(t, t, z, p);
	return !limbs_cmp(t, a->x, p->n);
}

// FIPS 186-4, section 6.4; the digest is as wide as the curve.
static bool verify(const struct curve *c, const uint8_t *key, const uint8_t *digest, const uint8_t *sig)
{
	const struct modulus *p = &c->p, *n = &c->n;
	uint32_t r[CURVE_LIMBS], s[CURVE_LIMBS], e[CURVE_LIMBS], u[CURVE_LIMBS], v[CURVE_LIMBS];
	struct point q = { 0 }, sum;

	limbs_read(r, n->n, sig);
	limbs_read(s, n->n, sig + 4 * n->n);
	limbs_read(e, n->n, digest);
	if (limbs_zero(r, n->n) || limbs_zero(s, n->n) || limbs_cmp(r, n->m, n->n) >= 0 ||
	    limbs_cmp(s, n->m, n->n) >= 0 || !read_key(&q, key, c))
		return false;
	if (limbs_cmp(e, n->m, n->n) >= 0)
		limbs_sub(e, e, n->m, n->n); // once is enough: 2^256 < 2 n
	mont_in(s, s, n);
	mont_invert(s, s, n);
	mont_mul(u, e, s, n); // out of Montgomery form again
	mont_mul(v, r, s, n);
	two_products(&sum, c, u, v, &q);
	if (limbs_zero(sum.z, p->n))
		return false;
	// r is x modulo n, and n < p: x may also have been r + n.
	return has_x(&sum, r, p) ||
	       (!limbs_add(r, r, n->m, n->n) && limbs_cmp(r, p->m, p->n) < 0 && has_x(&sum, r, p));
}

bool ecdsa_p256(const uint8_t key[static 64], const uint8_t digest[static 32], const uint8_t sig[static 64])
{
	return verify(&curve_p256, key, digest, sig);
}

bool ecdsa_p384(const uint8_t key[static 96], const uint8_t digest[static 48], const uint8_t sig[static 96])
{
	return verify(&curve_p384, key, digest, sig);
}

bool ecdsa_p256_sha256(const uint8_t key[static 64], struct span msg, const uint8_t sig[static 64])
{
	uint8_t digest[32];

	sha256(msg.p, msg.n, digest);
	return verify(&curve_p256, key, digest, sig);
}

bool ecdsa_p384_sha384(const uint8_t key[static 96], struct span msg, const uint8_t sig[static 96])
{
	uint8_t digest[48];

	sha384(msg.p, msg.n, digest);
	return verify(&curve_p384, key, digest, sig);
}
