// reason - why evidence was refused: every stable code, what it means and what to do about it.
//
// The order is the order of the checks: of several failures the smallest number is the one reported, so that
// the reason does not depend on which engine ran the signature checks or in what order. Codes never change
// meaning. The texts keep the words that existing SDKs match on. `dstack explain CODE` prints from this
// table.
#pragma once
#include "core/codec/buf.h"

enum reason {
	REASON_OK,
	REASON_LIMIT,
	REASON_QUOTE_FORMAT,
	REASON_QUOTE_LENGTH,
	REASON_QUOTE_VERSION,
	REASON_QUOTE_TEE,
	REASON_QUOTE_TEE_SGX,
	REASON_QUOTE_TEE_TDX,
	REASON_QUOTE_BODY,
	REASON_QUOTE_BODY_EX,
	REASON_QUOTE_KEY_TYPE,
	REASON_QUOTE_VENDOR,
	REASON_QUOTE_AUTH,
	REASON_QE_AUTH,
	REASON_COLLATERAL_FORMAT,
	REASON_ROOT_FORMAT,
	REASON_ROOT_TIME,
	REASON_ROOT_OTHER,
	REASON_CRL_FORMAT,
	REASON_CRL_TIME,
	REASON_CRL_ISSUER,
	REASON_CRL_SIGNATURE,
	REASON_ROOT_REVOKED,
	REASON_TCB_FORMAT,
	REASON_TCB_COUNT_SGX,
	REASON_TCB_COUNT_TDX,
	REASON_TCB_V2,
	REASON_TCB_FUTURE,
	REASON_TCB_EXPIRED,
	REASON_TCB_CHAIN_SHORT,
	REASON_TCB_CHAIN,
	REASON_TCB_SIGNATURE,
	REASON_QEID_FORMAT,
	REASON_QEID_FUTURE,
	REASON_QEID_EXPIRED,
	REASON_QEID_CHAIN_SHORT,
	REASON_QEID_CHAIN,
	REASON_QEID_SIGNATURE,
	REASON_QEID_KIND,
	REASON_PCK_TYPE,
	REASON_PCK_CHAIN_SHORT,
	REASON_PCK_CHAIN,
	REASON_PCK_EXT_MISSING,
	REASON_PCK_EXT_TWICE,
	REASON_PCK_EXT,
	REASON_PCK_FMSPC,
	REASON_PCK_CPUSVN,
	REASON_PCK_PCESVN,
	REASON_PCK_SVN_DIFFER,
	REASON_CERT_REVOKED,
	REASON_QE_SIGNATURE,
	REASON_QE_HASH,
	REASON_QE_SIGNER,
	REASON_QE_DEBUG,
	REASON_QE_PRODUCT,
	REASON_QE_MISC,
	REASON_QE_ATTRIBUTES,
	REASON_QE_LEVEL,
	REASON_QE_NO_LEVELS,
	REASON_QUOTE_SIGNATURE,
	REASON_FMSPC,
	REASON_PCEID,
	REASON_KIND_TDX,
	REASON_KIND_SGX,
	REASON_TCB_LEVEL,
	REASON_MODULE_MISSING,
	REASON_MODULE_ID,
	REASON_MODULE_SIGNER,
	REASON_MODULE_ATTRIBUTES,
	REASON_MODULE_OUTSIDE,
	REASON_MODULE_LEVEL,
	REASON_TCB_REVOKED,
	REASON_TD_RESERVED,
	REASON_TD_DEBUG,
	REASON_TD_SEPT,
	REASON_TD_SEAM_SIGNER,
	REASON_TD_SERVICE,
	REASON_SGX_DEBUG,
	// SEV-SNP reports: their own order
	REASON_SNP_LENGTH,
	REASON_SNP_VERSION,
	REASON_SNP_ALGORITHM,
	REASON_SNP_RESERVED,
	REASON_SNP_KEY_MASKED,
	REASON_SNP_VLEK,
	REASON_SNP_SIGNING_KEY,
	REASON_SNP_CHIP_MASKED,
	REASON_SNP_ROOT_FORMAT,
	REASON_SNP_ROOT_TIME,
	REASON_SNP_CERT_FORMAT,
	REASON_SNP_CERT_VLEK,
	REASON_SNP_ROOT_OTHER,
	REASON_SNP_CERTS_MISSING,
	REASON_SNP_CHAIN,
	REASON_SNP_PRODUCT,
	REASON_SNP_PRODUCT_OTHER,
	REASON_SNP_CERT_TIME,
	REASON_SNP_ASK_SIGNATURE,
	REASON_SNP_CRL_FORMAT,
	REASON_SNP_CRL_TIME,
	REASON_SNP_CRL_SIGNATURE,
	REASON_SNP_REVOKED,
	REASON_SNP_VCEK_SIGNATURE,
	REASON_SNP_VCEK_FIELDS,
	REASON_SNP_CHIP_ID,
	REASON_SNP_TCB_MISMATCH,
	REASON_SNP_SIGNATURE,
	REASON_SNP_VMPL,
	REASON_SNP_POLICY,
	REASON_SNP_DEBUG,
	REASON_SNP_MIGRATION,
	REASON_SNP_PLATFORM,
	REASON_SNP_SMT,
	REASON_SNP_RAPL,
	REASON_SNP_HIDING,
	REASON_SNP_TCB_ORDER,
	REASON_SNP_FIRMWARE,
	REASON_SNP_TABLE,
	REASON_COUNT,
	REASON_SNP = REASON_SNP_LENGTH, // the first of them
};

struct reason_text {
	const char *code; // "quote.signature"
	const char *text; // one sentence, what happened
	const char *why;  // what it means
	const char *todo; // what to do
};

const struct reason_text *reason_text(enum reason r);
// Its sentence with the numbers filled in: each '#' of the text is the next of `arg`, '@' the same in hex.
void wr_reason(struct wr *w, enum reason r, const uint32_t arg[static 2]);
// By code, among these and the codes that other parts of the tree report. NULL when unknown.
const struct reason_text *reason_find(struct span code);
// The same among the codes about evidence only: for the page, which has room for no others.
const struct reason_text *reason_find_evidence(struct span code);
const struct reason_text *reason_at(size_t i); // the i-th of all, NULL behind the last
