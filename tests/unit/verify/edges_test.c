// The corners of the verdict: what is missing, malformed or contradictory in otherwise good evidence.
#include "guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/envelope.h"
#include "core/codec/base64.h"
#include "core/hash/sha2.h"
#include "core/sig/own.h"

static struct guest g;

static void fresh(void)
{
	guest_new(&g);
	guest_build(&g);
}

static struct span sealed(void)
{
	guest_build(&g);
	return guest_envelope(&g, true);
}

// The core alone, as the page runs it: anchor and image as said.
static struct verify *core(struct span evidence, enum anchor anchor, const struct fault *fault,
			   const char *expect)
{
	static struct dcap_collateral col;
	static struct verify v;
	static uint8_t scratch[VERIFY_SCRATCH(1 << 17)];
	struct verify_input in = { .evidence = evidence,
				   .binding = VERIFY_BIND_STATED,
				   .expect = span_str(expect),
				   .collateral = guest_collateral(),
				   .now = GUEST_NOW };
	const struct sig_check *checks;
	uint32_t passed = 0;

	(void)verify_read(&v, &in, scratch, sizeof scratch);
	dcap_collateral_read(&col, verify_collateral(&v), guest_root(), anchor);
	verify_begin(&v, &col);
	for (size_t i = 0, n = verify_checks(&v, &checks); i < n; i++)
		passed |= (uint32_t)sig_own(&checks[i]) << i;
	if (fault)
		v.image_fault = *fault;
	verify_finish(&v, passed, fault ? NULL : guest_image());
	return &v;
}

static void the_soft_profile_is_for_development_roots(void **state)
{
	(void)state;
	fresh();
	assert_true(core(sealed(), ANCHOR_DEVELOPMENT, NULL, "{}")->verdict.ok);
	struct verify *v = core(sealed(), ANCHOR_INTEL, NULL, "{}");

	assert_false(v->verdict.ok);
	assert_string_equal(v->verdict.code, "measure.soft_profile");
}

static void what_was_looked_for_in_vain_is_said(void **state)
{
	struct fault unknown = { "measure.base_unverified", "no image in /images has it", 0 },
		     broken = { "image.file", "a file of it was changed", 0 };

	(void)state;
	fresh();
	struct verify *v = core(sealed(), ANCHOR_DEVELOPMENT, &unknown, "{}");

	assert_string_equal(v->verdict.code, "measure.base_unverified");
	assert_non_null(strstr(v->verdict.error, "no image in /images"));
	v = core(sealed(), ANCHOR_DEVELOPMENT, &broken, "{}");
	assert_string_equal(v->verdict.code, "image.file");
}

static void config(uint64_t memory, const char *list, struct span cbor)
{
	uint8_t b64[4096];
	struct wr m = wr_to(b64, 2048), l = wr_to(b64 + 2048, 2048);
	struct span hash = guest_hex(span_of(g.image_hash, 32));

	wr_base64(&m, cbor);
	wr_base64(&l, span_str(list));
	snprintf(g.config, sizeof g.config,
		 "{\"os_image_hash\":\"%.64s\",\"memory_size\":%llu,\"tee\":\"soft\",\"swtpm\":true,"
		 "\"qemu_version\":\"7.2.22\",\"tdx_measurement\":{\"checksum_file\":\"%.*s\","
		 "\"measurement\":\"%.*s\"}}",
		 (const char *)hash.p, (unsigned long long)memory, (int)l.n, (const char *)l.p, (int)m.n,
		 (const char *)m.p);
}

static void carried_measurements_are_checked(void **state)
{
	uint8_t cbor[1024], digest[32];
	char list[200], expect[100];
	struct fault f = { "measure.base_unverified", "not here", 0 };

	(void)state;
	fresh();
	snprintf(expect, sizeof expect, "{\"os_image_hash\":[\"%.64s\"]}",
		 (const char *)guest_hex(span_of(g.image_hash, 32)).p);
	assert_string_equal(core(sealed(), ANCHOR_DEVELOPMENT, &f, expect)->verdict.code,
			    "measure.base_unverified"); // it brings none
	for (int i = 0; i < 4; i++) {
		static const char *const code[] = { "", "measure.base_unverified", "image.manifest",
						    "measure.measurement" };
		struct wr w = wr_to(cbor, sizeof cbor);

		assert_int_equal(measurement_tdx_write(&w, &guest_image()->m), 0);
		w.n -= i == 3;
		sha256(cbor, w.n, digest);
		snprintf(list, sizeof list, "%.64s  measurement.tdx.cbor\n",
			 (const char *)guest_hex(span_of(digest, 32)).p);
		sha256(list, strlen(list), g.image_hash);
		snprintf(expect, sizeof expect, "{\"os_image_hash\":[\"%.64s\"]}",
			 (const char *)guest_hex(span_of(g.image_hash, 32)).p);
		if (i == 2)
			list[0] ^= 1;
		config(i == 1 ? 0x90000000 : 3072ull << 20, list, span_of(cbor, w.n));
		struct verify *v = core(sealed(), ANCHOR_DEVELOPMENT, &f, expect);

		if (i == 2) // whichever of the two names it
			assert_true(!v->verdict.ok && strncmp(v->verdict.code, "measure.base", 12) != 0);
		else
			assert_string_equal(v->verdict.code, code[i]);
	}
}

static void pods_bind_their_payload(void **state)
{
	static uint8_t text[65536];

	(void)state;
	for (int good = 0; good < 2; good++) {
		struct wr w = wr_to(text, sizeof text);
		struct fault f;

		guest_new(&g);
		report_data_tagged(g.report_data, REPORT_APP_DATA, span_str("payload"));
		guest_build(&g);
		struct envelope env = { .kind = ENVELOPE_TDX,
					.quote = guest_quote(),
					.log = g.log,
					.runtime = g.runtime,
					.config = span_str(g.config),
					.is_pod = true,
					.pod_payload = span_str(good ? "payload" : "another") };

		memcpy(env.report_data, g.report_data, 64);
		assert_int_equal(envelope_write(&w, &env, &f), 0);
		if (good)
			guest_accepts(span_of(text, w.n), NULL);
		else
			guest_refuses(span_of(text, w.n), NULL, "report_data.payload");
	}
}

static void report_data_have_one_value(void **state)
{
	(void)state;
	fresh();
	g.report_data[5] ^= 1; // what the envelope says, not the quote
	guest_refuses(guest_envelope(&g, true), NULL, "report_data.envelope");
	guest_refuses(guest_get_quote(&g), NULL, "report_data.envelope");
}

static void events_that_are_missing_or_malformed(void **state)
{
	static const struct {
		const char *name, *code;
	} drop[] = {
		{ "app-id", "events.app_id" }, { "compose-hash", "events.compose_hash" },
		{ "instance-id", NULL },       { "key-provider", NULL },
		{ "gpu-policy-hash", NULL },
	};
	static const char *const bad[] = {
		"x",
		"{}",
		"{\"name\":7,\"id\":\"00\"}",
		"{\"name\":\"kms\"}",
		"{\"name\":\"kms\",\"id\":7}",
		"{\"name\":\"kms\",\"id\":\"0\"}",
		"{\"name\":\"kms\",\"id\":\"zz\"}",
		"{\"name\":\"0123456789012345678901234567890123456789\",\"id\":\"\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof drop / sizeof *drop; i++) {
		guest_new(&g);
		memset(g.mr_config_id, 0, 48);
		for (size_t k = 0; k < g.runtime.n; k++)
			if (span_is(g.events[k].name, drop[i].name))
				g.events[k].name = span_str("something-else");
		if (drop[i].code)
			guest_refuses(sealed(), NULL, drop[i].code);
		else
			guest_accepts(sealed(), NULL);
	}
	guest_new(&g);
	g.events[1].payload.n = 19;
	guest_refuses(sealed(), NULL, "events.app_id");
	guest_new(&g);
	g.events[4].payload.n = 19;
	guest_refuses(sealed(), NULL, "events.instance_id");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		guest_new(&g);
		g.events[6].payload = span_str(bad[i]);
		guest_refuses(sealed(), NULL, "events.key_provider");
	}
	guest_new(&g);
	g.events[3].name = span_str("app-id"); // twice
	guest_refuses(sealed(), NULL, "events.duplicate");
}

static void long_key_providers(void **state)
{
	static char text[4096];

	(void)state;
	guest_new(&g);
	int n = snprintf(text, sizeof text, "{\"name\":\"kms\",\"id\":\"");

	for (int i = 0; i < 513; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "ab");
	snprintf(text + n, sizeof text - (size_t)n, "\"}");
	g.events[6].payload = span_str(text);
	guest_refuses(sealed(), NULL, "events.key_provider"); // more than a key has
}

static void before_the_key_provider_is_known(void **state)
{
	struct verify_input boot = { .binding = VERIFY_BIND_STATED, .boottime = true };

	(void)state;
	guest_new(&g);
	g.runtime.n = 6; // as the machine asks for its keys
	mr_config_id_v2(g.mr_config_id, g.compose_hash, g.app_id, KEY_PROVIDER_KMS, span_str("later"));
	struct verify *v = guest_judge(sealed(), &boot, guest_image());

	assert_true(v->verdict.ok);
	assert_non_null(strstr(verdict_find(&v->verdict, "config_id")->detail, "not compared"));
	assert_int_equal(v->boot.key_provider_info_n, 0);
	guest_new(&g);
	g.mr_config_id[0] = 3; // of a document that is not there, and all events are
	guest_refuses(sealed(), NULL, "config_id.open");
	guest_new(&g);
	guest_build(&g);
	v = guest_judge(sealed(), &boot, guest_image());
	assert_true(v->verdict.ok);
	assert_int_equal(v->boot.key_provider_info_n, 0);
}

static struct span other_platform(enum envelope_kind kind, bool log)
{
	static uint8_t text[65536];
	static struct envelope_tpm tpm;
	struct envelope env = { .kind = kind, .quote = guest_quote(), .runtime = g.runtime, .tpm = &tpm };
	struct wr w = wr_to(text, sizeof text);
	struct fault f;

	if (!log)
		env.runtime.n = 0;
	assert_int_equal(envelope_write(&w, &env, &f), 0);
	return span_of(text, w.n);
}

static void platforms_that_are_not_verified_are_named(void **state)
{
	static const struct {
		enum envelope_kind kind;
		const char *name;
	} all[] = { { ENVELOPE_GCP_TDX, "gcp-tdx" },
		    { ENVELOPE_NITRO, "nitro-enclave" },
		    { ENVELOPE_NITRO_TPM, "aws-nitro-tpm" } };

	(void)state;
	fresh();
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		guest_refuses(other_platform(all[i].kind, true), NULL, "envelope.platform");
		guest_refuses(other_platform(all[i].kind, false), NULL, "envelope.platform");
		struct verify *v = guest_judge(other_platform(all[i].kind, false), NULL, guest_image());
		const struct claim *c = verdict_find(&v->verdict, "platform");

		assert_string_equal(c->value, all[i].name);
		assert_non_null(strstr(c->detail, "not verified by this build"));
		assert_false(v->unreadable);
	}
}

static void sizes_and_forms_said_by_the_caller(void **state)
{
	static uint8_t big[VERIFY_LIST_MAX + 1];
	struct verify_input in = { .binding = VERIFY_BIND_STATED, .form = VERIFY_QUOTE };

	(void)state;
	fresh();
	in.event_log = span_of(big, sizeof big);
	guest_refuses(guest_quote(), &in, "envelope.size");
	in.event_log = span_str("[]");
	guest_refuses(span_of(big, QUOTE_MAX + 1), &in, "envelope.size");
	in.event_log.n = 0;
	in.form = VERIFY_ENVELOPE; // hex is no envelope when one is asked for
	guest_refuses(guest_hex(guest_envelope(&g, true)), &in, "envelope.version");
	guest_accepts(guest_envelope(&g, true), &in);
	in.form = VERIFY_JSON;
	guest_accepts(guest_get_quote(&g), &in);
	guest_refuses(guest_envelope(&g, true), &in, "evidence.json");
	in.form = VERIFY_CERTIFICATE;
	guest_refuses(guest_envelope(&g, true), &in, "ratls.certificate");
}

static void quotes_that_cannot_be_read_say_why_even_without_collateral(void **state)
{
	struct verify_input in = { .binding = VERIFY_BIND_STATED, .collateral = span_of("", 0) };
	uint8_t copy[16384];

	(void)state;
	fresh();
	struct span quote = guest_quote();

	assert_true(quote.n <= sizeof copy);
	memcpy(copy, quote.p, quote.n);
	copy[2] = 9;
	guest_refuses(span_of(copy, quote.n), &in, "quote.key_type");
	guest_refuses(span_of(copy, quote.n), NULL, "quote.key_type");
}

// Room that is too small is a refusal, whatever the form; what suffices gives the verdict.
static void too_little_room(void **state)
{
	static uint8_t scratch[VERIFY_SCRATCH(1 << 17)];
	static struct verify v;

	(void)state;
	fresh();
	for (size_t i = 0; i < g.runtime.n; i++)
		g.events[i].version = 2; // MessagePack, whose arrays of integers need room
	guest_build(&g);
	struct span c = guest_collateral(), a = guest_hex(guest_envelope(&g, true)),
		    quoted = guest_json_string(c);
	struct span forms[] = {
		guest_get_quote(&g),
		guest_envelope(&g, true),
		a,
		guest_text("{\"attestation\":\"%.*s\",\"collateral\":%.*s}", (int)a.n, a.p, (int)quoted.n,
			   quoted.p),
	};

	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
		struct verify_input in = { .evidence = forms[f],
					   .binding = VERIFY_BIND_STATED,
					   .expect = span_str("{}"),
					   .now = GUEST_NOW };
		size_t closed = 0, room = 0;

		for (; room < sizeof scratch; room = room * 5 / 4 + 1) {
			enum verify_next next = verify_read(&v, &in, scratch, room);

			assert_int_not_equal(next, VERIFY_INFLATE);
			if (next == VERIFY_BEGIN && !v.config_fault.code)
				break;
			closed++;
			verify_begin(&v, NULL); // refused already: nothing is looked at
			assert_false(verify_finish(&v, ~0u, guest_image()));
		}
		assert_true(closed > 5 && room <= VERIFY_SCRATCH(forms[f].n));
	}
}

static void nothing_is_begun_that_is_closed(void **state)
{
	static uint8_t scratch[VERIFY_SCRATCH(1 << 17)];
	static struct verify v;
	struct verify_input in = { .evidence = span_str("x"),
				   .binding = VERIFY_BIND_STATED,
				   .expect = span_str("{}"),
				   .now = GUEST_NOW };
	const struct sig_check *checks;
	struct dcap_collateral *col = malloc(sizeof *col);

	(void)state;
	fresh();
	assert_non_null(col);
	assert_int_equal(verify_read(&v, &in, scratch, sizeof scratch), VERIFY_CLOSED);
	verify_begin(&v, NULL);
	verify_begin_snp(&v, guest_root(), ANCHOR_INTEL);
	assert_int_equal(verify_checks(&v, &checks), 0);
	assert_int_equal(verify_found(&v), REASON_OK);
	assert_false(verify_is_snp(&v));
	assert_false(verify_finish(&v, ~0u, guest_image()));
	in.evidence = guest_envelope(&g, true);
	in.collateral = guest_collateral();
	assert_int_equal(verify_read(&v, &in, scratch, sizeof scratch), VERIFY_BEGIN);
	verify_begin_snp(&v, guest_root(), ANCHOR_INTEL); // a TD begun as an SNP guest is not begun
	assert_int_equal(verify_signed(&v, ~0u), REASON_QUOTE_SIGNATURE);
	assert_false(verify_finish(&v, ~0u, guest_image()));
	dcap_collateral_read(col, verify_collateral(&v), guest_root(), ANCHOR_DEVELOPMENT);
	verify_begin(&v, col);
	assert_true(verify_finish(&v, ~0u, guest_image())); // all signatures taken for good
	verify_refuse(&v, "collateral", "collateral.fetch", "nobody answers");
	assert_false(verify_finish(&v, ~0u, guest_image()));
	assert_string_equal(v.verdict.code, "collateral.fetch");
	free(col);
}

static struct span info_of(const struct app_info *i)
{
	static uint8_t text[4096];
	struct wr w = wr_to(text, sizeof text);

	app_info_write(&w, i);
	assert_false(w.bad);
	return span_of(text, w.n);
}

// The issuer says something of what is not attested at all.
static void issuers_cannot_add_to_the_evidence(void **state)
{
	static const uint8_t some[32] = { 7 };
	const struct verify_input key = { .binding = VERIFY_BIND_KEY, .boottime = true };
	struct app_info i = { 0 };

	(void)state;
	guest_new(&g);
	guest_bind(&g);
	struct cert_extras x = { .attestation = guest_envelope(&g, true), .app_info = info_of(&i) };

	guest_accepts(guest_cert(&x), NULL); // it says nothing
	i.mr_system = span_of(some, 32);
	x.app_info = info_of(&i);
	guest_refuses(guest_cert(&x), NULL, "ratls.app_info_differs");
	guest_accepts(guest_cert(&x), &key); // at boot these are not the same values
	for (int n = 0; n < 3; n++) {
		static const char *const names[] = { "app-id", "compose-hash", "instance-id" };

		guest_new(&g);
		memset(g.mr_config_id, 0, 48);
		for (size_t k = 0; k < g.runtime.n; k++)
			if (span_is(g.events[k].name, names[n]))
				g.events[k].name = span_str("other");
		guest_bind(&g);
		i = (struct app_info){ .app_id = span_of(g.app_id, 20),
				       .compose_hash = span_of(g.compose_hash, 32),
				       .instance_id = span_of(g.instance_id, 20) };
		x = (struct cert_extras){ .attestation = guest_envelope(&g, true),
					  .app_info = info_of(&i),
					  .app_id = span_of(g.app_id, 20) };
		struct verify *v = guest_judge(guest_cert(&x), NULL, guest_image());

		assert_string_equal(guest_claim(v, "app_info"), "ratls.app_info_differs");
		if (n == 0)
			assert_string_equal(guest_claim(v, "certificate"), "ratls.app_id");
	}
	i = (struct app_info){ .os_image_hash = span_of(some, 32) };
	guest_new(&g);
	guest_bind(&g);
	x = (struct cert_extras){ .attestation = guest_envelope(&g, true), .app_info = info_of(&i) };
	assert_string_equal(guest_claim(guest_judge(guest_cert(&x), NULL, NULL), "app_info"),
			    "ratls.app_info_differs");
}

static void json_with_empty_members(void **state)
{
	(void)state;
	fresh();
	struct span answer = guest_get_quote(&g), q = guest_hex(guest_quote());

	guest_accepts(guest_text("%.*s,\"attestation\":\"\"}", (int)answer.n - 1, answer.p), NULL);
	guest_accepts(guest_text("\t%.*s,\"collateral\":null}", (int)answer.n - 1, answer.p), NULL);
	guest_refuses(guest_text("{\"attestation\":\"77\"}"), NULL, "envelope.version");
	guest_refuses(guest_text("{\"quote\":\"%.*s\",\"report_data\":\"3\"}", (int)q.n, q.p), NULL,
		      "evidence.json");
	guest_refuses(guest_text("{\"quote\":\"%.*s\",\"event_log\":null}", (int)q.n, q.p), NULL,
		      "events.absent");
	guest_refuses(guest_text("-----BEGIN CERTIFICATE-----"), NULL, "ratls.certificate");
	guest_refuses(span_of("\3\1\2\0", 4), NULL, "envelope.version");
}

static void expectations_have_limits(void **state)
{
	static char text[VERIFY_EXPECT_MAX + 64];
	struct verify_input in = { .binding = VERIFY_BIND_STATED };
	size_t n = (size_t)snprintf(text, sizeof text, "{\"advisories_denied\":[");

	(void)state;
	fresh();
	for (int i = 0; i < 1024; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "\"INTEL-SA-%05d\",", i + 5000);
	size_t keep = n;

	snprintf(text + n - 1, sizeof text - n, "]}");
	in.expect = span_str(text);
	guest_accepts(guest_envelope(&g, true), &in);
	snprintf(text + keep, sizeof text - keep, "\"x\"]}");
	in.expect = span_str(text);
	guest_refuses(guest_envelope(&g, true), &in, "policy.format");
	memset(text, ' ', sizeof text);
	in.expect = span_of(text, VERIFY_EXPECT_MAX + 1);
	guest_refuses(guest_envelope(&g, true), &in, "policy.format");
	n = (size_t)snprintf(text, sizeof text, "{\"key_provider_id\":[\"");
	memset(text + n, 'a', 1026);
	snprintf(text + n + 1026, 64, "\"]}");
	in.expect = span_str(text);
	guest_refuses(guest_envelope(&g, true), &in, "policy.format");
	snprintf(text + n + 1024, 64, "\"]}");
	in.expect = span_str(text);
	guest_refuses(guest_envelope(&g, true), &in, "key_provider.mismatch");
}

// Words that clients of other implementations match on.
static void sentences_keep_known_words(void **state)
{
	struct verify_input in = { .binding = VERIFY_BIND_CHALLENGE,
				   .report_data = (const uint8_t[64]){ 1 } };

	(void)state;
	fresh();
	const char *text = guest_judge(guest_envelope(&g, true), &in, guest_image())->verdict.error;

	assert_non_null(strstr(text, "report_data mismatch"));
	struct cert_extras x = { .attestation = guest_envelope(&g, true) }; // of no key

	text = guest_judge(guest_cert(&x), NULL, guest_image())->verdict.error;
	assert_non_null(strstr(text, "report data mismatch"));
	in = (struct verify_input){
		.binding = VERIFY_BIND_STATED,
		.expect = guest_text("{\"report_data\":\"%0128d\"}", 0),
	};
	text = guest_judge(guest_envelope(&g, true), &in, guest_image())->verdict.error;
	assert_non_null(strstr(text, "report data mismatch: expected 0000"));
	g.forged_rtmr = true;
	g.rtmr[3][0] ^= 1;
	text = guest_judge(sealed(), NULL, guest_image())->verdict.error;
	assert_non_null(strstr(text, "RTMR3 mismatch, quoted: "));
	assert_non_null(strstr(text, ", replayed: "));
}

// What was expected is in the sentence, so that nobody has to look it up.
static void sentences_name_what_was_expected(void **state)
{
	struct verify_input in = { .binding = VERIFY_BIND_STATED,
				   .expect = span_str(
					   "{\"app_id\":[\"a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a1\"]}") };

	(void)state;
	fresh();
	const char *text = guest_judge(guest_envelope(&g, true), &in, guest_image())->verdict.error;

	assert_non_null(strstr(text, "expected a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a1, got a0a0"));
	in.expect = span_str("{\"app_id\":[\"a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a1\","
			     "\"a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a2\"]}");
	text = guest_judge(guest_envelope(&g, true), &in, guest_image())->verdict.error;
	assert_non_null(strstr(text, "expected one of 2, got a0a0"));
	in.expect = span_str("{\"app_id\":[]}");
	text = guest_judge(guest_envelope(&g, true), &in, guest_image())->verdict.error;
	assert_non_null(strstr(text, "the expectations allow none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_soft_profile_is_for_development_roots),
		cmocka_unit_test(what_was_looked_for_in_vain_is_said),
		cmocka_unit_test(carried_measurements_are_checked),
		cmocka_unit_test(pods_bind_their_payload),
		cmocka_unit_test(report_data_have_one_value),
		cmocka_unit_test(events_that_are_missing_or_malformed),
		cmocka_unit_test(long_key_providers),
		cmocka_unit_test(before_the_key_provider_is_known),
		cmocka_unit_test(platforms_that_are_not_verified_are_named),
		cmocka_unit_test(sizes_and_forms_said_by_the_caller),
		cmocka_unit_test(quotes_that_cannot_be_read_say_why_even_without_collateral),
		cmocka_unit_test(too_little_room),
		cmocka_unit_test(nothing_is_begun_that_is_closed),
		cmocka_unit_test(issuers_cannot_add_to_the_evidence),
		cmocka_unit_test(json_with_empty_members),
		cmocka_unit_test(expectations_have_limits),
		cmocka_unit_test(sentences_keep_known_words),
		cmocka_unit_test(sentences_name_what_was_expected),
	};
	return cmocka_run_group_tests(tests, guest_setup, guest_teardown);
}
