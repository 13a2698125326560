#include "core/codec/x509.h"

#include "core/codec/der.h"
#include "core/codec/x509_part.h"

// id-ce is 2.5.29; the last byte tells the extensions apart.
enum {
	CE_SKI = 14,
	CE_KEY_USAGE = 15,
	CE_BASIC_CONSTRAINTS = 19,
	CE_CRL_NUMBER = 20,
	CE_CRL_REASON = 21,
	CE_CRL_POINTS = 31,
	CE_AKI = 35,
	CE_EXT_KEY_USAGE = 37,
	TAG_CRL_EXTENSIONS = 0xa0,
};

#define BYTES(...)        span_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define ECDSA_WITH_SHA256 BYTES(0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)
#define P256_KEY_HEAD                                                                                        \
	BYTES(0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,      \
	      0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04)
#define OID_SGX         BYTES(0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01)
#define OID_COMMON_NAME BYTES(0x55, 0x04, 0x03)
#define OID_SERVER_AUTH BYTES(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01)

static int standard_id(struct span oid)
{
	return oid.n == 3 && oid.p[0] == 0x55 && oid.p[1] == 0x1d ? oid.p[2] : -1;
}

// SEQUENCE { tbs, algorithm, BIT STRING signature }
static struct rd open_signed(struct span der, struct span *tbs, uint8_t sig[64])
{
	struct rd all = rd_span(der), outer = der_enter(&all, DER_SEQUENCE);
	struct der body = der_any(&outer);
	struct rd in = rd_span(body.body);

	der_end(&all);
	der_literal(&outer, ECDSA_WITH_SHA256);
	struct rd bits = der_enter(&outer, DER_BIT_STRING);
	der_end(&outer);
	uint8_t unused = rd_u8(&bits);
	struct span value = rd_bytes(&bits, rd_left(&bits));
	*tbs = body.whole;
	in.bad = all.bad || outer.bad || bits.bad || unused || body.tag != DER_SEQUENCE ||
		 der_ecdsa_p256(value, sig);
	return in;
}

void x509_part_name(struct rd *r, struct span *name, struct span *common)
{
	struct der all = der_any(r);
	struct rd names = rd_span(all.body);

	*name = all.whole;
	if (all.tag != DER_SEQUENCE)
		r->bad = true;
	while (!r->bad && rd_left(&names)) {
		struct rd set = der_enter(&names, DER_SET), pair = der_enter(&set, DER_SEQUENCE);
		struct span type = der_take(&pair, DER_OID);
		struct span value = der_any(&pair).body;
		der_end(&pair);
		der_end(&set);
		if (names.bad || set.bad || pair.bad || !value.n)
			r->bad = true;
		if (span_eq(type, OID_COMMON_NAME)) {
			if (common->p)
				r->bad = true;
			*common = value;
		}
	}
	if (names.bad)
		r->bad = true;
}

static bool read_constraints(struct x509 *c, struct span value)
{
	struct rd r = rd_span(value), in = der_enter(&r, DER_SEQUENCE);

	der_end(&r);
	c->has_constraints = true;
	c->is_ca = der_true(&in);
	if (rd_left(&in)) {
		c->path_limit = der_u32(&in, X509_NO_PATH_LIMIT - 1);
		if (!c->is_ca)
			return false;
	}
	der_end(&in);
	return !r.bad && !in.bad;
}

// X.690 section 11.2: unused bits are zero and the last used one is set, so that a set of names has one form.
static bool read_usage(struct x509 *c, struct span value)
{
	struct rd r = rd_span(value), bits = der_enter(&r, DER_BIT_STRING);
	uint8_t unused = rd_u8(&bits), last = c->usage = rd_u8(&bits);

	der_end(&r);
	if (rd_left(&bits))
		last = rd_u8(&bits); // decipherOnly
	der_end(&bits);
	return !r.bad && !bits.bad && unused < 8 && (last & ((2u << unused) - 1)) == 1u << unused;
}

static bool read_extended_usage(struct x509 *c, struct span value)
{
	struct rd r = rd_span(value), in = der_enter(&r, DER_SEQUENCE);

	der_end(&r);
	c->for_server = false;
	while (!in.bad && rd_left(&in))
		if (span_eq(der_take(&in, DER_OID), OID_SERVER_AUTH))
			c->for_server = true;
	return !r.bad && !in.bad;
}

bool x509_part_open(struct rd *list, struct span *oid, struct span *value, bool *critical)
{
	struct rd in = der_enter(list, DER_SEQUENCE);

	*oid = der_take(&in, DER_OID);
	*critical = der_true(&in);
	*value = der_take(&in, DER_OCTET_STRING);
	der_end(&in);
	return !in.bad;
}

bool x509_part_standard(struct x509 *c, struct span oid, struct span value, bool critical, uint32_t *seen)
{
	uint32_t bit = 0;
	bool ok = true;

	switch (standard_id(oid)) {
	case CE_BASIC_CONSTRAINTS:
		bit = 2;
		ok = read_constraints(c, value);
		break;
	case CE_KEY_USAGE:
		bit = 4;
		ok = read_usage(c, value);
		break;
	case CE_EXT_KEY_USAGE:
		bit = 8;
		ok = read_extended_usage(c, value);
		break;
	case CE_SKI:
		bit = 16;
		break;
	case CE_AKI:
		bit = 32;
		break;
	case CE_CRL_POINTS:
		bit = 64;
		break;
	default:
		ok = !critical;
	}
	if (*seen & bit)
		return false;
	*seen |= bit;
	return ok;
}

static bool read_extension(struct x509 *c, struct rd *list, uint32_t *seen)
{
	struct span oid, value;
	bool critical;

	if (!x509_part_open(list, &oid, &value, &critical))
		return false;
	if (!span_eq(oid, OID_SGX))
		return x509_part_standard(c, oid, value, critical, seen);
	c->sgx_twice = c->sgx.p != NULL;
	c->sgx = value;
	return true;
}

int x509_parse(struct x509 *c, struct span der)
{
	struct span unused = { 0 };
	uint32_t seen = 0;

	*c = (struct x509){ .der = der, .for_server = true, .path_limit = X509_NO_PATH_LIMIT };
	struct rd in = open_signed(der, &c->tbs, c->sig);
	struct rd version = der_enter(&in, X509_TAG_VERSION);
	if (der_u32(&version, 2) != 2)
		in.bad = true;
	der_end(&version);
	c->serial = der_unsigned(&in, X509_SERIAL_MAX);
	der_literal(&in, ECDSA_WITH_SHA256);
	x509_part_name(&in, &c->issuer, &unused);
	struct rd validity = der_enter(&in, DER_SEQUENCE);
	c->not_before = der_time(&validity);
	c->not_after = der_time(&validity);
	der_end(&validity);
	x509_part_name(&in, &c->subject, &c->common_name);
	der_literal(&in, P256_KEY_HEAD);
	rd_copy(&in, c->key, 64);
	struct rd holder = der_enter(&in, X509_TAG_EXTENSIONS), list = der_enter(&holder, DER_SEQUENCE);
	der_end(&holder);
	der_end(&in);
	if (in.bad || version.bad || validity.bad || holder.bad)
		return -1;
	while (rd_left(&list))
		if (!read_extension(c, &list, &seen))
			return -1;
	return 0;
}

// Extensions of a CRL or of an entry: `known` are the ones that may be critical, too.
static void skip_extensions(struct rd *r, int known1, int known2)
{
	struct rd list = der_enter(r, DER_SEQUENCE);

	while (!r->bad && rd_left(&list)) {
		struct rd in = der_enter(&list, DER_SEQUENCE);
		int id = standard_id(der_take(&in, DER_OID));
		bool critical = der_true(&in);
		der_take(&in, DER_OCTET_STRING);
		der_end(&in);
		if (in.bad || (critical && id != known1 && id != known2))
			r->bad = true;
	}
	if (list.bad)
		r->bad = true;
}

int x509_part_crl(struct x509_crl *c, struct rd *in)
{
	struct span unused = { 0 };

	x509_part_name(in, &c->issuer, &unused);
	c->this_update = der_time(in);
	c->next_update = der_time(in);
	if (der_at(in, DER_SEQUENCE))
		c->list = der_take(in, DER_SEQUENCE);
	if (rd_left(in)) {
		struct rd holder = der_enter(in, TAG_CRL_EXTENSIONS);
		skip_extensions(&holder, CE_AKI, CE_CRL_NUMBER);
		der_end(&holder);
		in->bad |= holder.bad;
	}
	der_end(in);
	struct rd list = rd_span(c->list);
	while (!in->bad && rd_left(&list)) {
		struct rd entry = der_enter(&list, DER_SEQUENCE);
		der_unsigned(&entry, X509_SERIAL_MAX);
		der_time(&entry);
		if (rd_left(&entry))
			skip_extensions(&entry, CE_CRL_REASON, -1);
		der_end(&entry);
		in->bad |= entry.bad;
	}
	return in->bad ? -1 : 0;
}

int x509_crl_parse(struct x509_crl *c, struct span der)
{
	*c = (struct x509_crl){ 0 };
	struct rd in = open_signed(der, &c->tbs, c->sig);
	if (der_u32(&in, 1) != 1)
		in.bad = true;
	der_literal(&in, ECDSA_WITH_SHA256);
	return x509_part_crl(c, &in);
}

bool x509_crl_has(const struct x509_crl *c, struct span serial)
{
	struct rd list = rd_span(c->list);

	while (rd_left(&list)) {
		struct rd entry = der_enter(&list, DER_SEQUENCE);
		struct span s = der_unsigned(&entry, X509_SERIAL_MAX);
		if (entry.bad || span_eq(s, serial))
			return true;
	}
	return false;
}

bool x509_name_has(const struct x509 *c, const char *text)
{
	struct span want = span_str(text);

	for (size_t i = 0; i + want.n <= c->common_name.n; i++)
		if (span_eq(span_of(c->common_name.p + i, want.n), want))
			return true;
	return false;
}
