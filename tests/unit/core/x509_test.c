// DER, PEM, time and X.509: what must be refused although other readers take it (QV-17).
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/attest/pck.h"
#include "core/codec/der.h"
#include "core/codec/pem.h"
#include "core/codec/utc.h"
#include "core/codec/x509.h"
#include "crypto/intel_root.h"

#define S(text) span_of(text, sizeof text - 1)

// ---- building DER

struct build {
	uint8_t p[4096];
	size_t n;
};

static void add(struct build *b, struct span s)
{
	assert_true(b->n + s.n <= sizeof b->p);
	memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
}

static void element(struct build *b, uint8_t tag, struct span body)
{
	uint8_t head[4] = { tag, (uint8_t)body.n };
	size_t n = 2;

	if (body.n >= 256) {
		head[1] = 0x82;
		head[2] = (uint8_t)(body.n >> 8);
		head[3] = (uint8_t)body.n;
		n = 4;
	} else if (body.n >= 128) {
		head[1] = 0x81;
		head[2] = (uint8_t)body.n;
		n = 3;
	}
	add(b, span_of(head, n));
	add(b, body);
}

static struct span built(const struct build *b)
{
	return span_of(b->p, b->n);
}

static const char algorithm[] = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
static const char name[] = "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01X";
static const char key_head[] =
	"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
	"\x03\x42\x00\x04";
static const char signature[] = "\x03\x09\x00\x30\x06\x02\x01\x01\x02\x01\x01";
static const char basic[] = "\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\xff";

struct cert {
	struct span version, serial, from, to, extensions, subject, algorithm, signature;
	bool tail;
};

static const struct cert good = {
	.version = { (const uint8_t *)"\x02\x01\x02", 3 },
	.serial = { (const uint8_t *)"\x02\x01\x05", 3 },
	.from = { (const uint8_t *)"\x17\x0d"
				   "200101000000Z",
		  15 },
	.to = { (const uint8_t *)"\x18\x0f"
				 "20500101000000Z",
		17 },
	.extensions = { (const uint8_t *)basic, sizeof basic - 1 },
	.subject = { (const uint8_t *)name, sizeof name - 1 },
	.algorithm = { (const uint8_t *)algorithm, sizeof algorithm - 1 },
	.signature = { (const uint8_t *)signature, sizeof signature - 1 },
};

static int parse_cert(const struct cert *c, struct x509 *out)
{
	static struct build tbs, all, outer;
	struct build part = { .n = 0 }, list = { .n = 0 };
	uint8_t key[64] = { 1 };

	tbs.n = all.n = outer.n = 0;
	element(&tbs, 0xa0, c->version);
	add(&tbs, c->serial);
	add(&tbs, S(algorithm));
	add(&tbs, S(name));
	add(&part, c->from);
	add(&part, c->to);
	element(&tbs, DER_SEQUENCE, built(&part));
	add(&tbs, c->subject);
	add(&tbs, S(key_head));
	add(&tbs, span_of(key, 64));
	element(&list, DER_SEQUENCE, c->extensions);
	element(&tbs, 0xa3, built(&list));
	element(&all, DER_SEQUENCE, built(&tbs));
	add(&all, c->algorithm);
	add(&all, c->signature);
	element(&outer, DER_SEQUENCE, built(&all));
	if (c->tail)
		add(&outer, S("\0"));
	return x509_parse(out, built(&outer));
}

static void certificates(void **state)
{
	struct x509 x;
	struct cert c = good;

	(void)state;
	assert_int_equal(parse_cert(&good, &x), 0);
	assert_true(x.is_ca && x.has_constraints && x509_name_has(&x, "X"));
	assert_int_equal(x509_parse(&x, intel_root()), 0);
	assert_true(x509_name_has(&x, "SGX Root CA") && x.usage == (X509_CERT_SIGN | X509_CRL_SIGN));
	c.tail = true;
	assert_int_equal(parse_cert(&c, &x), -1);

#define REFUSED(field, text)                                                                                 \
	do {                                                                                                 \
		c = good;                                                                                    \
		c.field = S(text);                                                                           \
		assert_int_equal(parse_cert(&c, &x), -1);                                                    \
	} while (0)
	REFUSED(version, "\x02\x01\x01");
	REFUSED(version, "\x02\x02\x00\x02"); // not minimal
	REFUSED(serial, "\x02\x01\x85");      // negative
	REFUSED(serial, "\x02\x02\x00\x05");
	REFUSED(serial, "\x02\x00");
	REFUSED(serial, "\x02\x15\x01xxxxxxxxxxxxxxxxxxxx"); // 21 bytes
	REFUSED(serial, "\x22\x01\x05");                     // constructed
	REFUSED(from, "\x17\x0b"
		      "2001010000Z"); // without seconds
	REFUSED(from, "\x17\x11"
		      "200101000000+0000");
	REFUSED(from, "\x17\x0d"
		      "200230000000Z"); // no such day
	REFUSED(to, "\x16\x0d"
		    "200101000000Z");
	REFUSED(subject, "\x31\x00");
	REFUSED(subject, "\x30\x18\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01X\x31\x0a\x30\x08\x06\x03\x55"
			 "\x04\x03\x0c\x01Y");
	REFUSED(algorithm, "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03");          // SHA-384
	REFUSED(signature, "\x03\x09\x01\x30\x06\x02\x01\x01\x02\x01\x01");              // unused bits
	REFUSED(signature, "\x03\x09\x00\x30\x06\x02\x01\x81\x02\x01\x01");              // negative r
	REFUSED(signature, "\x03\x0a\x00\x30\x07\x02\x02\x00\x01\x02\x01\x01");          // r not minimal
	REFUSED(extensions, "\x30\x0c\x06\x03\x55\x1d\x63\x01\x01\xff\x04\x02\x05\x00"); // unknown, critical
	REFUSED(extensions, "\x30\x0c\x06\x03\x55\x1d\x0e\x01\x01\x01\x04\x02\x04\x00"); // BER boolean
	REFUSED(extensions, "\x30\x0c\x06\x03\x55\x1d\x0e\x01\x01\x00\x04\x02\x04\x00"); // explicit default
	REFUSED(extensions,
		"\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x02\x01\x00");         // path length without CA
	REFUSED(extensions, "\x30\x80\x06\x03\x55\x1d\x13\x04\x02\x30\x00\x00\x00"); // indefinite length
	REFUSED(extensions, "\x30\x81\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00");     // length not minimal
	REFUSED(extensions, "\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00"
			    "\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00");      // twice
	REFUSED(subject, "\x30\x0b\x31\x09\x30\x07\x06\x03\x55\x04\x03\x0c\x00"); // empty name
	REFUSED(subject, "\x30\x02\x31\x01");                                     // cut inside
	REFUSED(signature, "\x03\x00");                                           // not even the unused bits
	REFUSED(version, "\x02\x01\x02\x05\x00");                                 // more than a version
	REFUSED(extensions, "\x04\x00");
	REFUSED(extensions, "\x30\x09\x06\x03\x55\x1d\x0e\x04\x02\x04\x00\x30"); // cut after the first
	c = good;
	c.extensions = S("\x30\x09\x06\x03\x55\x1d\x63\x04\x02\x05\x00"); // unknown, not critical
	assert_int_equal(parse_cert(&c, &x), 0);
	assert_false(x.is_ca || x.has_constraints);
	c.extensions =
		S("\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02");
	assert_int_equal(parse_cert(&c, &x), 0);
	assert_false(x.for_server); // clientAuth only
	c.extensions =
		S("\x30\x1d\x06\x03\x55\x1d\x25\x04\x16\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02"
		  "\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01");
	assert_int_equal(parse_cert(&c, &x), 0);
	assert_true(x.for_server); // serverAuth after clientAuth
	REFUSED(extensions, "\x30\x0b\x06\x03\x55\x1d\x25\x04\x04\x30\x02\x06\x01");         // cut
	REFUSED(extensions, "\x30\x0d\x06\x03\x55\x1d\x25\x04\x06\x30\x02\x06\x00\x05\x00"); // more
}

// X.690 section 11.2: one form of a set of named bits. Other readers mask the unused bits, so the same bytes
// would give them fewer rights than us.
static void key_usage(void **state)
{
	static const struct {
		const char *bits;
		size_t n;
		int want; // -1: refused
	} cases[] = {
#define USAGE(bits, want) { bits, sizeof bits - 1, want }
		USAGE("\x03\x02\x01\x06", 0x06), // keyCertSign, cRLSign
		USAGE("\x03\x02\x02\x04", 0x04),
		USAGE("\x03\x02\x06\xc0", 0xc0),
		USAGE("\x03\x02\x07\x80", 0x80),
		USAGE("\x03\x02\x00\x01", 0x01),
		USAGE("\x03\x03\x07\x08\x80", 0x08), // decipherOnly
		USAGE("\x03\x02\x00\x06", -1),       // a trailing zero bit
		USAGE("\x03\x02\x07\x06", -1),       // set bits among the unused
		USAGE("\x03\x02\x02\x06", -1),
		USAGE("\x03\x03\x07\x08\x00", -1),
		USAGE("\x03\x03\x00\x06\x00", -1),
		USAGE("\x03\x02\x08\x00", -1),
		USAGE("\x03\x02\xff\x06", -1),
		USAGE("\x03\x02\x01\x00", -1),
		USAGE("\x03\x01\x00", -1), // no usage at all
		USAGE("\x03\x00", -1),
		USAGE("\x03\x04\x07\x08\x80\x80", -1),
		USAGE("\x03\x02\x01\x06\x00", -1),
		USAGE("\x04\x02\x01\x06", -1),
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct build in = { .n = 0 }, extension = { .n = 0 };
		struct cert c = good;
		struct x509 x;

		add(&in, S("\x06\x03\x55\x1d\x0f\x01\x01\xff"));
		element(&in, DER_OCTET_STRING, span_of(cases[i].bits, cases[i].n));
		element(&extension, DER_SEQUENCE, built(&in));
		c.extensions = built(&extension);
		if (parse_cert(&c, &x) != (cases[i].want < 0 ? -1 : 0))
			fail_msg("case %zu", i);
		if (cases[i].want >= 0)
			assert_int_equal(x.usage, cases[i].want);
	}
}

static void every_byte_counts(void **state)
{
	struct span root = intel_root();
	struct x509 a, b;
	uint8_t copy[1024];

	(void)state;
	// A shorter or longer text is never a certificate, nor is one with a changed frame.
	for (size_t n = 0; n < root.n; n++)
		assert_int_equal(x509_parse(&a, span_of(root.p, n)), -1);
	memcpy(copy, root.p, root.n);
	copy[root.n] = 0;
	assert_int_equal(x509_parse(&a, span_of(copy, root.n + 1)), -1);
	assert_int_equal(x509_parse(&a, root), 0);
	for (size_t i = 0; i < 4; i++) {
		copy[i] ^= 1;
		assert_int_equal(x509_parse(&b, span_of(copy, root.n)), -1);
		copy[i] ^= 1;
	}
}

static void revocation_lists(void **state)
{
	static const char inside[] = "\x02\x01\x01";
	static const char times[] = "\x17\x0d"
				    "200101000000Z"
				    "\x17\x0d"
				    "210101000000Z";
	static const struct {
		const char *rest;
		size_t n;
		int want;
	} cases[] = {
#define REST(text, want) { text, sizeof text - 1, want }
		REST("", 0),
		REST("\x30\x14\x30\x12\x02\x01\x07\x17\x0d"
		     "200101000000Z",
		     0),
		REST("\x30\x14\x30\x12\x02\x01\x87\x17\x0d"
		     "200101000000Z",
		     -1), // negative serial
		REST("\xa0\x0e\x30\x0c\x30\x0a\x06\x03\x55\x1d\x14\x04\x03\x02\x01\x01", 0),
		REST("\xa0\x11\x30\x0f\x30\x0d\x06\x03\x55\x1d\x1b\x01\x01\xff\x04\x03\x02\x01\x01",
		     -1), // delta
		REST("\xa0\x11\x30\x0f\x30\x0d\x06\x03\x55\x1d\x1c\x01\x01\xff\x04\x03\x02\x01\x01",
		     -1), // partial
		REST("\x05\x00", -1),
		REST("\xa0\x11\x30\x0f\x30\x0d\x06\x03\x55\x1d\x14\x01\x01\xff\x04\x03\x02\x01\x01",
		     0), // its number, critical
		REST("\xa0\x0f\x30\x0d\x30\x0b\x06\x03\x55\x1d\x23\x01\x01\xff\x04\x01\x00", 0), // key id
		REST("\xa0\x0d\x30\x0b\x06\x03\x55\x1d\x23\x01\x01\xff\x04\x01\x00", -1),        // no list
		REST("\xa0\x05\x30\x03\x30\x05\x06", -1),                                        // cut
		REST("\xa0\x04\x30\x02\x30\x01", -1),
		REST("\x30\x02\x30\x05", -1),
		REST("\x30\x20\x30\x1e\x02\x01\x07\x17\x0d"
		     "200101000000Z"
		     "\x30\x0a\x30\x08\x06\x03\x55\x1d\x15\x04\x01\x00",
		     0), // with a reason
		REST("\x30\x23\x30\x21\x02\x01\x07\x17\x0d"
		     "200101000000Z"
		     "\x30\x0d\x30\x0b\x06\x03\x55\x1d\x15\x01\x01\xff\x04\x01\x00",
		     0), // critical
		REST("\x30\x23\x30\x21\x02\x01\x07\x17\x0d"
		     "200101000000Z"
		     "\x30\x0d\x30\x0b\x06\x03\x55\x1d\x1d\x01\x01\xff\x04\x01\x00",
		     -1), // another issuer's certificate
	};
	struct x509_crl crl;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct build tbs = { .n = 0 }, all = { .n = 0 }, outer = { .n = 0 };
		add(&tbs, S(inside));
		add(&tbs, S(algorithm));
		add(&tbs, S(name));
		add(&tbs, S(times));
		add(&tbs, span_of(cases[i].rest, cases[i].n));
		element(&all, DER_SEQUENCE, built(&tbs));
		add(&all, S(algorithm));
		add(&all, S(signature));
		element(&outer, DER_SEQUENCE, built(&all));
		assert_int_equal(x509_crl_parse(&crl, built(&outer)), cases[i].want);
		if (!cases[i].want)
			assert_int_equal(x509_crl_has(&crl, S("\x07")),
					 span_eq(span_sub(crl.list, 0, 1), S("\x30")));
	}
	assert_int_equal(x509_crl_parse(&crl, S("")), -1);
	// A list that cannot be read revokes everything.
	crl.list = S("\x30\x05\x02\x01\x07\x05\x00\x30");
	assert_true(x509_crl_has(&crl, S("\x07")) && x509_crl_has(&crl, S("\x08")));
	crl.list = S("\x30\x02\x05\x00");
	assert_true(x509_crl_has(&crl, S("\x08")));
	crl.list = S("");
	assert_false(x509_crl_has(&crl, S("\x07")));
}

static void pem(void **state)
{
#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END   "-----END CERTIFICATE-----"
	static const struct {
		const char *text;
		int want;
		size_t n;
	} cases[] = {
		{ "", 0, 0 },
		{ " \r\n\t", 0, 0 },
		{ BEGIN "\nAQID\n" END, 1, 3 },
		{ "\n" BEGIN "\r\nAQ\r\nI=\r\n" END "\n", 1, 2 },
		{ BEGIN "AQ==" END, 1, 1 },
		{ BEGIN "AQ=" END, -1, 0 },
		{ BEGIN "AQ" END, -1, 0 },
		{ BEGIN "AR==" END, -1, 0 }, // bits that are not there
		{ BEGIN "AQI" END, -1, 0 },
		{ BEGIN "A" END, -1, 0 },
		{ BEGIN "AQ==AQ==" END, -1, 0 },
		{ BEGIN "AQ ID" END, -1, 0 },
		{ BEGIN END, -1, 0 },
		{ BEGIN "AQID", -1, 0 },
		{ "x" BEGIN "AQID" END, -1, 0 },
		{ "-----BEGIN PUBLIC KEY-----AQID-----END PUBLIC KEY-----", -1, 0 },
	};
	uint8_t out[64];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rd in = rd_span(span_str(cases[i].text));
		int got = pem_next(&in, out, sizeof out, &n);
		if (got != cases[i].want)
			fail_msg("case %zu: %d", i, got);
		if (got == 1)
			assert_int_equal(n, cases[i].n);
	}
	struct rd in = rd_from(BEGIN "AQID" END "\0\n", sizeof(BEGIN "AQID" END "\0\n") - 1);
	assert_int_equal(pem_next(&in, out, 2, &n), -1); // does not fit
	in = rd_from(BEGIN "AQID" END "\0\n", sizeof(BEGIN "AQID" END "\0\n") - 1);
	assert_int_equal(pem_next(&in, out, 3, &n), 1);
	assert_int_equal(pem_next(&in, out, 3, &n), 0);
	in.bad = true; // the end of what could not be read is no end
	assert_int_equal(pem_next(&in, out, 3, &n), -1);
}

static void times(void **state)
{
	static const struct {
		const char *text;
		uint64_t want; // 0: refused
	} cases[] = {
		{ "1970-01-01T00:00:01Z", 1 },
		{ "2000-02-29T00:00:00Z", 951782400 },
		{ "2025-06-22T10:30:48Z", 1750588248 },
		{ "2100-03-01T00:00:00Z", 4107542400 },
		{ "9999-12-31T23:59:59Z", 253402300799 },
		{ "1969-12-31T23:59:59Z", 0 },
		{ "2100-02-29T00:00:00Z", 0 },
		{ "2025-06-31T00:00:00Z", 0 },
		{ "2025-13-01T00:00:00Z", 0 },
		{ "2025-06-01T24:00:00Z", 0 },
		{ "2025-06-01T00:60:00Z", 0 },
		{ "2025-06-01T00:00:60Z", 0 },
		{ "2025-06-01 00:00:00Z", 0 },
		{ "2025-06-01T00:00:00+00:00", 0 },
		{ "2025-06-01T00:00:00.5Z", 0 },
		{ "2025-0a-01T00:00:00Z", 0 },
		{ "-025-06-01T00:00:00Z", 0 },
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t t;
		assert_int_equal(utc_rfc3339(span_str(cases[i].text), &t), cases[i].want ? 0 : -1);
		assert_true(t == cases[i].want);
		if (!cases[i].want)
			continue;
		struct wr w = wr_to(text, sizeof text);
		wr_utc(&w, t);
		assert_true(span_is(span_of(text, w.n), cases[i].text));
	}
}

static void der_numbers(void **state)
{
	struct rd r = rd_span(S("\x02\x03\x00\xff\xff"));

	(void)state;
	assert_int_equal(der_u32(&r, 0xffff), 0xffff); // PCESVN with a leading zero byte
	assert_false(r.bad);
	r = rd_span(S("\x02\x03\x01\x00\x00"));
	(void)der_u32(&r, 0xffff);
	assert_true(r.bad);
	r = rd_span(S("\x02\x05\x01\x00\x00\x00\x00"));
	(void)der_u32(&r, UINT32_MAX);
	assert_true(r.bad);
	r = rd_span(S("\x04\x84\x00\x00\x00\x01x"));
	(void)der_any(&r);
	assert_true(r.bad);
	r = rd_span(S("\x1f\x01\x00"));
	(void)der_any(&r);
	assert_true(r.bad);
	static const struct {
		const char *text;
		size_t n;
	} bad[] = {
#define LENGTH(text) { text, sizeof text - 1 }
		LENGTH(""),
		LENGTH("\x04"),
		LENGTH("\x04\x01"),
		LENGTH("\x04\x80\x00\x00"),  // indefinite
		LENGTH("\x04\xff"),          // reserved
		LENGTH("\x04\x81\x01x"),     // 1 in two bytes
		LENGTH("\x04\x82\x00\x01x"), // in three
		LENGTH("\x04\x81"),
		LENGTH("\x04\x82\x01"),
		LENGTH("\x04\x83\xff\xff\xff"),
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		r = rd_from(bad[i].text, bad[i].n);
		assert_null(der_any(&r).whole.p);
		assert_true(r.bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates),
		cmocka_unit_test(key_usage),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(revocation_lists),
		cmocka_unit_test(pem),
		cmocka_unit_test(times),
		cmocka_unit_test(der_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
