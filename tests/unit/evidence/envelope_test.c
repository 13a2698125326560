// Envelopes: every sample decodes, replays and encodes to the same bytes; both forms agree; CSR, app info,
// report data.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/certext.h"
#include "core/attest/reportdata.h"
#include "load.h"

static struct event log_store[512], runtime_store[512], log_store2[512], runtime_store2[512];
static uint8_t scratch[1 << 20], scratch2[1 << 20], out[1 << 20];
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
	struct wr s = wr_to(scratch, sizeof scratch);
	struct fault f = { 0 };

	if (envelope_read(env, &s, bytes, &f))
		fail_msg("%s (%s) at %zu", f.text, f.code, f.at);
}

static void samples_decode_replay_and_encode_byte_exact(void **state)
{
	struct span samples[] = {
		load("real/dstack/sdk-simulator/attestation.bin"),
		load("real/dstack/guest-agent/attestation.bin"),
		load_hex_member("real/dstack/verifier/tdx-lite-attestation.json", "attestation"),
		load_hex_member("real/dstack/verifier/sev-snp-attestation.json", "attestation"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
		struct envelope env = fresh();
		struct wr w = wr_to(out, sizeof out);
		struct fault f = { 0 };
		uint8_t rtmr3[EVENT_DIGEST];

		must_read(&env, samples[i]);
		assert_int_equal(envelope_write(&w, &env, &f), 0);
		assert_int_equal(w.n, samples[i].n);
		assert_memory_equal(out, samples[i].p, w.n);
		if (env.kind != ENVELOPE_TDX)
			continue;
		assert_int_equal(eventlog_replay_runtime(rtmr3, &env.runtime, false, &f), 0);
		assert_memory_equal(rtmr3, env.quote.p + 376 + 144, sizeof rtmr3);
		assert_memory_equal(env.report_data, env.quote.p + 568, 64);
		assert_int_equal(eventlog_same_runtime(&env.log, &env.runtime, &f), 0);
		if (i < 1) {
			assert_int_equal(env.quote.n, 5010);
			assert_int_equal(env.log.n, 33);
			assert_int_equal(env.runtime.n, 9);
		}
	}
}

static void prefixes_and_extra_bytes_are_refused(void **state)
{
	struct span v0 = load("real/dstack/sdk-simulator/attestation.bin");
	static uint8_t copy[16384];
	struct envelope env = fresh();
	struct fault f = { 0 };

	(void)state;
	for (size_t n = 0; n < v0.n; n += n < 64 ? 1 : 61) {
		struct wr s = wr_to(scratch, sizeof scratch);

		assert_int_equal(envelope_read(&env, &s, span_of(v0.p, n), &f), -1);
	}
	memcpy(copy, v0.p, v0.n);
	copy[v0.n] = 0;
	struct wr s = wr_to(scratch, sizeof scratch);

	assert_int_equal(envelope_read(&env, &s, span_of(copy, v0.n + 1), &f), -1);
	assert_string_equal(f.code, "envelope.trailing");
}

static void both_forms_carry_the_same(void **state)
{
	struct envelope a = fresh(), b = fresh2();
	struct wr w = wr_to(out, sizeof out), s2 = wr_to(scratch2, sizeof scratch2), again;
	static uint8_t out2[1 << 20];
	struct fault f = { 0 };

	(void)state;
	must_read(&a, load("real/dstack/sdk-simulator/attestation.bin"));
	a.runtime.e[2].version = 2; // forces V1
	assert_int_equal(envelope_write(&w, &a, &f), 0);
	assert_int_equal(out[0], 0x83);
	if (envelope_read(&b, &s2, span_of(out, w.n), &f))
		fail_msg("%s at %zu", f.text, f.at);
	assert_int_equal(b.version, 1);
	assert_true(span_eq(a.quote, b.quote) && span_eq(a.config, b.config));
	assert_int_equal(a.log.n, b.log.n);
	assert_int_equal(a.runtime.n, b.runtime.n);
	assert_int_equal(b.runtime.e[2].version, 2);
	assert_memory_equal(a.report_data, b.report_data, 64);
	again = wr_to(out2, sizeof out2);
	assert_int_equal(envelope_write(&again, &b, &f), 0);
	assert_int_equal(again.n, w.n);
	assert_memory_equal(out, out2, w.n);
	for (size_t n = 0; n < w.n; n += n < 64 ? 1 : 127) {
		struct wr s = wr_to(scratch2, sizeof scratch2);

		assert_int_equal(envelope_read(&b, &s, span_of(out, n), &f), -1);
	}
}

static void stripping_keeps_runtime_and_acpi_events(void **state)
{
	struct envelope env = fresh();
	size_t acpi = 0, runtime = 0;

	(void)state;
	must_read(&env, load_hex_member("real/dstack/verifier/tdx-lite-attestation.json", "attestation"));
	envelope_strip(&env);
	for (size_t i = 0; i < env.log.n; i++) {
		acpi += event_is_acpi(&env.log.e[i]);
		runtime += env.log.e[i].imr == 3 && env.log.e[i].digest.n == 0;
	}
	assert_int_equal(acpi, 3);
	assert_int_equal(acpi + runtime, env.log.n);
}

static void csr_v2_has_the_known_bytes(void **state)
{
	struct span want = hex("44706c65617365207369676e20636572743a0c0102030040746573742e6578616d706c652e636"
			       "f6d0001000000000000"
			       "00000000000000000000000000000000000000000000000000000000000000000000000000000"
			       "0000000000000000000"
			       "000000000000000000000000000000000000000000");
	struct envelope env = { .kind = ENVELOPE_TDX };
	struct csr csr = { .version = 2,
			   .pubkey = hex("010203"),
			   .subject = span_str("test.example.com"),
			   .server_auth = true };
	uint8_t evidence[128], bytes[512];
	struct wr e = wr_to(evidence, sizeof evidence), w = wr_to(bytes, sizeof bytes);
	struct csr back;
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(envelope_write(&e, &env, &f), 0);
	csr.attestation = span_of(evidence, e.n);
	csr_write(&w, &csr);
	assert_int_equal(w.n, want.n);
	assert_memory_equal(bytes, want.p, w.n);
	assert_int_equal(csr_read(&back, span_of(bytes, w.n), 2, &f), 0);
	assert_true(span_eq(back.pubkey, csr.pubkey) && span_eq(back.subject, csr.subject) &&
		    back.server_auth);
	assert_true(span_eq(back.attestation, csr.attestation));
	for (size_t n = 0; n < 50; n++)
		assert_int_equal(csr_read(&back, span_of(bytes, n), 2, &f), n >= 47 ? 0 : -1);
	assert_true(back.confirmed);
	bytes[3] ^= 1; // the confirm word: judged after the signature, so only told
	assert_int_equal(csr_read(&back, span_of(bytes, w.n), 2, &f), 0);
	assert_false(back.confirmed);
}

static void csr_v1_round_trip(void **state)
{
	struct csr csr = { .version = 1,
			   .pubkey = hex("30"),
			   .has_org = true,
			   .org = span_str("o"),
			   .subject = span_str("s"),
			   .n_names = 2,
			   .names = { span_str("a.example"), span_str("127.0.0.1") },
			   .ext_quote = true,
			   .quote = hex("0011"),
			   .event_log = span_str("[]") };
	uint8_t bytes[512];
	struct wr w = wr_to(bytes, sizeof bytes);
	struct csr back;
	struct fault f = { 0 };

	(void)state;
	csr_write(&w, &csr);
	assert_int_equal(csr_read(&back, span_of(bytes, w.n), 1, &f), 0);
	assert_true(span_eq(back.names[1], csr.names[1]) && back.has_org && span_eq(back.quote, csr.quote));
	for (size_t n = 0; n < w.n; n++)
		assert_int_equal(csr_read(&back, span_of(bytes, n), 1, &f), -1);
}

static void app_info_round_trip(void **state)
{
	struct app_info info = { .app_id = hex("0102"),
				 .compose_hash = span_str("c"),
				 .key_provider_info = span_str("{}"),
				 .has_scripts = true,
				 .n_scripts = 1,
				 .scripts = { span_str("h") } };
	uint8_t bytes[256], der[300], s[256];
	struct wr w = wr_to(bytes, sizeof bytes), d = wr_to(der, sizeof der), scr = wr_to(s, sizeof s);
	struct app_info back;
	struct span payload;
	struct fault f = { 0 };

	(void)state;
	app_info_write(&w, &info);
	octet_string_write(&d, span_of(bytes, w.n));
	assert_int_equal(octet_string_read(&payload, span_of(der, d.n), &f), 0);
	assert_int_equal(app_info_read(&back, &scr, payload, &f), 0);
	assert_true(span_eq(back.app_id, info.app_id) && span_eq(back.scripts[0], info.scripts[0]));
	assert_int_equal(app_info_read(&back, &scr, span_of(bytes, w.n - 1), &f), -1);
	assert_int_equal(octet_string_read(&payload, span_of(der, d.n - 1), &f), -1);
	assert_int_equal(octet_string_read(&payload, hex("04810100"), &f), -1); // not the shortest length
}

static void report_data_modes(void **state)
{
	static const struct {
		const char *hash, *start; // of HASH("app-data:abc"), by coreutils and Python's hashlib
	} known[] = {
		{ "sha256", "57bae068e8d01abc" },
		{ "sha384", "b92ede49637f0816" },
		{ "sha512", "85991484123ef987" },
		{ "sha3-256", "70ecbb17b7589d4f" },
		{ "sha3-384", "e6e9af41e4d1908e" },
		{ "sha3-512", "9aad287a814a5139" },
		{ "keccak256", "" },
		{ "keccak384", "" },
		{ "keccak512", "" },
	};
	uint8_t rd[64], fixed[64];
	struct fault f = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		char text[129];
		struct wr w = wr_to(text, sizeof text - 1);

		assert_int_equal(report_data_make(rd, span_str(known[i].hash), span_str("app-data"),
						  span_str("abc"), &f),
				 0);
		wr_hex(&w, rd, 64);
		text[strlen(known[i].start)] = 0;
		assert_string_equal(text, known[i].start);
	}
	assert_int_equal(report_data_make(rd, span_str(""), span_str("app-data"), span_str("abc"), &f), 0);
	report_data_tagged(fixed, "app-data", span_str("abc"));
	assert_memory_equal(rd, fixed, 64);
	assert_int_equal(report_data_make(rd, span_str("md5"), span_str("t"), span_str("abc"), &f), -1);
	assert_int_equal(report_data_make(rd, span_str("raw"), span_str("t"), span_str("abc"), &f), -1);
	assert_int_equal(report_data_make(rd, span_str("raw"), span_str("t"), span_of(fixed, 64), &f), 0);
	assert_memory_equal(rd, fixed, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_decode_replay_and_encode_byte_exact),
		cmocka_unit_test(prefixes_and_extra_bytes_are_refused),
		cmocka_unit_test(both_forms_carry_the_same),
		cmocka_unit_test(stripping_keeps_runtime_and_acpi_events),
		cmocka_unit_test(csr_v2_has_the_known_bytes),
		cmocka_unit_test(csr_v1_round_trip),
		cmocka_unit_test(app_info_round_trip),
		cmocka_unit_test(report_data_modes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
