// The core's reader of RA-TLS certificates against certificates put together by hand: every part may be
// missing, doubled, malformed or unusual. It reads; what a certificate proves is decided by the verdict.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/verify/parts.h"

static uint8_t memory[1 << 20];
static size_t used;

static struct span tlv(uint8_t tag, const struct span *part, size_t n)
{
	struct wr w = wr_to(memory + used, sizeof memory - used);
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += part[i].n;
	wr_u8(&w, tag);
	if (size >= 0x100) {
		wr_u8(&w, 0x82);
		wr_be16(&w, (uint16_t)size);
	} else {
		if (size >= 0x80)
			wr_u8(&w, 0x81);
		wr_u8(&w, (uint8_t)size);
	}
	for (size_t i = 0; i < n; i++)
		wr_span(&w, part[i]);
	assert_false(w.bad);
	used += w.n;
	return span_of(w.p, w.n);
}
#define TLV(tag, ...)                                                                                        \
	tlv(tag, (struct span[]){ __VA_ARGS__ }, sizeof((struct span[]){ __VA_ARGS__ }) / sizeof(struct span))

static const struct span nothing;

// One after the other, without a head.
static struct span join(const struct span *part, size_t n)
{
	struct wr w = wr_to(memory + used, sizeof memory - used);

	for (size_t i = 0; i < n; i++)
		wr_span(&w, part[i]);
	assert_false(w.bad);
	used += w.n;
	return span_of(w.p, w.n);
}

static struct span text(const char *s)
{
	return span_str(s);
}

// dstack's extension x, its payload in the two OCTET STRINGs that there must be.
static struct span dstack(char x, const char *payload)
{
	uint8_t *oid = memory + used;

	memcpy(oid, "\x2b\x06\x01\x04\x01\x83\xe7\x3d\x01", 9);
	oid[9] = (uint8_t)x;
	used += 10;
	return TLV(0x30, TLV(6, span_of(oid, 10)), TLV(4, TLV(4, text(payload))));
}

struct parts {
	struct span version, serial, algorithm, issuer, validity, subject, key, ids, extensions, behind,
		signature;
};

static struct parts good(void)
{
	used = 0;
	struct span name = TLV(0x30, nothing), time = TLV(0x17, text("250101000000Z"));
	struct span much = TLV(0x18, text("20990101000000Z"));

	return (struct parts){
		.version = TLV(0xa0, TLV(2, span_of("\2", 1))),
		.serial = TLV(2, span_of("\1", 1)),
		.algorithm = TLV(0x30, nothing),
		.issuer = name,
		.validity = TLV(0x30, time, much),
		.subject = name,
		.key = TLV(0x30, TLV(3, text("key"))),
		.extensions = dstack(3, "0123456789abcdefghij"),
		.signature = TLV(3, text("sig")),
	};
}

static struct span whole(const struct parts *p)
{
	struct span list = p->extensions.p ? TLV(0xa3, TLV(0x30, p->extensions)) : nothing;
	struct span tbs = TLV(0x30, p->version, p->serial, p->algorithm, p->issuer, p->validity, p->subject,
			      p->key, p->ids, list, p->behind);

	return TLV(0x30, tbs, p->algorithm, p->signature);
}

static struct verify_cert cert;

static void reads(const struct parts *p)
{
	struct fault f = { 0 };

	if (certificate_read(&cert, whole(p), &f))
		fail_msg("%s: %s", f.code, f.text);
}

static void refuses(const struct parts *p, const char *code)
{
	struct fault f = { 0 };

	assert_int_equal(certificate_read(&cert, whole(p), &f), -1);
	assert_string_equal(f.code, code);
}

static void what_is_in_it(void **state)
{
	struct parts p = good();

	(void)state;
	reads(&p);
	assert_true(span_eq(cert.spki, p.key));
	assert_true(span_is(cert.app_id, "0123456789abcdefghij"));
	assert_null(cert.attestation.p);
	assert_int_equal(cert.not_before, 1735689600);
	assert_int_equal(cert.not_after, 4070908800);
	struct span all[] = { dstack(1, "quote"), dstack(2, "log"),      dstack(3, "app"),
			      dstack(4, "use"),   dstack(8, "evidence"), dstack(9, "info") };

	p.extensions = join(all, 6);
	reads(&p);
	assert_true(span_is(cert.quote, "quote") && span_is(cert.event_log, "log") &&
		    span_is(cert.app_id, "app"));
	assert_true(span_is(cert.usage, "use") && span_is(cert.attestation, "evidence") &&
		    span_is(cert.app_info, "info"));
}

static void what_may_be_otherwise(void **state)
{
	struct parts p = good();

	(void)state;
	p.extensions = nothing;
	reads(&p);
	assert_null(cert.app_id.p);
	p = good();
	p.ids = TLV(0x81, text("\0id"));
	reads(&p);
	p.ids = TLV(0x82, text("\0id"));
	reads(&p);
	p.extensions = TLV(0x30, TLV(6, text("\x55\x1d\x0f")), TLV(1, span_of("\xff", 1)), TLV(4, text("x")));
	reads(&p); // another's, critical
	p.extensions = dstack(7, "unknown arc");
	reads(&p);
	p.extensions = TLV(0x30, TLV(6, text("0123456789")), TLV(4, text("x"))); // as long an OID
	reads(&p);
	p.extensions = dstack(8, "");
	reads(&p);
	assert_true(cert.attestation.p && !cert.attestation.n);
}

static void what_must_be_there(void **state)
{
	struct parts p;
	struct span *const part[] = { &p.version,  &p.serial,  &p.algorithm, &p.issuer,
				      &p.validity, &p.subject, &p.key,       &p.signature };

	(void)state;
	for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
		p = good();
		*part[i] = nothing;
		refuses(&p, "ratls.certificate");
		p = good();
		*part[i] = TLV(5, nothing);
		refuses(&p, "ratls.certificate");
	}
	p = good();
	p.version = TLV(0xa0, TLV(2, span_of("\1", 1))); // v2
	refuses(&p, "ratls.certificate");
	p.version = TLV(0xa0, TLV(2, span_of("\2", 1)), TLV(2, span_of("\2", 1)));
	refuses(&p, "ratls.certificate");
	p = good();
	p.validity = TLV(0x30, TLV(0x17, text("250101000000Z")));
	refuses(&p, "ratls.certificate");
	p.validity = TLV(0x30, TLV(0x17, text("250101000000Z")), TLV(0x17, text("251301000000Z")));
	refuses(&p, "ratls.certificate");
	p = good();
	p.behind = TLV(5, nothing);
	refuses(&p, "ratls.certificate");
	p = good();
	struct span der = whole(&p);
	struct fault f;

	for (size_t n = 0; n < der.n; n++)
		assert_int_equal(certificate_read(&cert, span_of(der.p, n), &f), -1);
	assert_int_equal(certificate_read(&cert, der, &f), 0);
	memory[used] = 0;
	assert_int_equal(certificate_read(&cert, span_of(der.p, der.n + 1), &f), -1);
}

static void extensions_that_are_refused(void **state)
{
	struct parts p = good();
	struct span one = dstack(8, "evidence"), many[70];

	(void)state;
	p.extensions = join((struct span[]){ one, one }, 2);
	refuses(&p, "cert.extension"); // twice
	struct span oid = TLV(6, text("\x2b\x06\x01\x04\x01\x83\xe7\x3d\x01\x08"));

	p.extensions = TLV(0x30, oid, TLV(4, text("evidence"))); // one OCTET STRING only
	refuses(&p, "cert.extension");
	p.extensions = TLV(0x30, oid, TLV(4, TLV(4, text("a")), TLV(4, text("b"))));
	refuses(&p, "cert.extension");
	p.extensions = TLV(0x30, oid);
	refuses(&p, "ratls.certificate");
	p.extensions = TLV(0x30, oid, TLV(1, span_of("\1", 1)), TLV(4, TLV(4, text("a")))); // TRUE is FF
	refuses(&p, "ratls.certificate");
	p.extensions = TLV(0x30, oid, TLV(4, TLV(4, text("a"))), TLV(5, nothing));
	refuses(&p, "ratls.certificate");
	p.extensions = TLV(5, nothing);
	refuses(&p, "ratls.certificate");
	p.extensions = nothing;
	p.behind = TLV(0xa3, TLV(0x30, one), TLV(0x30, one)); // two lists
	refuses(&p, "ratls.certificate");
	p.behind = TLV(0xa3, TLV(5, nothing));
	refuses(&p, "ratls.certificate");
	p.behind = TLV(0xa3, TLV(0x30, span_of("\x30\x7f\x01", 3)));
	refuses(&p, "ratls.certificate");
	for (size_t i = 0; i < 70; i++)
		many[i] = TLV(0x30, TLV(6, text("\x55\x1d\x0f")), TLV(4, text("x")));
	for (size_t n = 64; n <= 65; n++) {
		p.behind = TLV(0xa3, tlv(0x30, many, n));
		if (n == 64)
			reads(&p);
		else
			refuses(&p, "ratls.certificate");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_it),
		cmocka_unit_test(what_may_be_otherwise),
		cmocka_unit_test(what_must_be_there),
		cmocka_unit_test(extensions_that_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
