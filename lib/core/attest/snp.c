#include "core/attest/snp_job.h"

int snp_fail(struct snp_job *j, enum reason why, uint32_t a, uint32_t b)
{
	if (!j->s->reason) {
		j->s->reason = why;
		j->s->arg[0] = a;
		j->s->arg[1] = b;
	}
	return -1;
}

int snp_want(struct snp_job *j, enum reason why, enum sig_alg alg, struct span msg, struct span key,
	     struct span sig)
{
	struct snp *s = j->s;

	if (s->checks == SNP_CHECKS)
		return snp_fail(j, REASON_LIMIT, 0, 0);
	s->check[s->checks++] =
		(struct sig_check){ .reason = why, .alg = alg, .msg = msg, .key = key, .sig = sig };
	return 0;
}

void snp_begin(struct snp *s, const struct snp_input *in, struct span root, enum anchor anchor)
{
	struct snp_job j = { .s = s, .in = in };

	s->reason = REASON_OK;
	s->arg[0] = s->arg[1] = 0;
	s->checks = s->used = 0;
	s->result = (struct snp_result){ .anchor = anchor, .expires = UINT64_MAX };
	if (snp_report_open(&j) || snp_chain(&j, root) || snp_identity(&j) ||
	    snp_want(&j, REASON_SNP_SIGNATURE, SIG_P384_SHA384, span_of(in->report.p, SNP_SIGNED), j.vcek.key,
		     span_of(s->sig, sizeof s->sig)) ||
	    snp_rules(&j))
		return;
	const struct snp_report *r = &s->result.report;
	struct span now = span_of(r->current, 8);
	s->result.up_to_date = span_eq(now, span_of(r->committed, 8)) &&
			       span_eq(now, span_of(r->launch, 8)) && span_eq(now, span_of(r->reported, 8));
}

enum reason snp_finish(struct snp *s, uint32_t passed, struct snp_result *out)
{
	enum reason why = s->reason;

	for (size_t i = 0; i < s->checks; i++)
		if (!(passed >> i & 1) && (why == REASON_OK || s->check[i].reason < why))
			why = s->check[i].reason;
	if (why != s->reason)
		s->arg[0] = s->arg[1] = 0;
	if (why == REASON_OK)
		*out = s->result;
	else
		*out = (struct snp_result){ 0 };
	return why;
}

// ---- the certificate table of an extended report

static const struct {
	uint8_t guid[16];
	bool is_crl;
} known[] = {
	{ { 0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae },
	  false }, // ARK
	{ { 0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82 },
	  false }, // ASK
	{ { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd },
	  false }, // VCEK
	{ { 0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1 },
	  false }, // VLEK
	{ { 0x92, 0xf8, 0x1b, 0xc3, 0x58, 0x11, 0x4d, 0x3d, 0x97, 0xff, 0xd1, 0x9f, 0x88, 0xdc, 0x67, 0xea },
	  true },
};

static enum reason table_entry(struct snp_input *in, struct span guid, struct span value)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (!span_eq(guid, span_of(known[i].guid, 16)))
			continue;
		if (known[i].is_crl) {
			if (in->crl.n)
				return REASON_SNP_TABLE;
			in->crl = value;
		} else {
			if (in->n_items == SNP_ITEMS)
				return REASON_SNP_TABLE;
			in->items[in->n_items++] = value;
		}
	}
	return REASON_OK; // others are the host's own business
}

enum reason snp_table_read(struct snp_input *in, struct span table)
{
	static const uint8_t zero[16];
	struct rd r = rd_span(table);

	for (size_t i = 0; i <= SNP_TABLE_ENTRIES; i++) {
		struct span guid = rd_bytes(&r, 16);
		uint32_t at = rd_le32(&r), n = rd_le32(&r);
		if (r.bad)
			return REASON_SNP_TABLE;
		if (span_eq(guid, span_of(zero, 16)))
			return at || n ? REASON_SNP_TABLE : REASON_OK;
		struct span value = span_sub(table, at, n);
		enum reason why = n && value.n == n ? table_entry(in, guid, value) : REASON_SNP_TABLE;
		if (why)
			return why;
	}
	return REASON_SNP_TABLE;
}
