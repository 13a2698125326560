#include "wg/wg.h"

#include <arpa/inet.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

int wg_key_new(uint8_t private_key[static WG_KEY], struct err *e)
{
	if (RAND_priv_bytes(private_key, WG_KEY) != 1)
		return err_set(e, ERR_SYSTEM, "draw a WireGuard key: no random bytes");
	private_key[0] &= 248; // RFC 7748 section 5
	private_key[31] = (uint8_t)((private_key[31] & 127) | 64);
	return 0;
}

int wg_key_public(uint8_t public_key[static WG_KEY], const uint8_t private_key[static WG_KEY], struct err *e)
{
	size_t n = WG_KEY;
	EVP_PKEY *k = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, WG_KEY);
	int ok = k && EVP_PKEY_get_raw_public_key(k, public_key, &n) == 1 && n == WG_KEY;

	EVP_PKEY_free(k);
	return ok ? 0 : err_set(e, ERR_SYSTEM, "compute the public WireGuard key: X25519 failed");
}

// One base64 digit as its value, -1 if it is none; no branch or table depends on the digit.
static int digit(int c)
{
	int v = -1;

	v += ((('A' - 1 - c) & (c - ('Z' + 1))) >> 8) & (c - 64);
	v += ((('a' - 1 - c) & (c - ('z' + 1))) >> 8) & (c - 70);
	v += ((('0' - 1 - c) & (c - ('9' + 1))) >> 8) & (c + 5);
	v += ((('+' - 1 - c) & (c - ('+' + 1))) >> 8) & 63;
	v += ((('/' - 1 - c) & (c - ('/' + 1))) >> 8) & 64;
	return v;
}

static char letter(int v)
{
	int c = v + 'A';

	c += ((25 - v) >> 8) & 6;
	c -= ((51 - v) >> 8) & 75;
	c -= ((61 - v) >> 8) & 15;
	c += ((62 - v) >> 8) & 3;
	return (char)c;
}

int wg_key_parse(uint8_t key[static WG_KEY], const char *text, struct err *e)
{
	int bad = 0, v = 0;

	if (strnlen(text, WG_KEY_TEXT) != WG_KEY_TEXT - 1 || text[WG_KEY_TEXT - 2] != '=')
		return err_code(e, ERR_INPUT, "wg.key", "a WireGuard key is 44 base64 characters");
	for (int i = 0; i < 43; i++) {
		int d = digit((unsigned char)text[i]);
		bad |= d;
		v = (v << 6) | (d & 63);
		if (i % 4 == 3) {
			key[i / 4 * 3] = (uint8_t)(v >> 16);
			key[i / 4 * 3 + 1] = (uint8_t)(v >> 8);
			key[i / 4 * 3 + 2] = (uint8_t)v;
			v = 0;
		}
	}
	key[30] = (uint8_t)(v >> 10);
	key[31] = (uint8_t)(v >> 2);
	if (bad < 0 || (v & 3))
		return err_code(e, ERR_INPUT, "wg.key", "a WireGuard key is 32 bytes in base64");
	return 0;
}

void wg_key_text(char text[static WG_KEY_TEXT], const uint8_t key[static WG_KEY])
{
	for (int i = 0; i < 43; i++) {
		int at = i * 6 / 8, shift = 10 - i * 6 % 8;
		int two = key[at] << 8 | (at + 1 < WG_KEY ? key[at + 1] : 0);
		text[i] = letter(two >> shift & 63);
	}
	text[43] = '=';
	text[44] = 0;
}

// A decimal number up to `max` without sign or blanks, ended by NUL.
static int number(unsigned *out, const char *s, unsigned max)
{
	unsigned v = 0;

	if (!*s || (s[0] == '0' && s[1]))
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		v = v * 10 + (unsigned)(*s - '0');
		if (v > max)
			return -1;
	}
	*out = v;
	return 0;
}

static int split(struct in_addr *ip, unsigned *after, const char *text, char mark, unsigned max)
{
	char head[INET_ADDRSTRLEN];
	const char *p = strchr(text, mark);
	size_t n = p ? (size_t)(p - text) : strlen(text);

	if (n >= sizeof head)
		return -1;
	memcpy(head, text, n);
	head[n] = 0;
	if (inet_pton(AF_INET, head, ip) != 1)
		return -1;
	return p ? number(after, p + 1, max) : 0;
}

int wg_cidr_parse(struct wg_cidr *out, const char *text, struct err *e)
{
	unsigned prefix = 32;

	if (split(&out->ip, &prefix, text, '/', 32))
		return err_code(e, ERR_INPUT, "wg.cidr", "not an IPv4 network: want 10.8.0.1/16");
	out->prefix = (uint8_t)prefix;
	return 0;
}

int wg_endpoint_parse(struct sockaddr_in *out, const char *text, struct err *e)
{
	unsigned port = 0;

	*out = (struct sockaddr_in){ .sin_family = AF_INET };
	if (split(&out->sin_addr, &port, text, ':', 65535) || !port)
		return err_code(e, ERR_INPUT, "wg.endpoint", "not an IPv4 endpoint: want 192.0.2.1:51820");
	out->sin_port = htons((uint16_t)port);
	return 0;
}
