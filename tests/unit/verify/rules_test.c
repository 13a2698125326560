// Rules of the verdict: what whole evidence must never get away with, one test a rule; rows of the security
// cases by their names.
#include "guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/x509.h>
#include <zlib.h>

#include "../evidence/load.h"
#include "core/codec/base64.h"
#include "core/hash/sha2.h"
#include "core/sig/own.h"

static struct guest g;
static const struct verify_input key = { .binding = VERIFY_BIND_KEY };

static void fresh(void)
{
	guest_new(&g);
	guest_bind(&g);
}

static struct span stripped(void)
{
	return guest_envelope(&g, true);
}

// CH-01: a certificate of another key than the one in the report data.
static void ch_01_key_mismatch(void **state)
{
	(void)state;
	fresh();
	struct cert_extras x = { .attestation = stripped() };

	guest_accepts(guest_cert(&x), &key);
	g.report_data[0] ^= 1;
	guest_build(&g);
	x.attestation = stripped();
	guest_refuses(guest_cert(&x), &key, "ratls.key_mismatch");
	x = (struct cert_extras){ .quote = guest_quote(), .event_log = guest_log_json(&g) };
	guest_refuses(guest_cert(&x), &key, "ratls.key_mismatch");
	memset(g.report_data, 0, 64); // raw report data, no tag
	guest_build(&g);
	x = (struct cert_extras){ .attestation = stripped() };
	guest_refuses(guest_cert(&x), NULL, "ratls.key_mismatch");
}

// CH-02: a quote over something else under another tag does not bind a key.
static void ch_02_other_tag(void **state)
{
	uint8_t spki[128];
	int n;
	uint8_t *at = spki;

	(void)state;
	fresh();
	n = i2d_PUBKEY(guest_key(), NULL);
	assert_true(n > 0 && (size_t)n <= sizeof spki);
	(void)!i2d_PUBKEY(guest_key(), &at);
	report_data_tagged(g.report_data, REPORT_APP_DATA, span_of(spki, (size_t)n));
	guest_build(&g);
	struct cert_extras x = { .attestation = stripped() };

	guest_refuses(guest_cert(&x), &key, "ratls.key_mismatch");
}

static struct span app_info(const struct boot_info *b, struct app_info *i)
{
	static uint8_t text[4096];
	struct wr w = wr_to(text, sizeof text);

	*i = (struct app_info){ .app_id = span_of(b->app_id, 20),
				.compose_hash = span_of(b->compose_hash, 32),
				.instance_id = span_of(b->instance_id, 20),
				.device_id = span_of(b->device_id, 32),
				.mr_system = span_of(b->mr_system, 32),
				.mr_aggregated = span_of(b->mr_aggregated, 32),
				.os_image_hash = span_of(b->os_image_hash, 32),
				.key_provider_info = span_of(b->key_provider_info, b->key_provider_info_n) };
	app_info_write(&w, i);
	assert_false(w.bad);
	return span_of(text, w.n);
}

// CH-09: the issuer's app info is shown to differ, and what is attested is what counts.
static void ch_09_app_info_differs(void **state)
{
	static struct boot_info b, changed;
	struct app_info i;

	(void)state;
	fresh();
	b = guest_judge(stripped(), NULL, guest_image())->boot;
	struct cert_extras x = { .attestation = stripped(),
				 .app_id = span_of(g.app_id, 20),
				 .app_info = app_info(&b, &i) };

	guest_accepts(guest_cert(&x), &key);
	changed = b; // as a guest writes it that is its own CA: it cannot know its platform
	sha256("", 0, changed.device_id);
	x.app_info = app_info(&changed, &i);
	guest_accepts(guest_cert(&x), &key);
	uint8_t *const fields[] = { changed.app_id,        changed.compose_hash,     changed.instance_id,
				    changed.device_id,     changed.mr_system,        changed.mr_aggregated,
				    changed.os_image_hash, changed.key_provider_info };

	for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
		x.attestation = stripped();
		changed = b;
		fields[k][3] ^= 1;
		x.app_info = app_info(&changed, &i);
		guest_refuses(guest_cert(&x), &key, "ratls.app_info_differs");
		struct verify *v = guest_judge(guest_cert(&x), &key, guest_image());

		assert_memory_equal(v->boot.app_id, g.app_id, 20);
		assert_string_equal(guest_claim(v, "app_id"), "");
		assert_string_equal(guest_claim(v, "app_info"), "ratls.app_info_differs");
	}
	x.app_info = span_str("\x90");
	guest_refuses(guest_cert(&x), &key, "ratls.app_info");
	x.app_info = (struct span){ 0 };
	x.app_id = span_of(g.instance_id, 20);
	guest_refuses(guest_cert(&x), &key, "ratls.app_id");
	x.app_id = span_of(g.app_id, 19);
	guest_refuses(guest_cert(&x), &key, "ratls.app_id");
}

// CH-13: the evidence was taken out on the way.
static void ch_13_evidence_stripped(void **state)
{
	(void)state;
	fresh();
	struct cert_extras x = { 0 };

	guest_refuses(guest_cert(&x), &key, "ratls.no_evidence");
	guest_refuses(guest_pem(guest_cert(&x)), NULL, "ratls.no_evidence");
	assert_false(guest_judge(guest_cert(&x), &key, NULL)->unreadable); // it reads well: it is not trusted
	x.app_id = span_of(g.app_id, 20);
	guest_refuses(guest_cert(&x), &key, "ratls.no_evidence");
	x = (struct cert_extras){ .quote = guest_quote() };
	guest_refuses(guest_cert(&x), &key, "ratls.event_log");
}

static struct span gzip(struct span text)
{
	static uint8_t out[1 << 17];
	z_stream z = { 0 };

	memcpy(out, "ELGZv1", 6);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (uint8_t *)(uintptr_t)text.p;
	z.avail_in = (unsigned)text.n;
	z.next_out = out + 6;
	z.avail_out = sizeof out - 6;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t n = 6 + z.total_out;

	deflateEnd(&z);
	return span_of(out, n);
}

// CH-14: bombs, nested, cut and oversized logs; room for the log is 16 KiB whatever it says.
static void ch_14_gzip_bomb(void **state)
{
	size_t size = 16 << 20;
	char *big = malloc(size);

	(void)state;
	fresh();
	assert_non_null(big);
	memset(big, ' ', size);
	struct cert_extras x = { .quote = guest_quote(), .event_log = gzip(span_of(big, size)) };

	assert_true(x.event_log.n < size / 1000 + 1000);
	guest_refuses(guest_cert(&x), &key, "ratls.event_log");
	x.event_log = gzip(span_of(big, VERIFY_LOG_MAX + 1));
	guest_refuses(guest_cert(&x), &key, "ratls.event_log");
	x.event_log = gzip(guest_log_json(&g));
	x.event_log.n -= 9;
	guest_refuses(guest_cert(&x), &key, "ratls.event_log");
	x.event_log = gzip(gzip(guest_log_json(&g)));
	guest_refuses(guest_cert(&x), &key, "events.format");
	x.event_log = span_of(big, VERIFY_LOG_MAX + 1);
	guest_refuses(guest_cert(&x), &key, "ratls.event_log");
	guest_refuses(span_of(big, size), &key, "envelope.size");
	free(big);
}

// EL-01: a platform log that tells the runtime events otherwise than the list that is replayed.
static void el_01_two_lists_disagree(void **state)
{
	static uint8_t other[32];

	(void)state;
	fresh();
	for (size_t i = 0; i < g.runtime.n; i++)
		g.boot[g.log.n++] = g.events[i];
	guest_accepts(guest_envelope(&g, false), NULL);
	g.boot[g.log.n - g.runtime.n + 2].payload = span_of(other, 32); // another compose hash
	guest_refuses(guest_envelope(&g, false), NULL, "events.disagree");
	g.boot[g.log.n - g.runtime.n + 2] = g.events[2];
	g.log.n--;
	guest_refuses(guest_envelope(&g, false), NULL, "events.disagree");
	struct verify *v = guest_judge(guest_envelope(&g, false), NULL, guest_image());

	assert_null(guest_claim(v, "compose_hash")); // nothing of either is shown
}

// EL-18: platforms without a register for events: a list of them is never more than not applicable.
static void el_18_event_log_not_applicable(void **state)
{
	static uint8_t text[65536];
	struct fault f;

	(void)state;
	fresh();
	for (int nitro = 0; nitro < 2; nitro++)
		for (int listed = 0; listed < 2; listed++) {
			struct envelope env = { .kind = nitro ? ENVELOPE_NITRO : ENVELOPE_SNP,
						.quote = guest_quote(),
						.runtime = g.runtime };
			struct wr w = wr_to(text, sizeof text);

			env.runtime.n = listed ? g.runtime.n : 0;
			assert_int_equal(envelope_write(&w, &env, &f), 0);
			struct verify *v = guest_judge(span_of(text, w.n), NULL, guest_image());
			const struct claim *c = verdict_find(&v->verdict, "event_log");

			assert_false(v->verdict.ok);
			if (!nitro) { // refused for its report; snp_envelope_test.c has a genuine one
				assert_null(c);
				continue;
			}
			assert_int_equal(c != NULL, listed);
			if (!c)
				continue;
			assert_string_equal(c->value, "not_applicable");
			assert_string_equal(c->code, "events.not_applicable");
			assert_false(c->ok);
		}
}

// EL-19: RTMR3 and all that is in it are right, the base is matched by nothing.
static void el_19_base_unverified(void **state)
{
	(void)state;
	fresh();
	struct verify *v = guest_judge(stripped(), NULL, NULL);

	assert_false(v->verdict.ok);
	assert_string_equal(v->verdict.code, "measure.base_unverified");
	assert_string_equal(guest_claim(v, "event_log"), "");
	assert_string_equal(guest_claim(v, "compose_hash"), "");
	assert_null(guest_claim(v, "rtmr0"));
	snprintf(g.config, sizeof g.config,
		 "{}"); // nothing says what it should be, although an image is at hand
	v = guest_judge(stripped(), NULL, NULL);
	assert_string_equal(v->verdict.code, "measure.base_unverified");
	guest_new(&g);
	g.mr_td[5] ^= 1;
	guest_bind(&g);
	guest_refuses(stripped(), NULL, "measure.mrtd");
	for (int i = 0; i < 3; i++) {
		static const char *const codes[] = { "measure.rtmr0", "measure.rtmr1", "measure.rtmr2" };

		fresh();
		g.forged_rtmr = true;
		g.rtmr[i][0] ^= 1;
		guest_build(&g);
		guest_refuses(stripped(), NULL, codes[i]);
	}
	fresh();
	g.forged_rtmr = true;
	g.rtmr[3][0] ^= 1;
	guest_build(&g);
	guest_refuses(stripped(), NULL, "events.rtmr3");
}

// QV-20: an expectation that a caller forgot is an error and nothing else.
static void qv_20_absent_expectations(void **state)
{
	struct verify_input in = { 0 };
	uint8_t data[64];
	struct err e;

	(void)state;
	fresh();
	guest_refuses(stripped(), &in, "verify.no_expectation");
	in.binding = VERIFY_BIND_CHALLENGE; // and no challenge
	guest_refuses(stripped(), &in, "verify.no_expectation");
	memcpy(data, g.report_data, 64);
	in.report_data = data;
	guest_accepts(stripped(), &in);
	assert_true(verdict_find(&guest_judge(stripped(), &in, guest_image())->verdict, "binding")->fresh);
	data[63] ^= 1;
	guest_refuses(stripped(), &in, "report_data.mismatch");
	in = (struct verify_input){ .binding = VERIFY_BIND_STATED, .expect = span_of("", 0) };
	guest_refuses(stripped(), &in, "policy.format");
	in.expect = span_str("{\"report_data\":\"\"}");
	guest_refuses(stripped(), &in, "policy.format");
	in.expect = span_str("{\"os_image_hash\":[]}");
	guest_refuses(stripped(), &in, "image.not_expected");
	guest_judge(stripped(), NULL, NULL);
	in = (struct verify_input){ .evidence = stripped(), .expect = span_str("{}"), .now = GUEST_NOW };
	struct verify *v = evidence_new(&in, &e); // all that a caller can leave out, left out

	assert_false(evidence_read(v, &in));
	assert_false(verify_finish(v, ~0u, guest_image()));
	free(v);
	in.binding = VERIFY_BIND_STATED;
	v = evidence_new(&in, &e); // begun under no root, no check run
	(void)evidence_read(v, &in);
	assert_false(verify_finish(v, ~0u, guest_image()));
	free(v);
}

// A measurement that came along counts only when the expectations name its image.
static void carried_measurements_need_the_image_to_be_allowed(void **state)
{
	char file[] = "measurement.tdx.cbor";
	uint8_t cbor[1024], digest[32];
	struct wr w = wr_to(cbor, sizeof cbor);
	char list[128];
	struct verify_input in = { .binding = VERIFY_BIND_STATED };

	(void)state;
	guest_new(&g);
	assert_int_equal(measurement_tdx_write(&w, &guest_image()->m), 0);
	sha256(cbor, w.n, digest);
	struct span of_cbor = guest_hex(span_of(digest, 32));

	snprintf(list, sizeof list, "%.*s  %s\n", (int)of_cbor.n, (const char *)of_cbor.p, file);
	sha256(list, strlen(list), g.image_hash);
	struct span hash = guest_hex(span_of(g.image_hash, 32));
	uint8_t b64[4096];
	struct wr m = wr_to(b64, 2048), l = wr_to(b64 + 2048, 2048);

	wr_base64(&m, span_of(cbor, w.n));
	wr_base64(&l, span_str(list));
	snprintf(g.config, sizeof g.config,
		 "{\"os_image_hash\":\"%.*s\",\"memory_size\":%llu,\"cpu_count\":2,\"tee\":\"soft\","
		 "\"swtpm\":true,"
		 "\"qemu_version\":\"7.2.22\",\"tdx_measurement\":{\"checksum_file\":\"%.*s\","
		 "\"measurement\":\"%.*s\"}}",
		 (int)hash.n, (const char *)hash.p, 3072ull << 20, (int)l.n, (const char *)l.p, (int)m.n,
		 (const char *)m.p);
	guest_bind(&g);
	in.expect = guest_text("{\"os_image_hash\":[\"%.*s\"]}", (int)hash.n, hash.p);
	struct verify *v = guest_judge(stripped(), &in, NULL);

	if (!v->verdict.ok)
		fail_msg("%s [%s]", v->verdict.error, v->verdict.code);
	v = guest_judge(stripped(), NULL, NULL); // self-consistent, and allowed by nobody
	assert_string_equal(v->verdict.code, "measure.base_unverified");
	in.expect = guest_text("{\"os_image_hash\":[\"00%.62s\"]}", (const char *)hash.p);
	v = guest_judge(stripped(), &in, NULL);
	assert_string_equal(v->verdict.code, "measure.base_unverified");
}

static void debug_machines_are_never_accepted(void **state)
{
	(void)state;
	guest_new(&g);
	g.forge.quote.td[TD_ATTRIBUTES] |= 1;
	guest_bind(&g);
	guest_refuses(stripped(), NULL, "td.debug");
}

static void rebuild(const char *document)
{
	if (document) {
		mr_config_id_v3(g.mr_config_id, span_str(document));
		struct span text = guest_json_string(span_str(document));

		g.config[strlen(g.config) - 1] = 0; // the brace
		snprintf(g.config + strlen(g.config), sizeof g.config - strlen(g.config),
			 ",\"mr_config\":%.*s}", (int)text.n, (const char *)text.p);
	}
	guest_bind(&g);
}

static void mr_config_id_form_2_and_3(void **state)
{
	char document[1024], id[41], hash[65];

	(void)state;
	guest_new(&g);
	mr_config_id_v2(g.mr_config_id, g.compose_hash, g.app_id, KEY_PROVIDER_KMS, hex("3059aabb"));
	rebuild(NULL);
	guest_accepts(stripped(), NULL);
	mr_config_id_v2(g.mr_config_id, g.compose_hash, g.app_id, KEY_PROVIDER_LOCAL, hex("3059aabb"));
	rebuild(NULL);
	guest_refuses(stripped(), NULL, "quote.config_id");
	mr_config_id_v2(g.mr_config_id, g.compose_hash, g.app_id, KEY_PROVIDER_KMS, hex("3059aabc"));
	rebuild(NULL);
	guest_refuses(stripped(), NULL, "quote.config_id");

	snprintf(id, sizeof id, "%s",
		 (const char *)guest_text("%.40s", (const char *)guest_hex(span_of(g.app_id, 20)).p).p);
	snprintf(hash, sizeof hash, "%.64s", (const char *)guest_hex(span_of(g.compose_hash, 32)).p);
	for (int i = 0; i < 5; i++) {
		static const char *const code[] = { NULL, "config_id.differs", "config_id.document",
						    "config_id.document", "quote.config_id" };

		guest_new(&g);
		if (i == 1)
			id[0] = '0';
		snprintf(document, sizeof document,
			 "{\"app_id\":\"%s\",\"compose_hash\":\"%s\",\"key_provider\":\"kms\",\"version\":%d%"
			 "s}",
			 id, hash, i == 2 ? 4 : 3, i == 3 ? ",\"x\":1" : "");
		rebuild(document);
		id[0] = 'a';
		if (i == 4) {
			g.mr_config_id[7] ^= 1;
			guest_bind(&g);
		}
		if (code[i])
			guest_refuses(stripped(), NULL, code[i]);
		else
			guest_accepts(stripped(), NULL);
	}
	guest_new(&g);
	memset(g.mr_config_id, 0, 48); // the host bound nothing
	rebuild(NULL);
	guest_accepts(stripped(), NULL);
	g.mr_config_id[0] = 9;
	rebuild(NULL);
	guest_refuses(stripped(), NULL, "quote.config_id");
}

// The page's own arithmetic and OpenSSL: one text.
static void both_engines_write_the_same_text(void **state)
{
	static struct dcap_collateral col;
	static uint8_t one[1 << 16], two[1 << 16];
	struct verify_input in = { .binding = VERIFY_BIND_STATED,
				   .expect = span_str("{}"),
				   .now = GUEST_NOW };
	struct wr a = wr_to(one, sizeof one), b = wr_to(two, sizeof two);
	const struct sig_check *checks;
	struct err e;

	(void)state;
	fresh();
	verify_json(&a, guest_judge(stripped(), NULL, guest_image()));
	in.evidence = stripped();
	in.collateral = guest_collateral();
	struct verify *v = evidence_new(&in, &e);

	assert_true(evidence_read(v, &in));
	dcap_collateral_read(&col, verify_collateral(v), guest_root(), ANCHOR_DEVELOPMENT);
	verify_begin(v, &col);
	size_t n = verify_checks(v, &checks);
	uint32_t passed = 0;

	for (size_t i = 0; i < n; i++)
		passed |= (uint32_t)sig_own(&checks[i]) << i;
	assert_true(verify_finish(v, passed, guest_image()));
	verify_json(&b, v);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(one, two, a.n);
	for (size_t i = 0; i < n; i++) { // and not one of the checks may be missing
		verify_begin(v, &col);
		assert_false(verify_finish(v, passed & ~(1u << i), guest_image()));
	}
	free(v);
}

static void certificates_out_of_their_time_are_refused(void **state)
{
	struct verify_input in = key;

	(void)state;
	fresh();
	struct cert_extras x = { .attestation = stripped() };

	in.now = GUEST_NOW + 1000;
	guest_accepts(guest_cert(&x), &in);
	in.now++;
	guest_refuses(guest_cert(&x), &in, "ratls.time");
	in.now = GUEST_NOW - 1001;
	guest_refuses(guest_cert(&x), &in, "ratls.time");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ch_01_key_mismatch),
		cmocka_unit_test(ch_02_other_tag),
		cmocka_unit_test(ch_09_app_info_differs),
		cmocka_unit_test(ch_13_evidence_stripped),
		cmocka_unit_test(ch_14_gzip_bomb),
		cmocka_unit_test(el_01_two_lists_disagree),
		cmocka_unit_test(el_18_event_log_not_applicable),
		cmocka_unit_test(el_19_base_unverified),
		cmocka_unit_test(qv_20_absent_expectations),
		cmocka_unit_test(carried_measurements_need_the_image_to_be_allowed),
		cmocka_unit_test(debug_machines_are_never_accepted),
		cmocka_unit_test(mr_config_id_form_2_and_3),
		cmocka_unit_test(both_engines_write_the_same_text),
		cmocka_unit_test(certificates_out_of_their_time_are_refused),
	};
	return cmocka_run_group_tests(tests, guest_setup, guest_teardown);
}
