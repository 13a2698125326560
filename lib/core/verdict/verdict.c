#include "core/verdict/verdict.h"

#include "core/codec/json.h"

// A copy that is cut to fit and always ends in NUL; a multi-byte character is not cut in two.
static void put(char *out, size_t cap, struct span s)
{
	size_t n = s.n < cap ? s.n : cap - 1;

	while (n < s.n && n && (s.p[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)s.p[i];
	out[n] = 0;
}

void verdict_init(struct verdict *v)
{
	uint8_t *p = (uint8_t *)v;

	for (size_t i = 0; i < sizeof *v; i++)
		p[i] = 0;
}

static struct claim *add(struct verdict *v, const char *name, struct span value, enum anchor a)
{
	if (v->n == VERDICT_CLAIMS) {
		v->full = true;
		v->n--;
	}
	struct claim *c = &v->claim[v->n++];
	put(c->name, sizeof c->name, span_str(name));
	put(c->value, sizeof c->value, value);
	c->anchor = a;
	c->fresh = c->ok = false;
	c->code[0] = c->detail[0] = 0;
	return c;
}

struct claim *verdict_pass(struct verdict *v, const char *name, struct span value, enum anchor a)
{
	struct claim *c = add(v, name, value, a);

	c->ok = true;
	return c;
}

struct claim *verdict_fail(struct verdict *v, const char *name, struct span value, enum anchor a,
			   const char *code, const char *detail)
{
	struct claim *c = add(v, name, value, a);

	put(c->code, sizeof c->code, span_str(code));
	put(c->detail, sizeof c->detail, span_str(detail));
	return c;
}

static struct span hex_text(char *out, size_t cap, struct span bytes)
{
	struct wr w = wr_to(out, cap);

	wr_hex(&w, bytes.p, bytes.n < cap / 2 ? bytes.n : cap / 2);
	return span_of(out, w.n);
}

struct claim *verdict_pass_hex(struct verdict *v, const char *name, const void *p, size_t n, enum anchor a)
{
	char text[200];

	return verdict_pass(v, name, hex_text(text, sizeof text, span_of(p, n)), a);
}

struct claim *verdict_equal(struct verdict *v, const char *name, struct span got, const struct span *want,
			    enum anchor a, const char *code)
{
	char is[200], expected[200], detail[512];
	struct span is_text = hex_text(is, sizeof is, got);
	struct wr w = wr_to(detail, sizeof detail - 1);

	if (want && want->n && span_eq(got, *want))
		return verdict_pass(v, name, is_text, a);
	if (want && want->n) {
		wr_str(&w, "expected ");
		wr_span(&w, hex_text(expected, sizeof expected, *want));
	} else {
		wr_str(&w, "nothing to compare with was given");
	}
	wr_str(&w, ", got ");
	wr_span(&w, is_text);
	detail[w.bad ? 0 : w.n] = 0;
	return verdict_fail(v, name, is_text, a, code, detail);
}

const struct claim *verdict_find(const struct verdict *v, const char *name)
{
	for (size_t i = 0; i < v->n; i++)
		if (span_is(span_str(v->claim[i].name), name))
			return &v->claim[i];
	return NULL;
}

static void refuse(struct verdict *v, const char *code, const char *head, const char *text)
{
	struct wr w = wr_to(v->error, sizeof v->error - 1);

	if (v->code[0])
		return;
	put(v->code, sizeof v->code, span_str(code));
	wr_str(&w, head);
	wr_str(&w, ": ");
	wr_str(&w, text);
	if (w.bad)
		put(v->error, sizeof v->error, span_str(text));
	else
		v->error[w.n] = 0;
}

bool verdict_close(struct verdict *v, const char *const *required)
{
	v->code[0] = v->error[0] = 0;
	v->anchor = ANCHOR_NONE;
	for (size_t i = 0; i < v->n; i++) {
		const struct claim *c = &v->claim[i];
		if (!c->ok)
			refuse(v, c->code, c->name, c->detail);
		if (v->anchor == ANCHOR_NONE || c->anchor == ANCHOR_DEVELOPMENT)
			v->anchor = c->anchor;
	}
	for (; required && *required; required++)
		if (!verdict_find(v, *required))
			refuse(v, "verify.not_checked", *required,
			       "this was required and nothing was found to check it by");
	if (!v->n)
		refuse(v, "verify.not_checked", "verdict", "nothing was checked");
	if (v->full)
		refuse(v, "verify.too_many", "verdict", "more claims than can be held");
	v->ok = !v->code[0];
	return v->ok;
}

const char *anchor_name(enum anchor a)
{
	return a == ANCHOR_INTEL         ? "intel"
	       : a == ANCHOR_AMD         ? "amd"
	       : a == ANCHOR_DEVELOPMENT ? "development"
					 : "none";
}

static void member(struct wr *w, const char *head, const char *value)
{
	wr_str(w, head);
	wr_json(w, span_str(value));
}

static void claims(struct wr *w, const struct verdict *v)
{
	wr_u8(w, '[');
	for (size_t i = 0; i < v->n; i++) {
		const struct claim *c = &v->claim[i];
		member(w, i ? ",{\"name\":" : "{\"name\":", c->name);
		member(w, ",\"value\":", c->value);
		wr_str(w, c->ok ? ",\"ok\":true" : ",\"ok\":false");
		member(w, ",\"anchor\":", anchor_name(c->anchor));
		wr_str(w, c->fresh ? ",\"fresh\":true" : ",\"fresh\":false");
		member(w, ",\"code\":", c->code);
		member(w, ",\"detail\":", c->detail);
		wr_u8(w, '}');
	}
	wr_u8(w, ']');
}

void verdict_members_json(struct wr *w, const struct verdict *v)
{
	member(w, ",\"code\":", v->code);
	member(w, ",\"error\":", v->error);
	wr_str(w, ",\"claims\":");
	claims(w, v);
	member(w, ",\"anchor\":", anchor_name(v->anchor));
}
