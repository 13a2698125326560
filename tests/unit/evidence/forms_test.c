// Envelopes of every kind in both forms, sound and broken, from tests/vectors/envelopes.txt (made by
// tests/tools/envelopes.py with encoders of its own), and the calls around them.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/certext.h"
#include "load.h"

enum { EVENTS = 16 }; // the vectors have one more where that is refused
static struct event log_store[EVENTS], runtime_store[EVENTS];
static uint8_t scratch[1 << 16], out[1 << 16];
static struct envelope_tpm tpm;

static struct envelope fresh(void)
{
	return (struct envelope){ .log = { log_store, 0, EVENTS },
				  .runtime = { runtime_store, 0, EVENTS },
				  .tpm = &tpm };
}

static int read(struct envelope *env, struct span bytes, struct fault *f)
{
	struct wr s = wr_to(scratch, sizeof scratch);

	return envelope_read(env, &s, bytes, f);
}

static void reads(struct envelope *env, struct span bytes)
{
	struct fault f = { 0 };

	if (read(env, bytes, &f))
		fail_msg("%s (%s) at %zu", f.text, f.code, f.at);
}

static void one_case(const char *name, const char *want, struct span bytes)
{
	struct envelope env = fresh();
	struct fault f = { "accepted", "", 0 };
	struct wr w = wr_to(out, sizeof out);
	bool ok = !strcmp(want, "exact") || !strcmp(want, "ok");

	if (read(&env, bytes, &f) != (ok ? 0 : -1) || (!ok && strcmp(f.code, want)))
		fail_msg("%s: %s: %s at %zu", name, f.code, f.text, f.at);
	if (!ok)
		return;
	// Whatever was accepted is written as something that reads the same; a prefix is never accepted.
	assert_int_equal(envelope_write(&w, &env, &f), 0);
	assert_false(w.bad);
	if (!strcmp(want, "exact") && (w.n != bytes.n || memcmp(out, bytes.p, w.n)))
		fail_msg("%s: written otherwise", name);
	for (size_t n = 0; n < bytes.n; n++) {
		struct envelope cut = fresh();

		assert_int_equal(read(&cut, span_of(bytes.p, n), &f), -1);
	}
}

// The file, line by line: name, want, hex.
static size_t each_case(void (*fn)(const char *, const char *, struct span), const char *only)
{
	FILE *f = fopen(VECTORS "/envelopes.txt", "r");
	char *line = NULL, name[64], want[64];
	size_t cap = 0, cases = 0;
	int at;

	assert_non_null(f);
	while (getline(&line, &cap, f) > 0) {
		assert_int_equal(sscanf(line, "%63s %63s %n", name, want, &at), 2);
		line[strcspn(line, "\n")] = 0;
		if (only && strcmp(only, name))
			continue;
		fn(name, want, hex(line[at] == '-' ? "" : line + at));
		cases++;
	}
	free(line);
	fclose(f);
	return cases;
}

static void every_vector(void **state)
{
	(void)state;
	assert_true(each_case(one_case, NULL) > 70);
}

static struct span found;

static void keep(const char *name, const char *want, struct span bytes)
{
	(void)name;
	(void)want;
	found = bytes;
}

static struct span vector(const char *name)
{
	assert_int_equal(each_case(keep, name), 1);
	return found;
}

static void what_was_read(void **state)
{
	static const char *const both[] = { "v0-gcp-tdx", "v1-gcp-tdx" };
	struct envelope env = fresh();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		reads(&env, vector(both[i]));
		assert_int_equal(env.kind, ENVELOPE_GCP_TDX);
		assert_true(env.log.n == 3 && env.runtime.n == 2 && env.quote.n == 7 && !env.is_pod);
		assert_true(span_is(env.log.e[0].payload, "ACPI DATA") && env.log.e[1].imr == 3);
		assert_true(span_is(env.runtime.e[1].name, "system-ready") && !env.runtime.e[1].payload.n);
		assert_true(tpm.platform == 1 && tpm.n_pcrs == 1 && tpm.n_log == 2);
		assert_true(tpm.pcrs[0].index == 14 && span_is(tpm.pcrs[0].algorithm, "sha256"));
		assert_true(tpm.log[1].index == 5 && tpm.log[1].value.n == 32 && span_is(tpm.ak_cert, "c"));
		assert_true(env.report_data[63] == 63 && span_is(env.config, "{\"cpu_count\":1}"));
	}
	reads(&env, vector("v1-snp"));
	assert_true(env.kind == ENVELOPE_SNP && env.n_chain == 2 && span_is(env.chain[1], "vcek"));
	assert_true(span_is(env.mr_config, "{\"version\":3}"));
	reads(&env, vector("v1-pod"));
	assert_true(env.is_pod && span_is(env.pod_payload, "payload") && !env.n_chain);
	reads(&env, vector("v1-unknown-in-event")); // a runtime event has no imr, type or digest of its own
	assert_true(env.runtime.e[0].imr == 3 && !env.runtime.e[0].digest.n && !env.runtime.e[0].payload.n);
}

static void tpm_part_needs_room(void **state)
{
	struct envelope env = fresh();
	struct fault f = { 0 };
	struct wr w = wr_to(out, sizeof out);

	(void)state;
	env.tpm = NULL;
	assert_int_equal(read(&env, vector("v0-gcp-tdx"), &f), -1);
	assert_string_equal(f.code, "envelope.format");
	assert_int_equal(read(&env, vector("v1-gcp-tdx"), &f), -1);
	assert_string_equal(f.code, "envelope.format");
	env.kind = ENVELOPE_GCP_TDX;
	assert_int_equal(envelope_write(&w, &env, &f), -1);
	assert_string_equal(f.code, "envelope.format");
	assert_int_equal(read(&env, span_of(scratch, ENVELOPE_MAX + 1), &f), -1); // not looked at
	assert_string_equal(f.code, "envelope.size");
	struct wr small = wr_to(scratch, 3); // no room for a quote in integers
	env = fresh();
	assert_int_equal(envelope_read(&env, &small, vector("v1-tdx"), &f), -1);
}

static void stripping(void **state)
{
	struct envelope env = fresh();

	(void)state;
	reads(&env, vector("v0-gcp-tdx"));
	envelope_strip(&env); // of GCP only the runtime events stay
	assert_int_equal(env.log.n, 1);
	assert_true(span_is(env.log.e[0].name, "app-id") && !env.log.e[0].digest.n &&
		    env.log.e[0].payload.n == 2);
	reads(&env, vector("v0-tdx"));
	envelope_strip(&env);
	assert_int_equal(env.log.n, 2);
	assert_int_equal(env.log.e[0].digest.n, 48);
	reads(&env, vector("v0-snp"));
	envelope_strip(&env);
	assert_int_equal(env.n_chain, 2);
}

static void configs(void **state)
{
	static const struct {
		const char *config, *want;
	} cases[] = {
		{ "", "{}" },
		{ "{\"cpu_count\":1}", "{\"cpu_count\":1}" },
		{ "{\"vm_config\":\"{\\\"a\\\":1}\",\"x\":2}", "{\"a\":1}" },
		{ "{\"vm_config\":{\"a\":1}}", "{\"vm_config\":{\"a\":1}}" }, // not the sys-config we know
		{ "no json", "no json" },
	};
	struct envelope env = fresh();
	struct wr s;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		env.config = span_str(cases[i].config);
		s = wr_to(scratch, sizeof scratch);
		assert_true(span_is(envelope_vm_config(&env, &s), cases[i].want));
	}
	env.config = span_str(cases[2].config);
	s = wr_to(scratch, 3);
	assert_int_equal(envelope_vm_config(&env, &s).n, 0);
	s.bad = true;
	assert_int_equal(envelope_vm_config(&env, &s).n, 0);
}

// ---- extensions

static void octet_strings_of_any_length(void **state)
{
	static const struct {
		size_t n;
		const char *head;
	} heads[] = { { 0, "0400" },       { 127, "047f" },       { 128, "048180" },      { 255, "0481ff" },
		      { 256, "04820100" }, { 65535, "0482ffff" }, { 65536, "0483010000" } };
	static const char *const bad[] = { "",         "0401",       "0501ff",         "0480",
					   "048000",   "0484000000", "04840000000100", "04817f",
					   "048101ff", "04820080",   "0482",           "0401ffff" };
	static uint8_t payload[1 << 17], bytes[(1 << 17) + 8];
	struct fault f = { 0 };
	struct span back;

	(void)state;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		struct wr w = wr_to(bytes, sizeof bytes);
		struct span head = hex(heads[i].head);

		octet_string_write(&w, span_of(payload, heads[i].n));
		assert_int_equal(w.n, head.n + heads[i].n);
		assert_memory_equal(bytes, head.p, head.n);
		assert_int_equal(octet_string_read(&back, span_of(bytes, w.n), &f), 0);
		assert_int_equal(back.n, heads[i].n);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (!octet_string_read(&back, hex(bad[i]), &f))
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(f.code, "ratls.extension");
	}
	struct wr none = wr_to(NULL, 0);
	octet_string_write(&none, span_of(payload, 1 << 24)); // a dry run, nothing is read
	assert_true(none.bad);
}

static void app_info_forms(void **state)
{
	static const struct {
		const char *digits;
		int want;
	} cases[] = {
		{ "98"
		  "c400c400c400c400c400c400c400c400",
		  0 }, // without scripts, as older guests write it
		{ "99"
		  "c400c400c400c400c400c400c400c400"
		  "c0",
		  0 },
		{ "99"
		  "c400c400c400c400c400c400c400c400"
		  "92c40161c40162",
		  0 },
		{ "99"
		  "90909090909090909190",
		  0 }, // arrays of integers instead
		{ "9a"
		  "c400c400c400c400c400c400c400c400"
		  "c0c0",
		  -1 },
		{ "97"
		  "c400c400c400c400c400c400c400",
		  -1 },
		{ "98"
		  "c400c400c400c400c400c400c400a0",
		  -1 }, // text
		{ "99"
		  "c400c400c400c400c400c400c400c400"
		  "c0c0",
		  -1 }, // and one more
		{ "99"
		  "c400c400c400c400c400c400c400c400"
		  "92c1c1",
		  -1 },
		{ "99"
		  "c400c400c400c400c400c400c400c400"
		  "dc00ff",
		  -1 },
	};
	struct app_info info;
	struct fault f = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wr s = wr_to(scratch, sizeof scratch);

		if (app_info_read(&info, &s, hex(cases[i].digits), &f) != cases[i].want)
			fail_msg("case %zu", i);
		if (cases[i].want)
			assert_string_equal(f.code, "ratls.app_info");
		else
			assert_int_equal(info.n_scripts, i == 2 ? 2 : i == 3 ? 1 : 0);
	}
	uint8_t many[16 + 3 + 2 * (APP_INFO_SCRIPTS_MAX + 1) + 1];
	struct wr w = wr_to(many, sizeof many), s = wr_to(scratch, sizeof scratch);

	wr_span(&w, hex("99c400c400c400c400c400c400c400c400dc"));
	wr_be16(&w, APP_INFO_SCRIPTS_MAX + 1);
	for (int i = 0; i <= APP_INFO_SCRIPTS_MAX; i++)
		wr_span(&w, hex("c400"));
	assert_false(w.bad);
	assert_int_equal(app_info_read(&info, &s, span_of(many, w.n), &f), -1);
	many[19]--;
	assert_int_equal(app_info_read(&info, &s, span_of(many, w.n - 2), &f), 0);
	assert_int_equal(info.n_scripts, APP_INFO_SCRIPTS_MAX);
}

static void signing_requests(void **state)
{
	struct csr csr = { .version = 2,
			   .has_not_before = true,
			   .not_before = 1,
			   .has_not_after = true,
			   .not_after = UINT64_MAX },
		   back;
	struct wr w = wr_to(out, sizeof out);
	struct fault f = { 0 };

	(void)state;
	csr_write(&w, &csr);
	assert_int_equal(csr_read(&back, span_of(out, w.n), 2, &f), 0);
	assert_true(back.not_before == 1 && back.not_after == UINT64_MAX && !back.attestation.n);
	for (size_t n = 0; n < w.n; n++)
		assert_int_equal(csr_read(&back, span_of(out, n), 2, &f), -1);
	assert_int_equal(csr_read(&back, span_of(out, w.n), 3, &f), -1);
	assert_string_equal(f.code, "csr.version");
	csr.version = 1;
	w = wr_to(out, sizeof out);
	csr_write(&w, &csr);
	assert_int_equal(csr_read(&back, span_of(out, w.n), 1, &f), 0);
	out[w.n] = 0;
	assert_int_equal(csr_read(&back, span_of(out, w.n + 1), 1, &f), -1);
	assert_string_equal(f.code, "csr.format");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vector),
		cmocka_unit_test(what_was_read),
		cmocka_unit_test(tpm_part_needs_room),
		cmocka_unit_test(stripping),
		cmocka_unit_test(configs),
		cmocka_unit_test(octet_strings_of_any_length),
		cmocka_unit_test(app_info_forms),
		cmocka_unit_test(signing_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
