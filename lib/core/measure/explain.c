#include "core/measure/explain.h"
#include "core/codec/json.h"

static const char *const register_names[] = { "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrtd" };

struct side { // the events of one register in the log
	const struct event *e[EXPLAIN_EVENTS_MAX];
	size_t n;
};

static void collect(struct side *s, const struct eventlog *log, uint32_t imr)
{
	s->n = 0;
	for (size_t i = 0; i < log->n && s->n < EXPLAIN_EVENTS_MAX; i++)
		if (log->e[i].imr == imr)
			s->e[s->n++] = &log->e[i];
}

// A stripped log has no boot events but the ACPI ones: there is nothing to align then.
static bool has_boot_events(const struct eventlog *log)
{
	for (size_t i = 0; i < log->n; i++)
		if (log->e[i].imr < 3 && !event_is_acpi(&log->e[i]))
			return true;
	return false;
}

static bool equal(const struct expect_event *w, const struct event *g)
{
	return span_eq(g->digest, span_of(w->digest, MEASURE_LEN));
}

enum { COST_GAP = 2, COST_CHANGE = 3, COST_NEVER = 1000 };

static uint16_t pair_cost(const struct expect_event *w, const struct event *g)
{
	return equal(w, g) ? 0 : w->type == g->type ? COST_CHANGE : COST_NEVER;
}

// Edit distance from the ends: cost[i][k] is that of what is left behind want[i] and got[k].
struct table {
	uint16_t cost[EXPECT_MAX + 1][EXPLAIN_EVENTS_MAX + 1];
};

static void fill(struct table *t, const struct expect *want, const struct side *got)
{
	for (size_t i = want->n + 1; i-- > 0;)
		for (size_t k = got->n + 1; k-- > 0;) {
			uint16_t best = (uint16_t)(COST_GAP * (want->n - i + got->n - k));

			if (i < want->n && t->cost[i + 1][k] + COST_GAP < best)
				best = (uint16_t)(t->cost[i + 1][k] + COST_GAP);
			if (k < got->n && t->cost[i][k + 1] + COST_GAP < best)
				best = (uint16_t)(t->cost[i][k + 1] + COST_GAP);
			if (i < want->n && k < got->n) {
				uint16_t c =
					(uint16_t)(t->cost[i + 1][k + 1] + pair_cost(&want->e[i], got->e[k]));

				best = c < best ? c : best;
			}
			t->cost[i][k] = best;
		}
}

static struct explain_diff *add(struct explain *x, unsigned imr, enum explain_kind kind)
{
	struct explain_diff *d = x->n < EXPLAIN_MAX ? &x->d[x->n] : NULL;

	x->n++;
	if (d)
		*d = (struct explain_diff){ .imr = imr, .kind = kind };
	return d;
}

static const char *extra_name(const struct event *g)
{
	return g->type == 0x80000003 ? "another image"
	       : g->type == 4        ? "separator"
	       : event_is_acpi(g)    ? "ACPI DATA"
				     : "unexpected event";
}

// One step of the alignment as a difference; `w` or `g` may be NULL.
static void put(struct explain *x, unsigned imr, const struct expect_event *w, size_t i,
		const struct event *g, size_t k)
{
	struct explain_diff *d = add(x, imr, w && g ? EXPLAIN_CHANGED : w ? EXPLAIN_MISSING : EXPLAIN_EXTRA);

	if (!d)
		return;
	d->name = w ? w->name : extra_name(g);
	d->cause = w && g ? w->cause : w ? "missing" : "boot_path";
	if (w) {
		d->want_at = i + 1;
		d->want = span_of(w->digest, MEASURE_LEN);
	}
	if (g) {
		d->got_at = k + 1;
		d->got = g->digest;
	}
}

static void align(struct explain *x, unsigned imr, const struct expect *want, const struct side *got)
{
	struct table t;
	size_t i = 0, k = 0;

	fill(&t, want, got);
	while (i < want->n || k < got->n) {
		uint16_t here = t.cost[i][k];

		if (i < want->n && k < got->n &&
		    here == t.cost[i + 1][k + 1] + pair_cost(&want->e[i], got->e[k])) {
			if (!equal(&want->e[i], got->e[k]))
				put(x, imr, &want->e[i], i, got->e[k], k);
			i++;
			k++;
		} else if (i < want->n && here == t.cost[i + 1][k] + COST_GAP) {
			put(x, imr, &want->e[i], i, NULL, 0);
			i++;
		} else {
			put(x, imr, NULL, 0, got->e[k], k);
			k++;
		}
	}
}

static void say(struct wr *out, const struct explain_diff *d)
{
	wr_str(out, "event ");
	wr_dec(out, d->want_at ? d->want_at : d->got_at);
	wr_str(out, " (");
	wr_str(out, d->name);
	wr_str(out, ") ");
	if (!d->want.n) {
		wr_str(out, "is one more than expected: ");
		wr_hex(out, d->got.p, d->got.n < 8 ? d->got.n : 8);
		wr_str(out, "..");
		return;
	}
	wr_str(out, "expected ");
	wr_hex(out, d->want.p, 8);
	wr_str(out, ".. got ");
	if (!d->got_at) {
		wr_str(out, "nothing: it is missing from the log");
		return;
	}
	wr_hex(out, d->got.p, d->got.n < 8 ? d->got.n : 8);
	wr_str(out, "..");
}

static const char *hint_of(const struct expect *want, const struct explain_diff *d)
{
	return want->e[d->want_at - 1].hint;
}

void measure_explain(struct wr *out, const struct expect *want, uint32_t imr, const struct eventlog *log)
{
	struct explain x = { 0 };
	struct side got;

	if (!has_boot_events(log))
		return;
	collect(&got, log, imr);
	align(&x, imr, want, &got);
	if (!x.n)
		return;
	say(out, &x.d[0]);
	if (x.d[0].kind != EXPLAIN_CHANGED)
		return;
	wr_str(out, ": ");
	wr_str(out, hint_of(want, &x.d[0]));
}

void explain_logs(struct explain *out, const struct measured *want, const struct eventlog *log,
		  const struct explain_facts *facts)
{
	*out = (struct explain){ .acpi_taken = facts->m, .boot = has_boot_events(log) };
	if (facts->m && facts->mrtd) {
		struct span got = span_of(facts->mrtd, MEASURE_LEN), w = span_of(want->mrtd, MEASURE_LEN);

		out->mrtd = true;
		if (!span_eq(got, w)) {
			struct explain_diff *d = add(out, EXPLAIN_MRTD, EXPLAIN_CHANGED);

			d->name = "firmware";
			d->cause = "firmware";
			d->want = w;
			d->got = got;
		}
	}
	for (unsigned imr = 0; imr < 3 && out->boot; imr++) {
		struct side got;

		collect(&got, log, imr);
		align(out, imr, &want->rtmr[imr], &got);
	}
	explain_causes(out, want, facts);
}

static void write_digest(struct wr *out, const char *key, struct span s)
{
	wr_str(out, key);
	if (s.n)
		wr_json_hex(out, s.p, s.n);
	else
		wr_str(out, "null");
}

static void write_place(struct wr *out, const char *key, size_t at)
{
	wr_str(out, key);
	if (at)
		wr_dec(out, at);
	else
		wr_str(out, "null");
}

static void write_diff(struct wr *out, const struct explain_diff *d)
{
	static const char *const kinds[] = { "changed", "missing", "extra" };

	wr_str(out, "{\"register\":\"");
	wr_str(out, register_names[d->imr]);
	wr_str(out, "\",\"event\":");
	wr_json(out, span_str(d->name));
	write_place(out, ",\"expected_event\":", d->want_at);
	write_place(out, ",\"log_event\":", d->got_at);
	wr_str(out, ",\"kind\":\"");
	wr_str(out, kinds[d->kind]);
	wr_str(out, "\",\"cause\":\"");
	wr_str(out, d->cause);
	wr_u8(out, '"');
	write_digest(out, ",\"expected\":", d->want);
	write_digest(out, ",\"got\":", d->got);
	wr_str(out, ",\"text\":");
	wr_json(out, span_str(d->text));
	wr_u8(out, '}');
}

static const char note_acpi[] = "the ACPI tables were not judged: the log's own digests were taken, so CPU "
				"count and devices show only in "
				"a comparison with the log of a good machine";
static const char note_stripped[] =
	"the log lost its boot events, as those in certificates have, so there is nothing to compare";

static size_t notes(const char *out[2], const struct explain *x)
{
	size_t n = 0;

	if (x->acpi_taken)
		out[n++] = note_acpi;
	if (!x->boot)
		out[n++] = note_stripped;
	return n;
}

static size_t shown(const struct explain *x)
{
	return x->n < EXPLAIN_MAX ? x->n : EXPLAIN_MAX;
}

void explain_json(struct wr *out, const struct explain *x)
{
	const char *note[2];
	size_t n = notes(note, x);

	wr_str(out, x->n ? "{\"equal\":false,\"first\":" : "{\"equal\":true,\"first\":");
	if (x->n)
		write_diff(out, &x->d[0]);
	else
		wr_str(out, "null");
	wr_str(out, ",\"differences\":[");
	for (size_t i = 0; i < shown(x); i++) {
		if (i)
			wr_u8(out, ',');
		write_diff(out, &x->d[i]);
	}
	wr_str(out, "],\"notes\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			wr_u8(out, ',');
		wr_json(out, span_str(note[i]));
	}
	wr_str(out, "]}");
}

void explain_text(struct wr *out, const struct explain *x)
{
	const char *note[2];
	size_t n = notes(note, x);

	if (!x->n)
		wr_str(out, "no difference\n");
	for (size_t i = 0; i < shown(x); i++) {
		const struct explain_diff *d = &x->d[i];

		wr_str(out, i ? "then   " : "first  ");
		wr_str(out, register_names[d->imr]);
		wr_u8(out, ' ');
		if (d->imr == EXPLAIN_MRTD)
			wr_str(out, "differs");
		else
			say(out, d);
		wr_str(out, "\n       cause: ");
		wr_str(out, d->cause);
		wr_str(out, "\n       ");
		wr_str(out, d->text);
		wr_u8(out, '\n');
	}
	for (size_t i = 0; i < n; i++) {
		wr_str(out, "note   ");
		wr_str(out, note[i]);
		wr_u8(out, '\n');
	}
}
