// collateral - the documents that a quote is judged by, in the JSON form that SDKs and files use
// (QuoteCollateralV3).
//
// Parsing proves nothing, dcap does. collateral_write makes the same JSON from what a PCS or PCCS answered:
// signed documents are kept byte for byte. docs/formats/collateral.md. Freestanding.
#pragma once
#include "core/codec/json.h"

struct collateral {
	struct span pck_crl_issuer_chain;  // PEM
	struct span root_ca_crl, pck_crl;  // DER
	struct span tcb_info_issuer_chain; // PEM
	struct span tcb_info;              // the exact signed text
	struct span tcb_info_signature;    // 64 raw bytes
	struct span qe_identity_issuer_chain, qe_identity, qe_identity_signature;
	struct span pck_certificate_chain; // PEM; empty when absent
};

// Decodes into the caller's arena (as large as the text suffices). -1 when a member is missing or malformed.
MUST_USE int collateral_parse(struct collateral *c, struct span json, uint8_t *arena, size_t cap,
			      size_t *used);
void collateral_write(struct wr *w, const struct collateral *c);
// The body of a PCS answer, {"tcbInfo":{..},"signature":"hex"}: the exact text of the member and its
// signature.
MUST_USE int collateral_signed(struct span body, const char *member, struct span *text,
			       uint8_t sig[static 64]);
