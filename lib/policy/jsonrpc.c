#include "policy/jsonrpc.h"

#include <string.h>

#include "base/strings.h"
#include "core/codec/hex.h"

void jsonrpc_add(struct sb *b, unsigned *n, const char *method, const char *params)
{
	sb_fmt(b, "%s{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\",\"params\":%s}", *n ? "," : "[", *n + 1,
	       method, params);
	++*n;
}

void jsonrpc_end(struct sb *b)
{
	sb_chr(b, ']');
}

static const char *read_error(struct jsonrpc_reply *r, struct json error)
{
	static const char *const names[] = { "code", "message" };
	char text[256];
	struct json m[2];
	size_t n = 0;

	if (json_kind(error) != JSON_OBJECT)
		return "has an error that is no object";
	json_pick(error, names, m, 2);
	if (json_i64(m[0], &r->code))
		return "has an error without a code";
	if (json_string(m[1], text, sizeof text, &n))
		n = 0;
	str_quote(r->error, sizeof r->error, text, n);
	return NULL;
}

static const char *read_one(struct jsonrpc_reply *out, unsigned n, struct json v)
{
	static const char *const names[] = { "id", "result", "error" };
	struct json m[3];
	uint64_t id;

	if (json_kind(v) != JSON_OBJECT)
		return "is no array of objects";
	json_pick(v, names, m, 3);
	if (json_u64(m[0], n, &id) || !id)
		return "has an id that was not asked";
	struct jsonrpc_reply *r = &out[id - 1];
	if (json_kind(r->result) != JSON_NONE || *r->error)
		return "answers one id twice";
	if (json_kind(m[2]) != JSON_NONE && json_kind(m[2]) != JSON_NULL)
		return read_error(r, m[2]);
	if (json_kind(m[1]) == JSON_NONE)
		return "has neither result nor error";
	r->result = m[1];
	return NULL;
}

const char *jsonrpc_read(struct jsonrpc_reply *out, unsigned n, struct span body)
{
	struct json doc, key, v;
	const char *wrong = NULL;
	unsigned found = 0;

	memset(out, 0, n * sizeof *out);
	if (json_parse(&doc, body, NULL) || json_kind(doc) != JSON_ARRAY)
		return "is no JSON array";
	for (struct json_iter it = json_iter(doc); !wrong && json_next(&it, &key, &v); found++)
		wrong = read_one(out, n, v);
	return wrong ? wrong : found != n ? "does not answer each request" : NULL;
}

static int prefixed(struct json v, struct span *digits)
{
	if (json_plain(v, digits) || digits->n < 2 || digits->p[0] != '0' || digits->p[1] != 'x')
		return -1;
	*digits = span_sub(*digits, 2, digits->n - 2);
	return 0;
}

int jsonrpc_quantity(struct json v, uint64_t *out)
{
	struct span d;

	*out = 0;
	if (prefixed(v, &d) || !d.n || d.n > 16 || (d.n > 1 && d.p[0] == '0'))
		return -1;
	for (size_t i = 0; i < d.n; i++) {
		uint8_t c = d.p[i];
		int digit = hex_digit(c);
		if (digit < 0)
			return -1;
		*out = *out << 4 | (unsigned)digit;
	}
	return 0;
}

int jsonrpc_data(struct json v, uint8_t *out, size_t cap, size_t *n)
{
	struct span d;

	if (prefixed(v, &d) || d.n % 2 || d.n / 2 > cap)
		return -1;
	*n = d.n / 2;
	return hex_decode(out, *n, d);
}

int jsonrpc_hash(struct json v, uint8_t out[static 32])
{
	size_t n;

	return jsonrpc_data(v, out, 32, &n) || n != 32 ? -1 : 0;
}
