// QV-16: signatures and keys at the edge of P-256, at each of the nine places where a signature is checked.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/sig/own.h"
#include "qv_fixture.h"

#define Z32 "0000000000000000000000000000000000000000000000000000000000000000"
#define ONE "0000000000000000000000000000000000000000000000000000000000000001"
#define TOP "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
// FIPS 186-4, D.1.2.3: the order of the group, one less and one more; the prime of the field
#define N_0 "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
#define N_L "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550"
#define N_P "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552"
#define P_0 "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
#define P_P "ffffffff00000001000000000000000000000001000000000000000000000000"
#define G_X "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
#define G_Y "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"

static const struct site {
	enum forge_layer layer;
	const char *code;
} sites[] = {
	{ FORGE_ROOT_CRL, "crl.signature" },
	{ FORGE_CA, "crl.signature" },
	{ FORGE_PCK_CRL, "crl.signature" },
	{ FORGE_TCB, "tcb_info.chain" },
	{ FORGE_TCB_INFO, "tcb_info.signature" },
	{ FORGE_QE_IDENTITY, "qe_identity.signature" },
	{ FORGE_PCK, "pck.chain" },
	{ FORGE_QE_REPORT, "quote.qe_signature" },
	{ FORGE_QUOTE, "quote.signature" },
};
enum { SITES = sizeof sites / sizeof *sites };

// The core's own engine, the page's, must think the same of the signature that is wrong, and of one that is
// not.
static void expect(struct forge *f, const char *code)
{
	static struct dcap d;
	size_t compared = 0;

	qv_expect(f, code);
	dcap_begin(&d, &qv.in, engine_collateral(qv.engine, qv.in.collateral, 0));
	for (size_t i = 0; i < d.checks; i++) {
		bool holds = engine_run(qv.engine, &d.check[i], 1, REASON_OK);
		if (holds && compared)
			continue;
		compared += holds;
		if (sig_own(&d.check[i]) != holds)
			fail_msg("%s: the engines differ on check %zu", code, i);
	}
}

static void qv_16_edge_scalars(void **state)
{
	static const char *const half[] = { Z32, ONE, N_L, N_0, N_P, P_0, P_P, TOP, G_X };
	size_t n = 0;

	(void)state;
	for (size_t s = 0; s < SITES; s++)
		for (size_t r = 0; r < sizeof half / sizeof *half; r++)
			for (size_t k = 0; k < sizeof half / sizeof *half; k++, n++) {
				char both[129];
				struct forge *f = qv_fresh(FORGE_TDX4);
				snprintf(both, sizeof both, "%s%s", half[r], half[k]);
				f->sign[sites[s].layer].raw = qv_hex(both);
				expect(f, sites[s].code);
			}
	print_message("%zu signatures\n", n);
}

// One half of a good signature kept.
static void qv_16_half_a_signature(void **state)
{
	static const char *const half[] = { Z32, ONE, N_L, N_0, N_P, TOP };

	(void)state;
	for (size_t s = 0; s < SITES; s++)
		for (size_t k = 0; k < 2 * sizeof half / sizeof *half; k++) {
			uint8_t sig[64];
			struct forge *f = qv_fresh(FORGE_TDX4);
			qv_build(f);
			memcpy(sig, qv.out.sig[sites[s].layer].p, 64);
			memcpy(sig + 32 * (k & 1), qv_hex(half[k / 2]).p, 32);
			f->sign[sites[s].layer].raw = span_of(sig, 64);
			expect(f, sites[s].code);
		}
}

static void qv_16_wrong_signatures(void **state)
{
	(void)state;
	for (size_t s = 0; s < SITES; s++) {
		enum forge_layer l = sites[s].layer;
		struct forge *f;

		for (int fault = FORGE_FLIP; fault <= FORGE_SWAP; fault++) {
			f = qv_fresh(FORGE_SGX3);
			f->sign[l].fault = (enum forge_fault)fault;
			expect(f, sites[s].code);
		}
		f = qv_fresh(FORGE_TDX4); // the right key over something else
		f->sign[l].over = span_str("something else");
		expect(f, sites[s].code);
		f = qv_fresh(FORGE_TDX4); // the signature of another layer by whichever key
		qv_build(f);
		uint8_t sig[64];
		memcpy(sig, qv.out.sig[sites[(s + 1) % SITES].layer].p, 64);
		f->sign[l].raw = span_of(sig, 64);
		expect(f, sites[s].code);
	}
}

// s and n - s are both good (no low-s rule, spec 17.19).
static void qv_16_both_values_of_s(void **state)
{
	(void)state;
	for (size_t s = 0; s < SITES; s++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		uint8_t sig[64], order[32];
		int borrow = 0;

		qv_build(f);
		memcpy(sig, qv.out.sig[sites[s].layer].p, 64);
		memcpy(order, qv_hex(N_0).p, 32);
		for (int i = 31; i >= 0; i--) {
			int d = order[i] - sig[32 + i] - borrow;
			borrow = d < 0;
			sig[32 + i] = (uint8_t)(d + 256 * borrow);
		}
		f->sign[sites[s].layer].raw = span_of(sig, 64);
		expect(f, "ok");
	}
}

// Signatures that are no 64 bytes, or no DER of two numbers.
static void qv_16_forms(void **state)
{
	static const char *const der[] = {
		"",
		"00",
		"3000",
		"30060201010201",
		"3007020101020101",
		"300602010102010100",
		"3106020101020101",
		"300602010102018102",
		"30800201010201010000",
		"300702020001020101",
		"30060201ff020101",
		"3009020101020101020101",
		"308106020101020101",
	};
	static const enum forge_layer in_der[] = { FORGE_ROOT_CRL, FORGE_PCK_CRL, FORGE_CA, FORGE_PCK,
						   FORGE_TCB };
	static const char *const code[] = { "crl.format", "crl.format", "crl.format", "pck.chain",
					    "tcb_info.chain" };
	static const size_t sizes[] = { 0, 1, 63, 65, 128 };
	static uint8_t bytes[128];

	(void)state;
	for (size_t l = 0; l < sizeof in_der / sizeof *in_der; l++)
		for (size_t i = 0; i < sizeof der / sizeof *der; i++) {
			struct forge *f = qv_fresh(FORGE_TDX4);
			f->sign[in_der[l]].raw = qv_hex(der[i]);
			expect(f, code[l]);
		}
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		f->sign[FORGE_TCB_INFO].raw = span_of(bytes, sizes[i]);
		expect(f, "tcb_info.signature");
		f = qv_fresh(FORGE_TDX4);
		f->sign[FORGE_QE_IDENTITY].raw = span_of(bytes, sizes[i]);
		expect(f, "qe_identity.signature");
	}
}

// The key at each place: infinity (all zero), off the curve, coordinates of the field's size and beyond.
static void qv_16_points(void **state)
{
	static const char *const point[] = { Z32 Z32, G_X G_X, G_Y G_X, P_0 G_Y, P_P G_Y,
					     G_X P_0, TOP TOP, Z32 ONE, ONE ONE };
	static const struct {
		enum forge_layer cert;
		const char *code;
	} keys[] = { { FORGE_ROOT, "crl.signature" },
		     { FORGE_CA, "crl.signature" },
		     { FORGE_PCK, "quote.qe_signature" },
		     { FORGE_TCB, "tcb_info.signature" } };

	(void)state;
	for (size_t p = 0; p < sizeof point / sizeof *point; p++) {
		for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
			struct forge *f = qv_fresh(FORGE_TDX4);
			f->cert[keys[k].cert].point = qv_hex(point[p]);
			qv_expect_own_root(f, keys[k].code);
		}
		struct forge *f = qv_fresh(FORGE_TDX4);
		f->quote.attestation_key = qv_hex(point[p]); // vouched for
		expect(f, "quote.signature");
		f->sign[FORGE_QUOTE].fault = FORGE_ZERO;
		expect(f, "quote.signature");
	}
	// Coordinates exchanged, and the point at infinity or a compressed point in a certificate.
	struct forge *f = qv_fresh(FORGE_TDX4);
	uint8_t swapped[64];
	memcpy(swapped, qv.keys.key[FORGE_KEY_ATT].pub + 32, 32);
	memcpy(swapped + 32, qv.keys.key[FORGE_KEY_ATT].pub, 32);
	f->quote.attestation_key = span_of(swapped, 64);
	expect(f, "quote.signature");
	static const char *const bits[] = { "03020000",
					    "032200"
					    "02" G_X,
					    "034200"
					    "06" G_X G_Y,
					    "034201"
					    "04" G_X G_Y };
	for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
		f = qv_fresh(FORGE_TDX4);
		forge_edit(f, (struct forge_edit){ .layer = FORGE_PCK,
						   .op = FORGE_DER_SET,
						   .path = "6.1",
						   .bytes = qv_hex(bits[i]) });
		expect(f, "pck.chain");
	}
	// A generator as key is a key like any other: whoever knows its scalar (1) signs.
	f = qv_fresh(FORGE_TDX4);
	f->quote.attestation_key = qv_hex(G_X G_Y);
	expect(f, "quote.signature");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qv_16_edge_scalars),
		cmocka_unit_test(qv_16_half_a_signature),
		cmocka_unit_test(qv_16_wrong_signatures),
		cmocka_unit_test(qv_16_both_values_of_s),
		cmocka_unit_test(qv_16_forms),
		cmocka_unit_test(qv_16_points),
	};
	return cmocka_run_group_tests(tests, qv_setup, qv_teardown);
}
