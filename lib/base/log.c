#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/sb.h"
#include "base/time.h"

static const char *const level_names[] = { "error", "warn", "info", "debug" };

// Set once by log_setup before threads exist.
static bool as_json;
static enum log_level most = LOG_LEVEL_INFO;
static _Thread_local const char *request;

void log_setup(bool json, enum log_level m)
{
	as_json = json;
	most = m;
}

bool log_level_parse(const char *s, enum log_level *out)
{
	for (unsigned i = 0; i < sizeof level_names / sizeof *level_names; i++) {
		if (!strcmp(s, level_names[i])) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

void log_request(const char *id)
{
	request = id;
}

// The length of a `key=value` at s, 0 if there is none. A value is quoted, or goes to the next blank.
static size_t pair(const char *s, size_t *key)
{
	size_t i = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");

	if (!i || s[i] != '=')
		return 0;
	*key = i++;
	if (s[i] == '"') {
		for (i++; s[i] && s[i] != '"'; i++)
			if (s[i] == '\\' && s[i + 1])
				i++;
		return s[i] ? i + 1 : 0;
	}
	return i + strcspn(s + i, " ");
}

// Where the pairs at the end of the text begin.
static const char *first_pair(const char *text)
{
	const char *from = text + strlen(text);

	for (const char *p = text; p && *p;) {
		const char *at = p, *q = p;
		size_t key, n;
		while ((n = pair(q, &key)) && (q[n] == ' ' || !q[n]))
			q += n + (q[n] == ' ');
		if (q != at && !*q)
			return at;
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	return from;
}

static void line_json(struct sb *b, const char *when, const char *level, const char *area, const char *text)
{
	const char *p = first_pair(text);
	size_t head = (size_t)(p - text), key, n;

	while (head && text[head - 1] == ' ')
		head--;
	sb_chr(b, '{');
	sb_json_key(b, "time");
	sb_json_str(b, when);
	sb_json_key(b, "level");
	sb_json_str(b, level);
	sb_json_key(b, "area");
	sb_json_str(b, area);
	sb_json_key(b, "message");
	sb_json_str_n(b, text, head);
	for (; (n = pair(p, &key)); p += n + (p[n] == ' ')) {
		const char *v = p + key + 1;
		size_t v_n = n - key - 1;
		if (v_n >= 2 && *v == '"') {
			v++;
			v_n -= 2;
		}
		sb_chr(b, ',');
		sb_json_str_n(b, p, key);
		sb_chr(b, ':');
		sb_json_str_n(b, v, v_n);
	}
	if (request) {
		sb_json_key(b, "req");
		sb_json_str(b, request);
	}
	sb_str(b, "}\n");
}

static void line_text(struct sb *b, const char *when, const char *level, const char *area, const char *text)
{
	sb_fmt(b, "%s %-5s %s ", when, level, area);
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			sb_fmt(b, "\\x%02x", (unsigned char)*p);
		else
			sb_chr(b, *p);
	}
	if (request)
		sb_fmt(b, " req=%s", request);
	sb_chr(b, '\n');
}

__attribute__((format(printf, 3, 0))) static void put(enum log_level level, const char *area, const char *fmt,
						      va_list ap)
{
	if (level > most)
		return;
	char text[2048], when[TIME_TEXT];
	vsnprintf(text, sizeof text, fmt, ap);
	time_text(when, time_now_ms());

	auto_sb b = { 0 };
	(as_json ? line_json : line_text)(&b, when, level_names[level], area, text);
	// One write, so that lines of several threads do not mix. There is nowhere to report a failure to.
	if (!b.bad && write(STDERR_FILENO, b.p, b.n) < 0)
		return;
}

#define LEVEL(name, LEVEL_)                                                                                  \
	void name(const char *area, const char *fmt, ...)                                                    \
	{                                                                                                    \
		va_list ap;                                                                                  \
		va_start(ap, fmt);                                                                           \
		put(LEVEL_, area, fmt, ap);                                                                  \
		va_end(ap);                                                                                  \
	}

LEVEL(log_error, LOG_LEVEL_ERROR)
LEVEL(log_warn, LOG_LEVEL_WARN)
LEVEL(log_info, LOG_LEVEL_INFO)
LEVEL(log_debug, LOG_LEVEL_DEBUG)
