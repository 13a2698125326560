#ifndef _GNU_SOURCE
#define _GNU_SOURCE // explicit_bzero
#endif
#include "answer.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32
#define NAME_MAX_ 64

const char dstack_no_memory[] = "no memory";

struct reader {
	const char *p, *end;
	const char *why; // the first thing that was wrong
};

static bool fail(struct reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
	return false;
}

static int peek(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
	return r->p < r->end ? (unsigned char)*r->p : -1;
}

static bool take(struct reader *r, char c)
{
	if (peek(r) != c)
		return false;
	r->p++;
	return true;
}

// A digit without a branch on its value; *bad collects.
static unsigned nibble(char ch, unsigned *bad)
{
	const unsigned c = (unsigned char)ch, d = c ^ '0', x = (c | 32) ^ 96;
	const unsigned is_digit = (d - 10) >> 31, is_letter = ((x - 7) >> 31) & ((0 - x) >> 31);

	*bad |= 1 ^ (is_digit | is_letter);
	return ((0 - is_digit) & d) | ((0 - is_letter) & (x + 9));
}

static bool four_digits(struct reader *r, unsigned *v)
{
	unsigned bad = 0;

	if (r->end - r->p < 4)
		return fail(r, "a text that does not end");
	*v = 0;
	for (int i = 0; i < 4; i++)
		*v = *v << 4 | nibble(*r->p++, &bad);
	return !bad || fail(r, "a \\u without four hex digits");
}

static size_t utf8_write(unsigned cp, char to[4])
{
	static const unsigned char first[5] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	const size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; cp >>= 6)
		to[i] = (char)(0x80 | (cp & 0x3f));
	to[0] = (char)(first[n] | cp);
	return n;
}

// Length of the UTF-8 character at s, 0 when it is none (RFC 3629: shortest form, no surrogates).
static size_t utf8_length(const char *s, size_t left)
{
	const unsigned char c = (unsigned char)s[0];
	const size_t n = c < 0x80                ? 1
			 : c >= 0xc2 && c < 0xe0 ? 2
			 : (c & 0xf0) == 0xe0    ? 3
			 : c >= 0xf0 && c < 0xf5 ? 4
						 : 0;

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
	const unsigned char d = n > 2 ? (unsigned char)s[1] : 0;
	const bool bad = (c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
			 (c == 0xf4 && d > 0x8f);
	return bad ? 0 : n;
}

bool dstack_answer_is_utf8(const char *s, size_t n)
{
	for (size_t l; n; s += l, n -= l)
		if (!(l = utf8_length(s, n)))
			return false;
	return true;
}

static bool escape(struct reader *r, char to[4], size_t *n)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	const char c = r->p < r->end ? *r->p++ : 0;
	const char *at = c ? strchr(from, c) : NULL;
	unsigned cp, low;

	if (at) {
		to[0] = into[at - from];
		*n = 1;
		return true;
	}
	if (c != 'u')
		return fail(r, "an unknown escape in a text");
	if (!four_digits(r, &cp))
		return false;
	if (cp >= 0xd800 && cp < 0xe000) {
		if (cp >= 0xdc00 || r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u')
			return fail(r, "half a surrogate pair");
		r->p += 2;
		if (!four_digits(r, &low))
			return false;
		if (low < 0xdc00 || low >= 0xe000)
			return fail(r, "half a surrogate pair");
		cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
	}
	if (!cp)
		return fail(r, "a zero byte in a text");
	*n = utf8_write(cp, to);
	return true;
}

// Read a text into `to`, or only check and measure it when `to` is NULL.
static bool string_read(struct reader *r, char *to, size_t *len)
{
	char piece[4];
	size_t n;

	*len = 0;
	if (!take(r, '"'))
		return fail(r, "not a text where one must be");
	while (r->p < r->end && *r->p != '"') {
		if (*r->p == '\\') {
			r->p++;
			if (!escape(r, piece, &n))
				return false;
		} else {
			if ((unsigned char)*r->p < 0x20)
				return fail(r, "a control character in a text");
			if (!(n = utf8_length(r->p, (size_t)(r->end - r->p))))
				return fail(r, "a text that is not UTF-8");
			memcpy(piece, r->p, n);
			r->p += n;
		}
		if (to)
			memcpy(to + *len, piece, n);
		*len += n;
	}
	explicit_bzero(piece, sizeof piece);
	if (r->p == r->end)
		return fail(r, "a text that does not end");
	r->p++;
	return true;
}

static bool text_take(struct reader *r, char **to, size_t *len)
{
	struct reader again = *r;

	if (!string_read(r, NULL, len))
		return false;
	if (!(*to = calloc(1, *len + 1)))
		return fail(r, dstack_no_memory);
	if (!string_read(&again, *to, len))
		return fail(r, again.why);
	return true;
}

static bool hex_take(struct reader *r, struct dstack_bytes *to)
{
	unsigned bad = 0;
	size_t n = 0;
	char *s = NULL;

	if (!text_take(r, &s, &n))
		return false;
	bad = n & 1;
	for (size_t i = 0; i < n / 2; i++) {
		const unsigned high = nibble(s[2 * i], &bad);
		s[i] = (char)(high << 4 | nibble(s[2 * i + 1], &bad));
	}
	if (bad || !n) {
		dstack_answer_wipe_free(s, n);
		return !bad || fail(r, "bytes that are not hex");
	}
	explicit_bzero(s + n / 2, n - n / 2);
	to->data = (uint8_t *)s;
	to->len = n / 2;
	return true;
}

static bool item_take(struct reader *r, const struct dstack_answer_field *f)
{
	if (f->kind == ANSWER_HEXES) {
		struct dstack_list *l = f->to;
		if (!l->items && !(l->items = calloc(ANSWER_LIST_MAX, sizeof *l->items)))
			return fail(r, dstack_no_memory);
		return l->count < ANSWER_LIST_MAX ? hex_take(r, &l->items[l->count++])
						  : fail(r, "a list too long");
	}
	struct dstack_texts *l = f->to;
	size_t n;
	if (!l->items && !(l->items = calloc(ANSWER_LIST_MAX, sizeof *l->items)))
		return fail(r, dstack_no_memory);
	return l->count < ANSWER_LIST_MAX ? text_take(r, &l->items[l->count++], &n)
					  : fail(r, "a list too long");
}

static bool list_take(struct reader *r, const struct dstack_answer_field *f)
{
	if (!take(r, '['))
		return fail(r, "not a list where one must be");
	if (take(r, ']'))
		return true;
	do
		if (!item_take(r, f))
			return false;
	while (take(r, ','));
	return take(r, ']') || fail(r, "a list that does not end");
}

static bool word(struct reader *r, const char *w)
{
	const size_t n = strlen(w);

	(void)peek(r);
	if ((size_t)(r->end - r->p) < n || memcmp(r->p, w, n) != 0)
		return false;
	r->p += n;
	return true;
}

static size_t digits(struct reader *r)
{
	const char *from = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return (size_t)(r->p - from);
}

static bool number_skip(struct reader *r)
{
	if (*r->p == '-')
		r->p++;
	const char *first = r->p;
	const size_t n = digits(r);
	if (!n || (n > 1 && *first == '0'))
		return fail(r, "no value where one must be");
	if (r->p < r->end && *r->p == '.') {
		r->p++;
		if (!digits(r))
			return fail(r, "a number cut short");
	}
	if (r->p < r->end && (*r->p | 32) == 'e') {
		r->p++;
		if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
			r->p++;
		if (!digits(r))
			return fail(r, "a number cut short");
	}
	return true;
}

static bool value_skip(struct reader *r, int depth);

static bool many_skip(struct reader *r, int depth, bool named, char close)
{
	size_t n;

	r->p++;
	if (depth >= DEPTH_MAX)
		return fail(r, "values too deep in one another");
	if (take(r, close))
		return true;
	do {
		if (named && !string_read(r, NULL, &n))
			return false;
		if (named && !take(r, ':'))
			return fail(r, "a name without a value");
		if (!value_skip(r, depth + 1))
			return false;
	} while (take(r, ','));
	return take(r, close) || fail(r, "a list or an object that does not end");
}

static bool value_skip(struct reader *r, int depth)
{
	size_t n;

	switch (peek(r)) {
	case -1:
		return fail(r, "it ends too early");
	case '"':
		return string_read(r, NULL, &n);
	case '{':
		return many_skip(r, depth, true, '}');
	case '[':
		return many_skip(r, depth, false, ']');
	case 't':
		return word(r, "true") || fail(r, "an unknown word");
	case 'f':
		return word(r, "false") || fail(r, "an unknown word");
	case 'n':
		return word(r, "null") || fail(r, "an unknown word");
	default:
		return number_skip(r);
	}
}

static bool value_take(struct reader *r, struct dstack_answer_field *f)
{
	size_t n;

	if (f->seen)
		return fail(r, "a field that comes twice");
	f->seen = true;
	if (f->optional && word(r, "null"))
		return true;
	switch (f->kind) {
	case ANSWER_TEXT:
		return text_take(r, f->to, &n);
	case ANSWER_HEX:
		return hex_take(r, f->to);
	case ANSWER_TEXTS:
	case ANSWER_HEXES:
		return list_take(r, f);
	case ANSWER_BOOL:
		*(bool *)f->to = word(r, "true");
		return *(bool *)f->to || word(r, "false") || fail(r, "not true or false where one must be");
	}
	return false;
}

static bool member(struct reader *r, struct dstack_answer_field *f, size_t count)
{
	struct reader again = *r;
	char name[NAME_MAX_];
	size_t n;

	if (!string_read(r, NULL, &n))
		return false;
	if (!take(r, ':'))
		return fail(r, "a name without a value");
	if (n < sizeof name && string_read(&again, name, &n)) {
		name[n] = 0;
		for (size_t i = 0; i < count; i++)
			if (!strcmp(f[i].name, name))
				return value_take(r, &f[i]);
	}
	return value_skip(r, 1);
}

static bool object(struct reader *r, struct dstack_answer_field *f, size_t count)
{
	if (!take(r, '{'))
		return fail(r, "not an object");
	if (!take(r, '}')) {
		do
			if (!member(r, f, count))
				return false;
		while (take(r, ','));
		if (!take(r, '}'))
			return fail(r, "an object that does not end");
	}
	return peek(r) == -1 || fail(r, "something behind the object");
}

int dstack_answer_read(const char *text, size_t n, struct dstack_answer_field *f, size_t count,
		       const char **why)
{
	struct reader r = { text, text + n, NULL };

	if (object(&r, f, count)) {
		for (size_t i = 0; i < count; i++) {
			char **s = f[i].to;
			if (!f[i].seen && !f[i].optional)
				fail(&r, "a field is missing");
			if (f[i].kind == ANSWER_TEXT && !*s && !(*s = calloc(1, 1)))
				fail(&r, dstack_no_memory);
		}
	}
	*why = r.why;
	return r.why ? -1 : 0;
}

void dstack_answer_wipe_free(void *p, size_t n)
{
	if (p)
		explicit_bzero(p, n);
	free(p);
}

void dstack_answer_text_free(char **s)
{
	dstack_answer_wipe_free(*s, *s ? strlen(*s) : 0);
	*s = NULL;
}

void dstack_answer_list_free(struct dstack_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		dstack_bytes_free(&l->items[i]);
	free(l->items);
	*l = (struct dstack_list){ 0 };
}

void dstack_answer_texts_free(struct dstack_texts *l)
{
	for (size_t i = 0; i < l->count; i++)
		dstack_answer_text_free(&l->items[i]);
	free(l->items);
	*l = (struct dstack_texts){ 0 };
}

void dstack_bytes_free(struct dstack_bytes *b)
{
	dstack_answer_wipe_free(b->data, b->len);
	*b = (struct dstack_bytes){ 0 };
}
