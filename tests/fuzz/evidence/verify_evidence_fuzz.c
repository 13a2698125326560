// The whole verdict over every form of evidence, all signatures taken for good: under a development root and
// the collateral that the seeds were made for. Input: flags (bits 0-1 binding, 2 image given, 3 no collateral
// given, 4-6 form), length of the expectations (u16, little-endian), expectations, evidence. Checks that no
// verdict is yes without base, without signatures, or under another anchor, and that its text is JSON.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec/hex.h"
#include "core/codec/json.h"
#include "core/verify/verify.h"
#include "forge/forge.h"

enum { NOW = 1760000000, TEXT = 1 << 20 };
static struct forge_out made;
static struct dcap_collateral col;
static struct verify v;
static struct verify_image image;
static uint8_t scratch[VERIFY_SCRATCH(VERIFY_EVIDENCE_MAX)], text[TEXT];

// That of the seeds' boot log (tests/evidence/soft).
static void make_image(void)
{
	static const char kernel[] = "7ecdb6cc60c09d19a787dc73e2aedb56ac4233946fbdedb60c2623afff61f3d7"
				     "f717d8c91937c41114de1e6ac5fc7a78";
	static const char initrd[] = "4dd8178e00e0b6d4170a7bb4f1ee10e1eaf090c542d0ef8154bb1cc094414bff"
				     "0a04fcc61bb8015c1bca8a14d33971be";

	memset(image.m.mrtd_single, 0x11, MEASURE_LEN);
	if (hex_decode(image.m.kernel, MEASURE_LEN, span_str(kernel)) ||
	    hex_decode(image.m.initrd, MEASURE_LEN, span_str(initrd)))
		abort();
	measure_cmdline(image.m.cmdline, span_str("console=ttyS0 panic=-1 quiet"));
	memcpy(image.kernel, image.m.kernel, MEASURE_LEN);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct forge_keys keys;
	static struct forge f;
	struct err e;

	(void)argc;
	(void)argv;
	if (forge_keys_load(&keys, NULL, "verify", &e))
		abort();
	forge_init(&f, &keys, FORGE_TDX4, NOW);
	if (forge_build(&f, &made, &e))
		abort();
	dcap_collateral_read(&col, span_of(made.layer[FORGE_COLLATERAL].p, made.layer[FORGE_COLLATERAL].n),
			     span_of(made.layer[FORGE_ROOT].p, made.layer[FORGE_ROOT].n), ANCHOR_DEVELOPMENT);
	forge_keys_free(&keys);
	make_image();
	return 0;
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_text(void)
{
	struct wr w = wr_to(text, sizeof text);
	struct json root;

	verify_json(&w, &v);
	must(!w.bad && !json_parse(&root, span_of(text, w.n), NULL));
}

static bool run(const struct verify_input *in, uint32_t passed, const struct verify_image *is)
{
	struct verify_input again = *in;
	const struct sig_check *checks;

	if (verify_read(&v, in, scratch, sizeof scratch) == VERIFY_INFLATE) {
		again.inflated = v.compressed; // what a caller inflates is the peer's, too
		(void)verify_read(&v, &again, scratch, sizeof scratch);
	}
	verify_begin(&v, &col);
	must(verify_checks(&v, &checks) <= SIG_CHECKS);
	bool ok = verify_finish(&v, passed, is);

	check_text();
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t challenge[64] = { 0x33 };
	struct verify_input in = { .now = NOW, .report_data = challenge };

	if (n < 3)
		return 0;
	size_t policy = data[1] | (size_t)data[2] << 8;

	if (policy > n - 3)
		policy = n - 3;
	in.expect = span_of(data + 3, policy);
	in.evidence = span_of(data + 3 + policy, n - 3 - policy);
	in.binding = (enum verify_binding)(data[0] & 3);
	in.form = (enum verify_form)((data[0] >> 4 & 7) % 5);
	if (!(data[0] & 8))
		in.collateral = span_of(made.layer[FORGE_COLLATERAL].p, made.layer[FORGE_COLLATERAL].n);
	bool given = data[0] & 4;

	if (run(&in, ~0u, given ? &image : NULL)) {
		must(in.binding != VERIFY_BIND_UNSET && v.verdict.anchor == ANCHOR_DEVELOPMENT);
		must(verdict_find(&v.verdict, "mrtd") && verdict_find(&v.verdict, "rtmr2"));
		must(given || verdict_find(&v.verdict, "os_image"));
	}
	must(!run(&in, 0, given ? &image : NULL));
	return 0;
}
