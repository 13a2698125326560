// verify - the verdict on whole evidence, as a pure function: what the command line, the daemons, the
// verifier service and the browser page all call, so that they print the same bytes.
//
//     verify_read     recognises and parses the evidence and the expectations; says what else is needed
//     verify_begin    takes the collateral, decoded under one trusted root, and lists the signature checks
//     verify_finish   replays, measures, compares; closes the verdict
//     verify_json     writes it
// In between the caller runs the checks with its engine (OpenSSL, WebCrypto): natively that is done by
// evidence_verify of ratls/verify.h, the only one that programs call. Nothing here is a result before
// verify_finish. Trusts the root, the clock and the image facts it is given. Freestanding; no pointers to
// itself.
// docs/verify.md, docs/formats/expect.md, docs/formats/verdict.md.
#pragma once
#include "core/attest/certext.h"
#include "core/attest/dcap.h"
#include "core/attest/snp.h"
#include "core/codec/json.h"
#include "core/measure/measure.h"
#include "core/verify/bootinfo.h"
#include "core/verdict/check.h"

enum {
	VERIFY_EVIDENCE_MAX = 1 << 20, // bytes of one piece of evidence, as given
	VERIFY_EXPECT_MAX = 256 << 10,
	VERIFY_LIST_MAX = 384 << 10, // of an event log in JSON
	VERIFY_LOG_MAX = 16 << 10,   // of an event log in a certificate, inflated
	VERIFY_EVENTS = 1024,        // of the platform's log
	VERIFY_RUNTIME = 2048,
};
// Room for decoded evidence of n bytes.
#define VERIFY_SCRATCH(n) (3 * (size_t)(n) + (64 << 10))

// How evidence must be bound to this very question. Nothing said is an error: an expectation that was
// forgotten must not read as one that holds.
enum verify_binding {
	VERIFY_BIND_UNSET,
	VERIFY_BIND_CHALLENGE, // the quote's report data are the 64 bytes of `report_data`: fresh
	VERIFY_BIND_KEY,       // evidence is a certificate: report data are those of its key
	VERIFY_BIND_STATED, // no challenge: a certificate is bound to its key, other evidence to what it says
			    // itself; the expectations may still name report data
};

enum verify_form { VERIFY_ANY, VERIFY_QUOTE, VERIFY_ENVELOPE, VERIFY_CERTIFICATE, VERIFY_JSON };

struct verify_input {
	struct span evidence;
	enum verify_form
		form; // VERIFY_ANY: by its content; else read as that (raw bytes, DER) and as nothing else
	struct span event_log;  // with VERIFY_QUOTE: the JSON array that belongs to it
	struct span inflated;   // the event log of an "ELGZv1" extension, when verify_read asked for it
	struct span collateral; // QuoteCollateralV3, JSON text; empty: what the evidence brings along
	struct span expect;     // the expectations, docs/formats/expect.md; "{}": none but the image
	struct span vm_config;  // replaces the one in the evidence when not empty
	enum verify_binding binding;
	const uint8_t *report_data; // 64 bytes, with VERIFY_BIND_CHALLENGE
	uint64_t now;               // Unix seconds
	bool boottime;              // mr_aggregated up to boot-mr-done and no key provider
	bool any_tcb;               // the caller judges the TCB status itself (an authorisation policy does)
	bool allow_service_td, intel_components; // as dcap_input
};

// Facts about the image that the evidence names, from a place that the caller trusts.
struct verify_image {
	struct measurement_tdx m;
	uint8_t kernel[MEASURE_LEN]; // for the machine's memory size
	char version[64];
	bool is_dev;
};

// What a certificate says beside its evidence; claims of its issuer, compared with what is attested.
struct verify_cert {
	struct span spki;
	uint64_t not_before, not_after;
	struct span quote, event_log, attestation, app_id, usage, app_info; // payloads; empty when absent
};

// Evidence, decoded. Spans point into the input or the scratch.
struct verify_evidence {
	enum verify_form form;
	struct envelope env; // of every form; the one list of events
	bool has_log;        // a raw quote has none
	struct verify_cert cert;
	struct span collateral;  // that came along
	struct span report_data; // stated in JSON beside the quote, 64 bytes; empty when absent
	struct envelope_tpm tpm;
	struct event events[VERIFY_EVENTS], runtime[VERIFY_RUNTIME];
};

enum verify_next {
	VERIFY_BEGIN,   // go on with verify_begin
	VERIFY_INFLATE, // gunzip `compressed` to at most VERIFY_LOG_MAX bytes and read again with `inflated`
	VERIFY_CLOSED,  // nothing to check: verify_finish gives the reason
};

struct verify {
	struct verify_input in;
	struct wr scratch;
	enum verify_next next;
	bool unreadable;        // evidence or expectations could not be read (exit status 2, ERR_INPUT)
	struct span compressed; // with VERIFY_INFLATE

	// Known after verify_read, none of it verified: for fetching.
	bool needs_collateral;
	struct dcap_platform platform; // when it needs some
	bool has_image_hash;
	struct vm_config config;   // os_image_hash, memory_size, ..
	struct fault config_fault; // code NULL: none
	// Set by the caller before verify_finish when it looked for the image and failed: what is said then.
	struct fault image_fault;

	struct verify_evidence evidence;
	struct json expect; // the parsed expectations, JSON_NONE when refused
	struct dcap dcap;
	struct snp snp;
	struct snp_result snp_result; // of an SEV-SNP report
	enum reason reason;           // of the quote: REASON_OK after verify_signed when it is genuine
	bool is_begun, is_signed;     // verify_begin, verify_signed were called
	bool has_quote;               // `quote` is valid
	struct dcap_result
		quote; // of an SEV-SNP report: version 0, and anchor, tcb, report_data, issued, expires
	struct verdict verdict;
	struct boot_info boot; // valid when the verdict is ok
};

enum verify_next verify_read(struct verify *v, const struct verify_input *in, void *scratch, size_t cap);
// The collateral's text: given, or brought along.
struct span verify_collateral(const struct verify *v);
// `col`: that text decoded under one trusted root (dcap_collateral_read); it must stay as long as the checks
// are used. May be called again under another root, and after v->in.collateral was set.
void verify_begin(struct verify *v, const struct dcap_collateral *col);
// An SEV-SNP report has no collateral: it begins with the DER of one trusted root, which must stay, too.
bool verify_is_snp(const struct verify *v);
void verify_begin_snp(struct verify *v, struct span root, enum anchor anchor);
// The checks that verify_begin listed: always a valid list, of at most SIG_CHECKS.
size_t verify_checks(const struct verify *v, const struct sig_check **checks);
// The refusal that verify_begin found already, REASON_OK when none: checks behind it cannot matter any more.
enum reason verify_found(const struct verify *v);
// Bit i of `passed`: check i holds. Optional: whether the quote is genuine, before the image is looked up.
enum reason verify_signed(struct verify *v, uint32_t passed);
// The sentence for that refusal, NUL-terminated.
void verify_explain(const struct verify *v, char *out, size_t cap);
// `image`: what is known of v->config.os_image_hash; NULL: nothing, then the measurement in vm_config is used
// if the expectations allow that very image. True when the verdict is ok.
bool verify_finish(struct verify *v, uint32_t passed, const struct verify_image *image);
// Close it for a reason outside of the core (no collateral could be fetched): verify_finish says just that.
void verify_refuse(struct verify *v, const char *claim, const char *code, const char *text);
// The same when no trusted root is of this platform's kind.
void verify_no_root(struct verify *v);
// {"ok","status","advisory_ids","code","error","claims",..}
void verify_json(struct wr *out, const struct verify *v);
