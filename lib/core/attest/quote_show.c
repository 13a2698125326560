#include "core/attest/quote_show.h"

#include "core/attest/pck.h"
#include "core/attest/show.h"
#include "core/attest/snp_show.h"
#include "core/codec/pem.h"
#include "core/codec/utc.h"

enum { CERTIFICATE_MAX = 8192, CHAIN_MAX = 10 };

static void sgx(struct show *s, const struct sgx_report *r)
{
	show_hex(s, "cpu_svn", r->cpu_svn, sizeof r->cpu_svn);
	show_number(s, "misc_select", r->misc_select);
	show_hex(s, "attributes", r->attributes, sizeof r->attributes);
	show_hex(s, "mr_enclave", r->mr_enclave, sizeof r->mr_enclave);
	show_hex(s, "mr_signer", r->mr_signer, sizeof r->mr_signer);
	show_number(s, "isv_prod_id", r->isv_prod_id);
	show_number(s, "isv_svn", r->isv_svn);
	show_hex(s, "report_data", r->report_data, sizeof r->report_data);
}

static void td(struct show *s, const struct td_report *r)
{
	static const char *const rtmr[] = { "rtmr0", "rtmr1", "rtmr2", "rtmr3" };

	show_hex(s, "tee_tcb_svn", r->tee_tcb_svn, sizeof r->tee_tcb_svn);
	show_hex(s, "mr_seam", r->mr_seam, sizeof r->mr_seam);
	show_hex(s, "mr_signer_seam", r->mr_signer_seam, sizeof r->mr_signer_seam);
	show_hex(s, "seam_attributes", r->seam_attributes, sizeof r->seam_attributes);
	show_hex(s, "td_attributes", r->td_attributes, sizeof r->td_attributes);
	show_hex(s, "xfam", r->xfam, sizeof r->xfam);
	show_hex(s, "mr_td", r->mr_td, sizeof r->mr_td);
	show_hex(s, "mr_config_id", r->mr_config_id, sizeof r->mr_config_id);
	show_hex(s, "mr_owner", r->mr_owner, sizeof r->mr_owner);
	show_hex(s, "mr_owner_config", r->mr_owner_config, sizeof r->mr_owner_config);
	for (int i = 0; i < 4; i++)
		show_hex(s, rtmr[i], r->rtmr[i], sizeof r->rtmr[i]);
	show_hex(s, "report_data", r->report_data, sizeof r->report_data);
	if (r->is_15) {
		show_hex(s, "tee_tcb_svn2", r->tee_tcb_svn2, sizeof r->tee_tcb_svn2);
		show_hex(s, "mr_service_td", r->mr_service_td, sizeof r->mr_service_td);
	}
}

// What a TD 1.5 Ex report has behind the TD 1.5 report; verification refuses it.
static void td_ex(struct show *s, struct span body)
{
	static const struct {
		const char *name;
		size_t n;
	} field[] = { { "vmid", 1 },
		      { "td_id", 32 },
		      { "dev_info", 48 },
		      { "init_servtd_hash", 48 },
		      { "init_servtd_attributes", 8 },
		      { "init_cpu_svn", 16 },
		      { "init_tee_tcb_svn", 16 },
		      { "init_tee_fmspc", 12 },
		      { "cur_servtd_hash", 48 },
		      { "cur_servtd_attributes", 8 } };
	struct rd r = rd_span(body);

	rd_bytes(&r, QUOTE_TD15);
	for (size_t i = 0; i < sizeof field / sizeof *field; i++)
		show_bytes(s, field[i].name, rd_bytes(&r, field[i].n));
}

static void header(struct show *s, const struct quote *q)
{
	show_group(s, "header");
	show_number(s, "version", q->version);
	show_number(s, "attestation_key_type", q->key_type);
	show_text(s, "tee_type", span_str(q->tee == QUOTE_TDX ? "tdx" : "sgx"));
	show_number(s, "qe_svn", q->qe_svn);
	show_number(s, "pce_svn", q->pce_svn);
	show_bytes(s, "qe_vendor_id", q->vendor);
	show_bytes(s, "user_data", q->user_data);
	show_number(s, "body_type", q->body_type);
}

// "certificate_2": its subject and its validity.
static void certificate(struct show *s, size_t i, const struct x509 *c)
{
	char field[] = "certificate_0";
	uint8_t value[200];
	struct wr w = wr_to(value, sizeof value);

	wr_span(&w, c->common_name);
	wr_str(&w, ", ");
	wr_utc(&w, c->not_before);
	wr_str(&w, " to ");
	wr_utc(&w, c->not_after);
	field[sizeof field - 2] = (char)('0' + i);
	show_text(s, field, span_of(value, w.bad ? 0 : w.n));
}

static void platform(struct show *s, const struct pck *p)
{
	show_group(s, "platform");
	show_hex(s, "ppid", p->ppid, sizeof p->ppid);
	show_hex(s, "cpu_svn", p->cpu_svn, sizeof p->cpu_svn);
	show_number(s, "pce_svn", p->pce_svn);
	show_hex(s, "pce_id", p->pce_id, sizeof p->pce_id);
	show_hex(s, "fmspc", p->fmspc, sizeof p->fmspc);
	show_number(s, "sgx_type", p->sgx_type);
	if (p->has_instance)
		show_hex(s, "instance_id", p->instance, sizeof p->instance);
}

static void certification(struct show *s, const struct quote *q)
{
	struct rd in = rd_span(q->cert_data);
	uint8_t der[CERTIFICATE_MAX];
	struct x509 c;
	struct pck pck;
	struct quote_ppid named;
	bool has_pck = false;
	size_t n;

	show_group(s, "certification");
	show_number(s, "type", q->cert_type);
	if (quote_cert_name(q->cert_type))
		show_text(s, "name", span_str(quote_cert_name(q->cert_type)));
	show_number(s, "size", q->cert_data.n);
	if (!quote_ppid(q, &named)) {
		show_bytes(s, q->cert_type == QUOTE_CERT_PPID ? "ppid" : "encrypted_ppid", named.ppid);
		show_hex(s, "cpu_svn", named.cpu_svn, sizeof named.cpu_svn);
		show_number(s, "pce_svn", named.pce_svn);
		show_hex(s, "pce_id", named.pce_id, sizeof named.pce_id);
		return;
	}
	if (q->cert_type != QUOTE_CERT_PCK_CHAIN && q->cert_type != QUOTE_CERT_PCK) {
		show_bytes(s, "data", q->cert_data);
		return;
	}
	for (size_t i = 0; i < CHAIN_MAX && pem_next(&in, der, sizeof der, &n) == 1; i++) {
		if (x509_parse(&c, span_of(der, n)))
			break;
		certificate(s, i, &c);
		has_pck = has_pck || !pck_parse(&pck, &c);
	}
	if (has_pck)
		platform(s, &pck);
}

void quote_show(struct wr *out, const struct quote *q, bool json)
{
	struct show s = { out, json, false, false };
	struct td_report t;
	struct sgx_report e;

	header(&s, q);
	show_group(&s, "report");
	if (!quote_td(q, &t)) {
		td(&s, &t);
		if (q->body.n == QUOTE_TD15_EX)
			td_ex(&s, q->body);
	} else if (!quote_sgx(q, &e))
		sgx(&s, &e);
	show_group(&s, "signature");
	show_bytes(&s, "signature", q->sig);
	show_bytes(&s, "attestation_key", q->att_key);
	show_group(&s, "qe_report");
	sgx_report_read(&e, q->qe_report);
	sgx(&s, &e);
	show_bytes(&s, "signature", q->qe_report_sig);
	show_bytes(&s, "auth_data", q->qe_auth);
	certification(&s, q);
	show_end(&s);
}

enum reason quote_show_any(struct wr *out, struct span bytes, bool json, uint32_t arg[static 2])
{
	struct quote q;
	enum reason why;

	arg[0] = arg[1] = 0;
	if (snp_is_report(bytes))
		return snp_show(out, bytes, json, arg);
	why = quote_parse(&q, bytes);
	if (why && why != REASON_QUOTE_BODY_EX) {
		arg[0] = q.tee;
		return why;
	}
	quote_show(out, &q, json);
	return REASON_OK;
}
