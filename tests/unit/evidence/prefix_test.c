// RB-03: no bytes, and every beginning of a valid message, to every parser of the core: a clean error with a
// known code. Whole evidence and the verdict: tests/unit/verify/prefix_test.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/certext.h"
#include "core/attest/dcap.h"
#include "core/attest/pck.h"
#include "core/attest/snp.h"
#include "core/codec/json.h"
#include "core/codec/pem.h"
#include "core/measure/measure.h"
#include "load.h"

enum { EVENTS = 2048 };
#ifdef FEW // under a sanitizer
enum { ALL_UP_TO = 512, STEP = 97 };
#else
enum { ALL_UP_TO = 8192, STEP = 31 };
#endif

static struct event store[EVENTS], runtime[EVENTS];
static struct envelope_tpm tpm;
static uint8_t scratch[1 << 20], bytes[1 << 17];

// 0: read. The code of a fault, or NULL where a parser gives none.
typedef int read_fn(struct span s, struct fault *f);

static int reason_as_fault(enum reason r, struct fault *f)
{
	return r ? fault_set(f, reason_text(r)->code, reason_text(r)->text, 0) : 0;
}

// A copy of exactly n bytes, so that a sanitizer sees a read behind them.
static int read_copy(read_fn *read, struct span s, size_t n, struct fault *f)
{
	uint8_t *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	if (n)
		memcpy(copy, s.p, n);
	int r = read(span_of(copy, n), f);
	free(copy);
	return r;
}

static void every_prefix(const char *name, read_fn *read, struct span s)
{
	struct fault f = { 0 };

	if (read_copy(read, s, s.n, &f))
		fail_msg("%s: not valid as a whole: %s", name, f.text);
	for (size_t n = 0; n < s.n; n += n < ALL_UP_TO || s.n - n <= STEP ? 1 : STEP) {
		f = (struct fault){ 0 };
		if (!read_copy(read, s, n, &f))
			fail_msg("%s: %zu of %zu bytes were read", name, n, s.n);
		if (f.code && !reason_find(span_str(f.code)))
			fail_msg("%s: %zu of %zu bytes: unknown code %s", name, n, s.n, f.code);
	}
}

// ---- quotes and collateral

static int quote_of(struct span s, struct fault *f)
{
	struct quote q;

	return reason_as_fault(quote_parse(&q, s), f);
}

// Without what may follow: padding, white space behind the last certificate.
static struct span exact_quote(const char *path)
{
	struct span s = load(path);
	struct quote q;

	assert_int_equal(quote_parse(&q, s), REASON_OK);
	return span_of(s.p, (size_t)(q.cert_data.p - s.p) + q.cert_data.n);
}

static void rb_03_quotes(void **state)
{
	(void)state;
	every_prefix("SGX quote", quote_of, exact_quote("real/dcap-qvl/sgx_quote"));
	every_prefix("TDX quote, version 4", quote_of, exact_quote("real/dcap-qvl/tdx_quote"));
	every_prefix("TDX quote, version 5", quote_of,
		     exact_quote("real/go-tdx-guest/testing/testdata/quote_v5_sample.dat"));
}

static int certificate_of(struct span s, struct fault *f)
{
	struct x509 c;
	struct pck p;

	(void)f;
	return x509_parse(&c, s) || pck_parse(&p, &c) ? -1 : 0;
}

static int crl_of(struct span s, struct fault *f)
{
	struct x509_crl c;

	(void)f;
	return x509_crl_parse(&c, s);
}

static int pem_of(struct span s, struct fault *f)
{
	struct rd in = rd_span(s);
	uint8_t der[4096];
	size_t n, certs = 0;
	int r;

	(void)f;
	while ((r = pem_next(&in, der, sizeof der, &n)) == 1)
		certs++;
	return r || certs < 3 ? -1 : 0;
}

static int collateral_of(struct span s, struct fault *f)
{
	struct collateral c;
	size_t used;

	(void)f;
	return collateral_parse(&c, s, bytes, sizeof bytes, &used);
}

static struct span trimmed(struct span s)
{
	while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == ' ' || !s.p[s.n - 1]))
		s.n--;
	return s;
}

static void rb_03_collateral_and_certificates(void **state)
{
	static uint8_t arena[1 << 17];
	struct span text = trimmed(load("real/dcap-qvl/tdx_quote_collateral.json"));
	struct collateral c;
	struct quote q;
	uint8_t leaf[4096];
	size_t n;

	(void)state;
	every_prefix("collateral", collateral_of, text);
	assert_int_equal(collateral_parse(&c, text, arena, sizeof arena, &n), 0);
	every_prefix("root CRL", crl_of, c.root_ca_crl);
	every_prefix("PCK CRL", crl_of, c.pck_crl);
	assert_int_equal(quote_parse(&q, load("real/dcap-qvl/tdx_quote")), REASON_OK);
	every_prefix("PCK chain", pem_of, trimmed(q.cert_data));
	struct rd in = rd_span(q.cert_data);
	assert_int_equal(pem_next(&in, leaf, sizeof leaf, &n), 1);
	every_prefix("PCK certificate", certificate_of, span_of(leaf, n));
}

// A signed document that is cut but well packed: all signatures taken for good, still refused.
static struct collateral cut;
static struct span *cut_part;

static int judged(struct span s, struct fault *f)
{
	static struct dcap_collateral held;
	static struct dcap work;
	static struct dcap_result result;
	static uint8_t root[4096];
	struct dcap_input in = { .quote = load("real/dcap-qvl/tdx_quote"), .now = 1750588248 };
	struct wr w = wr_to(bytes, sizeof bytes);
	static size_t root_n;

	if (!root_n) {
		struct span r = load("mutants/blobs/44a0196b2b99f889b8e149e9");
		memcpy(root, r.p, root_n = r.n);
	}
	*cut_part = s;
	collateral_write(&w, &cut);
	dcap_collateral_read(&held, span_of(bytes, w.n), span_of(root, root_n), ANCHOR_INTEL);
	dcap_begin(&work, &in, &held);
	return reason_as_fault(dcap_finish(&work, UINT32_MAX, &result), f);
}

static void rb_03_signed_documents(void **state)
{
	static uint8_t arena[1 << 17];
	struct span text = load("real/dcap-qvl/tdx_quote_collateral.json");
	struct collateral whole;
	size_t n;

	(void)state;
	assert_int_equal(collateral_parse(&whole, text, arena, sizeof arena, &n), 0);
	struct span *part[] = { &cut.tcb_info, &cut.qe_identity, &cut.tcb_info_signature };
	const struct span of[] = { whole.tcb_info, whole.qe_identity, whole.tcb_info_signature };
	for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
		cut = whole;
		cut_part = part[i];
		every_prefix("signed document", judged, trimmed(of[i]));
	}
}

// ---- envelopes, requests

static int envelope_of(struct span s, struct fault *f)
{
	struct wr w = wr_to(scratch, sizeof scratch);
	struct envelope env = { .log = { store, 0, EVENTS }, .runtime = { runtime, 0, EVENTS }, .tpm = &tpm };

	return envelope_read(&env, &w, s, f);
}

static void rb_03_envelopes(void **state)
{
	static const char *const file[] = {
		"real/dstack/sdk-simulator/attestation.bin",
		"real/dstack/guest-agent/attestation.bin",
		"../vectors/envelope/tdx-v2.bin",
		"../vectors/envelope/tdx-pod.bin",
		"../vectors/envelope/gcp-v2.bin",
		"../vectors/envelope/snp-v2.bin",
		"../vectors/envelope/nitro-v2.bin",
		"../vectors/envelope/nitro-tpm-v2.bin",
	};

	(void)state;
	for (size_t i = 0; i < sizeof file / sizeof *file; i++)
		every_prefix(file[i], envelope_of, load(file[i]));
	every_prefix("lite", envelope_of,
		     load_hex_member("real/dstack/verifier/tdx-lite-attestation.json", "attestation"));
	every_prefix("SEV-SNP", envelope_of,
		     load_hex_member("real/dstack/verifier/sev-snp-attestation.json", "attestation"));
}

static int csr_v1_of(struct span s, struct fault *f)
{
	struct csr csr;

	return csr_read(&csr, s, 1, f);
}

// The attestation goes to the end of the request: what is cut of it its own reader says.
static int csr_v2_of(struct span s, struct fault *f)
{
	struct csr csr;

	return csr_read(&csr, s, 2, f) || envelope_of(csr.attestation, f) ? -1 : 0;
}

static int app_info_of(struct span s, struct fault *f)
{
	struct wr w = wr_to(scratch, sizeof scratch);
	struct app_info info;

	return app_info_read(&info, &w, s, f);
}

static int octets_of(struct span s, struct fault *f)
{
	struct span payload;

	return octet_string_read(&payload, s, f);
}

static void rb_03_requests_and_extensions(void **state)
{
	struct csr csr = { .version = 2,
			   .pubkey = hex("010203"),
			   .has_org = true,
			   .org = span_str("org"),
			   .subject = span_str("test.example.com"),
			   .n_names = 2,
			   .names = { span_str("a.example"), span_str("127.0.0.1") },
			   .has_not_before = true,
			   .has_not_after = true,
			   .attestation = load("../vectors/envelope/tdx-v2.bin"),
			   .quote = hex("0011"),
			   .event_log = span_str("[]") };
	struct app_info info = { .app_id = hex("0102"),
				 .compose_hash = span_str("c"),
				 .has_scripts = true,
				 .n_scripts = 1,
				 .scripts = { span_str("h") } };
	static uint8_t packed[1 << 17], der[1 << 10];
	struct wr w = wr_to(packed, sizeof packed), d = wr_to(der, sizeof der);

	(void)state;
	csr_write(&w, &csr);
	every_prefix("request, version 2", csr_v2_of, span_of(packed, w.n));
	csr.version = 1;
	w = wr_to(packed, sizeof packed);
	csr_write(&w, &csr);
	every_prefix("request, version 1", csr_v1_of, span_of(packed, w.n));
	w = wr_to(packed, sizeof packed);
	app_info_write(&w, &info);
	every_prefix("app info", app_info_of, span_of(packed, w.n));
	octet_string_write(&d, span_of(packed, w.n));
	every_prefix("extension", octets_of, span_of(der, d.n));
}

static int snp_of(struct span s, struct fault *f)
{
	struct snp_report r;
	uint32_t arg[2];

	return reason_as_fault(snp_report_read(&r, s, arg), f);
}

static void rb_03_snp_report(void **state)
{
	struct span all = load_hex_member("real/dstack/verifier/sev-snp-attestation.json", "attestation");
	struct wr w = wr_to(scratch, sizeof scratch);
	struct envelope env = { .log = { store, 0, EVENTS }, .runtime = { runtime, 0, EVENTS }, .tpm = &tpm };
	struct fault f;

	(void)state;
	assert_int_equal(envelope_read(&env, &w, all, &f), 0);
	every_prefix("SNP report", snp_of, env.quote);
}

// ---- logs and measurements

static int log_of(struct span s, struct fault *f)
{
	struct wr w = wr_to(scratch, sizeof scratch);
	struct eventlog log = { store, 0, EVENTS };

	return eventlog_read_json(&log, &w, s, f);
}

static int config_of(struct span s, struct fault *f)
{
	struct wr w = wr_to(scratch, sizeof scratch);
	struct vm_config c;

	return vm_config_read(&c, &w, s, f);
}

static int measurement_of(struct span s, struct fault *f)
{
	struct measurement_tdx m;

	return measurement_tdx_read(&m, s, f);
}

static void rb_03_logs_and_measurements(void **state)
{
	static const char lite[] = "real/dstack/verifier/tdx-lite-getquote.json";
	static uint8_t cbor[1 << 16];
	struct span config = load_text_member(lite, "vm_config");
	struct wr w = wr_to(scratch, sizeof scratch);
	struct vm_config c;
	struct fault f;

	(void)state;
	every_prefix("event log", log_of, trimmed(load_text_member(lite, "event_log")));
	every_prefix("machine description", config_of, trimmed(config));
	assert_int_equal(vm_config_read(&c, &w, config, &f), 0);
	assert_true(c.tdx_measurement.n <= sizeof cbor);
	memcpy(cbor, c.tdx_measurement.p, c.tdx_measurement.n);
	every_prefix("measurement", measurement_of, span_of(cbor, c.tdx_measurement.n));
}

// Binary logs have no count and no end mark that must be there: cut between two events they are shorter logs,
// and everywhere else malformed. Cut anywhere, they never replay to the same registers.
static void rb_03_binary_logs(void **state)
{
	static const struct {
		const char *file;
		bool tpm;
	} log[] = { { "real/dstack/cc-eventlog/ccel.bin", false }, { "soft/tpm-2560.bin", true } };
	uint8_t want[4][EVENT_DIGEST], got[4][EVENT_DIGEST];
	struct fault f;

	(void)state;
	for (size_t i = 0; i < sizeof log / sizeof *log; i++) {
		struct span s = load(log[i].file);
		int (*read)(struct eventlog *, struct span, struct fault *) =
			log[i].tpm ? eventlog_read_tpm : eventlog_read_ccel;
		struct eventlog all = { store, 0, EVENTS };
		assert_int_equal(read(&all, s, &f), 0);
		assert_int_equal(eventlog_replay(want, &all, &f), 0);
		size_t whole = all.n;
		assert_true(whole > 10);
		for (size_t n = 0; n < s.n; n += n < ALL_UP_TO ? 1 : STEP) {
			struct eventlog part = { runtime, 0, EVENTS };
			uint8_t *copy = malloc(n ? n : 1);
			assert_non_null(copy);
			memcpy(copy, s.p, n);
			f = (struct fault){ 0 };
			if (read(&part, span_of(copy, n), &f)) {
				assert_non_null(reason_find(span_str(f.code)));
			} else if (part.n < whole) {
				for (size_t k = 0; k < part.n; k++)
					assert_true(span_eq(part.e[k].digest, all.e[k].digest));
				assert_true(eventlog_replay(got, &part, &f) ||
					    memcmp(got, want, sizeof want) != 0);
			} else { // only zeros behind the last event are cut off
				assert_int_equal(eventlog_replay(got, &part, &f), 0);
				assert_memory_equal(got, want, sizeof want);
			}
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rb_03_quotes),
		cmocka_unit_test(rb_03_collateral_and_certificates),
		cmocka_unit_test(rb_03_signed_documents),
		cmocka_unit_test(rb_03_envelopes),
		cmocka_unit_test(rb_03_requests_and_extensions),
		cmocka_unit_test(rb_03_snp_report),
		cmocka_unit_test(rb_03_logs_and_measurements),
		cmocka_unit_test(rb_03_binary_logs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
