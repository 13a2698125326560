// Every form in which evidence travels, of one guest: the same verdict from each; malformed ones are refused
// by name.
#include "guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "../evidence/load.h"

static struct guest g;

static struct span pack(struct span text, const char *head)
{
	static uint8_t out[1 << 20];
	z_stream z = { 0 };
	size_t n = strlen(head);

	memcpy(out, head, n);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (uint8_t *)(uintptr_t)text.p;
	z.avail_in = (unsigned)text.n;
	z.next_out = out + n;
	z.avail_out = (unsigned)(sizeof out - n);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	n += z.total_out;
	deflateEnd(&z);
	return span_of(out, n);
}

static void fresh(void)
{
	guest_new(&g);
	guest_bind(&g);
}

static void envelopes_raw_and_hex(void **state)
{
	(void)state;
	fresh();
	struct span raw = guest_envelope(&g, false), digits = guest_hex(raw);

	assert_int_equal(raw.p[0], 0);
	guest_accepts(raw, NULL);
	guest_accepts(guest_envelope(&g, true), NULL);
	guest_accepts(digits, NULL);
	guest_accepts(guest_text("\n 0x%.*s\r\n", (int)digits.n, digits.p), NULL);
	guest_refuses(span_of(digits.p, digits.n - 1), NULL,
		      "envelope.version"); // then it is no hex, but text
	guest_refuses(span_of(raw.p, raw.n - 1), NULL, "envelope.format");
	guest_refuses(span_str(""), NULL, "envelope.format");
	guest_refuses(span_str("hello"), NULL, "envelope.version");
	for (size_t i = 0; i < g.runtime.n; i++)
		g.events[i].version = 2;
	guest_build(&g);
	raw = guest_envelope(&g, false);
	assert_int_equal(raw.p[0] & 0xf0, 0x80);
	guest_accepts(raw, NULL);
	guest_accepts(guest_hex(raw), NULL);
	guest_accepts(guest_envelope(&g, true), NULL);
}

static void a_raw_quote_says_nothing_about_the_app(void **state)
{
	(void)state;
	fresh();
	guest_refuses(guest_quote(), NULL, "events.absent");
	guest_refuses(guest_hex(guest_quote()), NULL, "events.absent");
	struct verify *v = guest_judge(guest_quote(), NULL, guest_image());

	assert_true(v->has_quote);
	assert_string_equal(guest_claim(v, "quote"), "");
	assert_string_equal(guest_claim(v, "tcb"), "");
	assert_null(guest_claim(v, "mrtd"));
	struct verify_input in = { .binding = VERIFY_BIND_STATED,
				   .form = VERIFY_QUOTE,
				   .event_log = guest_log_json(&g),
				   .vm_config = span_str(g.config) };

	guest_accepts(guest_quote(), &in);
	guest_refuses(span_of(guest_quote().p, 700), NULL, "quote.truncated");
	guest_refuses(span_str("\4\0\2\0"), NULL, "envelope.version"); // C text ends before the quote does
	guest_refuses(span_of("\4\0\2\0", 4), NULL, "quote.truncated");
}

static void json_answers(void **state)
{
	(void)state;
	fresh();
	struct span answer = guest_get_quote(&g), envelope = guest_hex(guest_envelope(&g, false)),
		    collateral = guest_collateral(), text = guest_json_string(collateral);
	struct verify_input none = { .binding = VERIFY_BIND_STATED, .collateral = span_str("x") };

	guest_accepts(answer, NULL);
	guest_accepts(guest_text("{\"attestation\":\"%.*s\"}", (int)envelope.n, envelope.p), NULL);
	guest_accepts(guest_text(" {\"attestation\":\"%.*s\",\"quote\":\"zz\",\"event_log\":7}\n",
				 (int)envelope.n, envelope.p),
		      NULL); // beside an attestation they are not looked at
	guest_accepts(guest_text("%.*s,\"attestation\":null,\"debug\":true}", (int)answer.n - 1, answer.p),
		      NULL);
	guest_refuses(answer, &none, "collateral.format");
	none.collateral = span_of("", 0);
	guest_accepts(guest_text("%.*s,\"collateral\":%.*s}", (int)answer.n - 1, answer.p, (int)collateral.n,
				 collateral.p),
		      &none);
	guest_accepts(
		guest_text("%.*s,\"collateral\":%.*s}", (int)answer.n - 1, answer.p, (int)text.n, text.p),
		&none);
	guest_refuses(answer, &none, "collateral.missing");
}

static void malformed_json(void **state)
{
	(void)state;
	fresh();
	struct span q = guest_hex(guest_quote()), answer = guest_get_quote(&g);

	guest_refuses(span_str("{"), NULL, "evidence.json");
	guest_refuses(span_str("{}"), NULL, "evidence.json");
	guest_refuses(span_str("{\"attestation\":\"0\"}"), NULL, "evidence.json");
	guest_refuses(span_str("{\"attestation\":7}"), NULL, "evidence.json");
	guest_refuses(span_str("{\"quote\":\"\"}"), NULL, "evidence.json");
	guest_refuses(span_str("{\"quote\":\"00\",\"quote\":\"00\"}"), NULL, "evidence.json");
	guest_refuses(guest_text("{\"quote\":\"%.*s\",\"event_log\":[]}", (int)q.n, q.p), NULL,
		      "evidence.json");
	guest_refuses(guest_text("{\"quote\":\"%.*s\",\"event_log\":\"x\"}", (int)q.n, q.p), NULL,
		      "events.format");
	guest_refuses(guest_text("{\"quote\":\"%.*s\",\"vm_config\":{}}", (int)q.n, q.p), NULL,
		      "evidence.json");
	guest_refuses(guest_text("{\"quote\":\"%.*s\",\"report_data\":\"33\"}", (int)q.n, q.p), NULL,
		      "evidence.json");
	guest_refuses(guest_text("{\"quote\":\"%.*s\",\"collateral\":7}", (int)q.n, q.p), NULL,
		      "evidence.json");
	guest_refuses(guest_text("%.*s x", (int)answer.n, answer.p), NULL, "evidence.json");
	assert_true(guest_judge(span_str("{}"), NULL, NULL)->unreadable);
}

static void certificates(void **state)
{
	(void)state;
	fresh();
	struct span log = guest_log_json(&g);
	struct cert_extras now = { .attestation = guest_envelope(&g, true) },
			   legacy = { .quote = guest_quote(), .event_log = log },
			   packed = { .quote = guest_quote(), .event_log = pack(log, "ELGZv1") };
	struct verify_input in = { .binding = VERIFY_BIND_KEY },
			    legacy_in = { .binding = VERIFY_BIND_KEY, .vm_config = span_str(g.config) };

	guest_accepts(guest_cert(&now), NULL);
	guest_accepts(guest_cert(&now), &in);
	guest_accepts(guest_pem(guest_cert(&now)), &in);
	assert_true(log.n < VERIFY_LOG_MAX);
	guest_accepts(guest_cert(&legacy), &legacy_in);
	guest_accepts(guest_cert(&packed), &legacy_in);
	assert_string_equal(
		verdict_find(&guest_judge(guest_cert(&now), &in, guest_image())->verdict, "binding")->value,
		"to the certificate's key");
	guest_refuses(guest_envelope(&g, true), &in, "verify.not_certificate");
	struct span der = guest_cert(&now), pem = guest_pem(der);

	guest_refuses(span_of(der.p, der.n - 1), &in, "ratls.certificate");
	guest_refuses(guest_text("%.*s", (int)pem.n - 30, pem.p), &in, "ratls.certificate");
	guest_refuses(guest_text("%.*sx", (int)pem.n, pem.p), &in, "ratls.certificate");
	guest_accepts(guest_text("%.*s%.*s", (int)pem.n, pem.p, (int)pem.n, pem.p),
		      &in); // a chain, leaf first
}

// RB-03: what is cut off anywhere is refused, and the whole of it is not.
static void rb_03_prefixes(void **state)
{
	(void)state;
	fresh();
	struct cert_extras x = { .attestation = guest_envelope(&g, true) };
	struct span forms[] = { guest_envelope(&g, true), guest_get_quote(&g), guest_cert(&x),
				guest_hex(guest_envelope(&g, true)) };

	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
		size_t step = forms[f].n / 400 + 1;

		for (size_t n = 0; n < forms[f].n; n += n < 64 ? 1 : step)
			assert_false(guest_judge(span_of(forms[f].p, n), NULL, guest_image())->verdict.ok);
		guest_accepts(forms[f], NULL);
	}
}

// Whatever bit flips, the verdict stays no (or the bit is in padding that nothing says anything about).
static void flipped_bytes_never_turn_into_trust_of_something_else(void **state)
{
	(void)state;
	fresh();
	struct span whole = guest_envelope(&g, true);
	uint8_t *copy = malloc(whole.n);

	assert_non_null(copy);
	for (size_t i = 0; i < whole.n; i += 37) {
		memcpy(copy, whole.p, whole.n);
		copy[i] ^= 1u << i % 8;
		struct verify *v = guest_judge(span_of(copy, whole.n), NULL, guest_image());

		if (v->verdict.ok) {
			assert_memory_equal(v->boot.app_id, g.app_id, 20);
			assert_memory_equal(v->boot.compose_hash, g.compose_hash, 32);
			assert_memory_equal(v->boot.report_data, g.report_data, 64);
		}
	}
	free(copy);
}

static void limits(void **state)
{
	uint8_t *big = calloc(1, VERIFY_EVIDENCE_MAX + 1);

	(void)state;
	fresh();
	assert_non_null(big);
	guest_refuses(span_of(big, VERIFY_EVIDENCE_MAX + 1), NULL, "envelope.size");
	guest_refuses(span_of(big, VERIFY_EVIDENCE_MAX), NULL, "envelope.trailing");
	memset(big, '0', VERIFY_EVIDENCE_MAX);
	guest_refuses(span_of(big, VERIFY_EVIDENCE_MAX), NULL, "envelope.trailing");
	memset(big, '[', VERIFY_EVIDENCE_MAX);
	big[0] = '{';
	guest_refuses(span_of(big, VERIFY_EVIDENCE_MAX), NULL, "evidence.json");
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelopes_raw_and_hex),
		cmocka_unit_test(a_raw_quote_says_nothing_about_the_app),
		cmocka_unit_test(json_answers),
		cmocka_unit_test(malformed_json),
		cmocka_unit_test(certificates),
		cmocka_unit_test(rb_03_prefixes),
		cmocka_unit_test(flipped_bytes_never_turn_into_trust_of_something_else),
		cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests(tests, guest_setup, guest_teardown);
}
