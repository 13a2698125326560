// SEV-SNP: input = which part (0 report, 1 VCEK, 2 ASK, 3 revocation list, 4 certificate table, 5 all
// certificates as one text, 6 the root), then either what replaces it, or, with the high bit of the first
// byte, offset, bytes to cut and bytes to put there. All signatures are taken for good; then nothing may hold
// that a valid case does not have.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/attest/amd_cert.h"
#include "core/attest/snp_show.h"
#include "core/codec/pem.h"

enum { ROOM = 1 << 16, NOW = 1748736000 };

static uint8_t report[SNP_REPORT + 1], vcek[ROOM], bundle[ROOM], ask[SNP_CERT_MAX];
static size_t report_n, vcek_n, bundle_n, ask_n;
static struct snp work;

static size_t load(const char *name, uint8_t *out, size_t cap)
{
	char path[600];

	snprintf(path, sizeof path, "%s/real/%s", EVIDENCE_DIR, name);
	FILE *f = fopen(path, "rb");
	if (!f)
		abort();
	size_t n = fread(out, 1, cap, f);
	fclose(f);
	return n;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	report_n = load("trustee/deps/verifier/test_data/snp/test-report.bin", report, sizeof report);
	vcek_n = load("trustee/deps/verifier/test_data/snp/test-vcek.der", vcek, sizeof vcek);
	bundle_n = load("go-sev-guest/verify/trust/ask_ark_milan.pem", bundle, sizeof bundle);
	struct rd in = rd_from(bundle, bundle_n);
	if (pem_next(&in, ask, sizeof ask, &ask_n) != 1)
		abort();
	return 0;
}

static struct span splice(struct span s, const uint8_t *d, size_t n)
{
	static uint8_t out[2 * ROOM];

	if (n < 3 || !s.n) // no list of revoked certificates comes with the sample
		return n < 3 ? s : span_of(d, n);
	size_t at = (d[0] | (size_t)d[1] << 8) % (s.n + 1), cut = d[2] < s.n - at ? d[2] : s.n - at;

	d += 3;
	n = n - 3 < ROOM ? n - 3 : ROOM;
	memcpy(out, s.p, at);
	memcpy(out + at, d, n);
	memcpy(out + at + n, s.p + at + cut, s.n - at - cut);
	return span_of(out, s.n - cut + n);
}

static void show(struct span s)
{
	static uint8_t text[SNP_SHOW_MAX];
	uint32_t arg[2];

	for (int json = 0; json < 2; json++) {
		struct wr w = wr_to(text, sizeof text);
		if (!snp_show(&w, s, json, arg) && w.bad)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct snp_input in = { .report = span_of(report, report_n),
				.items = { span_of(vcek, vcek_n), span_of(ask, ask_n) },
				.n_items = 2,
				.now = NOW };
	struct span root = amd_root(SNP_MILAN), *const parts[] = { &in.report, &in.items[0], &in.items[1],
								   &in.crl,    NULL,         &in.items[0],
								   &root };
	struct snp_result r;
	char text[300];

	if (!n || (d[0] & 0x7f) >= sizeof parts / sizeof *parts)
		return 0;
	struct span *part = parts[d[0] & 0x7f], given = span_of(d + 1, n - 1);
	if (!part) {
		in.n_items = 0;
		if (snp_table_read(&in, given))
			return 0;
	} else {
		if ((d[0] & 0x7f) == 5)
			in.n_items = 1;
		*part = d[0] & 0x80 ? splice(*part, d + 1, n - 1) : given;
	}
	snp_begin(&work, &in, root, ANCHOR_AMD);
	if (work.checks > SNP_CHECKS)
		abort();
	for (size_t i = 0; i < work.checks; i++)
		if (!sig_check_is_sound(&work.check[i]))
			abort();
	enum reason why = snp_finish(&work, UINT32_MAX, &r);
	if (!why && (r.report.vmpl || r.report.policy & SNP_POLICY_DEBUG))
		abort();
	if (why)
		snp_explain(&work, why, text, sizeof text);
	(void)snp_default_root(&in);
	show(in.report);
	return 0;
}
