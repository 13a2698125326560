#include "core/attest/eventlog_diff.h"

static bool same(const uint8_t *a, const uint8_t *b)
{
	return span_eq(span_of(a, EVENT_DIGEST), span_of(b, EVENT_DIGEST));
}

// What goes into the register, and whether the event says so itself.
static bool measured(uint8_t digest[EVENT_DIGEST], const struct event *e)
{
	struct rd found = rd_span(e->digest);
	struct fault f;

	if (e->imr != 3) {
		rd_copy(&found, digest, EVENT_DIGEST);
		return true;
	}
	(void)!event_digest(digest, e, &f); // it was replayed before, so this cannot fail
	return !e->digest.n || span_eq(e->digest, span_of(digest, EVENT_DIGEST));
}

struct event_diff event_diff(const struct event_replay *r, unsigned rtmr)
{
	uint8_t reg[EVENT_DIGEST] = { 0 }, digest[EVENT_DIGEST];
	struct event_diff later = { EVENT_DIFF_UNKNOWN, 0 };

	if (!r->has_quote || !(r->present >> rtmr & 1) || same(r->rtmr[rtmr], r->quoted[rtmr]))
		return (struct event_diff){ EVENT_DIFF_NONE, 0 };
	for (size_t i = 0; i < r->log.n; i++) {
		if (r->log.e[i].imr != rtmr)
			continue;
		if (!measured(digest, &r->log.e[i]))
			return (struct event_diff){ EVENT_DIFF_CONTENT, i };
		if (later.kind == EVENT_DIFF_UNKNOWN && same(reg, r->quoted[rtmr]))
			later = (struct event_diff){ EVENT_DIFF_LATER, i };
		register_extend(reg, digest);
	}
	return later;
}

void event_diff_json(struct wr *out, const struct event_replay *r)
{
	static const char *const name[] = { "none", "content", "later", "unknown" };
	bool any = false;

	wr_u8(out, '[');
	for (unsigned i = 0; i < 4; i++) {
		struct event_diff d = event_diff(r, i);

		if (d.kind == EVENT_DIFF_NONE)
			continue;
		wr_str(out, any ? ",{\"register\":\"rtmr" : "{\"register\":\"rtmr");
		wr_dec(out, i);
		wr_str(out, "\",\"difference\":\"");
		wr_str(out, name[d.kind]);
		wr_str(out, "\",\"event\":");
		if (d.kind == EVENT_DIFF_UNKNOWN)
			wr_str(out, "null}");
		else {
			wr_dec(out, d.index);
			wr_u8(out, '}');
		}
		any = true;
	}
	wr_u8(out, ']');
}
