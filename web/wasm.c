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
#include "crypto/intel_root.h"

#define EXPORT(name) __attribute__((export_name(#name), visibility("default"))) name

enum { IN_EVIDENCE, IN_COLLATERAL, IN_ROOT, IN_CODE, IN_COUNT };
enum { EVIDENCE_MAX = 2 << 20, IN_MAX = 1 << 20, OUT_MAX = 4 << 20, TEXT_MAX = 300 };

_Static_assert(sizeof(struct sig_check) == 32, "the layout that glue.js reads");

static uint8_t evidence[EVIDENCE_MAX], more[IN_COUNT - 1][IN_MAX], out[OUT_MAX];
static size_t in_n[IN_COUNT];
static struct wr text;
static enum reason outcome;

static uint8_t scratch[2 * EVIDENCE_MAX]; // twice the evidence is enough for any form of log
static struct event events[2][EVENTLOG_MAX];
static struct envelope_tpm tpm;
static struct event_replay replay;

static struct dcap dcap;
static struct dcap_collateral collateral;
static struct dcap_input dcap_in;

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

static uint8_t *place(uint32_t i)
{
	return i == IN_EVIDENCE ? evidence : more[i - 1];
}

static struct span given(uint32_t i)
{
	return span_of(place(i), in_n[i]);
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
	if (i >= IN_COUNT || n > (i == IN_EVIDENCE ? EVIDENCE_MAX : IN_MAX))
		return NULL;
	in_n[i] = n;
	return place(i);
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

// The reason of the last finish, to choose among refusals under several roots.
uint32_t EXPORT(out_reason)(void)
{
	return outcome;
}

// A quote and its collateral: the number of checks to run.
uint32_t EXPORT(quote_begin)(uint32_t now_high, uint32_t now_low)
{
	dcap_in = (struct dcap_input){ .quote = quote_unhex(evidence, in_n[IN_EVIDENCE]),
				       .collateral = given(IN_COLLATERAL),
				       .now = (uint64_t)now_high << 32 | now_low };
	dcap_collateral_read(&collateral, dcap_in.collateral, root(), anchor());
	dcap_begin(&dcap, &dcap_in, &collateral);
	return dcap.checks;
}

const struct sig_check *EXPORT(checks)(void)
{
	return dcap.check;
}

uint32_t EXPORT(check)(uint32_t i)
{
	return i < dcap.checks && sig_own(&dcap.check[i]);
}

// Bit i of `passed`: check i holds. 1 when accepted; the text is that of `dstack quote verify --json`.
uint32_t EXPORT(quote_finish)(uint32_t passed)
{
	static struct dcap_result r;
	static struct verdict v;
	char error[TEXT_MAX];

	outcome = dcap_finish(&dcap, passed, &r);
	dcap_explain(&dcap, outcome, error, sizeof error);
	text = wr_to(out, sizeof out);
	if (dcap_unreadable(outcome)) {
		wr_refusal(&text, reason_text(outcome)->code, error);
		return 0;
	}
	dcap_verdict(&v, outcome ? NULL : &r, reason_text(outcome)->code, error);
	dcap_json(&text, outcome ? NULL : &r, &v);
	return v.ok;
}

// The quote that is in the first input, decoded: the text of `dstack quote show --json`, or why not.
uint32_t EXPORT(quote_decode)(void)
{
	struct quote q;
	enum reason why = quote_parse(&q, quote_unhex(evidence, in_n[IN_EVIDENCE]));
	char error[TEXT_MAX] = { 0 };
	struct wr w = wr_to(error, sizeof error - 1);

	text = wr_to(out, sizeof out);
	if (!why) {
		quote_show(&text, &q, true);
		return 1;
	}
	wr_reason(&w, why, (uint32_t[2]){ q.tee, 0 });
	wr_refusal(&text, reason_text(why)->code, error);
	return 0;
}

// The event log in the first input, in any form: the text of `dstack events replay --list --json`, or why
// not.
uint32_t EXPORT(events_replay)(void)
{
	struct wr room = wr_to(scratch, sizeof scratch);
	char error[TEXT_MAX] = { 0 };
	struct wr w = wr_to(error, sizeof error - 1);
	struct fault f = { 0 };

	replay.log = (struct eventlog){ events[0], 0, EVENTLOG_MAX };
	replay.runtime = (struct eventlog){ events[1], 0, EVENTLOG_MAX };
	replay.tpm = &tpm;
	text = wr_to(out, sizeof out);
	if (!event_replay_read(&replay, &room, given(IN_EVIDENCE), &f)) {
		event_replay_json(&text, &replay, true);
		return 1;
	}
	wr_str(&w, f.text);
	wr_str(&w, " (at ");
	wr_dec(&w, f.at);
	wr_u8(&w, ')');
	wr_refusal(&text, f.code, error);
	return 0;
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
