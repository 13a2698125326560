// The evidence core as a WebAssembly module for the page: exports only, no imports, memory of a fixed size.
//
// It can compute and nothing else. The page puts bytes where input() says, calls begin, has the listed
// signature checks run, here by the core's own code and a second time by the browser's, and takes the text.
// web/glue.js is the other side.
#include "core/attest/dcap_text.h"
#include "core/attest/eventlog_diff.h"
#include "core/attest/quote_show.h"
#include "core/codec/json.h"
#include "core/sig/own.h"
#include "core/verify/verify.h"
#include "crypto/intel_root.h"

#define EXPORT(name) __attribute__((export_name(#name), visibility("default"))) name

enum { IN_EVIDENCE, IN_COLLATERAL, IN_ROOT, IN_CODE, IN_EXPECT, IN_INFLATED, IN_COUNT };
enum { EVIDENCE_MAX = 2 << 20, FILE_MAX = 1 << 20, SMALL_MAX = 64 << 10, OUT_MAX = 4 << 20, TEXT_MAX = 300 };

_Static_assert(sizeof(struct sig_check) == 32, "the layout that glue.js reads");

static uint8_t evidence[EVIDENCE_MAX], collateral_text[FILE_MAX], expect[FILE_MAX];
static uint8_t root_der[SMALL_MAX], code[SMALL_MAX], inflated[VERIFY_LOG_MAX];
static const struct {
	uint8_t *p;
	size_t cap;
} in[IN_COUNT] = {
	[IN_EVIDENCE] = { evidence, sizeof evidence },
	[IN_COLLATERAL] = { collateral_text, sizeof collateral_text },
	[IN_ROOT] = { root_der, sizeof root_der },
	[IN_CODE] = { code, sizeof code },
	[IN_EXPECT] = { expect, sizeof expect },
	[IN_INFLATED] = { inflated, sizeof inflated },
};
static size_t in_n[IN_COUNT];

static uint8_t out[OUT_MAX];
static struct wr text;

static struct dcap_collateral collateral;
static const struct sig_check *listed;
static size_t listed_n;

static struct dcap dcap;
static struct dcap_input dcap_in;
static struct snp snp;
static bool is_report; // the first input is an SEV-SNP report, not a quote

static struct verify verify;
static uint8_t verify_room[VERIFY_SCRATCH(VERIFY_EVIDENCE_MAX)];

static uint8_t replay_room[2 * EVIDENCE_MAX]; // twice the evidence is enough for any form of log
static struct event events[2][EVENTLOG_MAX];
static struct envelope_tpm tpm;
static struct event_replay replay;

// What a compiler may call on its own. With bulk memory the first three are single instructions.
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	return __builtin_memcpy(to, from, n);
}

void *memmove(void *to, const void *from, size_t n)
{
	return __builtin_memmove(to, from, n);
}

void *memset(void *to, int c, size_t n)
{
	return __builtin_memset(to, c, n);
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

static struct span given(uint32_t i)
{
	return span_of(in[i].p, in_n[i]);
}

// The root to trust: the one that was put in, else Intel's.
static struct span root(void)
{
	return in_n[IN_ROOT] ? given(IN_ROOT) : intel_root();
}

static enum anchor anchor(void)
{
	return span_eq(root(), intel_root()) ? ANCHOR_INTEL : ANCHOR_DEVELOPMENT;
}

// Where to put `n` bytes of input `i`; 0 when they are too many.
uint8_t *EXPORT(input)(uint32_t i, uint32_t n)
{
	if (i >= IN_COUNT || n > in[i].cap)
		return NULL;
	in_n[i] = n;
	return in[i].p;
}

const uint8_t *EXPORT(out_text)(void)
{
	return out;
}

// Its length; 0 when it did not fit.
uint32_t EXPORT(out_size)(void)
{
	return text.bad ? 0 : text.n;
}

static uint32_t report_begin(struct span report, uint64_t now)
{
	struct snp_input input = {
		.report = report, .items = { given(IN_COLLATERAL) }, .n_items = 1, .now = now
	};
	struct span r = in_n[IN_ROOT] ? given(IN_ROOT) : snp_default_root(&input);

	snp_begin(&snp, &input, r, snp_root_anchor(r));
	listed = snp.check;
	return listed_n = snp.checks;
}

static uint32_t report_finish(uint32_t passed)
{
	static struct snp_result r;
	static struct verdict v;
	char error[TEXT_MAX];
	enum reason why = snp_finish(&snp, passed, &r);

	snp_explain(&snp, why, error, sizeof error);
	text = wr_to(out, sizeof out);
	snp_verdict(&v, why ? NULL : &r, reason_text(why)->code, error);
	snp_json(&text, why ? NULL : &r, &v);
	return v.ok;
}

// A quote and its collateral, or an SEV-SNP report and its certificates (PEM): the number of checks to run.
uint32_t EXPORT(quote_begin)(uint32_t now_high, uint32_t now_low)
{
	struct span bytes = quote_unhex(evidence, in_n[IN_EVIDENCE]);

	is_report = snp_is_report(bytes);
	if (is_report)
		return report_begin(bytes, (uint64_t)now_high << 32 | now_low);
	dcap_in = (struct dcap_input){ .quote = bytes,
				       .collateral = given(IN_COLLATERAL),
				       .now = (uint64_t)now_high << 32 | now_low };
	dcap_collateral_read(&collateral, dcap_in.collateral, root(), anchor());
	dcap_begin(&dcap, &dcap_in, &collateral);
	listed = dcap.check;
	return listed_n = dcap.checks;
}

// The checks that the last begin listed.
const struct sig_check *EXPORT(checks)(void)
{
	return listed;
}

uint32_t EXPORT(check)(uint32_t i)
{
	return i < listed_n && sig_own(&listed[i]);
}

// Bit i of `passed`: check i holds. 1 when accepted; the text is that of `dstack quote verify --json`.
uint32_t EXPORT(quote_finish)(uint32_t passed)
{
	static struct dcap_result r;
	static struct verdict v;
	char error[TEXT_MAX];

	if (is_report)
		return report_finish(passed);
	enum reason why = dcap_finish(&dcap, passed, &r);

	dcap_explain(&dcap, why, error, sizeof error);
	text = wr_to(out, sizeof out);
	if (dcap_unreadable(why)) {
		wr_refusal(&text, reason_text(why)->code, error);
		return 0;
	}
	dcap_verdict(&v, why ? NULL : &r, reason_text(why)->code, error);
	dcap_json(&text, why ? NULL : &r, &v);
	return v.ok;
}

// Whole evidence: enum verify_next.
uint32_t EXPORT(evidence_read)(uint32_t now_high, uint32_t now_low)
{
	struct verify_input input = { .evidence = given(IN_EVIDENCE),
				      .inflated = given(IN_INFLATED),
				      .collateral = given(IN_COLLATERAL),
				      .expect = in_n[IN_EXPECT] ? given(IN_EXPECT) : span_str("{}"),
				      .binding = VERIFY_BIND_STATED,
				      .now = (uint64_t)now_high << 32 | now_low };

	return verify_read(&verify, &input, verify_room, sizeof verify_room);
}

// With VERIFY_INFLATE: what to inflate.
const uint8_t *EXPORT(compressed)(void)
{
	return verify.compressed.p;
}

uint32_t EXPORT(compressed_size)(void)
{
	return verify.compressed.n;
}

// How many roots there are to try: one, or AMD's for its products. None when evidence_finish knows already.
uint32_t EXPORT(evidence_roots)(void)
{
	enum snp_product product;
	bool is_snp = verify_is_snp(&verify);

	if (verify.next != VERIFY_BEGIN || verify.needs_collateral)
		return 0;
	if (!in_n[IN_ROOT])
		return is_snp ? SNP_PRODUCTS : 1;
	if (snp_root_product(given(IN_ROOT), &product) == is_snp)
		return 1;
	verify_no_root(&verify);
	return 0;
}

static void begin_snp(enum snp_product i)
{
	struct span der = in_n[IN_ROOT] ? given(IN_ROOT) : amd_root(i);

	verify_begin_snp(&verify, der, snp_root_anchor(der));
}

// The number of checks to run under the root of that number.
uint32_t EXPORT(evidence_begin)(uint32_t i)
{
	if (verify_is_snp(&verify)) {
		begin_snp((enum snp_product)i);
	} else {
		dcap_collateral_read(&collateral, verify_collateral(&verify), root(), anchor());
		verify_begin(&verify, &collateral);
	}
	return listed_n = verify_checks(&verify, &listed);
}

// Bit i of `passed`: check i holds. The refusal, 0 when none.
uint32_t EXPORT(evidence_signed)(uint32_t passed)
{
	return verify_signed(&verify, passed);
}

// 1 when trusted; the text is that of `dstack verify FILE --json` without an image folder.
uint32_t EXPORT(evidence_finish)(void)
{
	bool ok = verify_finish(&verify, 0, NULL); // what passed, evidence_signed was told

	text = wr_to(out, sizeof out);
	verify_json(&text, &verify);
	return ok;
}

static uint32_t refuse(const char *why, struct span error)
{
	char sentence[TEXT_MAX] = { 0 };
	struct wr w = wr_to(sentence, sizeof sentence - 1);

	wr_span(&w, error);
	text = wr_to(out, sizeof out);
	wr_refusal(&text, why, sentence);
	return 0;
}

static uint32_t decode(struct span bytes)
{
	uint32_t arg[2];
	uint8_t error[TEXT_MAX];
	struct wr w = wr_to(error, sizeof error);

	text = wr_to(out, sizeof out);
	enum reason why = quote_show_any(&text, bytes, true, arg);
	if (!why)
		return 1;
	wr_reason(&w, why, arg);
	return refuse(reason_text(why)->code, span_of(error, w.n));
}

// The quote that is in the first input, decoded: the text of `dstack quote show --json`, or why not.
uint32_t EXPORT(quote_decode)(void)
{
	return decode(quote_unhex(evidence, in_n[IN_EVIDENCE]));
}

// The same of the evidence that was read last.
uint32_t EXPORT(evidence_decode)(void)
{
	return decode(verify.evidence.env.quote);
}

static uint32_t replay_bytes(struct span bytes)
{
	struct wr room = wr_to(replay_room, sizeof replay_room);
	uint8_t error[TEXT_MAX];
	struct wr w = wr_to(error, sizeof error);
	struct fault f = { 0 };

	replay.log = (struct eventlog){ events[0], 0, EVENTLOG_MAX };
	replay.runtime = (struct eventlog){ events[1], 0, EVENTLOG_MAX };
	replay.tpm = &tpm;
	if (event_replay_read(&replay, &room, bytes, &f)) {
		wr_str(&w, f.text);
		wr_str(&w, " (at ");
		wr_dec(&w, f.at);
		wr_u8(&w, ')');
		return refuse(f.code, span_of(error, w.n));
	}
	text = wr_to(out, sizeof out);
	event_replay_json(&text, &replay, true);
	return 1;
}

// The event log in the first input, in any form: the text of `dstack events replay --list --json`, or why
// not.
uint32_t EXPORT(events_replay)(void)
{
	return replay_bytes(given(IN_EVIDENCE));
}

// The same of the certificate that was read last, or of the first input when that was no certificate.
uint32_t EXPORT(evidence_replay)(void)
{
	const struct verify_cert *c = &verify.evidence.cert;

	if (verify.evidence.form != VERIFY_CERTIFICATE)
		return replay_bytes(given(IN_EVIDENCE));
	return replay_bytes(c->attestation.n    ? c->attestation
			    : in_n[IN_INFLATED] ? given(IN_INFLATED)
						: c->event_log);
}

// After it: where the log and the quoted registers part.
void EXPORT(events_differences)(void)
{
	text = wr_to(out, sizeof out);
	event_diff_json(&text, &replay);
}

// What both engines must agree on; anything else is no verdict at all.
void EXPORT(engines_disagree)(void)
{
	text = wr_to(out, sizeof out);
	wr_refusal(&text, "engine.disagreement",
		   "the browser's own cryptography and this page's disagree about a signature; nothing is "
		   "trusted");
}

// What the code in the last input means and what to do about it, as `dstack explain CODE --json` says; 0 when
// it is not one about evidence.
uint32_t EXPORT(explain)(void)
{
	const struct reason_text *r = reason_find_evidence(given(IN_CODE));

	text = wr_to(out, sizeof out);
	if (!r)
		return 0;
	wr_str(&text, "{\"code\":");
	wr_json(&text, span_str(r->code));
	wr_str(&text, ",\"text\":");
	wr_json(&text, span_str(r->text));
	wr_str(&text, ",\"means\":");
	wr_json(&text, span_str(r->why));
	wr_str(&text, ",\"todo\":");
	wr_json(&text, span_str(r->todo));
	wr_u8(&text, '}');
	return 1;
}
