// parts - how the files of verify/ work together: one job each. Private to verify/*.c.
//
//   certificate.c  X.509 of any issuer: key, validity, dstack's extensions
//   evidence.c     recognises a form and decodes it; evidence_json.c the JSON forms
//   expectations.c the document of expectations
//   platform.c     the one place that knows which TEE is verified how
//   identity.c     report data, events, app, key provider; config_id.c MRCONFIGID
//   base.c         image, MRTD, RTMR0-2
//   snp_parts.c    what an SEV-SNP report says instead of all these
//   issuer.c       what the certificate's issuer wrote beside the evidence
#pragma once
#include "core/verify/verify.h"

// 0, or -1 and why it cannot be read.
int certificate_read(struct verify_cert *out, struct span der, struct fault *f);
void evidence_init(struct verify_evidence *e); // nothing is in it
int evidence_parse(struct verify *v, struct fault *f);
int evidence_read_json(struct verify *v, struct span text, struct fault *f);
// A quote with the log that belongs to it; `log` empty: without.
int evidence_take_quote(struct verify *v, struct span quote, struct span log, struct fault *f);

int expect_read(struct json *out, struct span text, struct fault *f);
// Is `got` in the list `name`, or the value of it? EXPECT_FREE when the expectations do not say.
enum expected { EXPECT_FREE, EXPECT_HELD, EXPECT_BROKEN };
enum expected expect_bytes(struct json expect, const char *name, struct span got);
// The claim `claim`: what was found when nothing is expected, else the comparison, which fails with `code`.
struct claim *expect_claim(struct verify *v, const char *claim, const char *name, struct span got,
			   const char *code);
void expect_tcb(struct verify *v);

// VERIFY_CLOSED, with the claim that says why, when this platform is not verified here.
enum verify_next platform_open(struct verify *v);
void platform_begin(struct verify *v, const struct dcap_collateral *col);
bool platform_is_snp(const struct verify *v);
size_t platform_checks(const struct verify *v, const struct sig_check **checks);
enum reason platform_found(const struct verify *v);
enum reason platform_signed(struct verify *v, uint32_t passed);
void platform_explain(const struct verify *v, char *out, size_t cap);
// All claims about signed evidence.
void platform_judge(struct verify *v, const struct verify_image *image);
const char *const *platform_required(const struct verify *v); // claims, NULL at the end

// Bound to the challenge, to the certificate's key, to what the evidence states. Adds the claim `binding`;
// with `early`, on report data that nobody has verified yet, only when it fails.
bool identity_binding(struct verify *v, struct span report_data, enum anchor a, bool early);
// Report data, events and who the app is. False when it makes no sense to go on.
bool identity_judge(struct verify *v);
void config_id_judge(struct verify *v, const struct app_events *app);
void base_judge(struct verify *v, const struct verify_image *image);
void issuer_judge(struct verify *v);
// snp_parts.c: an SEV-SNP report. The certificates are the envelope's, unless v->in.collateral has some.
enum verify_next snp_open(struct verify *v);
void snp_start(struct verify *v, struct span root, enum anchor anchor);
enum reason snp_signed(struct verify *v, uint32_t passed);
void snp_judge(struct verify *v);
// What a member of 20 or 32 bytes has: false, and nothing taken, when it is not that long.
bool take_bytes(uint8_t *to, size_t n, struct span from);

// Small things they share.
void text_put(char *out, size_t cap, struct span s); // cut to fit, NUL-terminated
struct span text_done(const struct wr *w);           // what was written, cut to what fits
#define TEXT_PUT(array, s) text_put(array, sizeof(array), s)
struct claim *fail_fault(struct verdict *v, const char *name, enum anchor a, const struct fault *f);
// The next n bytes of the scratch, NULL when there is no room for them; taken with v->scratch.n += n.
uint8_t *scratch_room(struct verify *v, size_t n);
