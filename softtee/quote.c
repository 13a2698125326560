#include "quote.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/strings.h"
#include "core/codec/buf.h"

enum { HEADER = 48, QE_REPORT = 384, QE_AUTH = 32, CERT_PCK_CHAIN = 5, CERT_QE_REPORT = 6 };

// Intel's quoting enclave vendor, and the genuine TD quoting enclave's signer (spec 50 sections 1.1, 4.2)
#define VENDOR      "939a7233f79c4ca9940a0db3957f0607"
#define QE_MRSIGNER "dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5"
#define QE_ATTRS    "110000000000000000e7000000000000"
#define XFAM        "e702060000000000"

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

static void put_qe_report(struct wr *w, const uint8_t hash[static 32], uint16_t isv_svn)
{
	put_fill(w, PKI_CPU_SVN, 16);
	put_fill(w, 0, 4 + 28); // MISCSELECT, reserved
	put_hex(w, QE_ATTRS);
	put_fill(w, 0xAA, 32); // MRENCLAVE
	put_fill(w, 0, 32);
	put_hex(w, QE_MRSIGNER);
	put_fill(w, 0, 96);
	wr_le16(w, 2); // ISVPRODID of the TD quoting enclave
	wr_le16(w, isv_svn);
	put_fill(w, 0, 60);
	wr_put(w, hash, 32);
	put_fill(w, 0, 32);
}

void quote_body_init(struct quote_body *b)
{
	*b = (struct quote_body){ .td_attributes = { [3] = 0x10 }, // SEPT_VE_DISABLE
				  .tee_tcb_svn = { 5, 1, 3 } };
	memset(b->mr_seam, 0x5B, sizeof b->mr_seam);
}

int quote_signer_init(struct quote_signer *s, const struct pki *body, const struct pki *qe,
		      const struct pki *chain, uint16_t isv_svn, struct err *e)
{
	static const enum pki_id ids[] = { PKI_PCK, PKI_CA, PKI_ROOT };
	uint8_t keyed[KEY_RAW + QE_AUTH], hash[32], report[QE_REPORT], sig[KEY_RAW];
	char pem[PKI_CHAIN_MAX];
	struct wr r = wr_to(report, sizeof report), w = wr_to(s->tail, sizeof s->tail);

	if (pki_chain(chain, ids, 3, pem, e))
		return -1;
	s->body_key = &body->key[PKI_ATT];
	// the enclave vouches for the key of `qe`: with another body key the signature does not hold
	memcpy(keyed, qe->key[PKI_ATT].pub, KEY_RAW);
	for (uint8_t i = 0; i < QE_AUTH; i++)
		keyed[KEY_RAW + i] = i;
	SHA256(keyed, sizeof keyed, hash);
	put_qe_report(&r, hash, isv_svn);
	if (r.bad || r.n != QE_REPORT || key_sign_raw(&qe->key[PKI_PCK], report, sizeof report, sig, e))
		return r.bad ? err_set(e, ERR_BUG, "quoting enclave report") : -1;
	size_t pemn = strlen(pem);
	wr_put(&w, qe->key[PKI_ATT].pub, KEY_RAW);
	wr_le16(&w, CERT_QE_REPORT);
	wr_le32(&w, (uint32_t)(QE_REPORT + KEY_RAW + 2 + QE_AUTH + 6 + pemn));
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

int quote_sign(const struct quote_signer *s, const struct quote_body *b, uint8_t out[static QUOTE_CAP],
	       size_t *n, struct err *e)
{
	struct wr w = wr_to(out, QUOTE_CAP);
	uint8_t sig[KEY_RAW];

	wr_le16(&w, 4);
	wr_le16(&w, 2);    // ECDSA P-256
	wr_le32(&w, 0x81); // TDX
	wr_le32(&w, 0);    // QE and PCE SVN: reserved in version 4
	put_hex(&w, VENDOR);
	put_fill(&w, 0, 20);
	put_body(&w, b);
	if (w.bad || w.n != HEADER + QUOTE_BODY)
		return err_set(e, ERR_BUG, "quote body");
	if (key_sign_raw(s->body_key, out, w.n, sig, e))
		return -1;
	wr_le32(&w, (uint32_t)(KEY_RAW + s->n));
	wr_put(&w, sig, sizeof sig);
	wr_put(&w, s->tail, s->n);
	*n = w.n;
	return w.bad ? err_set(e, ERR_BUG, "quote is too large") : 0;
}
