// check - one signature that the evidence core asks its engine to check: all that any two-phase function
// (`X_begin` lists at most 16 of them, an engine runs them, `X_finish` gives the result) needs from outside.
//
// The spans point into the input or into the context of the function that listed the check, and hold until
// its next begin. On wasm32 a check is 32 bytes: eight little-endian words, reason, alg, then address and
// length of message, key and signature. FIPS 186-5; RSASSA-PSS is RFC 8017 with MGF1 of the same hash.
#pragma once
#include "core/verdict/reason.h"

enum sig_alg {
	SIG_P256_SHA256,    // key X || Y, 64 bytes; signature r || s, 64 bytes; all big-endian
	SIG_P384_SHA384,    // 96 bytes each
	SIG_RSA_PSS_SHA384, // key: modulus of 256, 384 or 512 bytes, first bit set, exponent 65537;
			    // signature of the same length; salt of exactly 48 bytes
};

enum { SIG_CHECKS = 16, SIG_KEY_MAX = 512, SIG_MAX = 512, SIG_RSA_MIN = 256 };

struct sig_check {
	enum reason reason; // when it does not hold
	enum sig_alg alg;
	struct span msg, key, sig;
};

_Static_assert(sizeof(enum reason) == 4 && sizeof(enum sig_alg) == 4, "layout that other engines read");
_Static_assert(sizeof(struct sig_check) == 8 + 3 * sizeof(struct span), "no padding");

// The lengths are those of the algorithm. Engines refuse everything else.
static inline bool sig_check_is_sound(const struct sig_check *c)
{
	switch (c->alg) {
	case SIG_P256_SHA256:
		return c->key.n == 64 && c->sig.n == 64;
	case SIG_P384_SHA384:
		return c->key.n == 96 && c->sig.n == 96;
	case SIG_RSA_PSS_SHA384:
		return c->key.n >= SIG_RSA_MIN && c->key.n <= SIG_KEY_MAX && c->key.n % 128 == 0 &&
		       c->key.p[0] & 0x80 && c->sig.n == c->key.n;
	default:
		return false;
	}
}
