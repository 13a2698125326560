#include "hello.h"

#include <string.h>
#include "core/codec/buf.h"

enum {
	RECORD_HANDSHAKE = 22,
	RECORD_HEAD = 5,
	RECORD_MAX = 16384,
	CLIENT_HELLO = 1,
	HANDSHAKE_HEAD = 4,
	EXT_SERVER_NAME = 0,
	NAME_DNS = 0
};

// RFC 6066: a list of (type, name); only one name of each type, and only DNS names exist.
static int server_name(struct rd ext, char *name, struct err *e)
{
	struct rd list = rd_take(&ext, rd_be16(&ext));
	uint8_t type = rd_u8(&list);
	struct rd host = rd_take(&list, rd_be16(&list));
	size_t n = rd_left(&host);

	if (host.bad || type != NAME_DNS || rd_left(&list) || rd_left(&ext))
		return err_code(e, ERR_INPUT, "hello.name", "malformed server_name");
	if (n && host.end[-1] == '.')
		n--;
	if (n == 0 || n > HELLO_NAME_MAX)
		return err_code(e, ERR_INPUT, "hello.name", "server_name of %zu bytes", n);
	for (size_t i = 0; i < n; i++) {
		uint8_t c = rd_u8(&host);
		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
			return err_code(e, ERR_INPUT, "hello.name", "server_name has byte 0x%02x", c);
		name[i] = (char)c;
	}
	name[n] = 0;
	return 0;
}

// A whole ClientHello message, its head included.
static int client_hello(struct rd body, char *name, struct err *e)
{
	bool seen = false;

	rd_take(&body, HANDSHAKE_HEAD + 2 + 32); // type and length, legacy version, random
	rd_take(&body, rd_u8(&body));            // session id
	rd_take(&body, rd_be16(&body));          // cipher suites
	rd_take(&body, rd_u8(&body));            // compression methods
	if (!body.bad && rd_left(&body) == 0)
		return HELLO_DONE; // no extensions, so no name

	struct rd exts = rd_take(&body, rd_be16(&body));
	while (!exts.bad && rd_left(&exts)) {
		uint16_t type = rd_be16(&exts);
		struct rd ext = rd_take(&exts, rd_be16(&exts));
		if (ext.bad || type != EXT_SERVER_NAME)
			continue;
		if (seen)
			return err_code(e, ERR_INPUT, "hello.name", "two server_name extensions");
		seen = true;
		if (server_name(ext, name, e))
			return -1;
	}
	if (exts.bad || rd_left(&body))
		return err_code(e, ERR_INPUT, "hello.malformed", "truncated ClientHello");
	return HELLO_DONE;
}

// The next record's content. HELLO_MORE when it is not all here.
static int record(struct rd *in, struct rd *body, struct err *e)
{
	struct rd at = *in;

	if (rd_left(&at) && rd_u8(&at) != RECORD_HANDSHAKE)
		return err_code(e, ERR_INPUT, "hello.not_tls", "not a TLS handshake");
	if (rd_left(in) < RECORD_HEAD)
		return HELLO_MORE;
	if (rd_u8(&at) != 3)
		return err_code(e, ERR_INPUT, "hello.not_tls", "not a TLS record");
	rd_u8(&at); // minor version: clients vary, servers must not care
	size_t len = rd_be16(&at);
	if (len == 0 || len > RECORD_MAX)
		return err_code(e, ERR_INPUT, "hello.malformed", "record of %zu bytes", len);
	size_t here = rd_left(&at) < len ? rd_left(&at) : len;
	*body = rd_take(&at, here);
	*in = at;
	return here < len ? HELLO_MORE : HELLO_DONE;
}

// The message in `all` if it is all there.
static int whole_message(struct rd all, char *name, struct err *e)
{
	struct rd r = all;

	if (rd_left(&r) && rd_u8(&r) != CLIENT_HELLO)
		return err_code(e, ERR_INPUT, "hello.malformed",
				"handshake does not begin with a ClientHello");
	size_t size = (size_t)rd_u8(&r) << 16;
	size += HANDSHAKE_HEAD + (size_t)rd_be16(&r);
	if (!r.bad && size > RECORD_MAX)
		return err_code(e, ERR_INPUT, "hello.too_large", "ClientHello of %zu bytes", size);
	if (r.bad || rd_left(&all) < size)
		return HELLO_MORE;
	return client_hello(rd_take(&all, size), name, e);
}

int hello_name(const void *bytes, size_t n, char name[static HELLO_NAME_MAX + 1], struct err *e)
{
	uint8_t joined[RECORD_MAX]; // only for a hello in several records
	size_t have = 0;
	struct rd in = rd_from(bytes, n);

	name[0] = 0;
	if (n > HELLO_MAX)
		return err_code(e, ERR_INPUT, "hello.too_large", "no ClientHello within %d bytes", HELLO_MAX);
	for (;;) {
		struct rd body = { 0 };
		int got = record(&in, &body, e);
		if (got < 0 || rd_left(&body) == 0)
			return got;
		// The usual case: one record holds the message, nothing is copied.
		int r = have ? HELLO_MORE : whole_message(body, name, e);
		if (r != HELLO_MORE)
			return r;
		size_t k = rd_left(&body);
		if (k > sizeof joined - have)
			return err_code(e, ERR_INPUT, "hello.too_large", "ClientHello too large");
		memcpy(joined + have, body.p, k);
		have += k;
		r = whole_message(rd_from(joined, have), name, e);
		if (r != HELLO_MORE || got == HELLO_MORE)
			return r;
	}
}
