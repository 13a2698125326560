// snp - verification of an AMD SEV-SNP attestation report with its certificates, in two phases like dcap.
//
// snp_begin parses, applies every rule of docs/formats/snp.md and lists at most eight signature checks; an
// engine runs them; snp_finish gives the result. Nothing in `snp` is a result before that. Programs call
// snp_verify of crypto/engine.h, which cannot forget the checks. AMD publications 56860 (ABI) and 57230
// (certificates). Trusts: the root and the clock it is given. What it does not say: whether the measurement
// is that of something good. Freestanding; a context is about 20 KiB and must not be copied while its checks
// are in use.
#pragma once
#include "core/attest/amd_roots.h"
#include "core/verdict/check.h"
#include "core/verdict/verdict.h"

enum {
	SNP_REPORT = 1184,
	SNP_SIGNED = 0x2a0, // that many bytes of it are signed
	SNP_CHECKS = 8,
	SNP_ITEMS = 8,       // certificate files
	SNP_CERTS = 4,       // certificates in them
	SNP_CERT_MAX = 4096, // bytes of one
	SNP_CRL_MAX = 64 * 1024,
	SNP_ARENA = SNP_CERTS * SNP_CERT_MAX,
	SNP_TABLE_ENTRIES = 16,
};

// A report's fields; offsets in docs/formats/snp.md. TCB versions as they are: eight bytes whose meaning
// depends on the product.
struct snp_report {
	uint32_t version, guest_svn, vmpl, algorithm, flags;
	uint64_t policy, platform, launch_mit, current_mit; // the last two in version 5 only
	uint8_t family_id[16], image_id[16];
	uint8_t report_data[64], measurement[48], host_data[32], id_key_digest[48], author_key_digest[48];
	uint8_t report_id[32], report_id_ma[32], chip_id[64];
	uint8_t current[8], reported[8], committed[8], launch[8];
	uint8_t cpu_family, cpu_model, cpu_stepping;      // from version 3 on
	uint8_t current_version[3], committed_version[3]; // build, minor, major
};

enum snp_policy {
	SNP_POLICY_SMT = 1 << 16,
	SNP_POLICY_ONE = 1 << 17, // always set
	SNP_POLICY_MIGRATE = 1 << 18,
	SNP_POLICY_DEBUG = 1 << 19,
	SNP_POLICY_RAPL_OFF = 1 << 23,
	SNP_POLICY_HIDING = 1 << 24,
};

enum snp_platform { SNP_PLATFORM_SMT = 1, SNP_PLATFORM_RAPL_OFF = 8, SNP_PLATFORM_HIDING = 16 };

struct snp_input {
	struct span report;           // raw bytes
	struct span items[SNP_ITEMS]; // certificates: each one DER certificate, or PEM text with any number
				      // of them
	size_t n_items;
	struct span crl;  // AMD's revocation list of the product, DER; empty: revocation is not checked
	uint64_t now;     // Unix seconds
	bool allow_debug; // default false
};

// Only valid after snp_verify returned 0. All values are copies.
struct snp_result {
	enum anchor anchor;
	enum snp_product product;
	struct snp_report report;
	bool up_to_date;          // current, committed, launch and reported TCB are the same
	bool revocation_checked;  // a list was given
	uint64_t issued, expires; // what the certificates and the list have in common
};

struct snp {
	enum reason reason;
	uint32_t arg[2]; // numbers for the reason's text
	size_t checks;
	struct sig_check check[SNP_CHECKS];
	struct snp_result result;
	uint8_t sig[96]; // of the report, big-endian
	size_t used;
	uint8_t arena[SNP_ARENA];
};

// Takes a report apart; says nothing about its truth. Versions 2, 3 and 5 are known.
MUST_USE enum reason snp_report_read(struct snp_report *r, struct span bytes, uint32_t arg[static 2]);
// The product, by the report's CPU (version 3 on). -1 when it does not say or is none of them.
MUST_USE int snp_report_product(const struct snp_report *r, enum snp_product *out);
// The certificates of an extended report (GHCB specification: entries of GUID, offset, length) into `in`.
MUST_USE enum reason snp_table_read(struct snp_input *in, struct span table);

// `root`: DER of a trusted ARK, or amd_root(); its name tells the product. Always leaves a valid list of
// checks.
void snp_begin(struct snp *s, const struct snp_input *in, struct span root, enum anchor anchor);
// Bit i of `passed`: check i holds. REASON_OK and the result copied out, or the reason.
enum reason snp_finish(struct snp *s, uint32_t passed, struct snp_result *out);
// The sentence for the reason that snp_finish gave, with its numbers; NUL-terminated.
void snp_explain(const struct snp *s, enum reason r, char *out, size_t cap);

const char *snp_product_name(enum snp_product p);        // "Milan", ...
const char *snp_status_name(const struct snp_result *r); // "UpToDate" or "OutOfDate"
// The bytes have the form of a report rather than that of a quote: so that a command takes both.
bool snp_is_report(struct span bytes);
// The compiled-in root to try: by the report's CPU, else by the names in the certificates, else Milan's.
struct span snp_default_root(const struct snp_input *in);
enum anchor snp_root_anchor(struct span root); // ANCHOR_AMD for AMD's own, else ANCHOR_DEVELOPMENT
bool snp_root_product(struct span root, enum snp_product *p); // is it an ARK, of which product
// The claims every report gives (quote, tcb, collateral, chip_id, ..), added to a verdict.
void snp_claims(const struct snp_result *r, struct verdict *v);
// The closed verdict on a report and its certificates alone. `r` NULL: refused, for `code` and `error`.
bool snp_verdict(struct verdict *v, const struct snp_result *r, const char *code, const char *error);
// The same form as dcap_json.
void snp_json(struct wr *w, const struct snp_result *r, const struct verdict *v);
