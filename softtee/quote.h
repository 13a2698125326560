// quote - TDX quotes (version 4) and SGX quotes (version 3) in genuine form, signed under a development PKI.
//
// Spec 50 section 1. `quote_signer` prepares once what does not change between quotes: the quoting enclave's
// report over the attestation key and its certification. Layers may be signed under different PKIs, which
// only tests do.
#pragma once
#include "pki.h"

enum { QUOTE_BODY = 584, QUOTE_CAP = 12288, MR = 48 };

struct quote_body { // what a caller chooses; the rest is that of a production TD
	uint8_t td_attributes[8];
	uint8_t tee_tcb_svn[16];
	uint8_t mr_seam[MR], mr_signer_seam[MR];
	uint8_t mr_td[MR], mr_config_id[MR], mr_owner[MR], mr_owner_config[MR];
	uint8_t rtmr[4][MR];
	uint8_t report_data[64];
};

struct enclave { // what an enclave's report says; attributes and SVN are those of a production enclave
	uint8_t mr_enclave[32], mr_signer[32], report_data[64];
	uint16_t isv_prod_id, isv_svn;
};

struct quote_signer {
	uint8_t qe_id[16];              // names the machine: from its PCK key
	const struct dev_key *body_key; // signs header and body
	const struct pki_cert *root;
	size_t n;
	uint8_t tail[10240]; // attestation key, QE report, its signature, certification
};

void quote_body_init(struct quote_body *b); // a TD without debug, all measurements zero

// `body`: whose attestation key signs; `qe`: whose PCK key signs the QE report; `chain`: whose certificates.
// Normally all the same. The PKI of `body` must outlive the signer. `isv_svn` is the quoting enclave's.
int quote_signer_init(struct quote_signer *s, const struct pki *body, const struct pki *qe,
		      const struct pki *chain, uint16_t isv_svn, struct err *e);

int quote_signer_init_sgx(struct quote_signer *s, const struct pki *p, struct err *e);

int quote_sign(const struct quote_signer *s, const struct quote_body *b, uint8_t out[static QUOTE_CAP],
	       size_t *n, struct err *e);
int quote_sign_sgx(const struct quote_signer *s, const struct enclave *x, uint8_t out[static QUOTE_CAP],
		   size_t *n, struct err *e);
