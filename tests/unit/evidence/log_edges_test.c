// Binary event logs and files of any form at their edges: headers and records that lie, scratch space that
// runs out.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/eventlog_diff.h"
#include "core/hash/sha2.h"
#include "load.h"

enum { EVENTS = 64 };
static struct event store[EVENTS], runtime_store[EVENTS];
static uint8_t scratch[1 << 16], file[1 << 16];
static struct envelope_tpm tpm;

// ---- TCG logs

static struct wr header(const uint16_t pairs[][2], size_t n)
{
	struct wr w = wr_to(file, sizeof file);

	wr_le32(&w, 0);
	wr_le32(&w, 3);
	for (int i = 0; i < 20; i++)
		wr_u8(&w, 0);
	wr_le32(&w, (uint32_t)(29 + 4 * n));
	wr_put(&w, "Spec ID Event03", 16);
	wr_le64(&w, 0x0200020000000000);
	wr_le32(&w, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		wr_le16(&w, pairs[i][0]);
		wr_le16(&w, pairs[i][1]);
	}
	wr_u8(&w, 0);
	return w;
}

static const uint16_t all[][2] = { { 4, 20 }, { 11, 32 }, { 12, 48 }, { 13, 64 }, { 0x12, 32 } };

static void record(struct wr *w, uint32_t index, uint32_t type, const char *algs, const char *data)
{
	wr_le32(w, index);
	wr_le32(w, type);
	wr_le32(w, (uint32_t)strlen(algs));
	for (; *algs; algs++) {
		int alg = *algs == 'a' ? 0 : *algs == 'b' ? 1 : *algs == 'c' ? 2 : 3;

		wr_le16(w, all[alg][0]);
		for (int i = 0; i < all[alg][1]; i++)
			wr_u8(w, (uint8_t)(i + 1));
	}
	wr_le32(w, (uint32_t)strlen(data));
	wr_str(w, data);
}

static void headers_that_lie(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {
		{ 4, 4 },    // not EV_NO_ACTION
		{ 30, 1 },   // 64 KiB of Spec ID
		{ 32, 's' }, // another signature
		{ 62, 32 },  // SHA-1 of 32 bytes
		{ 56, 200 }, // 200 algorithms
		{ 80, 1 },   // vendor data that is not there
		{ 28, 48 },  // cut in the algorithms
	};
	unsigned banks;
	struct fault f = { 0 };

	(void)state;
	struct wr w = header(all, 5);
	assert_int_equal(tcglog_banks(&banks, span_of(file, w.n), &f), 0);
	assert_int_equal(banks, 8 | 1 | 2 | 4);
	for (size_t n = 0; n < w.n; n++) {
		uint8_t *exact = malloc(n + 1);
		assert_non_null(exact);
		memcpy(exact, file, n);
		assert_int_equal(tcglog_banks(&banks, span_of(exact, n), &f), -1);
		free(exact);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		w = header(all, 5);
		file[bad[i].at] = bad[i].value;
		struct eventlog log = { store, 0, EVENTS };
		if (!tcglog_banks(&banks, span_of(file, w.n), &f))
			fail_msg("case %zu", i);
		assert_string_equal(f.code, "events.format");
		assert_int_equal(eventlog_read_ccel(&log, span_of(file, w.n), &f), -1);
		assert_int_equal(eventlog_read_pcrs(&log, span_of(file, w.n), TPMLOG_SHA256, &f), -1);
	}
}

static void records_that_lie(void **state)
{
	static const struct {
		const char *algs, *code;
		uint32_t index;
		size_t cap;
	} cases[] = {
		{ "c", NULL, 1, 2 },
		{ "", "events.digest", 1, 2 },
		{ "cd", "events.digest", 1, 2 }, // a CCEL has one
		{ "cc", "events.format", 1, 2 },
		{ "b", "events.digest", 1, 2 },
		{ "c", "events.imr", 5, 2 },
		{ "c", "events.limit", 1, 0 },
	};
	struct fault f = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wr w = header(all + 2, 1);
		struct eventlog log = { store, 0, cases[i].cap };

		record(&w, cases[i].index, 1, cases[i].algs, "data");
		if (eventlog_read_ccel(&log, span_of(file, w.n), &f) != (cases[i].code ? -1 : 0))
			fail_msg("case %zu", i);
		if (cases[i].code) {
			assert_string_equal(f.code, cases[i].code);
			continue;
		}
		// Cut anywhere it is malformed, but for what may be the end.
		size_t head = header(all + 2, 1).n;
		for (size_t n = head + 4; n < w.n; n++)
			assert_int_equal(eventlog_read_ccel(&log, span_of(file, n), &f), -1);
	}
	struct wr w = header(all + 2, 1);
	struct eventlog log = { store, 0, EVENTS };
	wr_le32(&w, 1);
	wr_le32(&w, 1);
	wr_le32(&w, 1);
	wr_le16(&w, 0x77); // a digest of nobody knows which size
	for (int i = 0; i < 80; i++)
		wr_u8(&w, 1);
	assert_int_equal(eventlog_read_ccel(&log, span_of(file, w.n), &f), -1);
	assert_string_equal(f.text, "event has a digest of an unknown kind");
}

static void every_pcr_has_its_register(void **state)
{
	static const int want[TPMLOG_PCRS] = { -1, 0, 1, 1, 1,  1,  1,  0,  2,  2,  -1, 2,
					       2,  2, 2, 2, -1, -1, -1, -1, -1, -1, -1, -1 };
	struct fault f = { 0 };

	(void)state;
	for (uint32_t pcr = 0; pcr < TPMLOG_PCRS; pcr++) {
		struct wr w = header(all + 2, 1);
		struct eventlog log = { store, 0, EVENTS };

		record(&w, pcr, 1, "c", "x");
		assert_int_equal(eventlog_read_tpm(&log, span_of(file, w.n), &f), 0);
		assert_int_equal(log.n, want[pcr] >= 0);
		if (log.n)
			assert_int_equal(log.e[0].imr, want[pcr]);
	}
}

static void banks_fold_by_their_own_hash(void **state)
{
	static const uint16_t alg[] = { TPMLOG_SHA256, TPMLOG_SHA384, TPMLOG_SHA512 };
	static void (*const hash[])(const void *, size_t, uint8_t *) = { sha256, sha384, sha512 };
	struct tpm_pcrs pcrs;
	struct fault f = { 0 };

	(void)state;
	struct wr w = header(all, 4);
	record(&w, 0, 3, "", "StartupLocality and more");
	record(&w, 2, 3, "", "of no meaning 17");
	record(&w, 0, 3, "", "no StartupLocali!");
	record(&w, 9, 1, "abcd", "x");
	for (int i = 0; i < 3; i++) {
		size_t size = 32 + 16 * (size_t)i;
		uint8_t both[128] = { 0 }, d[64];

		for (size_t k = 0; k < size; k++)
			both[size + k] = (uint8_t)(k + 1);
		hash[i](both, 2 * size, d);
		assert_int_equal(tpmlog_replay(&pcrs, span_of(file, w.n), alg[i], &f), 0);
		assert_int_equal(pcrs.size, size);
		assert_int_equal(pcrs.used, 1 << 9);
		assert_memory_equal(pcrs.pcr[9], d, size);
	}
	assert_int_equal(tpmlog_replay(&pcrs, span_of(file, w.n), 4, &f), -1); // SHA-1
	assert_string_equal(f.code, "events.bank");
	assert_int_equal(tpmlog_replay(&pcrs, span_of(file, 40), TPMLOG_SHA256, &f), -1);
	assert_string_equal(f.code, "events.format");
	w = header(all + 1, 2);
	assert_int_equal(tpmlog_replay(&pcrs, span_of(file, w.n), TPMLOG_SHA512, &f), -1);
	assert_string_equal(f.code, "events.bank");
	record(&w, 9, 1, "b", "only one of two");
	assert_int_equal(tpmlog_replay(&pcrs, span_of(file, w.n), TPMLOG_SHA384, &f), -1);
	assert_string_equal(f.code, "events.digest");
	w = header(all + 1, 1);
	record(&w, 24, 1, "b", "x");
	assert_int_equal(tpmlog_replay(&pcrs, span_of(file, w.n), TPMLOG_SHA256, &f), -1);
	assert_string_equal(f.code, "events.imr");
}

// ---- any file

static struct event_replay replay_in(size_t cap)
{
	return (struct event_replay){ .log = { store, 0, cap },
				      .runtime = { runtime_store, 0, EVENTS },
				      .tpm = &tpm };
}

static int replay(struct event_replay *r, struct span s, size_t room, struct fault *f)
{
	struct wr w = wr_to(scratch, room);

	return event_replay_read(r, &w, s, f);
}

static void files_of_any_form(void **state)
{
	static const struct {
		const char *text, *code;
	} cases[] = {
		{ "", "events.format" },
		{ " \t\r\n", "events.format" },
		{ "\t\r\n[]\r\n\t", NULL },
		{ "what is this", "events.format" },
		{ "abc", "events.format" }, // half a byte
		{ "{", "events.format" },
		{ "{}", "events.format" },
		{ "{\"event_log\":[]}", "events.format" },
		{ "{\"event_log\":\"[]\"}", NULL },
		{ "{\"event_log\":\"[]\",\"vm_config\":null,\"quote\":null}", NULL },
		{ "{\"event_log\":\"[]\",\"vm_config\":\"{}\",\"quote\":\"zz\"}", NULL }, // shown without
		{ "{\"event_log\":\"[]\",\"quote\":\"0400\"}", NULL },
		{ "{\"event_log\":\"[]\",\"vm_config\":{}}", "events.format" },
		{ "{\"event_log\":\"[1]\"}", "events.format" },
		{ "{\"attestation\":null,\"event_log\":\"[]\"}", NULL },
		{ "{\"attestation\":5}", "events.format" },
		{ "{\"attestation\":\"xx\"}", "events.format" },
		{ "{\"attestation\":\"00\"}", "envelope.format" },
		{ "ffff", "envelope.version" }, // hex of what is no envelope
		{ "\x80", "envelope.format" },
	};
	struct fault f = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct event_replay r = replay_in(EVENTS);

		if (replay(&r, span_str(cases[i].text), sizeof scratch, &f) != (cases[i].code ? -1 : 0))
			fail_msg("%s", cases[i].text);
		if (cases[i].code)
			assert_string_equal(f.code, cases[i].code);
		else
			assert_true(!r.log.n && !r.has_quote);
	}
	struct event_replay r = replay_in(EVENTS);
	assert_int_equal(replay(&r, span_str("{\"event_log\":\"[]\"}"), 1, &f), -1); // no room
	assert_int_equal(replay(&r, span_str("{\"event_log\":\"[]\",\"vm_config\":\"{}\"}"), 3, &f), -1);
	assert_int_equal(replay(&r, span_str("00ff"), 1, &f), -1);
	struct wr w = wr_to(scratch, sizeof scratch);
	w.bad = true;
	assert_int_equal(event_replay_read(&r, &w, span_str("00ff"), &f), -1);
}

static void written(const struct event_replay *r, bool list, const char *want)
{
	static char text[8192];
	struct wr w = wr_to(text, sizeof text);

	event_replay_json(&w, r, list);
	if (w.bad || !span_is(span_of(text, w.n), want))
		fail_msg("%.*s", (int)w.n, text);
}

static void envelopes_that_contradict_themselves(void **state)
{
	struct event a = event_runtime(span_str("app-id"), span_str("x"), 1), b = a;
	struct envelope env = { .kind = ENVELOPE_TDX, .log = { &a, 1, 1 }, .runtime = { &b, 1, 1 } };
	struct event_replay r = replay_in(EVENTS);
	struct wr w = wr_to(file, sizeof file);
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(envelope_write(&w, &env, &f), 0);
	assert_int_equal(replay(&r, span_of(file, w.n), sizeof scratch, &f), 0);
	assert_true(r.log.n == 1 && !r.has_quote && r.present == 8); // only runtime events came along
	b.payload = span_str("y");
	w = wr_to(file, sizeof file);
	assert_int_equal(envelope_write(&w, &env, &f), 0);
	assert_int_equal(replay(&r, span_of(file, w.n), sizeof scratch, &f), -1);
	assert_string_equal(f.code, "events.disagree");
	// Boot and runtime events together are more than the caller has room for.
	a = (struct event){ .imr = 0, .type = 1, .version = 1, .digest = span_of(scratch, 48) };
	w = wr_to(file, sizeof file);
	assert_int_equal(envelope_write(&w, &env, &f), 0);
	r = replay_in(1);
	assert_int_equal(replay(&r, span_of(file, w.n), sizeof scratch, &f), -1);
	assert_string_equal(f.code, "events.limit");
}

static void tpm_logs_without_sha_384(void **state)
{
	struct event_replay r = replay_in(EVENTS);
	struct wr w = header(all + 1, 1);
	struct fault f = { 0 };

	(void)state;
	record(&w, 9, 13, "b", "x");
	record(&w, 24, 13, "b", "x");
	assert_int_equal(replay(&r, span_of(file, w.n), sizeof scratch, &f), -1);
	assert_string_equal(f.code, "events.imr");
	w = header(all + 1, 1);
	record(&w, 9, 13, "b", "x");
	record(&w, 10, 3, "b", "not measured");
	assert_int_equal(replay(&r, span_of(file, w.n), sizeof scratch, &f), 0);
	assert_true(r.is_pcrs && !r.present);
	memset(&r.bank[0].pcr[9], 0xee, 32);
	written(&r, true,
		"{\"kind\":\"tpm\",\"events\":1,\"rtmr0\":null,\"rtmr1\":null,\"rtmr2\":null,\"rtmr3\":null,"
		"\"pcrs\":{\"sha256\":{\"9\":"
		"\"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\"}},"
		"\"event_log\":[{\"pcr_index\":9,\"event_type\":13,"
		"\"digest\":\"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\"}]}");
	written(&r, false,
		"{\"kind\":\"tpm\",\"events\":1,\"rtmr0\":null,\"rtmr1\":null,\"rtmr2\":null,\"rtmr3\":null,"
		"\"pcrs\":{\"sha256\":{\"9\":"
		"\"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\"}}}");
	w = header((const uint16_t[][2]){ { 12, 47 } }, 1);
	assert_int_equal(replay(&r, span_of(file, w.n), sizeof scratch, &f), -1);
	assert_string_equal(f.code, "events.format");
}

static void differences_of_two_registers(void **state)
{
	struct event_replay r = replay_in(EVENTS);
	char text[256];
	struct wr w = wr_to(text, sizeof text);
	struct fault f = { 0 };
	uint8_t digest[EVENT_DIGEST];

	(void)state;
	r.present = 15;
	r.has_quote = true;
	memset(r.quoted, 1, sizeof r.quoted);
	memset(r.rtmr, 1, sizeof r.rtmr);
	assert_true(event_replay_equal(&r));
	r.rtmr[1][0] = r.rtmr[3][47] = 0;
	assert_false(event_replay_equal(&r));
	event_diff_json(&w, &r);
	assert_true(span_is(span_of(text, w.n),
			    "[{\"register\":\"rtmr1\",\"difference\":\"unknown\",\"event\":null},"
			    "{\"register\":\"rtmr3\",\"difference\":\"unknown\",\"event\":null}]"));
	// An event whose digest is not its content's is where they part; one whose digest is right is not.
	store[0] = event_runtime(span_str("ok"), span_str(""), 1);
	assert_int_equal(event_digest(digest, &store[0], &f), 0);
	store[0].digest = span_of(digest, sizeof digest);
	store[1] = event_runtime(span_str("other"), span_str(""), 1);
	store[1].digest = store[0].digest;
	r.log.n = 2;
	struct event_diff d = event_diff(&r, 3);
	assert_true(d.kind == EVENT_DIFF_CONTENT && d.index == 1);
	r.present = 1;
	assert_true(event_replay_equal(&r)); // what is not there is not compared
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_that_lie),
		cmocka_unit_test(records_that_lie),
		cmocka_unit_test(every_pcr_has_its_register),
		cmocka_unit_test(banks_fold_by_their_own_hash),
		cmocka_unit_test(files_of_any_form),
		cmocka_unit_test(envelopes_that_contradict_themselves),
		cmocka_unit_test(tpm_logs_without_sha_384),
		cmocka_unit_test(differences_of_two_registers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
