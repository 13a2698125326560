// curve - the constants of the NIST curves P-256 and P-384 (FIPS 186-4, appendix D.1.2), a = -3.
//
// `b` and the points are in Montgomery form. tests/unit/core/sig_test.c computes each of them again with
// OpenSSL.
#pragma once
#include "core/sig/mont.h"

enum { CURVE_LIMBS = 12, CURVE_ODD = 8 };

struct affine {
	uint32_t x[CURVE_LIMBS], y[CURVE_LIMBS];
};

struct curve {
	struct modulus p, n;
	const uint32_t *b;
	const struct affine *g; // 1, 3, 5 .. 15 times the base point
};

extern const struct curve curve_p256, curve_p384;
