#include "core/codec/json_text.h"

#include "core/codec/hex.h"
#include "core/codec/json.h"
#include "core/codec/utf8.h"

bool json_is_blank(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool json_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

uint32_t json_hex4(const uint8_t *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 4 | (uint32_t)hex_digit(p[i]);
	return v;
}

static size_t utf8_put(uint8_t out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
		out[2] = (uint8_t)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
	out[3] = (uint8_t)(0x80 | (c & 63));
	return 4;
}

struct json_chars json_chars_of(struct span contents)
{
	return (struct json_chars){ .left = contents };
}

int json_chars_next(struct json_chars *c)
{
	static const uint8_t from[] = "bfnrt", to[] = "\b\f\n\r\t";

	if (c->at < c->n)
		return c->ready[c->at++];
	if (!c->left.n)
		return -1;
	const uint8_t *p = c->left.p;
	size_t used = 1;
	int byte = p[0];
	if (byte == '\\' && p[1] == 'u') {
		uint32_t v = json_hex4(p + 2);
		used = 6;
		if (v >= 0xd800 && v <= 0xdbff) {
			v = 0x10000 + ((v - 0xd800) << 10) + (json_hex4(p + 8) - 0xdc00);
			used = 12;
		}
		c->n = (uint8_t)utf8_put(c->ready, v);
		c->at = 1;
		byte = c->ready[0];
	} else if (byte == '\\') {
		used = 2;
		byte = p[1];
		for (int i = 0; from[i]; i++)
			if (byte == from[i]) {
				byte = to[i];
				break;
			}
	}
	c->left = span_of(p + used, c->left.n - used);
	return byte;
}

void wr_json(struct wr *w, struct span s)
{
	static const char hex[] = "0123456789abcdef";

	wr_u8(w, '"');
	for (size_t i = 0; i < s.n;) {
		uint8_t c = s.p[i];
		size_t n = utf8_len(s.p + i, s.n - i);
		if (c == '"' || c == '\\') {
			wr_u8(w, '\\');
			wr_u8(w, c);
		} else if (c == '\n' || c == '\r' || c == '\t') {
			wr_u8(w, '\\');
			wr_u8(w, c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
		} else if (c < 0x20 || c == 0x7f) {
			wr_str(w, "\\u00");
			wr_u8(w, (uint8_t)hex[c >> 4]);
			wr_u8(w, (uint8_t)hex[c & 15]);
		} else if (!n) {
			wr_str(w, "\xef\xbf\xbd");
		} else {
			wr_put(w, s.p + i, n);
		}
		i += n ? n : 1;
	}
	wr_u8(w, '"');
}

void wr_json_hex(struct wr *w, const void *p, size_t n)
{
	wr_u8(w, '"');
	wr_hex(w, p, n);
	wr_u8(w, '"');
}
