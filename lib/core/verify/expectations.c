// The document of expectations (docs/formats/expect.md): lists of what is allowed. Absent: not restricted;
// empty: nothing allowed; unknown: refused, because a misspelt restriction must not read as none.
#include "core/codec/hex.h"
#include "core/verify/parts.h"

enum { LIST_MAX = 1024, VALUE_MAX = 512, TEXT_MAX = 64 };

enum kind { HEX_LIST, STATUS_LIST, TEXT_LIST, HEX_ONE };

static const struct member {
	const char *name;
	enum kind kind;
	size_t n; // bytes of each value; 0: any up to VALUE_MAX
} members[] = {
	{ "os_image_hash", HEX_LIST, 32 }, { "app_id", HEX_LIST, 20 },
	{ "compose_hash", HEX_LIST, 32 },  { "key_provider_id", HEX_LIST, 0 },
	{ "tcb_status", STATUS_LIST, 0 },  { "advisories_denied", TEXT_LIST, 0 },
	{ "report_data", HEX_ONE, 64 },    { "snp_measurement", HEX_LIST, 48 },
};

static bool is_hex(struct json v, size_t n)
{
	uint8_t bytes[VALUE_MAX];
	size_t digits = json_string_size(v);

	return json_kind(v) == JSON_STRING && digits && digits / 2 <= sizeof bytes &&
	       (!n || digits == 2 * n) && !json_hex(v, bytes, digits / 2);
}

// A status that may be allowed: Revoked never is.
static int status_of(struct json v)
{
	for (int s = TCB_UP_TO_DATE; s < TCB_REVOKED; s++)
		if (json_is(v, tcb_status_name((enum tcb_status)s)))
			return s;
	return -1;
}

static bool is_value(const struct member *m, struct json v)
{
	switch (m->kind) {
	case HEX_LIST:
	case HEX_ONE:
		return is_hex(v, m->n);
	case STATUS_LIST:
		return status_of(v) >= 0;
	case TEXT_LIST:
		return json_kind(v) == JSON_STRING && json_string_size(v) && json_string_size(v) <= TEXT_MAX;
	}
	return false;
}

static bool is_sound(const struct member *m, struct json v)
{
	struct json item;
	size_t n = 0;

	if (m->kind == HEX_ONE)
		return is_value(m, v);
	if (json_kind(v) != JSON_ARRAY)
		return false;
	for (struct json_iter it = json_iter(v); json_next(&it, NULL, &item); n++)
		if (n == LIST_MAX || !is_value(m, item))
			return false;
	return true;
}

int expect_read(struct json *out, struct span text, struct fault *f)
{
	struct json_fault jf = { 0 };
	struct json key, val;

	*out = (struct json){ 0 };
	if (!text.n)
		return fault_set(f, "policy.format", "no expectations were given, not even {}", 0);
	if (text.n > VERIFY_EXPECT_MAX)
		return fault_set(f, "policy.format", "the expectations are larger than 256 KiB", text.n);
	if (json_parse(out, text, &jf))
		return fault_set(f, "policy.format", jf.what, jf.at);
	if (json_kind(*out) != JSON_OBJECT)
		return fault_set(f, "policy.format", "the expectations are not a JSON object", 0);
	for (struct json_iter it = json_iter(*out); json_next(&it, &key, &val);) {
		const struct member *m = members, *end = members + sizeof members / sizeof *members;
		size_t at = (size_t)(key.text.p - text.p);

		while (m < end && !json_is(key, m->name))
			m++;
		if (m == end)
			return fault_set(f, "policy.unknown_field",
					 "the expectations have a member that is not known", at);
		if (!is_sound(m, val))
			return fault_set(f, "policy.format",
					 "a member of the expectations is not of its form", at);
	}
	return 0;
}

static bool is_bytes(struct json v, struct span want)
{
	uint8_t bytes[VALUE_MAX];
	size_t n = json_string_size(v) / 2;

	return n == want.n && !json_hex(v, bytes, n) && span_eq(span_of(bytes, n), want);
}

enum expected expect_bytes(struct json expect, const char *name, struct span got)
{
	struct json v, item;

	if (!json_get(expect, name, &v))
		return EXPECT_FREE;
	if (json_kind(v) == JSON_STRING)
		return is_bytes(v, got) ? EXPECT_HELD : EXPECT_BROKEN;
	for (struct json_iter it = json_iter(v); json_next(&it, NULL, &item);)
		if (is_bytes(item, got))
			return EXPECT_HELD;
	return EXPECT_BROKEN;
}

// "expected X" of a list of one, else how many there are.
static void say_wanted(struct wr *w, struct json expect, const char *name)
{
	struct json v, item, first = { 0 };
	struct span digits = { 0 };
	size_t n = 0;

	(void)json_get(expect, name, &v);
	if (json_kind(v) == JSON_STRING) {
		first = v;
		n = 1;
	}
	for (struct json_iter it = json_iter(v); json_next(&it, NULL, &item);)
		if (!n++)
			first = item;
	if (n == 1) {
		wr_str(w, "expected ");
		(void)!json_plain(first, &digits);
		wr_span(w, span_of(digits.p, digits.n < 96 ? digits.n : 96));
	} else if (!n) {
		wr_str(w, "the expectations allow none");
	} else {
		wr_str(w, "expected one of ");
		wr_dec(w, n);
	}
}

struct claim *expect_claim(struct verify *v, const char *claim, const char *name, struct span got,
			   const char *code)
{
	enum anchor a = v->quote.anchor;
	char detail[240];
	struct wr w = wr_to(detail, sizeof detail);

	if (expect_bytes(v->expect, name, got) != EXPECT_BROKEN)
		return verdict_pass_hex(&v->verdict, claim, got.p, got.n, a);
	struct claim *c = verdict_pass_hex(&v->verdict, claim, got.p, got.n, a);

	say_wanted(&w, v->expect, name);
	wr_str(&w, ", got ");
	if (got.n)
		wr_hex(&w, got.p, got.n < 48 ? got.n : 48);
	else
		wr_str(&w, "nothing");
	c->ok = false;
	TEXT_PUT(c->code, span_str(code));
	TEXT_PUT(c->detail, text_done(&w));
	return c;
}

static bool status_allowed(const struct verify *v)
{
	struct json list, item;

	if (!json_get(v->expect, "tcb_status", &list))
		return v->in.any_tcb || v->quote.tcb.status <= TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);)
		if (status_of(item) == (int)v->quote.tcb.status)
			return true;
	return false;
}

static void deny(struct verify *v, const char *claim, const char *value, const char *code, const char *detail)
{
	verdict_fail(&v->verdict, claim, span_str(value), v->quote.anchor, code, detail);
}

void expect_tcb(struct verify *v)
{
	const struct tcb_level *l = &v->quote.tcb;
	struct json list, item;

	if (!status_allowed(v))
		deny(v, "tcb_allowed", tcb_status_name(l->status), "policy.tcb_not_allowed",
		     "the platform's TCB status is not among those that are allowed");
	if (!json_get(v->expect, "advisories_denied", &list))
		return;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);)
		for (size_t i = 0; i < l->n; i++)
			if (json_is(item, l->advisory[i])) {
				deny(v, "advisories_allowed", l->advisory[i], "policy.advisory_not_allowed",
				     "an advisory that is denied concerns this platform");
				return;
			}
}
