#include "quote_show.h"

#include <string.h>

#include "base/strings.h"
#include "core/attest/pck.h"
#include "core/codec/pem.h"
#include "core/codec/utc.h"
#include "out.h"

struct show {
	FILE *out;
	bool json, any_group, any_field;
};

static void group(struct show *s, const char *name)
{
	if (s->json)
		fprintf(s->out, "%s\"%s\":{", s->any_group ? "}," : "{", name);
	else
		fprintf(s->out, "%s%s\n", s->any_group ? "\n" : "", name);
	s->any_group = true;
	s->any_field = false;
}

static void name(struct show *s, const char *field)
{
	if (s->json)
		fprintf(s->out, "%s\"%s\":", s->any_field ? "," : "", field);
	else
		fprintf(s->out, "  %-24s ", field);
	s->any_field = true;
}

static void number(struct show *s, const char *field, uint64_t v)
{
	name(s, field);
	fprintf(s->out, s->json ? "%llu" : "%llu\n", (unsigned long long)v);
}

static void text(struct show *s, const char *field, const char *v)
{
	name(s, field);
	if (s->json)
		out_json_text(s->out, v);
	else
		fprintf(s->out, "%s\n", v);
}

static void hex(struct show *s, const char *field, const void *p, size_t n)
{
	const uint8_t *b = p;

	name(s, field);
	if (s->json)
		fputc('"', s->out);
	for (size_t i = 0; i < n; i++)
		fprintf(s->out, "%02x", b[i]);
	fputs(s->json ? "\"" : "\n", s->out);
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

static void header(struct show *s, const struct quote *q)
{
	group(s, "header");
	number(s, "version", q->version);
	number(s, "attestation_key_type", q->key_type);
	text(s, "tee_type", q->tee == QUOTE_TDX ? "tdx" : "sgx");
	number(s, "qe_svn", q->qe_svn);
	number(s, "pce_svn", q->pce_svn);
	bytes(s, "qe_vendor_id", q->vendor);
	bytes(s, "user_data", q->user_data);
	number(s, "body_type", q->body_type);
}

static void certificate(struct show *s, size_t i, const struct x509 *c)
{
	char field[40], value[200];
	struct wr w = wr_to(value, sizeof value - 1);

	wr_span(&w, c->common_name);
	wr_str(&w, ", ");
	wr_utc(&w, c->not_before);
	wr_str(&w, " to ");
	wr_utc(&w, c->not_after);
	value[w.bad ? 0 : w.n] = 0;
	snprintf(field, sizeof field, "certificate_%zu", i);
	text(s, field, value);
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
	uint8_t der[8192];
	struct x509 c;
	struct pck pck;
	bool has_pck = false;
	size_t n;

	group(s, "certification");
	number(s, "type", q->cert_type);
	number(s, "size", q->cert_data.n);
	if (q->cert_type != QUOTE_CERT_PCK_CHAIN) {
		bytes(s, "data", q->cert_data);
		return;
	}
	for (size_t i = 0; pem_next(&in, der, sizeof der, &n) == 1; i++) {
		if (x509_parse(&c, span_of(der, n)))
			break;
		certificate(s, i, &c);
		has_pck = has_pck || !pck_parse(&pck, &c);
	}
	if (has_pck)
		platform(s, &pck);
}

void quote_show(const struct quote *q, bool json, FILE *out)
{
	struct show s = { out, json, false, false };
	struct td_report t;
	struct sgx_report e;

	header(&s, q);
	group(&s, "report");
	if (!quote_td(q, &t))
		td(&s, &t);
	else if (!quote_sgx(q, &e))
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
		fputs("}}\n", out);
}
