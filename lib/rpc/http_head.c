#include <string.h>
#include <strings.h>
#include "rpc/http.h"

static bool tchar(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is(struct span s, const char *word)
{
	return s.n == strlen(word) && !strncasecmp((const char *)s.p, word, s.n);
}

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
	while (s.n && blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

// Whether a comma list holds the word.
static bool has_word(struct span s, const char *word)
{
	while (s.n) {
		const uint8_t *comma = memchr(s.p, ',', s.n);
		size_t n = comma ? (size_t)(comma - s.p) : s.n, step = comma ? n + 1 : n;
		if (is(trim((struct span){ s.p, n }), word))
			return true;
		s.p += step;
		s.n -= step;
	}
	return false;
}

const struct span *http_field(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->fields; i++)
		if (is(h->field[i].name, name))
			return &h->field[i].value;
	return NULL;
}

// The request line, up to and with its CRLF. The blank line at the end of the head stops every scan.
static int request_line(struct http_head *h, const uint8_t **at, const uint8_t *end)
{
	const uint8_t *p = *at, *q = p;

	while (tchar(*q))
		q++;
	h->method = (struct span){ p, (size_t)(q - p) };
	if (q == p || *q != ' ')
		return 400;
	for (p = ++q; *q > ' ' && *q < 127; q++)
		;
	if (*p != '/' || *q != ' ')
		return 400; // origin-form only
	const uint8_t *mark = memchr(p, '?', (size_t)(q - p));
	h->path = (struct span){ p, (size_t)((mark ? mark : q) - p) };
	h->query = mark ? (struct span){ mark + 1, (size_t)(q - mark - 1) } : (struct span){ q, 0 };
	p = q + 1;
	if (end - p < 10 || memcmp(p, "HTTP/1.", 7) || (p[7] != '0' && p[7] != '1') || p[8] != '\r' ||
	    p[9] != '\n')
		return end - p > 5 && !memcmp(p, "HTTP/", 5) ? 505 : 400;
	h->v10 = p[7] == '0';
	*at = p + 10;
	return 0;
}

struct seen {
	unsigned host, te, cl;
};

static int length_field(struct http_head *h, struct span v)
{
	if (!v.n || v.n > 18)
		return 400;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return 400;
		h->length = h->length * 10 + (uint64_t)(v.p[i] - '0');
	}
	return 0;
}

// What a field means for framing.
static int framing(struct http_head *h, const struct http_field *f, struct seen *seen)
{
	if (is(f->name, "host")) {
		seen->host++;
	} else if (is(f->name, "content-length")) {
		return seen->cl++ ? 400 : length_field(h, f->value);
	} else if (is(f->name, "transfer-encoding")) {
		if (seen->te++)
			return 400;
		if (!is(f->value, "chunked"))
			return 501;
		h->chunked = true;
	} else if (is(f->name, "connection")) {
		h->close |= has_word(f->value, "close");
		h->keep |= has_word(f->value, "keep-alive");
	} else if (is(f->name, "expect")) {
		if (!is(f->value, "100-continue"))
			return 417;
		h->expect = true;
	}
	return 0;
}

static int one_field(struct http_head *h, const uint8_t **at, struct seen *seen)
{
	const uint8_t *p = *at, *q = p;

	while (tchar(*q))
		q++;
	if (q == p || *q != ':')
		return 400; // folds, blanks before the colon, empty names
	if (h->fields == HTTP_FIELDS_MAX)
		return 431;
	struct http_field *f = &h->field[h->fields++];
	f->name = (struct span){ p, (size_t)(q - p) };
	for (q++; blank(*q); q++)
		;
	for (p = q; *q >= ' ' ? *q != 127 : *q == '\t'; q++)
		;
	if (q[0] != '\r' || q[1] != '\n')
		return 400; // NUL, bare CR or LF, controls
	f->value = trim((struct span){ p, (size_t)(q - p) });
	*at = q + 2;
	return framing(h, f, seen);
}

int http_head_parse(struct http_head *h, const void *b, size_t n)
{
	const uint8_t *p = b, *end = p + n;
	struct seen seen = { 0 };

	memset(h, 0, offsetof(struct http_head, field));
	h->fields = 0;
	h->v10 = h->chunked = h->close = h->keep = h->expect = false;
	h->length = 0;
	if (n < 4 || memcmp(end - 4, "\r\n\r\n", 4))
		return 400;
	int status = request_line(h, &p, end);
	while (!status && *p != '\r')
		status = one_field(h, &p, &seen);
	if (status)
		return status;
	if (p[1] != '\n' || p + 2 != end)
		return 400;
	if (seen.te && (seen.cl || h->v10))
		return 400;
	if (seen.host > 1 || (!seen.host && !h->v10))
		return 400;
	if (h->v10 && !h->keep)
		h->close = true;
	return 0;
}
