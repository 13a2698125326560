// QV-19: every bit of a genuine quote, flipped one at a time. Nothing is accepted but flips among the blanks
// of the PEM text, whose places are printed, and in the padding behind the quote, which belongs to nothing.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "crypto/engine.h"
#include "evidence_files.h"

#ifndef BIT_STEP
#define BIT_STEP 1 // a sanitizer build takes fewer
#endif

static const struct {
	const char *dir, *quote, *collateral_dir, *collateral;
	uint64_t now;
	size_t step;
} cases[] = {
	{ "real/dcap-qvl", "tdx_quote", "real/dcap-qvl", "tdx_quote_collateral.json", 1750588248, BIT_STEP },
	{ "real/dcap-qvl", "sgx_quote", "real/dcap-qvl", "sgx_quote_collateral.json", 1750588248,
	  7 * BIT_STEP },
};

static bool is_blank(uint8_t c)
{
	return c == '\n' || c == '\r' || c == '\t' || c == ' ' || !c;
}

// The parts of a quote by the offset where each ends.
struct parts {
	struct {
		const char *name;
		size_t end, accepted, flips;
	} part[12];
	size_t n;
};

static void add(struct parts *p, const char *name, const uint8_t *from, const uint8_t *end)
{
	p->part[p->n].name = name;
	p->part[p->n++].end = (size_t)(end - from);
}

static void take_apart(struct parts *p, const struct quote *q, const uint8_t *from, size_t n)
{
	add(p, "header", from, from + QUOTE_HEADER);
	add(p, "body", from, q->body.p + q->body.n);
	add(p, "length of the signature data", from, q->sig.p);
	add(p, "signature", from, q->sig.p + 64);
	add(p, "attestation key", from, q->att_key.p + 64);
	add(p, "outer type and length", from, q->qe_report.p);
	add(p, "QE report", from, q->qe_report.p + q->qe_report.n);
	add(p, "QE report signature", from, q->qe_report_sig.p + 64);
	add(p, "QE authentication data", from, q->qe_auth.p + q->qe_auth.n);
	add(p, "certification type and length", from, q->cert_data.p);
	add(p, "PEM chain", from, q->cert_data.p + q->cert_data.n);
	add(p, "padding", from, from + n);
}

static void print_places(const size_t *at, size_t n)
{
	print_message("harmless places in the PEM text:");
	for (size_t i = 0; i < n; i++)
		if (!i || at[i] != at[i - 1])
			print_message(" %zu", at[i]);
	print_message("\n");
}

static void flip_all(size_t which)
{
	static size_t harmless[4096];
	struct span was = file_read(cases[which].dir, cases[which].quote);
	struct dcap_input in = { .now = cases[which].now };
	struct err e = { 0 };
	struct engine *g = engine_new(&e);
	struct parts p = { .n = 0 };
	struct dcap_result r;
	struct quote q;
	size_t bits = 0, n = 0, k = 0;
	uint8_t *copy = malloc(was.n);

	assert_true(copy && g);
	memcpy(copy, was.p, was.n);
	in.collateral = file_read(cases[which].collateral_dir, cases[which].collateral);
	in.quote = span_of(copy, was.n);
	assert_int_equal(dcap_verify(g, &in, &r, &e), 0);
	assert_int_equal(quote_parse(&q, in.quote), REASON_OK);
	take_apart(&p, &q, copy, was.n);
	for (size_t bit = 0; bit < was.n * 8; bit += cases[which].step, bits++) {
		size_t at = bit / 8;
		while (at >= p.part[k].end)
			k++;
		copy[at] ^= (uint8_t)(1 << bit % 8);
		p.part[k].flips++;
		if (!dcap_verify(g, &in, &r, &e)) {
			p.part[k].accepted++;
			if (!strcmp(p.part[k].name, "PEM chain")) {
				if (!is_blank(was.p[at]) || !is_blank(copy[at]))
					fail_msg("byte %zu, %02x for %02x, accepted", at, copy[at],
						 was.p[at]);
				assert_true(n < sizeof harmless / sizeof *harmless);
				harmless[n++] = at;
			}
		}
		copy[at] = was.p[at];
	}
	print_message("%s: %zu bits flipped\n", cases[which].quote, bits);
	print_places(harmless, n);
	for (size_t i = 0; i < p.n; i++) {
		bool outside = !strcmp(p.part[i].name, "padding"),
		     text = !strcmp(p.part[i].name, "PEM chain");
		print_message("  %-30s %6zu flips, %zu accepted\n", p.part[i].name, p.part[i].flips,
			      p.part[i].accepted);
		if (outside)
			assert_int_equal(p.part[i].accepted, p.part[i].flips);
		else if (!text)
			assert_int_equal(p.part[i].accepted, 0);
	}
	free(copy);
	engine_free(g);
	file_free_all();
}

static void qv_19_every_bit_of_a_tdx_quote(void **state)
{
	(void)state;
	flip_all(0);
}

static void qv_19_bits_of_an_sgx_quote(void **state)
{
	(void)state;
	flip_all(1);
}

// The same for everything in the collateral that is signed, and for the chains that say by whom.
static void qv_19_bits_of_the_collateral(void **state)
{
	static uint8_t arena[1 << 17], text[1 << 17];
	struct dcap_input in = { .quote = file_read("real/dcap-qvl", "tdx_quote"), .now = 1750588248 };
	struct span json = file_read("real/dcap-qvl", "tdx_quote_collateral.json");
	struct collateral c;
	struct err e = { 0 };
	struct engine *g = engine_new(&e);
	struct dcap_result r;
	size_t used, bits = 0, harmless = 0, bit = 0;

	(void)state;
	assert_non_null(g);
	assert_int_equal(collateral_parse(&c, json, arena, sizeof arena, &used), 0);
	struct span part[] = { c.root_ca_crl,
			       c.pck_crl,
			       c.tcb_info,
			       c.tcb_info_signature,
			       c.qe_identity,
			       c.qe_identity_signature,
			       c.pck_crl_issuer_chain,
			       c.tcb_info_issuer_chain,
			       c.qe_identity_issuer_chain };
	for (size_t i = 0; i < sizeof part / sizeof *part; i++, bit = 0)
		for (; bit < part[i].n * 8; bit += 7 * BIT_STEP, bits++) {
			uint8_t *at = arena + (part[i].p - arena) + bit / 8, was = *at;
			struct wr w = wr_to(text, sizeof text);
			*at ^= (uint8_t)(1 << bit % 8);
			collateral_write(&w, &c);
			assert_false(w.bad);
			in.collateral = span_of(text, w.n);
			if (!dcap_verify(g, &in, &r, &e)) {
				if (i < 6 || !is_blank(was) || !is_blank(*at))
					fail_msg("part %zu, byte %zu: %02x for %02x", i, bit / 8, *at, was);
				harmless++;
			}
			*at = was;
		}
	print_message("%zu bits flipped, %zu harmless\n", bits, harmless);
	engine_free(g);
	file_free_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qv_19_every_bit_of_a_tdx_quote),
		cmocka_unit_test(qv_19_bits_of_an_sgx_quote),
		cmocka_unit_test(qv_19_bits_of_the_collateral),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
