#include "core/attest/quote_show.h"

#include "core/attest/pck.h"
#include "core/codec/json.h"
#include "core/codec/pem.h"
#include "core/codec/utc.h"

enum { FIELD_WIDTH = 24, CERTIFICATE_MAX = 8192, CHAIN_MAX = 10 };

struct show {
	struct wr *out;
	bool json, any_group, any_field;
};

static void group(struct show *s, const char *name)
{
	if (s->json) {
		wr_str(s->out, s->any_group ? "},\"" : "{\"");
		wr_str(s->out, name);
		wr_str(s->out, "\":{");
	} else {
		wr_str(s->out, s->any_group ? "\n" : "");
		wr_str(s->out, name);
		wr_u8(s->out, '\n');
	}
	s->any_group = true;
	s->any_field = false;
}

static void name(struct show *s, const char *field)
{
	if (s->json) {
		wr_str(s->out, s->any_field ? ",\"" : "\"");
		wr_str(s->out, field);
		wr_str(s->out, "\":");
	} else {
		wr_str(s->out, "  ");
		wr_str(s->out, field);
		for (size_t n = span_str(field).n; n <= FIELD_WIDTH; n++)
			wr_u8(s->out, ' ');
	}
	s->any_field = true;
}

static void end_field(struct show *s)
{
	if (!s->json)
		wr_u8(s->out, '\n');
}

static void number(struct show *s, const char *field, uint64_t v)
{
	name(s, field);
	wr_dec(s->out, v);
	end_field(s);
}

static void text(struct show *s, const char *field, struct span v)
{
	name(s, field);
	if (s->json)
		wr_json(s->out, v);
	else
		for (size_t i = 0; i < v.n; i++) // a name from a certificate must not steer a terminal
			wr_u8(s->out, v.p[i] < ' ' || v.p[i] == 0x7f ? '?' : v.p[i]);
	end_field(s);
}

static void hex(struct show *s, const char *field, const void *p, size_t n)
{
	name(s, field);
	if (s->json)
		wr_json_hex(s->out, p, n);
	else
		wr_hex(s->out, p, n);
	end_field(s);
}

static void bytes(struct show *s, const char *field, struct span v)
{
	hex(s, field, v.p, v.n);
}

static void sgx(struct show *s, const struct sgx_report *r)
{
	hex(s, "cpu_svn", r->cpu_svn, sizeof r->cpu_svn);
	number(s, "misc_select", r->misc_select);
	hex(s, "attributes", r->attributes, sizeof r->attributes);
	hex(s, "mr_enclave", r->mr_enclave, sizeof r->mr_enclave);
	hex(s, "mr_signer", r->mr_signer, sizeof r->mr_signer);
	number(s, "isv_prod_id", r->isv_prod_id);
	number(s, "isv_svn", r->isv_svn);
	hex(s, "report_data", r->report_data, sizeof r->report_data);
}

static void td(struct show *s, const struct td_report *r)
{
	static const char *const rtmr[] = { "rtmr0", "rtmr1", "rtmr2", "rtmr3" };

	hex(s, "tee_tcb_svn", r->tee_tcb_svn, sizeof r->tee_tcb_svn);
	hex(s, "mr_seam", r->mr_seam, sizeof r->mr_seam);
	hex(s, "mr_signer_seam", r->mr_signer_seam, sizeof r->mr_signer_seam);
	hex(s, "seam_attributes", r->seam_attributes, sizeof r->seam_attributes);
	hex(s, "td_attributes", r->td_attributes, sizeof r->td_attributes);
	hex(s, "xfam", r->xfam, sizeof r->xfam);
	hex(s, "mr_td", r->mr_td, sizeof r->mr_td);
	hex(s, "mr_config_id", r->mr_config_id, sizeof r->mr_config_id);
	hex(s, "mr_owner", r->mr_owner, sizeof r->mr_owner);
	hex(s, "mr_owner_config", r->mr_owner_config, sizeof r->mr_owner_config);
	for (int i = 0; i < 4; i++)
		hex(s, rtmr[i], r->rtmr[i], sizeof r->rtmr[i]);
	hex(s, "report_data", r->report_data, sizeof r->report_data);
	if (r->is_15) {
		hex(s, "tee_tcb_svn2", r->tee_tcb_svn2, sizeof r->tee_tcb_svn2);
		hex(s, "mr_service_td", r->mr_service_td, sizeof r->mr_service_td);
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
		bytes(s, field[i].name, rd_bytes(&r, field[i].n));
}

static void header(struct show *s, const struct quote *q)
{
	group(s, "header");
	number(s, "version", q->version);
	number(s, "attestation_key_type", q->key_type);
	text(s, "tee_type", span_str(q->tee == QUOTE_TDX ? "tdx" : "sgx"));
	number(s, "qe_svn", q->qe_svn);
	number(s, "pce_svn", q->pce_svn);
	bytes(s, "qe_vendor_id", q->vendor);
	bytes(s, "user_data", q->user_data);
	number(s, "body_type", q->body_type);
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
	text(s, field, span_of(value, w.bad ? 0 : w.n));
}

static void platform(struct show *s, const struct pck *p)
{
	group(s, "platform");
	hex(s, "ppid", p->ppid, sizeof p->ppid);
	hex(s, "cpu_svn", p->cpu_svn, sizeof p->cpu_svn);
	number(s, "pce_svn", p->pce_svn);
	hex(s, "pce_id", p->pce_id, sizeof p->pce_id);
	hex(s, "fmspc", p->fmspc, sizeof p->fmspc);
	number(s, "sgx_type", p->sgx_type);
	if (p->has_instance)
		hex(s, "instance_id", p->instance, sizeof p->instance);
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

	group(s, "certification");
	number(s, "type", q->cert_type);
	if (quote_cert_name(q->cert_type))
		text(s, "name", span_str(quote_cert_name(q->cert_type)));
	number(s, "size", q->cert_data.n);
	if (!quote_ppid(q, &named)) {
		bytes(s, q->cert_type == QUOTE_CERT_PPID ? "ppid" : "encrypted_ppid", named.ppid);
		hex(s, "cpu_svn", named.cpu_svn, sizeof named.cpu_svn);
		number(s, "pce_svn", named.pce_svn);
		hex(s, "pce_id", named.pce_id, sizeof named.pce_id);
		return;
	}
	if (q->cert_type != QUOTE_CERT_PCK_CHAIN && q->cert_type != QUOTE_CERT_PCK) {
		bytes(s, "data", q->cert_data);
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
	group(&s, "report");
	if (!quote_td(q, &t)) {
		td(&s, &t);
		if (q->body.n == QUOTE_TD15_EX)
			td_ex(&s, q->body);
	} else if (!quote_sgx(q, &e))
		sgx(&s, &e);
	group(&s, "signature");
	bytes(&s, "signature", q->sig);
	bytes(&s, "attestation_key", q->att_key);
	group(&s, "qe_report");
	sgx_report_read(&e, q->qe_report);
	sgx(&s, &e);
	bytes(&s, "signature", q->qe_report_sig);
	bytes(&s, "auth_data", q->qe_auth);
	certification(&s, q);
	if (json)
		wr_str(out, "}}\n");
}
