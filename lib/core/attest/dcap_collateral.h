// dcap_collateral - collateral and the root it must lead to, decoded once for any number of quotes.
//
// Holds nothing that depends on time, policy or a quote. What is wrong with a part is kept with that part and
// becomes a reason only when dcap_begin comes to its step, so a verdict is the same from a kept context as
// from a new one. Proves nothing: its signatures are among the checks that dcap_begin lists. No heap, no
// pointers out of it; about 270 KiB, of which a text of 16 KB touches 50. Points into itself: do not copy.
#pragma once
#include "core/attest/collateral.h"
#include "core/codec/x509.h"
#include "core/verify/reason.h"
#include "core/verify/verdict.h"

enum {
	DCAP_COLLATERAL_MAX = 128 * 1024,
	DCAP_ROOT_MAX = 16 * 1024,
	// The text unescaped, its PEM blocks decoded, the root: always enough.
	DCAP_COLLATERAL_ARENA = DCAP_COLLATERAL_MAX + DCAP_COLLATERAL_MAX * 3 / 4 + DCAP_ROOT_MAX,
	DCAP_CERTS = 4, // in one chain
};

// The certificates of a PEM text, in its order.
struct dcap_certs {
	bool bad;        // one cannot be read, or there are too many
	bool other_root; // one has the name of the pinned root and is another (it is the last of `cert`)
	size_t n;
	struct x509 cert[DCAP_CERTS];
};

// A signed document: TCB info or QE identity.
struct dcap_document {
	bool readable; // an object with a number and both dates
	struct json v;
	struct span text, sig;
	uint32_t eval; // tcbEvaluationDataNumber
	uint64_t issued, next;
	const struct dcap_certs *signer;
};

struct dcap_collateral {
	enum reason why; // REASON_LIMIT or REASON_COLLATERAL_FORMAT: there is nothing else in here
	enum anchor anchor;
	bool has_root, has_root_crl, has_pck_crl; // could be read
	struct x509 root;
	struct x509_crl root_crl, pck_crl;
	struct dcap_document tcb_info, qe_identity;
	struct dcap_certs crl_issuer, tcb_signer, qe_signer;
	bool has_pck; // the text brings the PCK chain, which then counts instead of the quote's
	struct dcap_certs pck;
	uint8_t arena[DCAP_COLLATERAL_ARENA];
};

// `root`: DER of the pinned root. Neither text is needed afterwards.
void dcap_collateral_read(struct dcap_collateral *c, struct span text, struct span root, enum anchor anchor);
