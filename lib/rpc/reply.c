#include "rpc/reply.h"

#include <string.h>
#include <strings.h>
#include "base/strings.h"

enum { STATUS_LINE_MIN = 13 }; // "HTTP/1.1 200 "

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool status_line(struct span line, int *status)
{
	const uint8_t *p = line.p;

	if (line.n < STATUS_LINE_MIN || memcmp(p, "HTTP/1.1 ", 9) || !is_digit(p[9]) || !is_digit(p[10]) ||
	    !is_digit(p[11]) || p[12] != ' ')
		return false;
	*status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
	return *status >= 200 && *status < 600;
}

static bool is_token(uint8_t c)
{
	return c > ' ' && c < 127 && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static bool named(struct span line, size_t n, const char *name)
{
	return n == strlen(name) && !strncasecmp((const char *)line.p, name, n);
}

// `length` is untouched by other fields; -1: the line must not be.
static int field(struct span line, uint64_t *length, unsigned *lengths)
{
	size_t n = 0, from, to = line.n;

	while (n < line.n && is_token(line.p[n]))
		n++;
	if (!n || n == line.n || line.p[n] != ':')
		return -1;
	for (from = n + 1; from < to && (line.p[from] == ' ' || line.p[from] == '\t');)
		from++;
	while (to > from && (line.p[to - 1] == ' ' || line.p[to - 1] == '\t'))
		to--;
	for (size_t i = from; i < to; i++)
		if (line.p[i] < ' ' && line.p[i] != '\t')
			return -1;
	if (named(line, n, "Transfer-Encoding"))
		return -1;
	if (!named(line, n, "Content-Length"))
		return 0;
	++*lengths;
	return str_u64_n((const char *)line.p + from, to - from, length) ? 0 : -1;
}

// The next line without its CRLF; false when a line ends otherwise.
static bool next_line(struct span *rest, struct span *line)
{
	const uint8_t *lf = memchr(rest->p, '\n', rest->n);

	if (!lf || lf == rest->p || lf[-1] != '\r')
		return false;
	*line = span_of(rest->p, (size_t)(lf - rest->p) - 1);
	*rest = span_of(lf + 1, rest->n - line->n - 2);
	return !line->n || !memchr(line->p, '\r', line->n);
}

static int head(struct reply *out, struct span bytes, size_t body_max)
{
	struct span rest = bytes, line;
	uint64_t length = 0;
	unsigned lengths = 0;

	if (!next_line(&rest, &line) || !status_line(line, &out->status))
		return -1;
	for (;;) {
		if (!next_line(&rest, &line))
			return -1;
		if (!line.n)
			break;
		if (field(line, &length, &lengths))
			return -1;
	}
	if (lengths != 1 || length > body_max)
		return -1;
	out->head = bytes.n - rest.n;
	out->body = (size_t)length;
	return 0;
}

enum reply_state reply_read(struct reply *out, struct span bytes, size_t body_max)
{
	size_t most = bytes.n < REPLY_HEAD_MAX ? bytes.n : REPLY_HEAD_MAX;
	const uint8_t *end = most ? memmem(bytes.p, most, "\r\n\r\n", 4) : NULL;

	*out = (struct reply){ 0 };
	if (!end)
		return most == REPLY_HEAD_MAX ? REPLY_BAD : REPLY_MORE;
	if (head(out, span_of(bytes.p, (size_t)(end - bytes.p) + 4), body_max))
		return REPLY_BAD;
	return bytes.n - out->head >= out->body ? REPLY_WHOLE : REPLY_MORE;
}
