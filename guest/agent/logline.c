#include "logline.h"

#include <stdio.h>
#include <string.h>
#include "base/strings.h"
#include "core/codec/utf8.h"

enum { VALUE_MAX = 64, ESC = 0x1B, BEL = 0x07 };

static bool alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

bool log_name_ok(struct span name)
{
	if (!name.n || name.n > LOG_NAME_MAX || !alnum(name.p[0]))
		return false;
	for (size_t i = 1; i < name.n; i++)
		if (!alnum(name.p[i]) && !memchr("_.-", name.p[i], 3))
			return false;
	return true;
}

static int invalid(const char *what, struct err *e)
{
	return err_code(e, ERR_INPUT, "agent.logs_query", "Invalid %s", what);
}

// Percent-decodes; nothing that is asked here needs more than VALUE_MAX bytes, or a NUL.
static int unescape(struct span s, char out[VALUE_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = (char)s.p[i];
		if (c == '%') {
			size_t len;
			if (s.n - i < 3 || hex_read(&c, 1, (const char *)s.p + i + 1, 2, &len))
				return -1;
			i += 2;
		}
		if (!c || n + 1 >= VALUE_MAX)
			return -1;
		out[n++] = c;
	}
	out[n] = 0;
	return 0;
}

static int truth(const char *v, bool *out)
{
	static const char *const words[] = { "", "true", "yes", "on", "false", "no", "off" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(v, words[i])) {
			*out = i < 4;
			return 0;
		}
	return -1;
}

static int moment(const char *v, uint64_t now, uint64_t *out)
{
	static const char units[] = "smhd";
	static const uint32_t seconds[] = { 1, 60, 3600, 86400 };
	size_t n = strlen(v);
	const char *unit = n ? strchr(units, v[n - 1]) : NULL;
	uint64_t k;

	*out = 0;
	if (!n)
		return 0;
	if (!str_u64_n(v, unit ? n - 1 : n, &k) || k > (uint64_t)1 << 40)
		return -1;
	if (unit)
		k *= seconds[unit - units];
	*out = !unit ? k : k < now ? now - k : 1;
	return 0;
}

static int tail(const char *v, char out[12])
{
	uint64_t k;

	if (strcmp(v, "all") && !str_uint(v, 0, 1000000000, &k))
		return -1;
	snprintf(out, 12, "%s", v);
	return 0;
}

static int one(struct log_query *q, const char *key, const char *v, uint64_t now, struct err *e)
{
	const struct {
		const char *key;
		bool *to;
	} flags[] = { { "follow", &q->follow },
		      { "text", &q->text },
		      { "timestamps", &q->timestamps },
		      { "bare", &q->bare },
		      { "ansi", &q->ansi } };

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (!strcmp(key, flags[i].key))
			return truth(v, flags[i].to) ? invalid(key, e) : 0;
	if ((!strcmp(key, "since") && moment(v, now, &q->since)) ||
	    (!strcmp(key, "until") && moment(v, now, &q->until)) ||
	    (!strcmp(key, "tail") && tail(v, q->tail)))
		return invalid(key, e);
	return 0; // also what nobody here knows
}

int log_query_parse(struct span query, uint64_t now, struct log_query *out, struct err *e)
{
	char key[VALUE_MAX], value[VALUE_MAX];

	*out = (struct log_query){ .tail = "1000" };
	while (query.n) {
		const uint8_t *amp = memchr(query.p, '&', query.n);
		struct span pair = { query.p, amp ? (size_t)(amp - query.p) : query.n };
		size_t used = pair.n + (amp ? 1 : 0);
		const uint8_t *eq = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
		struct span k = { pair.p, eq ? (size_t)(eq - pair.p) : pair.n };
		struct span v = { eq ? eq + 1 : pair.p, eq ? pair.n - k.n - 1 : 0 };

		query.p += used;
		query.n -= used;
		if (unescape(k, key) || unescape(v, value))
			return invalid("query", e);
		if (one(out, key, value, now, e))
			return -1;
	}
	return 0;
}

// The bytes of the escape sequence that begins at p[0] (ECMA-48: CSI, OSC and other strings, two-byte ones).
static size_t escape(const uint8_t *p, size_t n)
{
	size_t i = 2;

	if (n < 2)
		return n;
	if (p[1] == '[') {
		while (i < n && p[i] >= 0x20 && p[i] <= 0x3F)
			i++;
		return i < n && p[i] >= 0x40 && p[i] <= 0x7E ? i + 1 : i;
	}
	if (memchr("]PX^_", p[1], 5)) {
		while (i < n && p[i] != BEL && p[i] != '\n' && p[i] != ESC)
			i++;
		if (i + 1 < n && p[i] == ESC && p[i + 1] == '\\')
			return i + 2;
		return i < n && p[i] == BEL ? i + 1 : i;
	}
	while (i - 1 < n && p[i - 1] >= 0x20 && p[i - 1] <= 0x2F) // ESC ( B
		i++;
	return i > n ? n : i;
}

// UTF-8 for a reader: what is none becomes U+FFFD, escapes go unless wanted.
static void plain(struct sb *out, const uint8_t *p, size_t n, bool ansi)
{
	for (size_t i = 0, k; i < n; i += k) {
		if (p[i] == ESC && !ansi) {
			k = escape(p + i, n - i);
			continue;
		}
		k = utf8_len(p + i, n - i);
		if (k)
			sb_put(out, p + i, k);
		else
			sb_str(out, "\xEF\xBF\xBD");
		k = k ? k : 1;
	}
}

static void line(struct log_decoder *d, struct sb *out)
{
	static const char *const channels[] = { "stdin", "stdout", "stderr" };
	const struct log_query *how = d->how;
	const struct sb *m = &d->message;

	if (how->bare) {
		if (how->text)
			plain(out, (const uint8_t *)m->p, m->n, how->ansi);
		else
			sb_base64(out, m->p, m->n);
	} else {
		sb_fmt(out,
		       "{\"channel\":\"%s\",\"message\":", d->console ? "console" : channels[d->head[0]]);
		if (how->text)
			sb_json_str_n(out, m->p, m->n);
		else {
			sb_chr(out, '"');
			sb_base64(out, m->p, m->n);
			sb_chr(out, '"');
		}
		sb_str(out, "}\n");
	}
	d->message.n = 0;
}

static bool framed(const uint8_t *h, size_t n)
{
	for (size_t i = 1; i < n && i < 4; i++)
		if (h[i])
			return false;
	return h[0] <= 2;
}

static void console(struct log_decoder *d, const uint8_t *p, size_t n, struct sb *out)
{
	for (size_t i = 0; i < n; i++) {
		sb_chr(&d->message, (char)p[i]);
		if (p[i] == '\n' || d->message.n == LOG_CONSOLE_MAX)
			line(d, out);
	}
}

// The next bytes of a head; what does not begin as a frame, from the start of the stream, is a console.
static int head(struct log_decoder *d, uint8_t byte, struct sb *out, struct err *e)
{
	d->head[d->head_n++] = byte;
	if (!framed(d->head, d->head_n)) {
		if (d->begun)
			return err_code(e, ERR_SYSTEM, "agent.log_frame",
					"the container engine sent a malformed log frame");
		d->console = true;
		console(d, d->head, d->head_n, out);
		return 0;
	}
	if (d->head_n < 8)
		return 0;
	d->begun = true;
	d->want = (size_t)d->head[4] << 24 | (size_t)d->head[5] << 16 | (size_t)d->head[6] << 8 | d->head[7];
	if (d->want > LOG_FRAME_MAX)
		return err_code(e, ERR_SYSTEM, "agent.log_frame", "a log frame of %zu bytes is too large",
				d->want);
	if (!d->want)
		d->head_n = 0;
	return 0;
}

int log_feed(struct log_decoder *d, const uint8_t *p, size_t n, struct sb *out, struct err *e)
{
	while (n) {
		size_t k = 1;
		if (d->console) {
			console(d, p, n, out);
			k = n;
		} else if (d->head_n < 8) {
			if (head(d, *p, out, e))
				return -1;
		} else {
			k = d->want - d->message.n;
			k = k < n ? k : n;
			sb_put(&d->message, p, k);
			if (d->message.n == d->want) {
				line(d, out);
				d->head_n = 0;
			}
		}
		if (d->message.bad || out->bad)
			return err_set(e, ERR_SYSTEM, "out of memory");
		p += k;
		n -= k;
	}
	return 0;
}

int log_end(struct log_decoder *d, struct sb *out, struct err *e)
{
	if (d->console) {
		if (d->message.n)
			line(d, out);
	} else if (d->head_n)
		return err_code(e, ERR_SYSTEM, "agent.log_frame", "the log ends inside a frame");
	return out->bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

void log_free(struct log_decoder *d)
{
	sb_free(&d->message);
}
