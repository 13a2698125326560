// The reply side of the UAPI: lines of key=value, "errno=N" last, then an empty line.
#include "wg/backend.h"

#include <string.h>

#include "base/strings.h"

enum { VALUE_MAX = 128 };

static int number(uint64_t *out, const char *s)
{
	uint64_t v = 0;

	if (!*s)
		return -1;
	for (; *s; s++)
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -1;
	*out = v;
	return 0;
}

// What is said about the peer that is being read; keys that are not ours to know are passed over.
static int peer_line(struct wg_peer *p, const char *key, const char *value, struct err *e)
{
	uint64_t v = 0;
	struct wg_cidr c;

	if (!strcmp(key, "endpoint")) {
		if (value[0] != '[') // IPv6
			return wg_endpoint_parse(&p->endpoint, value, e);
	} else if (!strcmp(key, "allowed_ip")) {
		if (p->allowed_n < WG_ALLOWED_MAX && !strchr(value, ':')) {
			if (wg_cidr_parse(&c, value, e))
				return -1;
			p->allowed[p->allowed_n++] = c;
		}
	} else if (!strcmp(key, "last_handshake_time_sec")) {
		return number(&p->handshake, value);
	} else if (!strcmp(key, "rx_bytes")) {
		return number(&p->rx, value);
	} else if (!strcmp(key, "tx_bytes")) {
		return number(&p->tx, value);
	} else if (!strcmp(key, "persistent_keepalive_interval")) {
		if (number(&v, value) || v > UINT16_MAX)
			return -1;
		p->keepalive = (uint16_t)v;
	}
	return 0;
}

struct reader {
	struct wg_list *list;
	struct wg_peer *peer, spare; // the peer being read; `spare` when there is no room left
	bool ended;
	long code;
};

static int take_line(struct reader *r, char *line, struct err *e)
{
	char *value = strchr(line, '=');
	uint64_t v;

	if (!value || r->ended)
		return -1;
	*value++ = 0;
	if (!strcmp(line, "errno")) {
		bool negative = value[0] == '-';
		if (number(&v, value + negative) || v > INT32_MAX)
			return -1;
		r->code = negative ? -(long)v : (long)v;
		r->ended = true;
	} else if (!strcmp(line, "public_key")) {
		struct wg_list *l = r->list;
		bool room = l && l->n < l->cap;
		if (l && !room)
			l->full = true;
		r->peer = room ? &l->out[l->n++] : &r->spare;
		memset(r->peer, 0, sizeof *r->peer);
		return hex_exact(r->peer->key, WG_KEY, value) ? 0 : -1;
	} else if (r->peer) {
		return peer_line(r->peer, line, value, e);
	}
	return 0;
}

int wg_uapi_parse(struct wg_list *list, long *errno_value, const char *text, size_t n, struct err *e)
{
	struct reader r = { .list = list };
	char line[VALUE_MAX];

	while (n) {
		const char *end = memchr(text, '\n', n);
		size_t len = end ? (size_t)(end - text) : 0;
		if (!end || len >= sizeof line || memchr(text, 0, len))
			return err_set(e, ERR_INPUT, "malformed line in the answer of wireguard-go");
		if (len == 0) {
			if (!r.ended || n != 1)
				break;
			*errno_value = r.code;
			return 0;
		}
		memcpy(line, text, len);
		line[len] = 0;
		int bad = take_line(&r, line, e);
		explicit_bzero(line, sizeof line); // it may have been the private key
		if (bad)
			return err_set(e, ERR_INPUT, "malformed answer of wireguard-go");
		text = end + 1;
		n -= len + 1;
	}
	return err_set(e, ERR_INPUT, "incomplete answer of wireguard-go");
}
