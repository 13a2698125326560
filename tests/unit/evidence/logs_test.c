// Every recorded boot log decodes to what the JSON beside it says and folds to the registers that an
// independent program (Python's hashlib) computed; all forms of event_replay_read.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/eventlog_show.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "load.h"

enum { ROOM = 4 << 20 };

static struct event store[EVENTLOG_MAX], runtime_store[EVENTLOG_MAX];
static struct envelope_tpm tpm;
static uint8_t scratch[ROOM], text[ROOM];

static int replay(struct event_replay *r, struct span bytes, struct fault *f)
{
	struct wr s = wr_to(scratch, 2 * bytes.n < ROOM ? 2 * bytes.n : ROOM);

	*r = (struct event_replay){ .log = { store, 0, EVENTLOG_MAX },
				    .runtime = { runtime_store, 0, EVENTLOG_MAX },
				    .tpm = &tpm };
	return event_replay_read(r, &s, bytes, f);
}

static void must_replay(struct event_replay *r, struct span bytes)
{
	struct fault f = { 0 };

	if (replay(r, bytes, &f))
		fail_msg("%s (%s) at %zu", f.text, f.code, f.at);
}

static void assert_starts(const uint8_t *p, const char *want)
{
	char got[129] = { 0 };
	struct wr w = wr_to(got, 128);

	wr_hex(&w, p, 48);
	got[strlen(want)] = 0;
	assert_string_equal(got, want);
}

static const struct {
	const char *path, *json; // json: the expected decoding
	size_t n;
	const char *rtmr[4];
} ccel[] = {
	{ "real/dstack/cc-eventlog/ccel.bin",
	  NULL,
	  18,
	  { "274c2344116db7c663470693", "bdcf4ee0f7fdfe7c73fbb19d", "000000000000", "000000000000" } },
	{ "real/trustee/deps/eventlog/test_data/CCEL_data",
	  "real/trustee/deps/eventlog/test_data/CCEL_data_out.json",
	  5,
	  { "2dc712306a963eadb894ad47", "0fa3be56af61208bbd179dc7", "000000000000", "000000000000" } },
	{ "real/trustee/deps/eventlog/test_data/CCEL_data_gcp",
	  NULL,
	  21,
	  { "3300980705adf09d28b707b7", "204d49f78d29918fe7b2f694", "000000000000", "000000000000" } },
	{ "real/trustee/deps/eventlog/test_data/CCEL_data_grub",
	  "real/trustee/deps/eventlog/test_data/CCEL_data_grub_out.json",
	  37,
	  { "cec0a104f691f60da2387fea", "6c289e0c62182d41ebe97bdb", "08919d017ba0e52cd6d96635",
	    "000000000000" } },
	{ "real/trustee/deps/eventlog/test_data/CCEL_data_ovmf",
	  "real/trustee/deps/eventlog/test_data/CCEL_data_ovmf_out.json",
	  20,
	  { "8566f998798db09443b244c6", "775b9f6bfe99f8a31396f0d0", "94eaf7a7bf398ed8d888c910",
	    "000000000000" } },
};

// {uefi_event_logs: [{index, digests: [{alg, digest}], event: base64}]}
static void compare(const struct eventlog *log, const char *path)
{
	struct json root, list, v, x, digest;
	size_t i = 0;

	assert_int_equal(json_parse(&root, load(path), NULL), 0);
	assert_true(json_get(root, "uefi_event_logs", &list));
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &v); i++) {
		struct wr w = wr_to(text, sizeof text);
		struct span data = { 0 };
		uint64_t index = 0;
		uint8_t want[48];

		assert_true(i < log->n);
		assert_true(json_get(v, "index", &x) && !json_u64(x, 4, &index));
		assert_int_equal(log->e[i].imr + 1, index);
		assert_true(json_get(v, "digests", &x));
		assert_int_equal(json_count(x), 1);

		struct json_iter first = json_iter(x);

		assert_true(json_next(&first, NULL, &digest) && json_get(digest, "digest", &x));
		assert_int_equal(json_hex(x, want, sizeof want), 0);
		assert_true(span_eq(log->e[i].digest, span_of(want, sizeof want)));
		assert_true(json_get(v, "event", &x) && !json_plain(x, &data));
		assert_int_equal(base64_decode(&w, data), 0);
		assert_true(span_eq(log->e[i].payload, span_of(text, w.n)));
	}
	assert_int_equal(i, log->n);
}

static void ccel_logs_decode_and_replay_as_expected(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ccel / sizeof *ccel; i++) {
		struct event_replay r;

		must_replay(&r, load(ccel[i].path));
		assert_string_equal(r.kind, "ccel");
		assert_int_equal(r.log.n, ccel[i].n);
		assert_int_equal(r.present, 15);
		for (int k = 0; k < 4; k++)
			assert_starts(r.rtmr[k], ccel[i].rtmr[k]);
		if (ccel[i].json)
			compare(&r.log, ccel[i].json);
	}
}

static void acpi_events_are_named_in_order(void **state)
{
	static const char *const names[] = { "acpi-loader", "acpi-rsdp", "acpi-tables" };
	struct event_replay r;
	size_t seen = 0;

	(void)state;
	must_replay(&r, load("real/trustee/deps/eventlog/test_data/CCEL_data_ovmf"));
	for (size_t i = 0; i < r.log.n; i++)
		if (event_is_acpi(&r.log.e[i]))
			assert_true(seen < 3 && span_is(r.log.e[i].name, names[seen++]));
		else
			assert_int_equal(r.log.e[i].name.n, 0);
	assert_int_equal(seen, 3);
}

// Where the log area is cut: with or without the end mark, zeros of any length, or half a record.
static void the_end_of_a_log_is_found(void **state)
{
	struct span file = load("real/trustee/deps/eventlog/test_data/CCEL_data_ovmf"); // ends at 2120
	uint8_t *copy = calloc(1, 4096);
	struct event_replay r;
	struct fault f = { 0 };

	(void)state;
	assert_non_null(copy);
	assert_memory_equal(file.p + 2120, "\xff\xff\xff\xff", 4);
	memcpy(copy, file.p, 2120);
	for (size_t n = 2120; n < 2200; n++) {
		must_replay(&r, span_of(copy, n));
		assert_int_equal(r.log.n, 20);
		assert_starts(r.rtmr[0], "8566f998");
	}
	for (size_t n = 2119; n > 2100; n--)
		assert_int_equal(replay(&r, span_of(file.p, n), &f), -1);
	free(copy);
}

static void tpm_logs_give_their_pcrs(void **state)
{
	static const struct {
		int pcr;
		const char *sha256, *sha384;
	} want[] = {
		{ 0, "0cca9ec161b09288802e5a112255d21340ed5b797f5fe29cecccfd8f67b9f802", "592b3f42ec556a9c" },
		{ 1, "0c56546d1549a5c2", "e68ae4f6505c5351" },
		{ 2, "1f74355f18d9aab3", "6061581cf27d940d" },
		{ 7, "02836eb5a7a5ba63", "41dba0cb2e204ec2" },
		{ 9, "b6f84aea75e7ce10", "9e17d8ab2fdb27d3" },
		{ 11, "16c654f49c03f385", "422a6b6c5440b300" },
	};
	struct event_replay r;
	struct tpm_pcrs none;
	struct fault f = { 0 };
	struct span log = load("real/dstack/cc-eventlog/tpm_eventlog.bin");

	(void)state;
	must_replay(&r, log);
	assert_string_equal(r.kind, "tpm");
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		assert_starts(r.bank[0].pcr[want[i].pcr], want[i].sha256);
		assert_starts(r.bank[1].pcr[want[i].pcr], want[i].sha384);
	}
	assert_int_equal(r.bank[0].used, 0xaff);
	assert_int_equal(tpmlog_replay(&none, log, TPMLOG_SHA512, &f), -1);
	assert_string_equal(f.code, "events.bank");
	assert_int_equal(tpmlog_replay(&none, log, 4, &f), -1);
	assert_string_equal(f.code, "events.bank");
	must_replay(&r, load("soft/tpm-1024.bin"));
	assert_int_equal(r.bank[0].size, 0);
	assert_starts(r.bank[1].pcr[0], "5f6f9472"); // as the firmware's measurement of itself is known
	assert_starts(r.rtmr[1], "39c26b69");
}

// A log that is put together: header with `algs` algorithms, then records.
static struct wr header(uint8_t *out, size_t cap, const uint16_t *algs, size_t n)
{
	struct wr w = wr_to(out, cap);

	wr_le32(&w, 0);
	wr_le32(&w, 3);
	wr_put(&w, (uint8_t[20]){ 0 }, 20);
	wr_le32(&w, (uint32_t)(29 + 4 * n));
	wr_put(&w, "Spec ID Event03", 16);
	wr_put(&w, (uint8_t[8]){ 0, 0, 0, 0, 0, 2, 0, 2 }, 8);
	wr_le32(&w, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		wr_le16(&w, algs[i]);
		wr_le16(&w, algs[i] == 4 ? 20 : algs[i] == 11 ? 32 : algs[i] == 12 ? 48 : 64);
	}
	wr_u8(&w, 0);
	return w;
}

static void record(struct wr *w, uint32_t index, uint32_t type, uint16_t alg, const char *data, size_t n)
{
	static const uint8_t digest[64] = { 1, 2, 3 };

	wr_le32(w, index);
	wr_le32(w, type);
	wr_le32(w, 1);
	wr_le16(w, alg);
	wr_put(w, digest, alg == 4 ? 20 : alg == 11 ? 32 : alg == 12 ? 48 : 64);
	wr_le32(w, (uint32_t)n);
	wr_put(w, data, n);
}

static void startup_locality_is_where_pcr_0_begins(void **state)
{
	uint8_t a[1024];
	struct wr w = header(a, sizeof a, (const uint16_t[]){ 11 }, 1);
	struct event_replay r;
	struct fault f = { 0 };

	(void)state;
	record(&w, 0, 3, 11, "StartupLocality\0\x03", 17);
	record(&w, 0, 8, 11, "x", 1);
	record(&w, 7, 4, 11, "", 0);
	must_replay(&r, span_of(a, w.n));
	assert_true(r.is_pcrs);
	assert_int_equal(r.present, 0);
	// SHA-256(31 zeros, 03, 010203, 29 zeros)
	assert_starts(r.bank[0].pcr[0], "9570c1f8ceb1f0ed");
	record(&w, 0, 3, 11, "StartupLocality\0\x03", 17); // too late
	assert_int_equal(replay(&r, span_of(a, w.n), &f), -1);
	assert_string_equal(f.code, "events.format");
}

static void binary_logs_have_bounds(void **state)
{
	static const struct {
		uint32_t index;
		uint16_t alg;
		const char *code;
	} bad[] = { { 1, 11, "events.digest" }, { 24, 12, "events.imr" } };
	uint8_t a[1024];
	struct event_replay r;
	struct fault f = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct wr w = header(a, sizeof a, (const uint16_t[]){ 12 }, 1);

		record(&w, 1, 4, 12, "", 0);
		record(&w, 7, 4, 12, "", 0); // makes it a TPM log
		record(&w, bad[i].index, 4, bad[i].alg, "", 0);
		assert_int_equal(replay(&r, span_of(a, w.n), &f), -1);
		assert_string_equal(f.code, bad[i].code);
	}
	struct eventlog log = { store, 0, EVENTLOG_MAX };
	struct wr w = header(a, sizeof a, (const uint16_t[]){ 12 }, 1);

	record(&w, 5, 4, 12, "", 0); // no such register in a CCEL
	assert_int_equal(eventlog_read_ccel(&log, span_of(a, w.n), &f), -1);
	assert_string_equal(f.code, "events.imr");
	w = header(a, sizeof a, (const uint16_t[]){ 12 }, 1);
	wr_le32(&w, 1);
	wr_le32(&w, 4);
	wr_le32(&w, 65537); // digests
	assert_int_equal(eventlog_read_ccel(&log, span_of(a, w.n), &f), -1);
	assert_string_equal(f.code, "events.format");
	w = header(a, sizeof a, (const uint16_t[]){ 12 }, 1);
	wr_le32(&w, 1);
	wr_le32(&w, 4);
	wr_le32(&w, 0);
	wr_le32(&w, 65537); // data
	wr_put(&w, "data", 4);
	assert_int_equal(eventlog_read_ccel(&log, span_of(a, w.n), &f), -1);
	assert_string_equal(f.code, "events.format");
	w = header(a, sizeof a, (const uint16_t[]){ 12 }, 1);
	record(&w, 0, 4, 12, "", 0); // of no register: left out
	record(&w, 4, 4, 12, "", 0); // register 3 by the firmware
	must_replay(&r, span_of(a, w.n));
	assert_int_equal(r.log.n, 1);
	assert_int_equal(r.log.e[0].imr, 3);
	record(&w, 4, EVENT_RUNTIME, 12, "app-id", 6);
	assert_int_equal(replay(&r, span_of(a, w.n), &f), -1);
	assert_string_equal(f.code, "events.type");
}

static void envelopes_replay_to_their_quotes(void **state)
{
	static const char lite[] = "real/dstack/verifier/tdx-lite-attestation.json";
	static const char getquote[] = "real/dstack/verifier/tdx-lite-getquote.json";
	struct event_replay r;
	struct fault f = { 0 };
	char digits[20000];
	struct wr w = wr_to(digits, sizeof digits);

	(void)state;
	must_replay(&r, load("real/dstack/sdk-simulator/attestation.bin"));
	assert_string_equal(r.kind, "envelope");
	assert_int_equal(r.log.n, 33);
	assert_int_equal(r.present, 15);
	assert_true(r.has_quote && event_replay_equal(&r));
	must_replay(&r, load(getquote));
	assert_string_equal(r.kind, "json");
	assert_true(r.present == 15 && r.has_quote && event_replay_equal(&r));
	must_replay(&r, load(lite)); // stripped: three ACPI events and the runtime events
	assert_int_equal(r.present, 8);
	assert_true(r.has_quote && event_replay_equal(&r));
	wr_span(&w, load_text_member(lite, "attestation"));
	wr_u8(&w, '\n');
	must_replay(&r, span_of(digits, w.n)); // hex
	assert_int_equal(r.present, 8);
	must_replay(&r, load("real/dstack/verifier/sev-snp-attestation.json"));
	assert_true(r.no_registers && !r.present && !r.has_quote);
	assert_int_equal(replay(&r, span_str(""), &f), -1);
	assert_int_equal(replay(&r, span_str(" \n"), &f), -1);
	assert_int_equal(replay(&r, span_str("{}"), &f), -1);
	assert_int_equal(replay(&r, span_str("{"), &f), -1);
	assert_int_equal(replay(&r, span_str("# text"), &f), -1);
	assert_string_equal(f.code, "events.format");
	assert_int_equal(replay(&r, span_str("{\"attestation\":\"zz\"}"), &f), -1);
	assert_int_equal(replay(&r, span_str("00ff"), &f), -1);
	assert_string_equal(f.code, "envelope.format");
}

// What is written is JSON with the list in it, which replays to the same.
static void the_json_form_says_it_all(void **state)
{
	static const char *const files[] = { "real/dstack/sdk-simulator/attestation.bin",
					     "real/dstack/verifier/tdx-lite-attestation.json",
					     "real/dstack/cc-eventlog/ccel.bin", "soft/tpm-1024.bin",
					     "real/dstack/cc-eventlog/tpm_eventlog.bin" };
	static uint8_t copy[ROOM];
	struct json root, v;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct event_replay r, again;
		struct wr w = wr_to(text, sizeof text);
		uint8_t reg[48];

		must_replay(&r, load(files[i]));
		event_replay_json(&w, &r, true);
		assert_false(w.bad);
		assert_int_equal(json_parse(&root, span_of(text, w.n), NULL), 0);
		assert_true(json_get(root, "rtmr0", &v));
		assert_int_equal(json_kind(v), r.present & 1 ? JSON_STRING : JSON_NULL);
		assert_true(json_get(root, "rtmr3", &v) && !json_hex(v, reg, 48));
		assert_memory_equal(reg, r.rtmr[3], 48);
		assert_true(json_get(root, "event_log", &v));
		assert_int_equal(json_count(v), r.log.n);
		memcpy(copy, v.text.p, v.text.n);
		uint8_t was[4][48];

		memcpy(was, r.rtmr, sizeof was);
		must_replay(&again, span_of(copy, v.text.n));
		assert_memory_equal(again.rtmr, was, sizeof was);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ccel_logs_decode_and_replay_as_expected),
		cmocka_unit_test(acpi_events_are_named_in_order),
		cmocka_unit_test(the_end_of_a_log_is_found),
		cmocka_unit_test(tpm_logs_give_their_pcrs),
		cmocka_unit_test(startup_locality_is_where_pcr_0_begins),
		cmocka_unit_test(binary_logs_have_bounds),
		cmocka_unit_test(envelopes_replay_to_their_quotes),
		cmocka_unit_test(the_json_form_says_it_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
