// dcap_collateral - collateral and the root it must lead to, decoded once for any number of quotes.
//
// Holds nothing that depends on time, policy or a quote. What is wrong with a part is kept with that part and
// becomes a reason only when dcap_begin comes to its step, so a verdict is the same from a kept context as
// from a new one. Proves nothing: its signatures are among the checks that dcap_begin lists. No heap, no
// pointers out of it; about 260 KiB, of which a text of 16 KB touches 50. Points into itself: do not copy.
#pragma once
#include "core/attest/collateral.h"
#include "core/codec/x509.h"
#include "core/verdict/reason.h"
#include "core/verdict/verdict.h"

enum {
	DCAP_COLLATERAL_MAX = 128 * 1024,
	DCAP_ROOT_MAX = 16 * 1024,
	// The text unescaped, its PEM blocks decoded, the root: always enough.
	DCAP_COLLATERAL_ARENA = DCAP_COLLATERAL_MAX + DCAP_COLLATERAL_MAX * 3 / 4 + DCAP_ROOT_MAX,
	DCAP_CERTS = 4,    // in one chain
	DCAP_LEVELS = 192, // of both documents together; real ones have some thirty
	DCAP_MODULES = 32, // identities of TDX modules; real documents have two
	DCAP_ADVISORIES = 64,
};

enum tcb_status {
	TCB_UP_TO_DATE,
	TCB_SW_HARDENING_NEEDED,
	TCB_CONFIGURATION_NEEDED,
	TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED,
	TCB_OUT_OF_DATE,
	TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
	TCB_REVOKED,
};

// The certificates of a PEM text, in its order.
struct dcap_certs {
	bool bad;        // one cannot be read, or there are too many
	bool other_root; // one has the name of the pinned root and is another (it is the last of `cert`)
	size_t n;
	struct x509 cert[DCAP_CERTS];
};

struct dcap_components {
	uint8_t sgx[16], pce[2], tdx[16]; // in the order of comparison
};

// What reaches these versions has this status. Of a platform, or of an enclave or module.
struct dcap_level {
	struct dcap_components part;
	uint16_t isv_svn;
	enum tcb_status status;
	struct json advisories;
};

struct dcap_levels {
	bool bad; // not an array, or one of them is malformed
	size_t n;
	const struct dcap_level *first;
};

struct dcap_module {
	struct json id;
	uint8_t signer[48], attributes[8], mask[8];
	struct dcap_levels levels;
};

struct dcap_tcb_info {
	bool has_kind; // the five below
	uint8_t fmspc[6], pce_id[2];
	struct json id;
	uint64_t version, type;
	enum reason why[2]; // why an SGX quote [0], a TDX quote [1] cannot be compared with the levels
	struct dcap_levels levels;
	bool has_module, bad_modules; // tdxModule is there; it or an identity is malformed
	struct dcap_module own;       // tdxModule
	size_t modules;
	struct dcap_module module[DCAP_MODULES]; // tdxModuleIdentities
};

struct dcap_masked {
	bool readable;
	uint8_t want[16], mask[16];
};

struct dcap_qe_identity {
	bool has_kind; // id and version
	struct json id;
	uint64_t version;
	bool has_signer; // signer and product
	uint8_t signer[32];
	uint64_t product;
	struct dcap_masked misc, attributes;
	struct dcap_levels levels;
};

// What TCB info and QE identity have in common as signed documents.
struct dcap_document {
	bool readable; // an object with a number and both dates
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
	struct dcap_tcb_info tcb; // of readable documents
	struct dcap_qe_identity qe;
	size_t levels;
	struct dcap_level level[DCAP_LEVELS]; // those of all lists
	bool has_pck; // the text brings the PCK chain, which then counts instead of the quote's
	struct dcap_certs pck;
	uint8_t arena[DCAP_COLLATERAL_ARENA];
};

// `root`: DER of the pinned root. Neither text is needed afterwards.
void dcap_collateral_read(struct dcap_collateral *c, struct span text, struct span root, enum anchor anchor);
