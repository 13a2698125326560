// trust - from evidence to a verdict and to who the guest is: what the KMS, the gateway and `dstack verify`
// all call.
//
// Around the core's verdict (core/verify/verify.h): fetches and caches collateral (PCS or PCCS), runs the
// signature checks, finds the image of that os_image_hash, keeps results of certificates. Trusts the
// compiled-in Intel root, the configured development root if any, and the image folder. Never says yes unless
// the base measurements matched an image there. Safe to call from several threads; may block on the network.
#pragma once
#include "base/err.h"
#include "core/attest/certext.h"
#include "core/attest/dcap.h"
#include "core/verify/bootinfo.h"
#include "core/verdict/verdict.h"

#include <openssl/x509.h>

struct trust;
struct judge_source;
struct judge_answer;
struct verify_input;
// Judges one piece of evidence in another place than the caller's process (judge.h); fills `out` always.
typedef void judge_fn(void *arg, const struct judge_source *from, const struct verify_input *in,
		      struct judge_answer *out);

struct trust_config {
	const char *pccs_url;    // base URL; NULL: Intel's PCS
	const char *cache_dir;   // disk cache of collateral; NULL: memory only
	bool collateral_compat;  // label collateral that is older than seen before instead of refusing it
	bool intel_components;   // Intel's rule for TDX components (docs/formats/dcap.md, step 13)
	const char *image_dir;   // folder of image folders (each with sha256sum.txt); NULL: none, so never ok
	const char *image_cache; // a second one, of downloads; NULL: none
	const char *development_root; // DER or PEM file; NULL: Intel only
	struct span only_root; // DER of the one root trusted instead of Intel's; empty: Intel and the above
	bool insecure_development; // must be set with it, else trust_new fails: config.development_root
	judge_fn *judge;           // NULL: in this process. Else it has the roots of this configuration, too
	void *judge_arg;
};

// Expectations. Absent ones (NULL) are not compared; base measurements always are.
struct trust_expect {
	const uint8_t *report_data;   // 64; trust_check_cert computes it from the key itself
	const uint8_t *app_id;        // 20
	const uint8_t *compose_hash;  // 32
	const uint8_t *os_image_hash; // 32
	struct span key_provider_id;  // DER SubjectPublicKeyInfo of the KMS root; empty: not compared
	struct span policy;    // a document of expectations (docs/formats/expect.md) to which these are added
	bool judge_tcb;        // apply it, or its default, to the TCB status; else the caller's policy does
	struct span vm_config; // replaces the evidence's config when not empty
	struct span collateral; // used instead of fetching when not empty
	uint64_t now;           // Unix seconds; 0: the clock
	bool boottime;          // mr_aggregated up to boot-mr-done and no key provider (SignCert)
};

// What the evidence says of its machine and what was found of that image; only a verdict that is ok makes it
// true.
struct trust_machine {
	bool has_image_hash, has_image; // named; known here
	uint8_t os_image_hash[32];
	bool lite, soft; // TDX lite; the software TEE. Neither: upstream's legacy variant
	bool is_dev;     // of the known image, as its version
	char version[64];
};

struct trust_result {
	struct verdict verdict;
	struct trust_machine machine;
	struct boot_info boot;    // valid when the verdict is ok
	bool has_quote;           // the quote is genuine
	struct dcap_result quote; // then
};
// The text of a verdict, as the core writes it.
void trust_json(struct wr *out, const struct trust_result *r);

// What a certificate's app info extension says of a verified guest; spans into `b`.
void trust_app_info(struct app_info *out, const struct boot_info *b);

struct trust *trust_new(const struct trust_config *c, struct err *e);
void trust_free(struct trust *t);
struct trust_stats {
	uint64_t verified, refused, cached;     // pieces of evidence; answered from the kept results
	uint64_t signatures, signatures_cached; // checks run, and known before
};
struct trust_stats trust_stats(struct trust *t);
// Images are looked for and measured anew, and certificates verified anew.
void trust_forget_images(struct trust *t);

// 0: trusted, `out` filled. -1: not; e->class ERR_UNTRUSTED with the code of the first claim that failed,
// ERR_INPUT for unreadable evidence, ERR_AGAIN when collateral could not be had; out->verdict holds the
// claims reached.
int trust_check_envelope(struct trust *t, struct trust_result *out, struct span bytes,
			 const struct trust_expect *x, struct err *e);
// The same with the quote and event log of the legacy form.
int trust_check_quote(struct trust *t, struct trust_result *out, struct span quote,
		      struct span event_log_json, const struct trust_expect *x, struct err *e);
// Any form, by its content: what `dstack verify FILE` takes.
int trust_check_evidence(struct trust *t, struct trust_result *out, struct span bytes,
			 const struct trust_expect *x, struct err *e);
// Evidence in a certificate, bound to its key: report_data == ratls-cert(SubjectPublicKeyInfo). A certificate
// without evidence is refused (ERR_UNTRUSTED, ratls.no_evidence). Results are cached by certificate hash
// until collateral ends.
int trust_check_cert(struct trust *t, struct trust_result *out, X509 *cert, const struct trust_expect *x,
		     struct err *e);

// Plain readings of a certificate's extensions, no trust implied. 0 and the bytes, or ERR_ABSENT.
int cert_app_id(uint8_t out[20], X509 *cert, struct err *e);
int cert_usage(char *out, size_t cap, X509 *cert, struct err *e);
int cert_attestation(uint8_t **out, size_t *n, X509 *cert, struct err *e); // .8 only; free() the bytes
