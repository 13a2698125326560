#include "cert.h"

#include <stdio.h>
#include <string.h>

#include "base/sb.h"

#define SGX     "1.2.840.113741.1.13.1"
#define CRL_URL "http://127.0.0.1/sgx/certification/v4/rootcacrl"

static void put_algorithm(struct asn *d)
{
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, "1.2.840.10045.4.3.2");
	asn_close(d, at);
}

static void put_attribute(struct asn *d, const char *oid, int tag, const char *value)
{
	size_t set = asn_open(d, ASN_SET), seq = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, oid);
	asn_text(d, tag, value);
	asn_close(d, seq);
	asn_close(d, set);
}

static void put_name(struct asn *d, const char *cn)
{
	size_t at = asn_open(d, ASN_SEQUENCE);

	put_attribute(d, "2.5.4.3", ASN_UTF8, cn);
	put_attribute(d, "2.5.4.10", ASN_UTF8, "Intel Corporation");
	put_attribute(d, "2.5.4.7", ASN_UTF8, "Santa Clara");
	put_attribute(d, "2.5.4.8", ASN_UTF8, "CA");
	put_attribute(d, "2.5.4.6", ASN_PRINTABLE, "US");
	asn_close(d, at);
}

static void put_key(struct asn *d, const uint8_t key[static KEY_RAW])
{
	uint8_t point[1 + KEY_RAW] = { 4 };
	size_t at = asn_open(d, ASN_SEQUENCE), alg = asn_open(d, ASN_SEQUENCE);

	memcpy(point + 1, key, KEY_RAW);
	asn_oid(d, "1.2.840.10045.2.1");
	asn_oid(d, "1.2.840.10045.3.1.7");
	asn_close(d, alg);
	asn_bits(d, point, sizeof point);
	asn_close(d, at);
}

void cert_put_extension(struct asn *d, const char *oid, bool critical, const struct asn *value)
{
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, oid);
	if (critical)
		asn_bool(d, true);
	asn_value(d, ASN_OCTETS, value->b, value->n);
	asn_close(d, at);
	d->bad |= value->bad;
}

static void put_authority(struct asn *d, const uint8_t id[static KEY_ID])
{
	struct asn v = { .n = 0 };
	size_t at = asn_open(&v, ASN_SEQUENCE);

	asn_value(&v, ASN_CONTEXT_PLAIN | 0, id, KEY_ID);
	asn_close(&v, at);
	cert_put_extension(d, "2.5.29.35", false, &v);
}

static void put_crl_point(struct asn *d)
{
	struct asn v = { .n = 0 };
	size_t a = asn_open(&v, ASN_SEQUENCE), b = asn_open(&v, ASN_SEQUENCE);
	size_t c = asn_open(&v, ASN_CONTEXT | 0), f = asn_open(&v, ASN_CONTEXT | 0);

	asn_text(&v, ASN_CONTEXT_PLAIN | 6, CRL_URL);
	asn_close(&v, f);
	asn_close(&v, c);
	asn_close(&v, b);
	asn_close(&v, a);
	cert_put_extension(d, "2.5.29.31", false, &v);
}

// RFC 5280 sections 4.2.1.2, 4.2.1.3, 4.2.1.9, 4.2.1.12
static void put_usage(struct asn *d, const struct cert_spec *c)
{
	struct asn id = { .n = 0 }, usage = { .n = 0 }, basic = { .n = 0 }, extended = { .n = 0 };
	uint8_t bits[2] = { 0, c->usage };

	asn_value(&id, ASN_OCTETS, c->subject_id, KEY_ID);
	cert_put_extension(d, "2.5.29.14", false, &id);
	while (c->usage && !(c->usage >> bits[0] & 1))
		bits[0]++; // unused bits at the end
	asn_value(&usage, ASN_BITS, bits, 2);
	if (c->usage)
		cert_put_extension(d, "2.5.29.15", true, &usage);
	size_t at = asn_open(&basic, ASN_SEQUENCE);
	if (c->is_ca)
		asn_bool(&basic, true);
	if (c->path_len >= 0)
		asn_uint(&basic, (uint64_t)c->path_len);
	asn_close(&basic, at);
	if (c->has_constraints)
		cert_put_extension(d, "2.5.29.19", true, &basic);
	if (!c->extended_usage)
		return;
	at = asn_open(&extended, ASN_SEQUENCE);
	asn_oid(&extended, c->extended_usage);
	asn_close(&extended, at);
	cert_put_extension(d, "2.5.29.37", false, &extended);
}

void cert_put_tbs(struct asn *d, const struct cert_spec *c)
{
	size_t tbs = asn_open(d, ASN_SEQUENCE), version = asn_open(d, ASN_CONTEXT | 0);

	asn_uint(d, c->version);
	asn_close(d, version);
	asn_integer(d, c->serial.p, c->serial.n);
	put_algorithm(d);
	put_name(d, c->issuer);
	size_t validity = asn_open(d, ASN_SEQUENCE);
	asn_time(d, c->not_before);
	asn_time(d, c->not_after);
	asn_close(d, validity);
	put_name(d, c->subject);
	put_key(d, c->key);
	size_t context = asn_open(d, ASN_CONTEXT | 3), list = asn_open(d, ASN_SEQUENCE);
	put_authority(d, c->authority);
	put_crl_point(d);
	put_usage(d, c);
	asn_raw(d, c->extra.p, c->extra.n);
	asn_close(d, list);
	asn_close(d, context);
	asn_close(d, tbs);
}

void cert_put_crl_tbs(struct asn *d, const struct crl_spec *c)
{
	struct asn number = { .n = 0 };
	size_t tbs = asn_open(d, ASN_SEQUENCE);

	asn_uint(d, c->version);
	put_algorithm(d);
	put_name(d, c->issuer);
	asn_time(d, c->this_update);
	asn_time(d, c->next_update);
	size_t revoked = c->n_revoked ? asn_open(d, ASN_SEQUENCE) : 0;
	for (size_t i = 0; i < c->n_revoked; i++) {
		size_t one = asn_open(d, ASN_SEQUENCE);

		asn_integer(d, c->revoked[i].p, c->revoked[i].n);
		asn_time(d, c->this_update);
		asn_close(d, one);
	}
	if (c->n_revoked)
		asn_close(d, revoked);
	size_t context = asn_open(d, ASN_CONTEXT | 0), list = asn_open(d, ASN_SEQUENCE);
	asn_uint(&number, c->number);
	cert_put_extension(d, "2.5.29.20", false, &number);
	put_authority(d, c->authority);
	asn_close(d, list);
	asn_close(d, context);
	asn_close(d, tbs);
}

static void put_sgx_octets(struct asn *d, const char *oid, struct span v)
{
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, oid);
	asn_value(d, ASN_OCTETS, v.p, v.n);
	asn_close(d, at);
}

static void put_sgx_tcb(struct asn *d, const struct sgx_spec *s)
{
	char oid[48];
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, SGX ".2");
	size_t list = asn_open(d, ASN_SEQUENCE);
	for (int i = 1; i <= 17; i++) {
		if (i == 17 && s->omit & SGX_OMIT_PCESVN)
			continue;
		size_t one = asn_open(d, ASN_SEQUENCE);

		snprintf(oid, sizeof oid, SGX ".2.%d", i);
		asn_oid(d, oid);
		asn_uint(d, i == 17 ? s->pce_svn : s->component[i - 1]);
		asn_close(d, one);
	}
	if (!(s->omit & SGX_OMIT_CPUSVN))
		put_sgx_octets(d, SGX ".2.18", s->cpu_svn);
	asn_close(d, list);
	asn_close(d, at);
}

static void put_sgx_type(struct asn *d, uint8_t type)
{
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, SGX ".5");
	asn_value(d, ASN_ENUMERATED, &type, 1);
	asn_close(d, at);
}

static void put_sgx_configuration(struct asn *d)
{
	static const char *const flags[] = { SGX ".7.1", SGX ".7.2", SGX ".7.3" };
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, SGX ".7");
	size_t list = asn_open(d, ASN_SEQUENCE);
	for (size_t i = 0; i < 3; i++) {
		size_t one = asn_open(d, ASN_SEQUENCE);

		asn_oid(d, flags[i]);
		asn_bool(d, true);
		asn_close(d, one);
	}
	asn_close(d, list);
	asn_close(d, at);
}

void cert_put_sgx(struct asn *d, const struct sgx_spec *s)
{
	struct asn v = { .n = 0 };
	size_t list = asn_open(&v, ASN_SEQUENCE);

	if (!(s->omit & 1 << 1))
		put_sgx_octets(&v, SGX ".1", s->ppid);
	if (!(s->omit & 1 << 2))
		put_sgx_tcb(&v, s);
	if (!(s->omit & 1 << 3))
		put_sgx_octets(&v, SGX ".3", s->pce_id);
	if (!(s->omit & 1 << 4))
		put_sgx_octets(&v, SGX ".4", s->fmspc);
	if (!(s->omit & 1 << 5))
		put_sgx_type(&v, s->type);
	if (!(s->omit & 1 << 6))
		put_sgx_octets(&v, SGX ".6", s->instance);
	if (!(s->omit & 1 << 7))
		put_sgx_configuration(&v);
	asn_close(&v, list);
	cert_put_extension(d, SGX, false, &v);
}

void cert_put_signed(struct asn *d, struct span tbs, struct span sig)
{
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_raw(d, tbs.p, tbs.n);
	put_algorithm(d);
	asn_bits(d, sig.p, sig.n);
	asn_close(d, at);
}

void cert_pem(struct sb *out, struct span der)
{
	auto_sb text = { 0 };

	sb_base64(&text, der.p, der.n);
	sb_str(out, "-----BEGIN CERTIFICATE-----\n");
	for (size_t at = 0; at < text.n; at += 64) {
		sb_put(out, text.p + at, text.n - at < 64 ? text.n - at : 64);
		sb_chr(out, '\n');
	}
	sb_str(out, "-----END CERTIFICATE-----\n");
	out->bad |= text.bad;
}
