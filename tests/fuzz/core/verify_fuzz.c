// The whole verification, all signatures taken for good: input = which part (0 quote, 1 tcb_info, 2
// qe_identity, 3 PCK chain, 4 a CRL, 5 a raw collateral text), offset, bytes to cut, bytes to put there;
// applied to a valid case.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/attest/collateral.h"
#include "core/attest/dcap.h"

enum { ROOM = 1 << 18 };
static uint8_t quote[ROOM], root[ROOM], col[ROOM], arena[ROOM], json[ROOM];
static size_t quote_n, root_n, col_n;
static struct collateral base;
static struct quote parsed;
static struct dcap work;
static struct dcap_collateral held;

static size_t load(const char *name, uint8_t *out)
{
	char path[600];

	snprintf(path, sizeof path, "%s/mutants/blobs/%s", EVIDENCE_DIR, name);
	FILE *f = fopen(path, "rb");
	if (!f)
		abort();
	size_t n = fread(out, 1, ROOM, f);
	fclose(f);
	return n;
}

// dev-v5-15 of the index: everything the core knows is in it.
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	size_t used;

	(void)argc;
	(void)argv;
	quote_n = load("0ef1c3d69fb718abff32dba5", quote);
	col_n = load("e5a8bf687611d03c99c1eb33", col);
	root_n = load("980650bdba2e2b8e295e6de5", root);
	if (collateral_parse(&base, span_of(col, col_n), arena, sizeof arena, &used))
		abort();
	if (quote_parse(&parsed, span_of(quote, quote_n)))
		abort();
	return 0;
}

static struct span splice(struct span s, const uint8_t *d, size_t n)
{
	static uint8_t out[2 * ROOM];
	size_t at = (d[0] | (size_t)d[1] << 8) % (s.n + 1), cut = d[2];

	d += 3;
	n -= 3;
	if (cut > s.n - at)
		cut = s.n - at;
	if (n > ROOM)
		n = ROOM;
	memcpy(out, s.p, at);
	memcpy(out + at, d, n);
	memcpy(out + at + n, s.p + at + cut, s.n - at - cut);
	return span_of(out, s.n - cut + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct dcap_input in = { .quote = span_of(quote, quote_n), .now = 1768867200 };
	struct collateral c = base;
	static struct dcap_result r;
	static struct verdict v;
	struct wr w = wr_to(json, sizeof json);

	if (n < 4)
		return 0;
	struct span *part[5] = { &in.quote, &c.tcb_info, &c.qe_identity, &c.pck_certificate_chain,
				 &c.pck_crl };
	if (data[0] % 6 == 3)
		c.pck_certificate_chain = parsed.cert_data;
	if (data[0] % 6 < 5) {
		*part[data[0] % 6] = splice(*part[data[0] % 6], data + 1, n - 1);
		collateral_write(&w, &c);
		in.collateral = span_of(json, w.bad ? 0 : w.n);
	} else {
		in.collateral = splice(span_of(col, col_n), data + 1, n - 1);
	}
	in.intel_components = data[0] & 0x80;
	dcap_collateral_read(&held, in.collateral, span_of(root, root_n), ANCHOR_DEVELOPMENT);
	dcap_begin(&work, &in, &held);
	enum reason why = dcap_finish(&work, 0xffff, &r);
	if (why == REASON_OK) {
		verdict_init(&v);
		dcap_claims(&r, &v);
		verdict_close(&v, NULL);
		w = wr_to(json, sizeof json);
		dcap_json(&w, &r, &v);
		struct json doc;
		if (w.bad || !v.ok || v.anchor != ANCHOR_DEVELOPMENT ||
		    json_parse(&doc, span_of(json, w.n), NULL))
			__builtin_trap();
	}
	if (work.checks && dcap_finish(&work, 0, &r) == REASON_OK)
		__builtin_trap();
	return 0;
}
