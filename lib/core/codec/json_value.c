#include "core/codec/hex.h"
#include "core/codec/json.h"
#include "core/codec/json_text.h"

enum json_kind json_kind(struct json v)
{
	if (!v.text.n)
		return JSON_NONE;
	switch (v.text.p[0]) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 'n':
		return JSON_NULL;
	case 't':
	case 'f':
		return JSON_BOOL;
	default:
		return JSON_NUMBER;
	}
}

struct json_iter json_iter(struct json v)
{
	enum json_kind k = json_kind(v);

	if (k != JSON_OBJECT && k != JSON_ARRAY)
		return (struct json_iter){ 0 };
	return (struct json_iter){ rd_from(v.text.p + 1, v.text.n - 2), k == JSON_OBJECT };
}

// Bytes that end the fast way through a string, and through what lies between strings.
enum { IN_STRING = 1, IN_VALUE = 2 };
static const uint8_t stop[256] = {
	['"'] = IN_STRING | IN_VALUE,
	['\\'] = IN_STRING,
	['{'] = IN_VALUE,
	['['] = IN_VALUE,
	['}'] = IN_VALUE,
	[']'] = IN_VALUE,
};

static const uint8_t *skip_string(const uint8_t *p, const uint8_t *end)
{
	p = json_run(p + 1, end);
	while (p < end && *p != '"') {
		bool escape = stop[*p] & IN_STRING;
		p++;
		if (escape && p < end)
			p++;
		p = json_run(p, end);
	}
	return p < end ? p + 1 : end;
}

static const uint8_t *skip_container(const uint8_t *p, const uint8_t *end)
{
	size_t depth = 0;

	while (p < end) {
		uint8_t c = *p;
		if (!(stop[c] & IN_VALUE)) {
			p++;
		} else if (c == '"') {
			p = skip_string(p, end);
		} else {
			p++;
			if (c == '{' || c == '[')
				depth++;
			else if (--depth == 0)
				return p;
		}
	}
	return end;
}

static const uint8_t *skip_value(const uint8_t *p, const uint8_t *end)
{
	if (p < end && *p == '"')
		return skip_string(p, end);
	if (p < end && (*p == '{' || *p == '['))
		return skip_container(p, end);
	while (p < end && *p != ',' && !json_is_blank(*p))
		p++;
	return p;
}

bool json_next(struct json_iter *it, struct json *key, struct json *val)
{
	const uint8_t *p = it->in.p, *end = it->in.end, *from;

	while (p < end && (json_is_blank(*p) || *p == ','))
		p++;
	if (key)
		key->text = (struct span){ 0 };
	val->text = (struct span){ 0 };
	if (p == end)
		return false;
	if (it->object) {
		from = p;
		p = skip_string(p, end);
		if (key)
			key->text = span_of(from, (size_t)(p - from));
		while (p < end && (json_is_blank(*p) || *p == ':'))
			p++;
	}
	from = p;
	p = skip_value(p, end);
	val->text = span_of(from, (size_t)(p - from));
	it->in.p = p;
	return true;
}

size_t json_count(struct json v)
{
	struct json x;
	size_t n = 0;

	for (struct json_iter it = json_iter(v); json_next(&it, NULL, &x);)
		n++;
	return n;
}

bool json_get(struct json obj, const char *name, struct json *val)
{
	struct json key;

	if (json_kind(obj) == JSON_OBJECT)
		for (struct json_iter it = json_iter(obj); json_next(&it, &key, val);)
			if (json_is(key, name))
				return true;
	val->text = (struct span){ 0 };
	return false;
}

size_t json_pick(struct json obj, const char *const *name, struct json *val, size_t n)
{
	struct json key, v;
	size_t found = 0, next = 0; // documents keep an order, so the search begins behind the last hit

	for (size_t i = 0; i < n; i++)
		val[i].text = (struct span){ 0 };
	if (json_kind(obj) != JSON_OBJECT)
		return 0;
	for (struct json_iter it = json_iter(obj); found < n && json_next(&it, &key, &v);)
		for (size_t i = 0; i < n; i++) {
			size_t at = (next + i) % n;
			if (!json_is(key, name[at]))
				continue;
			val[at] = v;
			next = at + 1;
			found++;
			break;
		}
	return found;
}

static bool contents(struct json v, struct span *s)
{
	if (json_kind(v) != JSON_STRING)
		return false;
	*s = span_of(v.text.p + 1, v.text.n - 2);
	return true;
}

int json_string(struct json v, void *out, size_t cap, size_t *n)
{
	struct span s;
	uint8_t *to = out;

	*n = 0;
	if (!contents(v, &s))
		return -1;
	while (s.n) {
		const uint8_t *end = s.p + (s.n < cap - *n ? s.n : cap - *n), *p = json_run(s.p, end);
		while (p < end && *p != '\\')
			p++;
		size_t plain = (size_t)(p - s.p);
		if (plain)
			__builtin_memcpy(to + *n, s.p, plain);
		*n += plain;
		if (plain == s.n)
			return 0;
		if (*n == cap)
			return -1;
		// One escape, then on as before.
		struct json_chars c = json_chars_of(span_of(s.p + plain, s.n - plain));
		do
			to[(*n)++] = (uint8_t)json_chars_next(&c);
		while (c.at < c.n && *n < cap);
		if (c.at < c.n)
			return -1;
		s = c.left;
	}
	return 0;
}

int json_cstr(struct json v, char *out, size_t cap)
{
	size_t n;

	if (!cap)
		return -1;
	int r = json_string(v, out, cap - 1, &n);
	for (size_t i = 0; i < n; i++)
		if (!out[i])
			r = -1;
	out[r ? 0 : n] = 0;
	return r;
}

int json_plain(struct json v, struct span *out)
{
	struct span s;

	*out = (struct span){ 0 };
	if (!contents(v, &s))
		return -1;
	for (const uint8_t *p = s.p, *end = s.p + s.n; (p = json_run(p, end)) < end; p++)
		if (*p == '\\')
			return -1;
	*out = s;
	return 0;
}

int json_hex(struct json v, uint8_t *out, size_t n)
{
	struct span s;

	return contents(v, &s) ? hex_decode(out, n, s) : -1;
}

size_t json_string_size(struct json v)
{
	struct span s;
	size_t n = 0;

	if (!contents(v, &s))
		return 0;
	for (struct json_chars c = json_chars_of(s); json_chars_next(&c) >= 0;)
		n++;
	return n;
}

bool json_is(struct json v, const char *text)
{
	struct span s;

	if (!contents(v, &s))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\') {
			struct json_chars c = json_chars_of(s);
			int b = json_chars_next(&c);
			for (; *text && b == (uint8_t)*text; text++)
				b = json_chars_next(&c);
			return b < 0 && !*text;
		}
		if (!text[i] || s.p[i] != (uint8_t)text[i])
			return false;
	}
	return !text[s.n];
}

int json_u64(struct json v, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	*out = 0;
	if (json_kind(v) != JSON_NUMBER)
		return -1;
	for (size_t i = 0; i < v.text.n; i++) {
		uint8_t c = v.text.p[i];
		if (!json_is_digit(c) || n > (UINT64_MAX - (uint64_t)(c - '0')) / 10)
			return -1;
		n = n * 10 + (uint64_t)(c - '0');
	}
	if (n > max)
		return -1;
	*out = n;
	return 0;
}

int json_i64(struct json v, int64_t *out)
{
	uint64_t n;
	bool minus = v.text.n > 1 && v.text.p[0] == '-';

	*out = 0;
	if (minus)
		v.text = span_of(v.text.p + 1, v.text.n - 1);
	if (json_u64(v, minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX, &n))
		return -1;
	*out = minus ? (int64_t)(0 - n) : (int64_t)n;
	return 0;
}

int json_bool(struct json v, bool *out)
{
	*out = v.text.n && v.text.p[0] == 't';
	return json_kind(v) == JSON_BOOL ? 0 : -1;
}
