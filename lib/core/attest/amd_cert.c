#include "core/attest/amd_cert.h"

#include "core/codec/der.h"
#include "core/codec/x509_part.h"

enum { IA5_STRING = 0x16, EXPONENT = 65537, SPL_FIRST = 1, SPL_LAST = 9 };

#define BYTES(...) span_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define OID_SHA384 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00
#define PSS_OID    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a
#define PSS_PARAMETERS                                                                                       \
	0xa0, 0x0f, OID_SHA384, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,      \
		0x01, 0x01, 0x08, OID_SHA384, 0xa2, 0x03, 0x02, 0x01, 0x30
// RFC 8017 A.2.3. AMD spells the trailer field out in some certificates, which DER would leave away.
#define PSS         BYTES(0x30, 0x41, PSS_OID, 0x30, 0x34, PSS_PARAMETERS)
#define PSS_TRAILER BYTES(0x30, 0x46, PSS_OID, 0x30, 0x39, PSS_PARAMETERS, 0xa3, 0x03, 0x02, 0x01, 0x01)

#define RSA_ENCRYPTION                                                                                       \
	BYTES(0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00)
#define P384_KEY                                                                                             \
	BYTES(0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,      \
	      0x04, 0x00, 0x22)
#define KEY_USAGE BYTES(0x55, 0x1d, 0x0f)
// 1.3.6.1.4.1.3704.1
#define AMD_ARC BYTES(0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01)

enum amd_extension { AMD_VERSION = 1, AMD_PRODUCT = 2, AMD_SPL = 3, AMD_HWID = 4, AMD_CSP = 5 };

// One of the two accepted forms.
static struct span read_algorithm(struct rd *in)
{
	struct der d = der_any(in);

	if (!span_eq(d.whole, PSS) && !span_eq(d.whole, PSS_TRAILER))
		in->bad = true;
	return d.whole;
}

// SEQUENCE { tbs, algorithm, BIT STRING signature }
static struct rd open_signed(struct span der, struct span *tbs, struct span *algorithm, struct span *sig)
{
	struct rd all = rd_span(der), outer = der_enter(&all, DER_SEQUENCE);
	struct der body = der_any(&outer);
	struct rd in = rd_span(body.body);

	der_end(&all);
	*algorithm = read_algorithm(&outer);
	struct rd bits = der_enter(&outer, DER_BIT_STRING);
	der_end(&outer);
	uint8_t unused = rd_u8(&bits);
	*sig = rd_bytes(&bits, AMD_RSA);
	der_end(&bits);
	*tbs = body.whole;
	in.bad = all.bad || outer.bad || bits.bad || unused || body.tag != DER_SEQUENCE;
	return in;
}

static void read_rsa(struct rd *bits, struct span *key)
{
	struct rd pair = der_enter(bits, DER_SEQUENCE);

	*key = der_unsigned(&pair, AMD_RSA);
	if (der_u32(&pair, EXPONENT) != EXPONENT || key->n != AMD_RSA)
		bits->bad = true;
	der_end(&pair);
	if (pair.bad)
		bits->bad = true;
}

static void read_key(struct rd *in, struct amd_cert *c)
{
	struct rd info = der_enter(in, DER_SEQUENCE);
	struct span kind = der_any(&info).whole;
	struct rd bits = der_enter(&info, DER_BIT_STRING);

	der_end(&info);
	c->is_ec = span_eq(kind, P384_KEY);
	if ((!c->is_ec && !span_eq(kind, RSA_ENCRYPTION)) || rd_u8(&bits) != 0)
		bits.bad = true;
	if (!c->is_ec) {
		read_rsa(&bits, &c->key);
	} else if (rd_u8(&bits) == 4) { // uncompressed
		c->key = rd_bytes(&bits, AMD_P384);
	} else {
		bits.bad = true;
	}
	der_end(&bits);
	if (info.bad || bits.bad)
		in->bad = true;
}

static bool read_number(uint32_t *out, struct span value)
{
	struct rd r = rd_span(value);

	*out = der_u32(&r, 255);
	der_end(&r);
	return !r.bad;
}

static bool read_string(struct span *out, uint8_t tag, struct span value)
{
	struct rd r = rd_span(value);

	if (out->p)
		return false;
	*out = der_take(&r, tag);
	der_end(&r);
	return !r.bad && out->n;
}

// The chip's identifier stands there bare, in some certificates as an OCTET STRING of its own.
static bool read_hwid(struct span *out, struct span value)
{
	if (out->p || !value.n)
		return false;
	*out = value;
	if (value.n == 64 || value.n == 8)
		return true;
	*out = (struct span){ 0 };
	return read_string(out, DER_OCTET_STRING, value);
}

// `arc`: what follows 1.3.6.1.4.1.3704.1 in the identifier.
static bool read_amd(struct amd_cert *c, struct span arc, struct span value)
{
	uint32_t v;

	if (arc.n == 2 && arc.p[0] == AMD_SPL && arc.p[1] >= SPL_FIRST && arc.p[1] <= SPL_LAST) {
		uint16_t bit = (uint16_t)(1u << arc.p[1]);
		if (c->has & bit || !read_number(&v, value))
			return false;
		c->has |= bit;
		c->spl[arc.p[1]] = (uint8_t)v;
		return true;
	}
	switch (arc.n == 1 ? arc.p[0] : 0) {
	case AMD_VERSION:
		if (c->has_version)
			return false;
		c->has_version = true;
		return read_number(&c->version, value);
	case AMD_PRODUCT:
		return read_string(&c->product, IA5_STRING, value);
	case AMD_HWID:
		return read_hwid(&c->hwid, value);
	case AMD_CSP:
		return read_string(&c->csp, IA5_STRING, value);
	default:
		return false; // of this arc everything is known
	}
}

// AMD's ASKs have a key usage with a zero bit at its end, which DER would leave away. Bits that do not count
// must be zero.
static bool read_usage(struct amd_cert *c, struct span value)
{
	struct rd r = rd_span(value), bits = der_enter(&r, DER_BIT_STRING);
	uint8_t unused = rd_u8(&bits);

	der_end(&r);
	c->x.usage = rd_u8(&bits);
	der_end(&bits);
	return !r.bad && !bits.bad && unused < 8 && !(c->x.usage & ((1u << unused) - 1));
}

static bool read_extensions(struct amd_cert *c, struct rd *list)
{
	struct span oid, value, arc = AMD_ARC;
	uint32_t seen = 0;
	bool critical, has_usage = false;

	while (rd_left(list)) {
		if (!x509_part_open(list, &oid, &value, &critical))
			return false;
		if (span_eq(oid, KEY_USAGE)) {
			if (has_usage || !read_usage(c, value))
				return false;
			has_usage = true;
			continue;
		}
		bool is_amd = oid.n > arc.n && span_eq(span_of(oid.p, arc.n), arc);
		if (is_amd ? !read_amd(c, span_sub(oid, arc.n, oid.n - arc.n), value)
			   : !x509_part_standard(&c->x, oid, value, critical, &seen))
			return false;
	}
	return !list->bad;
}

// `outer`: the algorithm outside, which must be the same inside; empty when there is none.
static int read_tbs(struct amd_cert *c, struct rd in, struct span outer)
{
	struct span unused = { 0 };
	struct rd version = der_enter(&in, X509_TAG_VERSION);

	if (der_u32(&version, 2) != 2)
		in.bad = true;
	der_end(&version);
	c->x.serial = der_unsigned(&in, X509_SERIAL_MAX);
	struct span inner = read_algorithm(&in);
	if (outer.n && !span_eq(inner, outer))
		in.bad = true;
	x509_part_name(&in, &c->x.issuer, &unused);
	struct rd validity = der_enter(&in, DER_SEQUENCE);
	c->x.not_before = der_time(&validity);
	c->x.not_after = der_time(&validity);
	der_end(&validity);
	x509_part_name(&in, &c->x.subject, &c->x.common_name);
	read_key(&in, c);
	struct rd holder = der_enter(&in, X509_TAG_EXTENSIONS), list = der_enter(&holder, DER_SEQUENCE);
	der_end(&holder);
	der_end(&in);
	if (in.bad || version.bad || validity.bad || holder.bad || list.bad)
		return -1;
	return read_extensions(c, &list) ? 0 : -1;
}

int amd_cert_parse(struct amd_cert *c, struct span der)
{
	struct span outer;

	*c = (struct amd_cert){ .x = { .der = der, .path_limit = X509_NO_PATH_LIMIT } };
	struct rd in = open_signed(der, &c->x.tbs, &outer, &c->sig);

	return read_tbs(c, in, outer);
}

int amd_tbs_parse(struct amd_cert *c, struct span tbs)
{
	struct rd all = rd_span(tbs), in = der_enter(&all, DER_SEQUENCE);

	*c = (struct amd_cert){ .x = { .der = tbs, .tbs = tbs, .path_limit = X509_NO_PATH_LIMIT } };
	der_end(&all);
	in.bad = all.bad;
	return read_tbs(c, in, (struct span){ 0 });
}

int amd_crl_parse(struct amd_crl *c, struct span der)
{
	struct span outer;

	*c = (struct amd_crl){ 0 };
	struct rd in = open_signed(der, &c->x.tbs, &outer, &c->sig);
	if (der_u32(&in, 1) != 1)
		in.bad = true;
	der_literal(&in, outer);
	return x509_part_crl(&c->x, &in);
}
