#include "core/attest/quote.h"

enum { BODY_SGX = 1, BODY_TD10 = 2, BODY_TD15 = 3, BODY_TD15_EX = 4, REPORT_DATA = 64 };

static enum reason read_header(struct quote *q, struct rd *r)
{
	static const uint8_t intel[16] = { 0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
					   0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07 };

	q->version = rd_le16(r);
	q->key_type = rd_le16(r);
	q->tee = rd_le32(r);
	q->qe_svn = rd_le16(r);
	q->pce_svn = rd_le16(r);
	q->vendor = rd_bytes(r, 16);
	q->user_data = rd_bytes(r, 20);
	if (r->bad)
		return REASON_QUOTE_LENGTH;
	if (q->version < 3 || q->version > 5)
		return REASON_QUOTE_VERSION;
	if (q->tee != QUOTE_SGX && q->tee != QUOTE_TDX)
		return REASON_QUOTE_TEE;
	if (q->tee == QUOTE_SGX && q->version != 3)
		return REASON_QUOTE_TEE_SGX;
	if (q->tee == QUOTE_TDX && q->version == 3)
		return REASON_QUOTE_TEE_TDX;
	if (q->key_type != QUOTE_KEY_P256)
		return REASON_QUOTE_KEY_TYPE;
	return span_eq(q->vendor, span_of(intel, sizeof intel)) ? REASON_OK : REASON_QUOTE_VENDOR;
}

static enum reason read_body(struct quote *q, struct rd *r)
{
	static const size_t td_size[] = { QUOTE_TD10, QUOTE_TD15, QUOTE_TD15_EX };
	size_t size = q->version == 3 ? QUOTE_SGX_REPORT : QUOTE_TD10;

	q->body_type = q->version == 3 ? BODY_SGX : BODY_TD10;
	if (q->version == 5) {
		q->body_type = rd_le16(r);
		uint32_t claimed = rd_le32(r);
		if (r->bad)
			return REASON_QUOTE_LENGTH;
		if (q->body_type < BODY_TD10 || q->body_type > BODY_TD15_EX)
			return REASON_QUOTE_BODY;
		size = td_size[q->body_type - BODY_TD10];
		if (claimed != size)
			return REASON_QUOTE_BODY;
	}
	q->body = rd_bytes(r, size);
	return r->bad ? REASON_QUOTE_LENGTH : REASON_OK;
}

// The quoting enclave's part: exactly as long as what holds it.
static enum reason read_qe(struct quote *q, struct rd *r)
{
	q->qe_report = rd_bytes(r, QUOTE_SGX_REPORT);
	q->qe_report_sig = rd_bytes(r, 64);
	q->qe_auth = rd_bytes(r, rd_le16(r));
	q->cert_type = rd_le16(r);
	q->cert_data = rd_bytes(r, rd_le32(r));
	if (r->bad)
		return REASON_QUOTE_LENGTH;
	return rd_left(r) ? REASON_QUOTE_AUTH : REASON_OK;
}

// What follows the signed part.
static enum reason read_auth(struct quote *q, struct rd *r)
{
	struct rd auth = rd_take(r, rd_le32(r));

	q->sig = rd_bytes(&auth, 64);
	q->att_key = rd_bytes(&auth, 64);
	if (auth.bad)
		return REASON_QUOTE_LENGTH;
	if (q->version == 3)
		return read_qe(q, &auth);
	uint16_t type = rd_le16(&auth);
	struct rd part = rd_take(&auth, rd_le32(&auth));
	if (auth.bad)
		return REASON_QUOTE_LENGTH;
	if (type != QUOTE_CERT_QE_REPORT || rd_left(&auth))
		return REASON_QUOTE_AUTH;
	return read_qe(q, &part);
}

enum reason quote_parse(struct quote *q, struct span bytes)
{
	struct rd r = rd_span(bytes);
	enum reason why;

	*q = (struct quote){ 0 };
	if (bytes.n > QUOTE_MAX)
		return REASON_LIMIT;
	if ((why = read_header(q, &r)) || (why = read_body(q, &r)))
		return why;
	q->signed_part = span_of(bytes.p, bytes.n - rd_left(&r));
	if ((why = read_auth(q, &r)))
		return why;
	return q->body_type == BODY_TD15_EX ? REASON_QUOTE_BODY_EX : REASON_OK;
}

const char *quote_cert_name(uint16_t type)
{
	static const char *const name[] = { NULL,
					    "plain PPID",
					    "PPID encrypted with RSA-2048",
					    "PPID encrypted with RSA-3072",
					    "PCK certificate",
					    "PCK certificate chain",
					    "QE report certification data",
					    "platform manifest" };

	return type <= QUOTE_CERT_MANIFEST ? name[type] : NULL;
}

int quote_ppid(const struct quote *q, struct quote_ppid *out)
{
	static const size_t size[] = {
		[QUOTE_CERT_PPID] = 16, [QUOTE_CERT_PPID_2048] = 256, [QUOTE_CERT_PPID_3072] = 384
	};
	struct rd r = rd_span(q->cert_data);

	*out = (struct quote_ppid){ 0 };
	if (q->cert_type < QUOTE_CERT_PPID || q->cert_type > QUOTE_CERT_PPID_3072)
		return -1;
	out->ppid = rd_bytes(&r, size[q->cert_type]);
	rd_copy(&r, out->cpu_svn, 16);
	out->pce_svn = rd_le16(&r);
	rd_copy(&r, out->pce_id, 2);
	return r.bad || rd_left(&r) ? -1 : 0;
}

int quote_td(const struct quote *q, struct td_report *out)
{
	struct rd r = rd_span(q->body);

	*out = (struct td_report){ 0 };
	if (q->tee != QUOTE_TDX)
		return -1;
	rd_copy(&r, out->tee_tcb_svn, 16);
	rd_copy(&r, out->mr_seam, 48);
	rd_copy(&r, out->mr_signer_seam, 48);
	rd_copy(&r, out->seam_attributes, 8);
	rd_copy(&r, out->td_attributes, 8);
	rd_copy(&r, out->xfam, 8);
	rd_copy(&r, out->mr_td, 48);
	rd_copy(&r, out->mr_config_id, 48);
	rd_copy(&r, out->mr_owner, 48);
	rd_copy(&r, out->mr_owner_config, 48);
	for (int i = 0; i < 4; i++)
		rd_copy(&r, out->rtmr[i], 48);
	rd_copy(&r, out->report_data, REPORT_DATA);
	out->is_15 = q->body_type == BODY_TD15 || q->body_type == BODY_TD15_EX;
	if (out->is_15) {
		rd_copy(&r, out->tee_tcb_svn2, 16);
		rd_copy(&r, out->mr_service_td, 48);
	}
	return r.bad ? -1 : 0;
}

void sgx_report_read(struct sgx_report *out, struct span body)
{
	struct rd r = rd_span(body);

	*out = (struct sgx_report){ 0 };
	rd_copy(&r, out->cpu_svn, 16);
	out->misc_select = rd_le32(&r);
	rd_bytes(&r, 28);
	rd_copy(&r, out->attributes, 16);
	rd_copy(&r, out->mr_enclave, 32);
	rd_bytes(&r, 32);
	rd_copy(&r, out->mr_signer, 32);
	rd_bytes(&r, 96);
	out->isv_prod_id = rd_le16(&r);
	out->isv_svn = rd_le16(&r);
	rd_bytes(&r, 60);
	rd_copy(&r, out->report_data, REPORT_DATA);
}

int quote_sgx(const struct quote *q, struct sgx_report *out)
{
	*out = (struct sgx_report){ 0 };
	if (q->tee != QUOTE_SGX || q->body.n != QUOTE_SGX_REPORT)
		return -1;
	sgx_report_read(out, q->body);
	return 0;
}

struct span quote_report_data(const struct quote *q)
{
	return span_sub(q->body, q->tee == QUOTE_SGX ? 320 : 520, REPORT_DATA);
}
