// quote - Intel SGX and TDX quotes, versions 3, 4 and 5, taken apart without trusting a byte of them.
//
// Intel SGX/TDX DCAP Quote Generation Library, quote formats; docs/formats/quote.md. Parsing proves nothing:
// only dcap_verify (crypto/engine.h) does. All spans point into the caller's bytes. Bytes after the signature
// data are allowed (real quotes are padded) and are part of nothing.
#pragma once
#include "core/codec/buf.h"
#include "core/verdict/reason.h"

enum {
	QUOTE_MAX = 64 * 1024,
	QUOTE_HEADER = 48,
	QUOTE_SGX_REPORT = 384,
	QUOTE_TD10 = 584,
	QUOTE_TD15 = 648,
	QUOTE_TD15_EX = 885,
	QUOTE_KEY_P256 = 2,
	QUOTE_CERT_PPID = 1, // in plain
	QUOTE_CERT_PPID_2048 = 2,
	QUOTE_CERT_PPID_3072 = 3,
	QUOTE_CERT_PCK = 4,
	QUOTE_CERT_PCK_CHAIN = 5,
	QUOTE_CERT_QE_REPORT = 6, // the outer one only
	QUOTE_CERT_MANIFEST = 7,
};

enum quote_tee { QUOTE_SGX = 0, QUOTE_TDX = 0x81 };

struct quote {
	uint16_t version, key_type, qe_svn, pce_svn;
	uint32_t tee;            // enum quote_tee
	uint16_t body_type;      // v5's number for every version: 1 SGX, 2 TD 1.0, 3 TD 1.5, 4 TD 1.5 Ex
	struct span vendor;      // 16
	struct span user_data;   // 20; the first 16 name the quoting enclave (qeid)
	struct span body;        // the report
	struct span signed_part; // header to the end of the body
	struct span sig;         // r || s
	struct span att_key;     // X || Y
	struct span qe_report, qe_report_sig, qe_auth;
	uint16_t cert_type;
	struct span cert_data;
};

struct sgx_report {
	uint8_t cpu_svn[16], attributes[16], mr_enclave[32], mr_signer[32], report_data[64];
	uint32_t misc_select;
	uint16_t isv_prod_id, isv_svn;
};

struct td_report {
	uint8_t tee_tcb_svn[16], mr_seam[48], mr_signer_seam[48], seam_attributes[8], td_attributes[8],
		xfam[8];
	uint8_t mr_td[48], mr_config_id[48], mr_owner[48], mr_owner_config[48], rtmr[4][48], report_data[64];
	bool is_15; // the two below are there
	uint8_t tee_tcb_svn2[16], mr_service_td[48];
};

// Certification data of the types 1 to 3: how the platform is named where its certificate is not there.
struct quote_ppid {
	struct span ppid; // plain or encrypted
	uint8_t cpu_svn[16], pce_id[2];
	uint16_t pce_svn;
};

// 0, or the reason why not. A TD 1.5 Ex quote is read to its end and then refused by name
// (REASON_QUOTE_BODY_EX): all of `q` is there, for showing.
MUST_USE enum reason quote_parse(struct quote *q, struct span bytes);
MUST_USE int quote_ppid(const struct quote *q, struct quote_ppid *out); // -1 when there is none, or malformed
const char *quote_cert_name(uint16_t type);                             // NULL when there is no such type

MUST_USE int quote_td(const struct quote *q, struct td_report *out);   // -1 when it is no TD's quote
MUST_USE int quote_sgx(const struct quote *q, struct sgx_report *out); // -1 when it is no enclave's quote
void sgx_report_read(struct sgx_report *out, struct span body);        // 384 bytes, also the QE's own report
struct span quote_report_data(const struct quote *q);                  // 64 bytes in the quote
