#include "quote.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/strings.h"
#include "core/codec/buf.h"

enum { HEADER = 48, QE_REPORT = 384, QE_AUTH = 32, CERT_PCK_CHAIN = 5, CERT_QE_REPORT = 6 };

// Intel's quoting enclave vendor, and the signers of the genuine quoting enclaves (spec 50 sections 1.1, 4.2)
#define VENDOR       "939a7233f79c4ca9940a0db3957f0607"
#define QE_TD_SIGNER "dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5"
#define QE_SIGNER    "8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff"
#define QE_ATTRS     "110000000000000000e7000000000000"
#define XFAM         "e702060000000000"

static void put_hex(struct wr *w, const char *hex)
{
	uint8_t b[64];
	size_t n = strlen(hex) / 2;

	if (n > sizeof b || !hex_exact(b, n, hex))
		w->bad = true;
	else
		wr_put(w, b, n);
}

static void put_fill(struct wr *w, uint8_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		wr_u8(w, v);
}

static void put_enclave(struct wr *w, const struct enclave *x)
{
	put_fill(w, PKI_CPU_SVN, 16);
	put_fill(w, 0, 4 + 28); // MISCSELECT, reserved
	put_hex(w, QE_ATTRS);
	wr_put(w, x->mr_enclave, sizeof x->mr_enclave);
	put_fill(w, 0, 32);
	wr_put(w, x->mr_signer, sizeof x->mr_signer);
	put_fill(w, 0, 96);
	wr_le16(w, x->isv_prod_id);
	wr_le16(w, x->isv_svn);
	put_fill(w, 0, 60);
	wr_put(w, x->report_data, sizeof x->report_data);
}

// The quoting enclave's report: it vouches for `keyed`, the attestation key and the QE authentication data.
static void put_qe_report(struct wr *w, const void *keyed, size_t n, bool sgx, uint16_t isv_svn)
{
	struct enclave qe = { .isv_prod_id = sgx ? 1 : 2, .isv_svn = isv_svn };

	memset(qe.mr_enclave, 0xAA, sizeof qe.mr_enclave);
	if (!hex_exact(qe.mr_signer, sizeof qe.mr_signer, sgx ? QE_SIGNER : QE_TD_SIGNER))
		w->bad = true;
	SHA256(keyed, n, qe.report_data);
	put_enclave(w, &qe);
}

void quote_body_init(struct quote_body *b)
{
	*b = (struct quote_body){ .td_attributes = { [3] = 0x10 }, // SEPT_VE_DISABLE
				  .tee_tcb_svn = { 5, 1, 3 } };
	memset(b->mr_seam, 0x5B, sizeof b->mr_seam);
}

static int init(struct quote_signer *s, const struct pki *body, const struct pki *qe, const struct pki *chain,
		bool sgx, uint16_t isv_svn, struct err *e)
{
	static const enum pki_id ids[] = { PKI_PCK, PKI_CA, PKI_ROOT };
	uint8_t keyed[KEY_RAW + QE_AUTH], platform[32], report[QE_REPORT], sig[KEY_RAW];
	char pem[PKI_CHAIN_MAX];
	struct wr r = wr_to(report, sizeof report), w = wr_to(s->tail, sizeof s->tail);

	if (pki_chain(chain, ids, 3, pem, e))
		return -1;
	s->body_key = &body->key[PKI_ATT];
	s->root = &chain->cert[PKI_ROOT];
	// the enclave vouches for the key of `qe`: with another body key the signature does not hold
	memcpy(keyed, qe->key[PKI_ATT].pub, KEY_RAW);
	for (uint8_t i = 0; i < QE_AUTH; i++)
		keyed[KEY_RAW + i] = i;
	put_qe_report(&r, keyed, sizeof keyed, sgx, isv_svn);
	if (r.bad || r.n != QE_REPORT || key_sign_raw(&qe->key[PKI_PCK], report, sizeof report, sig, e))
		return r.bad ? err_set(e, ERR_BUG, "quoting enclave report") : -1;
	size_t pemn = strlen(pem);
	SHA256(chain->key[PKI_PCK].pub, KEY_RAW, platform);
	memcpy(s->qe_id, platform, sizeof s->qe_id); // the same in all quotes of a machine
	wr_put(&w, qe->key[PKI_ATT].pub, KEY_RAW);
	if (!sgx) { // version 3 has what follows unwrapped
		wr_le16(&w, CERT_QE_REPORT);
		wr_le32(&w, (uint32_t)(QE_REPORT + KEY_RAW + 2 + QE_AUTH + 6 + pemn));
	}
	wr_put(&w, report, sizeof report);
	wr_put(&w, sig, sizeof sig);
	wr_le16(&w, QE_AUTH);
	wr_put(&w, keyed + KEY_RAW, QE_AUTH);
	wr_le16(&w, CERT_PCK_CHAIN);
	wr_le32(&w, (uint32_t)pemn);
	wr_put(&w, pem, pemn);
	s->n = w.n;
	return w.bad ? err_set(e, ERR_BUG, "quote certification is too large") : 0;
}

int quote_signer_init(struct quote_signer *s, const struct pki *body, const struct pki *qe,
		      const struct pki *chain, uint16_t isv_svn, struct err *e)
{
	return init(s, body, qe, chain, false, isv_svn, e);
}

int quote_signer_init_sgx(struct quote_signer *s, const struct pki *p, struct err *e)
{
	return init(s, p, p, p, true, 4, e);
}

static void put_body(struct wr *w, const struct quote_body *b)
{
	wr_put(w, b->tee_tcb_svn, sizeof b->tee_tcb_svn);
	wr_put(w, b->mr_seam, MR);
	wr_put(w, b->mr_signer_seam, MR);
	put_fill(w, 0, 8); // SEAMATTRIBUTES
	wr_put(w, b->td_attributes, sizeof b->td_attributes);
	put_hex(w, XFAM);
	wr_put(w, b->mr_td, MR);
	wr_put(w, b->mr_config_id, MR);
	wr_put(w, b->mr_owner, MR);
	wr_put(w, b->mr_owner_config, MR);
	wr_put(w, b->rtmr, sizeof b->rtmr);
	wr_put(w, b->report_data, sizeof b->report_data);
}

static void put_header(struct wr *w, const struct quote_signer *s, uint16_t version, uint32_t tee)
{
	wr_le16(w, version);
	wr_le16(w, 2); // ECDSA P-256
	wr_le32(w, tee);
	wr_le32(w, 0); // QE and PCE SVN: reserved in version 4, in the certificate in version 3
	put_hex(w, VENDOR);
	wr_put(w, s->qe_id, sizeof s->qe_id);
	put_fill(w, 0, 4);
}

// Header and body stand in `w`.
static int sign(const struct quote_signer *s, struct wr *w, const uint8_t *out, size_t *n, struct err *e)
{
	uint8_t sig[KEY_RAW];

	if (key_sign_raw(s->body_key, out, w->n, sig, e))
		return -1;
	wr_le32(w, (uint32_t)(KEY_RAW + s->n));
	wr_put(w, sig, sizeof sig);
	wr_put(w, s->tail, s->n);
	*n = w->n;
	return w->bad ? err_set(e, ERR_BUG, "quote is too large") : 0;
}

int quote_sign(const struct quote_signer *s, const struct quote_body *b, uint8_t out[static QUOTE_CAP],
	       size_t *n, struct err *e)
{
	struct wr w = wr_to(out, QUOTE_CAP);

	put_header(&w, s, 4, 0x81); // TDX
	put_body(&w, b);
	if (w.bad || w.n != HEADER + QUOTE_BODY)
		return err_set(e, ERR_BUG, "quote body");
	return sign(s, &w, out, n, e);
}

int quote_sign_sgx(const struct quote_signer *s, const struct enclave *x, uint8_t out[static QUOTE_CAP],
		   size_t *n, struct err *e)
{
	struct wr w = wr_to(out, QUOTE_CAP);

	put_header(&w, s, 3, 0);
	put_enclave(&w, x);
	if (w.bad || w.n != HEADER + QE_REPORT)
		return err_set(e, ERR_BUG, "quote body");
	return sign(s, &w, out, n, e);
}
