// RB-03, whole evidence: no bytes, and every beginning of each form that the verifier takes, are refused with
// a known code; so are beginnings of the collateral and of the expectations.
#include "guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/verdict/reason.h"

#ifdef FEW // under a sanitizer
enum { STEP = 401 };
#else
enum { STEP = 31 };
#endif

static struct guest g;

// Every length up to 300 and in the last 300 bytes; in between each STEPth.
static size_t after(size_t n, size_t whole)
{
	return n + (n < 300 || whole - n <= 300 || n + STEP >= whole ? 1 : STEP);
}

static void refused(const char *name, size_t n, size_t whole, const struct verify *v)
{
	if (v->verdict.ok)
		fail_msg("%s: %zu of %zu bytes were accepted", name, n, whole);
	if (!reason_find(span_str(v->verdict.code)))
		fail_msg("%s: %zu of %zu bytes: unknown code %s", name, n, whole, v->verdict.code);
}

static void every_prefix(const char *name, struct span s)
{
	guest_accepts(s, NULL);
	for (size_t n = 0; n < s.n; n = after(n, s.n))
		refused(name, n, s.n, guest_judge(span_of(s.p, n), NULL, guest_image()));
}

static struct span kept(struct span s)
{
	static uint8_t room[8][GUEST_ROOM];
	static size_t next;
	uint8_t *p = room[next++ % 8];

	assert_true(s.n <= GUEST_ROOM);
	memcpy(p, s.p, s.n);
	return span_of(p, s.n);
}

static void rb_03_envelope(void **state)
{
	(void)state;
	guest_new(&g);
	guest_bind(&g);
	every_prefix("envelope", kept(guest_envelope(&g, false)));
	every_prefix("envelope in hex", kept(guest_hex(guest_envelope(&g, true))));
}

static void rb_03_answer(void **state)
{
	(void)state;
	guest_new(&g);
	guest_bind(&g);
	every_prefix("GetQuote", kept(guest_get_quote(&g)));
}

static void rb_03_certificate(void **state)
{
	(void)state;
	guest_new(&g);
	guest_bind(&g);
	struct cert_extras x = { .attestation = kept(guest_envelope(&g, true)) };
	struct span der = kept(guest_cert(&x)), pem = kept(guest_pem(der));

	every_prefix("certificate", der);
	while (pem.n && pem.p[pem.n - 1] == '\n')
		pem.n--;
	every_prefix("certificate in PEM", pem);
}

static void rb_03_collateral_and_expectations(void **state)
{
	static const char expect[] = "{\"development\":true}";
	struct verify_input in = { .binding = VERIFY_BIND_STATED };

	(void)state;
	guest_new(&g);
	guest_bind(&g);
	struct span evidence = kept(guest_envelope(&g, false)), col = kept(guest_collateral());
	while (col.n && (col.p[col.n - 1] == '\n' || col.p[col.n - 1] == ' '))
		col.n--;
	for (size_t n = 1; n < col.n; n = after(n, col.n)) {
		in.collateral = span_of(col.p, n);
		refused("collateral", n, col.n, guest_judge(evidence, &in, guest_image()));
	}
	in.collateral = col;
	guest_accepts(evidence, &in);
	for (size_t n = 0; n < sizeof expect - 1; n++) {
		in.expect = span_of(expect, n);
		refused("expectations", n, sizeof expect - 1, guest_judge(evidence, &in, guest_image()));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rb_03_envelope),
		cmocka_unit_test(rb_03_answer),
		cmocka_unit_test(rb_03_certificate),
		cmocka_unit_test(rb_03_collateral_and_expectations),
	};

	return cmocka_run_group_tests(tests, guest_setup, guest_teardown);
}
