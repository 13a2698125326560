// reason - why evidence was refused: every stable code, what it means and what to do about it.
//
// The order is the order of the checks: of several failures the smallest number is the one reported, so that
// the reason does not depend on which engine ran the signature checks or in what order. Codes never change
// meaning. The texts keep the words that existing SDKs match on. `dstack explain CODE` prints from this
// table.
#pragma once
#include "core/codec/buf.h"

enum reason {
	R_OK,
	R_LIMIT,
	R_QUOTE_FORMAT,
	R_QUOTE_LENGTH,
	R_QUOTE_VERSION,
	R_QUOTE_TEE,
	R_QUOTE_TEE_SGX,
	R_QUOTE_TEE_TDX,
	R_QUOTE_BODY,
	R_QUOTE_BODY_EX,
	R_QUOTE_KEY_TYPE,
	R_QUOTE_VENDOR,
	R_QUOTE_AUTH,
	R_QE_AUTH,
	R_COLLATERAL_FORMAT,
	R_ROOT_FORMAT,
	R_ROOT_TIME,
	R_ROOT_OTHER,
	R_CRL_FORMAT,
	R_CRL_TIME,
	R_CRL_ISSUER,
	R_CRL_SIGNATURE,
	R_ROOT_REVOKED,
	R_TCB_FORMAT,
	R_TCB_COUNT_SGX,
	R_TCB_COUNT_TDX,
	R_TCB_FUTURE,
	R_TCB_EXPIRED,
	R_TCB_CHAIN_SHORT,
	R_TCB_CHAIN,
	R_TCB_SIGNATURE,
	R_QEID_FORMAT,
	R_QEID_FUTURE,
	R_QEID_EXPIRED,
	R_QEID_CHAIN_SHORT,
	R_QEID_CHAIN,
	R_QEID_SIGNATURE,
	R_QEID_KIND,
	R_PCK_TYPE,
	R_PCK_CHAIN_SHORT,
	R_PCK_CHAIN,
	R_PCK_EXT_MISSING,
	R_PCK_EXT_TWICE,
	R_PCK_EXT,
	R_PCK_FMSPC,
	R_PCK_CPUSVN,
	R_PCK_PCESVN,
	R_PCK_SVN_DIFFER,
	R_CERT_REVOKED,
	R_QE_SIGNATURE,
	R_QE_HASH,
	R_QE_SIGNER,
	R_QE_DEBUG,
	R_QE_PRODUCT,
	R_QE_MISC,
	R_QE_ATTRIBUTES,
	R_QE_LEVEL,
	R_QE_NO_LEVELS,
	R_QUOTE_SIGNATURE,
	R_FMSPC,
	R_PCEID,
	R_KIND_TDX,
	R_KIND_SGX,
	R_TCB_LEVEL,
	R_MODULE_MISSING,
	R_MODULE_ID,
	R_MODULE_SIGNER,
	R_MODULE_ATTRIBUTES,
	R_MODULE_OUTSIDE,
	R_MODULE_LEVEL,
	R_TCB_REVOKED,
	R_TD_RESERVED,
	R_TD_DEBUG,
	R_TD_SEPT,
	R_TD_SEAM_SIGNER,
	R_TD_SERVICE,
	R_SGX_DEBUG,
	R_COUNT
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
size_t reason_list(const struct reason_text **all); // for listings and tests
