#include "collateral.h"

#include <string.h>
#include <time.h>

#include "base/strings.h"

enum { DAY = 86400, VALID_DAYS = 30, EVALUATION = 18 };

#define MRSIGNER_NONE                                                                                        \
	"000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
#define QE_TD_SIGNER  "DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C5"
#define QE_SGX_SIGNER "8C4F5775D796503E96137F77C68A829A0056AC8DED70140B081B094490C57BFF"
#define TCB_DATE      "2024-11-13T00:00:00Z"

static void put_time(struct sb *b, const char *key, int64_t at)
{
	time_t t = (time_t)at;
	struct tm tm;
	char text[32];

	gmtime_r(&t, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	sb_fmt(b, "\"%s\":\"%s\",", key, text);
}

static void put_components(struct sb *b, const char *key, const uint8_t svn[static 16])
{
	sb_fmt(b, "\"%s\":[", key);
	for (int i = 0; i < 16; i++)
		sb_fmt(b, "%s{\"svn\":%d}", i ? "," : "", svn[i]);
	sb_str(b, "]");
}

static void put_level(struct sb *b, const struct collateral_opts *o, uint8_t sgx, int pce, const uint8_t *tdx,
		      const char *status, const char *advisories)
{
	uint8_t all[16];

	memset(all, sgx, sizeof all);
	sb_str(b, "{\"tcb\":{");
	put_components(b, "sgxtcbcomponents", all);
	sb_fmt(b, ",\"pcesvn\":%d", pce);
	if (!o->sgx) {
		sb_str(b, ",");
		put_components(b, "tdxtcbcomponents", tdx);
	}
	sb_fmt(b, "},\"tcbDate\":\"" TCB_DATE "\",\"tcbStatus\":\"%s\"%s}", status, advisories);
}

static void put_modules(struct sb *b)
{
	static const char *const ids[] = { "TDX_01", "TDX_03" };

	sb_str(b, "\"tdxModule\":{\"mrsigner\":\"" MRSIGNER_NONE "\",\"attributes\":\"0000000000000000\","
		  "\"attributesMask\":\"FFFFFFFFFFFFFFFF\"},\"tdxModuleIdentities\":[");
	for (int i = 0; i < 2; i++)
		sb_fmt(b,
		       "%s{\"id\":\"%s\",\"mrsigner\":\"" MRSIGNER_NONE
		       "\",\"attributes\":\"0000000000000000\","
		       "\"attributesMask\":\"FFFFFFFFFFFFFFFF\",\"tcbLevels\":["
		       "{\"tcb\":{\"isvsvn\":5},\"tcbDate\":\"" TCB_DATE "\",\"tcbStatus\":\"UpToDate\"},"
		       "{\"tcb\":{\"isvsvn\":3},\"tcbDate\":\"2024-03-13T00:00:00Z\",\"tcbStatus\":"
		       "\"OutOfDate\","
		       "\"advisoryIDs\":[\"INTEL-SA-01036\"]}]}",
		       i ? "," : "", ids[i]);
	sb_str(b, "],");
}

static void put_tcb_info(struct sb *b, const struct collateral_opts *o, int64_t now)
{
	static const uint8_t newest[16] = { 5, 0, 3 }, older[16] = { 3, 0, 1 };

	sb_fmt(b, "{\"id\":\"%s\",\"version\":3,", o->sgx ? "SGX" : "TDX");
	put_time(b, "issueDate", now - DAY);
	put_time(b, "nextUpdate", now + VALID_DAYS * DAY);
	sb_fmt(b,
	       "\"fmspc\":\"%s\",\"pceId\":\"" PKI_PCEID "\",\"tcbType\":0,\"tcbEvaluationDataNumber\":%d,",
	       o->fmspc ? o->fmspc : PKI_FMSPC, EVALUATION);
	if (!o->sgx)
		put_modules(b);
	sb_str(b, "\"tcbLevels\":[");
	put_level(b, o, PKI_CPU_SVN, PKI_PCE_SVN, newest, o->tcb_status ? o->tcb_status : "UpToDate", "");
	sb_str(b, ",");
	put_level(b, o, PKI_CPU_SVN - 2, PKI_PCE_SVN - 2, older, "OutOfDate",
		  ",\"advisoryIDs\":[\"INTEL-SA-00837\",\"INTEL-SA-00960\"]");
	sb_str(b, "]}");
}

static void put_qe_identity(struct sb *b, const struct collateral_opts *o, int64_t now)
{
	sb_fmt(b, "{\"id\":\"%s\",\"version\":2,", o->sgx ? "QE" : "TD_QE");
	put_time(b, "issueDate", now - DAY);
	put_time(b, "nextUpdate", now + VALID_DAYS * DAY);
	sb_fmt(b,
	       "\"tcbEvaluationDataNumber\":%d,\"miscselect\":\"00000000\",\"miscselectMask\":\"FFFFFFFF\","
	       "\"attributes\":\"11000000000000000000000000000000\","
	       "\"attributesMask\":\"FBFFFFFFFFFFFFFF0000000000000000\",\"mrsigner\":\"%s\",\"isvprodid\":%d,"
	       "\"tcbLevels\":[{\"tcb\":{\"isvsvn\":4},\"tcbDate\":\"" TCB_DATE "\",\"tcbStatus\":\"%s\"},"
	       "{\"tcb\":{\"isvsvn\":2},\"tcbDate\":\"2023-11-13T00:00:00Z\",\"tcbStatus\":\"OutOfDate\","
	       "\"advisoryIDs\":[\"INTEL-SA-00615\"]}]}",
	       EVALUATION, o->sgx ? QE_SGX_SIGNER : QE_TD_SIGNER, o->sgx ? 1 : 2,
	       o->qe_status ? o->qe_status : "UpToDate");
}

static int sign(const struct pki *p, const struct sb *text, uint8_t sig[static KEY_RAW], struct err *e)
{
	if (text->bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return key_sign_raw(&p->key[PKI_TCB], text->p, text->n, sig, e);
}

static int put_signed(const struct pki *p, const char *name, const struct sb *text, struct sb *out,
		      struct err *e)
{
	uint8_t sig[KEY_RAW];

	if (sign(p, text, sig, e))
		return -1;
	sb_fmt(out, "{\"%s\":", name);
	sb_put(out, text->p, text->n);
	sb_str(out, ",\"signature\":\"");
	sb_hex(out, sig, sizeof sig);
	sb_str(out, "\"}");
	return 0;
}

int collateral_tcb_info(const struct pki *p, const struct collateral_opts *o, int64_t now, struct sb *out,
			struct err *e)
{
	auto_sb text = { 0 };

	put_tcb_info(&text, o, now);
	return put_signed(p, "tcbInfo", &text, out, e);
}

int collateral_qe_identity(const struct pki *p, const struct collateral_opts *o, int64_t now, struct sb *out,
			   struct err *e)
{
	auto_sb text = { 0 };

	put_qe_identity(&text, o, now);
	return put_signed(p, "enclaveIdentity", &text, out, e);
}

static int put_crl(const struct pki *p, enum pki_id issuer, const char *key, int64_t now, struct sb *out,
		   struct err *e)
{
	uint8_t crl[PKI_CRL_MAX];
	size_t n;

	if (pki_crl(p, issuer, now, crl, &n, e))
		return -1;
	sb_json_key(out, key);
	sb_chr(out, '"');
	sb_hex(out, crl, n);
	sb_chr(out, '"');
	return 0;
}

static int put_chain(const struct pki *p, enum pki_id leaf, const char *key, struct sb *out, struct err *e)
{
	const enum pki_id ids[] = { leaf, PKI_ROOT };
	char pem[PKI_CHAIN_MAX];

	if (pki_chain(p, ids, 2, pem, e))
		return -1;
	sb_json_key(out, key);
	sb_json_str(out, pem);
	return 0;
}

static int put_document(const struct pki *p, const char *key, const char *sig_key, const struct sb *text,
			struct sb *out, struct err *e)
{
	uint8_t sig[KEY_RAW];

	if (sign(p, text, sig, e))
		return -1;
	sb_json_key(out, key);
	sb_json_str_n(out, text->p, text->n);
	sb_json_key(out, sig_key);
	sb_chr(out, '"');
	sb_hex(out, sig, sizeof sig);
	sb_chr(out, '"');
	return 0;
}

int collateral_json(const struct pki *p, const struct collateral_opts *o, int64_t now, struct sb *out,
		    struct err *e)
{
	auto_sb tcb = { 0 }, qe = { 0 };

	put_tcb_info(&tcb, o, now);
	put_qe_identity(&qe, o, now);
	sb_str(out, "{");
	if (put_chain(p, PKI_CA, "pck_crl_issuer_chain", out, e) ||
	    put_crl(p, PKI_ROOT, "root_ca_crl", now, out, e) || put_crl(p, PKI_CA, "pck_crl", now, out, e) ||
	    put_chain(p, PKI_TCB, "tcb_info_issuer_chain", out, e) ||
	    put_document(p, "tcb_info", "tcb_info_signature", &tcb, out, e) ||
	    put_chain(p, PKI_TCB, "qe_identity_issuer_chain", out, e) ||
	    put_document(p, "qe_identity", "qe_identity_signature", &qe, out, e))
		return -1;
	sb_str(out, "}");
	return out->bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}
