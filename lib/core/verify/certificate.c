// RA-TLS certificates: any well-formed X.509 v3 (RFC 5280), strictly as DER. What it proves is decided
// elsewhere: here are only the exact bytes of the key and the payloads of dstack's extensions.
#include "core/codec/der.h"
#include "core/verify/parts.h"

enum {
	TAG_VERSION = 0xa0,
	TAG_ISSUER_ID = 0x81,
	TAG_SUBJECT_ID = 0x82,
	TAG_EXTENSIONS = 0xa3,
	EXTENSIONS_MAX = 64,
};

// 1.3.6.1.4.1.62397.1.x, last arc the payload's.
static struct span *payload_of(struct verify_cert *c, struct span oid)
{
	static const uint8_t arc[] = { 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xe7, 0x3d, 0x01 };

	if (oid.n != sizeof arc + 1 || !span_eq(span_of(oid.p, sizeof arc), span_of(arc, sizeof arc)))
		return NULL;
	switch (oid.p[sizeof arc]) {
	case 1:
		return &c->quote;
	case 2:
		return &c->event_log;
	case 3:
		return &c->app_id;
	case 4:
		return &c->usage;
	case 8:
		return &c->attestation;
	case 9:
		return &c->app_info;
	default:
		return NULL;
	}
}

static int extension(struct verify_cert *c, struct rd *in, uint32_t *seen, struct fault *f)
{
	struct rd ext = der_enter(in, DER_SEQUENCE);
	struct span oid = der_take(&ext, DER_OID);

	(void)der_true(&ext);
	struct span value = der_take(&ext, DER_OCTET_STRING);

	der_end(&ext);
	if (ext.bad)
		return fault_set(f, "ratls.certificate", "certificate has a malformed extension", 0);
	struct span *to = payload_of(c, oid);

	if (!to)
		return 0;
	uint32_t bit = 1u << oid.p[oid.n - 1];

	if (*seen & bit)
		return fault_set(f, "cert.extension", "an extension occurs twice", oid.p[oid.n - 1]);
	*seen |= bit;
	if (octet_string_read(to, value, f))
		return fault_set(f, "cert.extension", "extension does not hold one DER OCTET STRING",
				 oid.p[oid.n - 1]);
	return 0;
}

static int extensions(struct verify_cert *c, struct rd *tbs, struct fault *f)
{
	struct rd outer = der_enter(tbs, TAG_EXTENSIONS), list = der_enter(&outer, DER_SEQUENCE);
	uint32_t seen = 0;

	der_end(&outer);
	for (size_t i = 0; !outer.bad && !list.bad && rd_left(&list); i++)
		if (i == EXTENSIONS_MAX)
			list.bad = true;
		else if (extension(c, &list, &seen, f))
			return -1;
	if (outer.bad || list.bad)
		return fault_set(f, "ratls.certificate", "certificate has malformed extensions", 0);
	return 0;
}

// Up to the key; `tbs` is left behind it.
static void head(struct verify_cert *c, struct rd *tbs)
{
	struct rd version = der_enter(tbs, TAG_VERSION);

	if (der_u32(&version, 2) != 2) // v3
		tbs->bad = true;
	der_end(&version);
	(void)der_take(tbs, DER_INTEGER);
	(void)der_take(tbs, DER_SEQUENCE); // signature algorithm
	(void)der_take(tbs, DER_SEQUENCE); // issuer
	struct rd validity = der_enter(tbs, DER_SEQUENCE);

	c->not_before = der_time(&validity);
	c->not_after = der_time(&validity);
	der_end(&validity);
	(void)der_take(tbs, DER_SEQUENCE); // subject
	struct der key = der_any(tbs);

	c->spki = key.whole;
	if (key.tag != DER_SEQUENCE || version.bad || validity.bad)
		tbs->bad = true;
	if (der_at(tbs, TAG_ISSUER_ID))
		(void)der_take(tbs, TAG_ISSUER_ID);
	if (der_at(tbs, TAG_SUBJECT_ID))
		(void)der_take(tbs, TAG_SUBJECT_ID);
}

int certificate_read(struct verify_cert *out, struct span der, struct fault *f)
{
	struct rd in = rd_span(der), cert = der_enter(&in, DER_SEQUENCE),
		  tbs = der_enter(&cert, DER_SEQUENCE);

	*out = (struct verify_cert){ 0 };
	(void)der_take(&cert, DER_SEQUENCE);
	(void)der_take(&cert, DER_BIT_STRING);
	der_end(&cert);
	der_end(&in);
	head(out, &tbs);
	if (in.bad || cert.bad || tbs.bad)
		return fault_set(f, "ratls.certificate", "not an X.509 v3 certificate in DER", 0);
	if (rd_left(&tbs) && extensions(out, &tbs, f))
		return -1;
	der_end(&tbs);
	if (tbs.bad)
		return fault_set(f, "ratls.certificate", "certificate has bytes behind its extensions", 0);
	return 0;
}
