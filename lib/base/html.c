#include "base/html.h"

#include <string.h>
#include "base/strings.h"

static const char *entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

// U+0000 to U+001F but tab and line feed, U+007F to U+009F.
static bool control(const char *s, size_t len)
{
	unsigned char c = (unsigned char)s[0];

	return len == 1   ? (c < 0x20 && c != '\t' && c != '\n') || c == 0x7F
	       : len == 2 ? c == 0xC2 && (unsigned char)s[1] < 0xA0
			  : false;
}

void html_text(struct sb *b, const char *s)
{
	size_t n = strlen(s), len;

	for (size_t i = 0; i < n; i += len ? len : 1) {
		len = str_utf8_next(s + i, n - i);
		const char *e = entity(s[i]);
		if (e)
			sb_str(b, e);
		else if (!len || control(s + i, len))
			sb_str(b, "\xEF\xBF\xBD");
		else
			sb_put(b, s + i, len);
	}
}

static const char *part_of(const char *page, const char *name, size_t *n)
{
	static const char begin[] = "<!-- part ", end[] = " -->\n";
	size_t len = strlen(name);

	for (const char *at = page; (at = strstr(at, begin));) {
		at += sizeof begin - 1;
		if (strncmp(at, name, len) || !str_starts(at + len, end))
			continue;
		at += len + sizeof end - 1;
		const char *next = strstr(at, begin);
		*n = next ? (size_t)(next - at) : strlen(at);
		return at;
	}
	return NULL;
}

void html_part(struct sb *b, const char *page, const char *name, const char *const values[], size_t n)
{
	size_t left = 0;
	const char *at = part_of(page, name, &left);

	if (!at) {
		b->bad = true;
		return;
	}
	for (const char *end = at + left; at < end;) {
		const char *mark = memmem(at, (size_t)(end - at), "{{", 2);
		sb_put(b, at, (size_t)((mark ? mark : end) - at));
		if (!mark)
			return;
		size_t k = end - mark >= 5 && mark[3] == '}' && mark[4] == '}' ? (size_t)(mark[2] - '1') : n;
		if (k >= n || !values[k]) {
			b->bad = true;
			return;
		}
		html_text(b, values[k]);
		at = mark + 5;
	}
}
