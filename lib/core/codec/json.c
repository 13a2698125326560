#include "core/codec/json.h"

#include "core/codec/hex.h"
#include "core/codec/json_text.h"
#include "core/codec/utf8.h"

// Other names of one object in a name's bucket (one on average when there are 1024), and of its 32-bit hash:
// who has as many made them so, to have each compared with all.
enum { BUCKETS = 1024, NEAR = 16, SAME = 2, NO_KEY = 0xffff };

// The members of all open objects, newest last, hashed so that a duplicate is found without comparing all:
// closing an object takes its members off again, and a chain begins with the newest, so that each is the head
// of its chain.
struct parse {
	const uint8_t *start, *p, *end;
	const char *what;
	size_t depth, keys;
	bool object[JSON_DEPTH_MAX];
	uint16_t first_key[JSON_DEPTH_MAX], head[BUCKETS], next[JSON_OPEN_MAX];
	uint32_t hash[JSON_OPEN_MAX];
	struct span key[JSON_OPEN_MAX]; // contents between the quotes
};

static bool fail(struct parse *s, const char *what)
{
	s->what = what; // the caller gives up, so the first reason stays
	return false;
}

static void skip_blanks(const uint8_t **p, const uint8_t *end)
{
	while (*p < end && json_is_blank(**p))
		++*p;
}

static bool parse_u(struct parse *s, uint32_t *v)
{
	if (s->end - s->p < 4)
		return fail(s, "cut escape");
	for (int i = 0; i < 4; i++)
		if (hex_digit(s->p[i]) < 0)
			return fail(s, "bad \\u escape");
	*v = json_hex4(s->p);
	s->p += 4;
	return true;
}

static bool parse_escape(struct parse *s)
{
	uint32_t hi, lo;

	if (s->p == s->end)
		return fail(s, "cut escape");
	switch (*s->p++) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return true;
	case 'u':
		if (!parse_u(s, &hi))
			return false;
		if (hi >= 0xdc00 && hi <= 0xdfff)
			return fail(s, "lone surrogate");
		if (hi < 0xd800 || hi > 0xdbff)
			return true;
		if (s->end - s->p < 2 || s->p[0] != '\\' || s->p[1] != 'u')
			return fail(s, "lone surrogate");
		s->p += 2;
		if (!parse_u(s, &lo))
			return false;
		if (lo < 0xdc00 || lo > 0xdfff)
			return fail(s, "lone surrogate");
		return true;
	default:
		return fail(s, "unknown escape");
	}
}

static bool parse_string(struct parse *s, struct span *contents)
{
	if (s->p == s->end || *s->p != '"')
		return fail(s, "expected a string");
	const uint8_t *from = ++s->p;
	s->p = json_run(s->p, s->end);
	while (s->p < s->end && *s->p != '"') {
		if (*s->p >= 0x20 && *s->p < 0x80 && *s->p != '\\') {
			s->p++;
			continue;
		}
		if (*s->p < 0x20)
			return fail(s, "control character in a string");
		if (*s->p == '\\') {
			s->p++;
			if (!parse_escape(s))
				return false;
		} else {
			size_t n = utf8_len(s->p, (size_t)(s->end - s->p));
			if (!n)
				return fail(s, "not UTF-8");
			s->p += n;
		}
	}
	if (s->p == s->end)
		return fail(s, "string without an end");
	*contents = span_of(from, (size_t)(s->p - from));
	s->p++;
	return true;
}

static bool same_text(struct span a, struct span b)
{
	size_t same = 0;
	int i, j;

	while (same < a.n && same < b.n && a.p[same] == b.p[same] && a.p[same] != '\\')
		same++;
	struct json_chars x = json_chars_of(span_sub(a, same, a.n - same));
	struct json_chars y = json_chars_of(span_sub(b, same, b.n - same));
	do {
		i = json_chars_next(&x);
		j = json_chars_next(&y);
	} while (i == j && i >= 0);
	return i == j;
}

// FNV-1a of what it says.
static uint32_t hash_of(struct span key)
{
	uint32_t h = 2166136261u;
	size_t plain = 0;

	for (; plain < key.n && key.p[plain] != '\\'; plain++)
		h = (h ^ key.p[plain]) * 16777619u;
	struct json_chars c = json_chars_of(span_sub(key, plain, key.n - plain));
	for (int b; (b = json_chars_next(&c)) >= 0;)
		h = (h ^ (uint32_t)b) * 16777619u;
	return h;
}

// ---- the whole text

static bool add_key(struct parse *s, struct span key)
{
	uint32_t h = hash_of(key);
	uint16_t *head = &s->head[(h ^ h >> 8 ^ h >> 16) % BUCKETS];
	size_t near = 0, same = 0;

	for (uint16_t i = *head; i != NO_KEY && i >= s->first_key[s->depth - 1]; i = s->next[i]) {
		if (s->hash[i] == h && same_text(s->key[i], key))
			return fail(s, "duplicate member");
		same += s->hash[i] == h;
		if (same == SAME || ++near == NEAR)
			return fail(s, "members too much alike");
	}
	if (s->keys == JSON_OPEN_MAX)
		return fail(s, "too many members");
	s->hash[s->keys] = h;
	s->key[s->keys] = key;
	s->next[s->keys] = *head;
	*head = (uint16_t)s->keys++;
	return true;
}

static bool parse_key(struct parse *s)
{
	struct span key;

	skip_blanks(&s->p, s->end);
	if (!parse_string(s, &key) || !add_key(s, key))
		return false;
	skip_blanks(&s->p, s->end);
	if (s->p == s->end || *s->p != ':')
		return fail(s, "expected ':'");
	s->p++;
	return true;
}

static void close_level(struct parse *s)
{
	s->depth--;
	while (s->object[s->depth] && s->keys > s->first_key[s->depth]) {
		uint32_t h = s->hash[--s->keys];
		s->head[(h ^ h >> 8 ^ h >> 16) % BUCKETS] = s->next[s->keys];
	}
}

static bool parse_digits(struct parse *s)
{
	if (s->p == s->end || !json_is_digit(*s->p))
		return fail(s, "malformed number");
	while (s->p < s->end && json_is_digit(*s->p))
		s->p++;
	return true;
}

static bool parse_number(struct parse *s)
{
	if (*s->p == '-')
		s->p++;
	bool zero = s->p < s->end && *s->p == '0';
	const uint8_t *from = s->p;
	if (!parse_digits(s))
		return false;
	if (zero && s->p - from > 1)
		return fail(s, "number with a leading zero");
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (!parse_digits(s))
			return false;
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		return parse_digits(s);
	}
	return true;
}

static bool parse_word(struct parse *s, const char *word)
{
	struct span w = span_str(word);

	if ((size_t)(s->end - s->p) < w.n || !span_eq(span_of(s->p, w.n), w))
		return fail(s, "expected a value");
	s->p += w.n;
	return true;
}

static bool parse_scalar(struct parse *s)
{
	struct span unused;

	switch (*s->p) {
	case '"':
		return parse_string(s, &unused);
	case 't':
		return parse_word(s, "true");
	case 'f':
		return parse_word(s, "false");
	case 'n':
		return parse_word(s, "null");
	default:
		if (*s->p == '-' || json_is_digit(*s->p))
			return parse_number(s);
		return fail(s, "expected a value");
	}
}

// At an opening bracket. `empty`: it was closed at once.
static bool open_level(struct parse *s, bool *empty)
{
	bool object = *s->p == '{';

	if (s->depth == JSON_DEPTH_MAX)
		return fail(s, "nested too deep");
	s->object[s->depth] = object;
	s->first_key[s->depth++] = (uint16_t)s->keys;
	s->p++;
	skip_blanks(&s->p, s->end);
	*empty = s->p < s->end && *s->p == (object ? '}' : ']');
	if (*empty) {
		s->p++;
		close_level(s);
		return true;
	}
	return object ? parse_key(s) : true;
}

// After a value: close what ends here, or step over the comma. `more`: another value follows.
static bool after_value(struct parse *s, bool *more)
{
	while (s->depth) {
		bool object = s->object[s->depth - 1];
		skip_blanks(&s->p, s->end);
		if (s->p == s->end)
			return fail(s, "text ends too early");
		uint8_t c = *s->p++;
		if (c == ',') {
			*more = true;
			return object ? parse_key(s) : true;
		}
		if (c != (object ? '}' : ']')) {
			s->p--;
			return fail(s, object ? "expected ',' or '}'" : "expected ',' or ']'");
		}
		close_level(s);
	}
	*more = false;
	return true;
}

static bool parse_text(struct parse *s)
{
	for (bool more = true; more;) {
		bool whole = true;
		skip_blanks(&s->p, s->end);
		if (s->p == s->end)
			return fail(s, "text ends too early");
		if (*s->p == '{' || *s->p == '[') {
			if (!open_level(s, &whole))
				return false;
		} else if (!parse_scalar(s)) {
			return false;
		}
		if (whole && !after_value(s, &more))
			return false;
	}
	return true;
}

int json_parse(struct json *out, struct span text, struct json_fault *f)
{
	struct parse s;

	s.start = s.p = text.p;
	s.end = text.n ? text.p + text.n : text.p;
	s.what = NULL;
	s.depth = s.keys = 0;
	for (size_t i = 0; i < BUCKETS; i++)
		s.head[i] = NO_KEY;
	skip_blanks(&s.p, s.end);
	const uint8_t *from = s.p;
	bool ok = parse_text(&s);
	out->text = ok ? span_of(from, (size_t)(s.p - from)) : (struct span){ 0 };
	if (ok) {
		skip_blanks(&s.p, s.end);
		if (s.p != s.end)
			ok = fail(&s, "bytes after the value");
	}
	if (!ok) {
		out->text = (struct span){ 0 };
		if (f)
			*f = (struct json_fault){ text.n ? (size_t)(s.p - s.start) : 0, s.what };
	}
	return ok ? 0 : -1;
}
