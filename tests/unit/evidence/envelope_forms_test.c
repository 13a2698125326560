// Both encodings of the envelope to the byte: V1 against an independent encoder's files
// (tests/vectors/envelope), every platform both ways, arrays and binaries, what is refused, what stripping
// keeps, the signing request's vectors.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/certext.h"
#include "core/attest/reportdata.h"
#include "core/codec/msgpack.h"
#include "core/codec/scale.h"
#include "load.h"

static struct event log_store[512], runtime_store[512], log_store2[512], runtime_store2[512];
static uint8_t scratch[1 << 20], scratch2[1 << 20], out[1 << 20], out2[1 << 20];
static struct envelope_tpm tpm, tpm2;

static struct envelope fresh(void)
{
	return (struct envelope){ .log = { log_store, 0, 512 },
				  .runtime = { runtime_store, 0, 512 },
				  .tpm = &tpm };
}

static struct envelope fresh2(void)
{
	return (struct envelope){ .log = { log_store2, 0, 512 },
				  .runtime = { runtime_store2, 0, 512 },
				  .tpm = &tpm2 };
}

static void must_read(struct envelope *env, struct span bytes)
{
	struct wr s = wr_to(scratch, bytes.n); // no more room than the input has
	struct fault f = { 0 };

	if (envelope_read(env, &s, bytes, &f))
		fail_msg("%s (%s) at %zu", f.text, f.code, f.at);
}

static void refused(struct span bytes, const char *code)
{
	struct envelope env = fresh2();
	struct wr s = wr_to(scratch2, sizeof scratch2);
	struct fault f = { "accepted", "", 0 };

	(void)!envelope_read(&env, &s, bytes, &f);
	assert_string_equal(f.code, code);
}

static const struct {
	const char *file;
	enum envelope_kind kind;
	bool pod;
} vectors[] = {
	{ "../vectors/envelope/tdx-v2.bin", ENVELOPE_TDX, false },
	{ "../vectors/envelope/tdx-pod.bin", ENVELOPE_TDX, true },
	{ "../vectors/envelope/gcp-v2.bin", ENVELOPE_GCP_TDX, false },
	{ "../vectors/envelope/nitro-v2.bin", ENVELOPE_NITRO, false },
	{ "../vectors/envelope/nitro-tpm-v2.bin", ENVELOPE_NITRO_TPM, false },
	{ "../vectors/envelope/snp-v2.bin", ENVELOPE_SNP, false },
};

static void v1_equals_an_independent_encoder(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		struct envelope env = fresh();
		struct span v = load(vectors[i].file);
		struct wr w = wr_to(out, sizeof out);
		struct fault f = { 0 };

		must_read(&env, v);
		assert_int_equal(env.version, 1);
		assert_int_equal(env.kind, vectors[i].kind);
		assert_int_equal(env.is_pod, vectors[i].pod);
		assert_int_equal(env.runtime.n, 9);
		assert_int_equal(envelope_write(&w, &env, &f), 0);
		assert_int_equal(w.n, v.n);
		assert_memory_equal(out, v.p, v.n);
		assert_int_equal(eventlog_same_runtime(&env.log, &env.runtime, &f), 0);
		for (size_t n = 0; n < v.n; n += n < 300 ? 1 : 97)
			refused(span_of(v.p, n), "envelope.format");
		memcpy(out, v.p, v.n);
		out[v.n] = 0xc0;
		refused(span_of(out, v.n + 1), "envelope.trailing");
	}
}

// A version-2 event of the platform's list without its preimage, or with another, does not pass for it.
static void v1_preimages_are_compared(void **state)
{
	struct envelope env = fresh();
	struct fault f = { 0 };

	(void)state;
	must_read(&env, load("../vectors/envelope/tdx-v2.bin"));
	for (size_t i = 0; i < env.log.n; i++) {
		struct event was = env.log.e[i];

		if (was.imr != 3)
			continue;
		env.log.e[i].preimage.n = 0;
		assert_int_equal(eventlog_same_runtime(&env.log, &env.runtime, &f), -1);
		assert_string_equal(f.code, "events.preimage");
		env.log.e[i].preimage = was.payload.n ? was.payload : was.name;
		assert_int_equal(eventlog_same_runtime(&env.log, &env.runtime, &f), -1);
		assert_string_equal(f.code, "events.preimage");
		env.log.e[i] = was;
		env.log.e[i].version = 1;
		assert_int_equal(eventlog_same_runtime(&env.log, &env.runtime, &f), -1);
		env.log.e[i] = was;
	}
}

// Version 0 unless an event has version 2 or the stack is a pod, whatever it was read from.
static void the_form_follows_from_the_events(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		struct envelope env = fresh(), back = fresh2();
		struct wr w = wr_to(out, sizeof out), again = wr_to(out2, sizeof out2),
			  s = wr_to(scratch2, sizeof scratch2);
		struct fault f = { 0 };

		must_read(&env, load(vectors[i].file));
		env.is_pod = false;
		for (size_t k = 0; k < env.runtime.n; k++)
			env.runtime.e[k].version = 1;
		assert_int_equal(envelope_write(&w, &env, &f), 0);
		assert_int_equal(out[0], 0);
		assert_int_equal(out[1], env.kind);
		if (envelope_read(&back, &s, span_of(out, w.n), &f))
			fail_msg("%zu: %s", i, f.text);
		assert_int_equal(back.version, 0);
		assert_true(span_eq(back.quote, env.quote) && span_eq(back.config, env.config));
		assert_true(span_eq(back.mr_config, env.mr_config) && back.n_chain == env.n_chain);
		assert_int_equal(back.log.n, env.log.n);
		if (env.kind == ENVELOPE_GCP_TDX) {
			assert_true(span_eq(tpm2.message, tpm.message) && tpm2.n_pcrs == 1 &&
				    tpm2.n_log == 1);
			assert_true(span_eq(tpm2.pcrs[0].algorithm, span_str("sha256")) &&
				    tpm2.platform == 1);
			assert_int_equal(tpm2.log[0].index, 2);
		}
		assert_int_equal(envelope_write(&again, &back, &f), 0);
		assert_int_equal(again.n, w.n);
		assert_memory_equal(out, out2, w.n);
		for (size_t n = 0; n < w.n; n += n < 200 ? 1 : 89)
			refused(span_of(out, n), "envelope.format");
		out[w.n] = 0;
		refused(span_of(out, w.n + 1), "envelope.trailing");
	}
}

static void unknown_versions_and_kinds_are_refused(void **state)
{
	static uint8_t copy[16384];
	struct span v0 = load("real/dstack/sdk-simulator/attestation.bin");

	(void)state;
	memcpy(copy, v0.p, v0.n);
	for (int first = 1; first < 256; first++) {
		copy[0] = (uint8_t)first;
		bool map = (first >= 0x80 && first <= 0x8f) || first == 0xde || first == 0xdf;

		refused(span_of(copy, v0.n), map ? "envelope.format" : "envelope.version");
	}
	copy[0] = 0;
	for (int kind = 5; kind < 256; kind++) {
		copy[1] = (uint8_t)kind;
		refused(span_of(copy, v0.n), "envelope.format");
	}
	refused((struct span){ 0 }, "envelope.format");
	uint8_t *big = calloc(1, ENVELOPE_MAX + 1);

	assert_non_null(big);
	refused(span_of(big, ENVELOPE_MAX + 1), "envelope.size");
	free(big);
}

// V1 by hand, with what may vary.
struct made {
	uint32_t version;
	const char *kind, *quote_key, *stack;
	bool bins, swapped, unknown, twice, no_events, no_report, no_payload, extra_log;
	size_t report_n;
	uint32_t imr, event_version;
};

static const struct made plain = { .version = 1,
				   .kind = "tdx",
				   .quote_key = "quote",
				   .stack = "dstack",
				   .report_n = 64,
				   .imr = 3,
				   .event_version = 2 };

static void bytes_as(struct wr *w, struct span s, bool bin)
{
	if (bin)
		mp_wr_bin(w, s);
	else
		mp_wr_ints(w, s);
}

static void make_events(struct wr *w, const struct made *m)
{
	mp_wr_array(w, 1);
	mp_wr_map(w, 6);
	mp_wr_key(w, "imr");
	mp_wr_uint(w, m->imr);
	mp_wr_key(w, "event_type");
	mp_wr_uint(w, EVENT_RUNTIME);
	mp_wr_key(w, "digest");
	bytes_as(w, (struct span){ 0 }, !m->swapped);
	mp_wr_key(w, "event");
	mp_wr_key(w, "x");
	mp_wr_key(w, "event_payload");
	bytes_as(w, hex("00ff80"), !m->swapped);
	mp_wr_key(w, "version");
	mp_wr_uint(w, m->event_version);
}

static struct span make(const struct made *m)
{
	static const uint8_t report[80] = { 7 };
	struct wr w = wr_to(out, sizeof out);
	bool log = !m->no_events && (!strcmp(m->kind, "tdx") || m->extra_log);

	mp_wr_map(&w, 3);
	mp_wr_key(&w, "platform");
	mp_wr_map(&w, 2);
	mp_wr_key(&w, "data"); // before its kind
	mp_wr_map(&w, 1 + (size_t)log + (m->unknown ? 1 : 0) + (m->twice ? 1 : 0));
	mp_wr_key(&w, m->quote_key);
	bytes_as(&w, hex("0400ff7f80"), m->bins);
	if (m->unknown) {
		mp_wr_key(&w, "later");
		mp_wr_map(&w, 1);
		mp_wr_key(&w, "deep");
		mp_wr_ints(&w, hex("010203"));
	}
	if (m->twice) {
		mp_wr_key(&w, m->quote_key);
		mp_wr_bin(&w, hex("05"));
	}
	if (log) {
		mp_wr_key(&w, "event_log");
		make_events(&w, m);
	}
	mp_wr_key(&w, "kind");
	mp_wr_key(&w, m->kind);
	mp_wr_key(&w, "stack");
	mp_wr_map(&w, 2);
	mp_wr_key(&w, "kind");
	mp_wr_key(&w, m->stack);
	mp_wr_key(&w, "data");
	mp_wr_map(&w, m->no_report ? 2 : 3);
	mp_wr_key(&w, "config");
	mp_wr_key(&w, "{}");
	if (!m->no_report) {
		mp_wr_key(&w, "report_data");
		bytes_as(&w, span_of(report, m->report_n), m->bins);
	}
	mp_wr_key(&w, "runtime_events");
	mp_wr_array(&w, 0);
	mp_wr_key(&w, "version");
	mp_wr_uint(&w, m->version);
	return span_of(out, w.n);
}

static void arrays_and_binaries_are_both_read(void **state)
{
	struct made m = plain;

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct envelope env = fresh();

		m.bins = i & 1;
		m.swapped = i & 2;
		m.unknown = i & 4;
		must_read(&env, make(&m));
		assert_true(span_eq(env.quote, hex("0400ff7f80")));
		assert_true(span_eq(env.log.e[0].payload, hex("00ff80")));
		assert_int_equal(env.report_data[0], 7);
	}
	uint8_t *bytes = out; // an array with an element that is no byte
	struct span s = make(&plain);

	for (size_t i = 0; i + 2 < s.n; i++)
		if (bytes[i] == 0xcc && bytes[i + 1] == 0xff) {
			memmove(bytes + i + 1, bytes + i, s.n - i);
			bytes[i] = 0xcd;
			bytes[i + 1] = 1;
			refused(span_of(bytes, s.n + 1), "envelope.format");
			break;
		}
}

static void malformed_v1_is_refused(void **state)
{
	struct made m;

	(void)state;
	for (uint32_t v = 0; v < 5; v++) {
		m = plain;
		m.version = v;
		refused(make(&m), v == 1 ? "accepted" : "envelope.version");
		m = plain;
		m.event_version = v;
		refused(make(&m), v == 1 || v == 2 ? "accepted" : "envelope.format");
		m = plain;
		m.imr = v;
		refused(make(&m), v < 4 ? "accepted" : "envelope.format");
	}
	static const struct {
		const char *kind, *quote_key, *stack, *code;
	} names[] = {
		{ "sgx", "quote", "dstack", "envelope.format" },
		{ "tdx", "report", "dstack", "envelope.format" },
		{ "tdx", "quote", "other", "envelope.format" },
		{ "tdx", "quote", "dstack-pod", "envelope.format" }, // lacks its payload
		{ "gcp-tdx", "quote", "dstack", "envelope.format" }, // lacks the TPM's part
		{ "sev-snp", "report", "dstack", "accepted" },
		{ "nitro-enclave", "nsm_quote", "dstack", "accepted" },
		{ "aws-nitro-tpm", "attestation_doc", "dstack", "accepted" },
		{ "nitro-enclave", "quote", "dstack", "envelope.format" },
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		m = plain;
		m.kind = names[i].kind;
		m.quote_key = names[i].quote_key;
		m.stack = names[i].stack;
		refused(make(&m), names[i].code);
	}
	for (size_t n = 0; n <= 80; n++) {
		m = plain;
		m.report_n = n;
		refused(make(&m), n == 64 ? "accepted" : "envelope.format");
	}
	m = plain;
	m.twice = true;
	refused(make(&m), "envelope.format");
	m = plain;
	m.no_events = true;
	refused(make(&m), "envelope.format");
	m = plain;
	m.no_report = true;
	refused(make(&m), "envelope.format");
}

// An event list where the platform has no register for it is nothing (EL-18).
static void events_of_platforms_without_registers_are_nothing(void **state)
{
	struct made m = plain;
	struct envelope env = fresh();

	(void)state;
	m.kind = "nitro-enclave";
	m.quote_key = "nsm_quote";
	m.extra_log = true;
	must_read(&env, make(&m));
	assert_int_equal(env.log.n, 0);
}

static void stripping(void **state)
{
	struct envelope env = fresh();
	struct fault f = { 0 };
	uint8_t before[EVENT_DIGEST], after[EVENT_DIGEST];

	(void)state;
	must_read(&env, load("real/dstack/sdk-simulator/attestation.bin"));
	assert_int_equal(eventlog_replay_runtime(before, &env.runtime, false, &f), 0);
	envelope_strip(&env);
	assert_int_equal(env.log.n, 12);
	for (size_t i = 0; i < 3; i++) // digest and payload are kept
		assert_true(event_is_acpi(&env.log.e[i]) && env.log.e[i].digest.n == EVENT_DIGEST);
	for (size_t i = 3; i < 12; i++)
		assert_true(env.log.e[i].imr == 3 && !env.log.e[i].digest.n);
	assert_int_equal(eventlog_same_runtime(&env.log, &env.runtime, &f), 0);
	assert_int_equal(eventlog_replay_runtime(after, &env.log, false, &f), 0);
	assert_memory_equal(before, after, sizeof before);
	envelope_strip(&env); // once is as good as twice
	assert_int_equal(env.log.n, 12);

	env = fresh();
	must_read(&env, load("../vectors/envelope/tdx-v2.bin"));
	envelope_strip(&env);
	assert_int_equal(env.log.n, 12);
	assert_int_equal(eventlog_same_runtime(&env.log, &env.runtime, &f), 0); // preimages are kept
	env = fresh();
	must_read(&env, load("../vectors/envelope/gcp-v2.bin"));
	env.log.e[0].imr = 0;
	env.log.e[0].type = 10;
	env.log.e[0].payload = span_str("ACPI DATA");
	envelope_strip(&env); // GCP: register 3 only
	assert_int_equal(env.log.n, 8);
	env = fresh();
	must_read(&env, load_hex_member("real/dstack/verifier/sev-snp-attestation.json", "attestation"));
	struct wr w = wr_to(out, sizeof out);

	envelope_strip(&env); // others unchanged
	assert_int_equal(envelope_write(&w, &env, &f), 0);
	assert_true(span_eq(span_of(out, w.n),
			    load_hex_member("real/dstack/verifier/sev-snp-attestation.json", "attestation")));
}

static void configuration_text(void **state)
{
	static const struct {
		const char *config, *want;
	} cases[] = {
		{ "", "{}" },
		{ "{}", "{}" },
		{ "{\"cpu_count\":1}", "{\"cpu_count\":1}" },
		{ "{\"kms_urls\":[],\"vm_config\":\"{\\\"cpu_count\\\":2}\"}", "{\"cpu_count\":2}" },
		{ "{\"vm_config\":{\"cpu_count\":2}}", "{\"vm_config\":{\"cpu_count\":2}}" },
		{ "no json", "no json" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct envelope env = { .config = span_str(cases[i].config) };
		struct wr s = wr_to(scratch, sizeof scratch);

		assert_true(span_is(envelope_vm_config(&env, &s), cases[i].want));
	}
}

static void csr_vectors(void **state)
{
	static const char head[] =
		"44706c65617365207369676e20636572743a0c0102030040746573742e6578616d706c652e636f6d"
		"0001000100000000000409";
	struct envelope env = { .kind = ENVELOPE_TDX, .quote = hex("09") };
	struct csr csr = { .version = 2,
			   .pubkey = hex("010203"),
			   .subject = span_str("test.example.com"),
			   .server_auth = true,
			   .ext_quote = true },
		   back;
	uint8_t evidence[128];
	struct wr e = wr_to(evidence, sizeof evidence), w = wr_to(out, sizeof out);
	struct span want = hex(head);
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(envelope_write(&e, &env, &f), 0);
	csr.attestation = span_of(evidence, e.n);
	csr_write(&w, &csr);
	assert_int_equal(w.n, want.n + 1 + 1 + 64 + 1);
	assert_memory_equal(out, want.p, want.n);
	for (size_t i = want.n; i < w.n; i++)
		assert_int_equal(out[i], 0);
	// the attestation is what is left: it must be one envelope and nothing else
	assert_int_equal(csr_read(&back, span_of(out, w.n), 2, &f), 0);
	struct envelope got = fresh();

	must_read(&got, back.attestation);
	assert_true(span_eq(got.quote, env.quote));
	assert_int_equal(csr_read(&back, span_of(out, w.n), 3, &f), -1);
	assert_string_equal(f.code, "csr.version");
	// every field, both ways, with and without
	for (unsigned bits = 0; bits < 128; bits++) {
		struct csr c = csr;
		struct wr one = wr_to(out, sizeof out), two = wr_to(out2, sizeof out2);

		c.has_org = bits & 1;
		c.org = c.has_org ? span_str("o") : (struct span){ 0 };
		c.has_not_before = bits & 2;
		c.not_before = c.has_not_before ? UINT64_MAX : 0;
		c.has_not_after = bits & 4;
		c.not_after = c.has_not_after ? 1 : 0;
		c.client_auth = bits & 8;
		c.ext_app_info = bits & 16;
		c.ext_quote = bits & 32;
		c.n_names = bits & 64 ? CSR_NAMES_MAX : 0;
		for (size_t i = 0; i < c.n_names; i++)
			c.names[i] = span_str("n");
		csr_write(&one, &c);
		assert_int_equal(csr_read(&back, span_of(out, one.n), 2, &f), 0);
		csr_write(&two, &back);
		assert_true(span_eq(span_of(out, one.n), span_of(out2, two.n)));
	}
	csr.n_names = 0;
	w = wr_to(out, sizeof out);
	csr_write(&w, &csr);
	out[17 + 1 + 4 + 1] = 2; // the option's tag is neither 0 nor 1
	assert_int_equal(csr_read(&back, span_of(out, w.n), 2, &f), -1);
}

static void app_info_forms(void **state)
{
	struct app_info info = { .app_id = hex("01") }, back;
	struct wr w = wr_to(out, sizeof out), s = wr_to(scratch, sizeof scratch);
	struct fault f = { 0 };

	(void)state;
	app_info_write(&w, &info);
	assert_true(span_eq(span_of(out, w.n), hex("99c40101c400c400c400c400c400c400c400c0")));
	assert_int_equal(app_info_read(&back, &s, span_of(out, w.n), &f), 0);
	assert_false(back.has_scripts);
	out[0] = 0x9a; // ten
	assert_int_equal(app_info_read(&back, &s, span_of(out, w.n), &f), -1);
	assert_string_equal(f.code, "ratls.app_info");
	out[0] = 0x89; // a map
	assert_int_equal(app_info_read(&back, &s, span_of(out, w.n), &f), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v1_equals_an_independent_encoder),
		cmocka_unit_test(v1_preimages_are_compared),
		cmocka_unit_test(the_form_follows_from_the_events),
		cmocka_unit_test(unknown_versions_and_kinds_are_refused),
		cmocka_unit_test(arrays_and_binaries_are_both_read),
		cmocka_unit_test(malformed_v1_is_refused),
		cmocka_unit_test(events_of_platforms_without_registers_are_nothing),
		cmocka_unit_test(stripping),
		cmocka_unit_test(configuration_text),
		cmocka_unit_test(csr_vectors),
		cmocka_unit_test(app_info_forms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
