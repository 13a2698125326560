#include "core/attest/pck.h"

#include "core/codec/der.h"

enum {
	PART_PPID = 1,
	PART_TCB = 2,
	PART_PCEID = 3,
	PART_FMSPC = 4,
	PART_TYPE = 5,
	PART_INSTANCE = 6,
	PART_CONFIGURATION = 7,
	TCB_PCESVN = 17,
	TCB_CPUSVN = 18,
};

static const uint8_t sgx_oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01 };

// The number below `prefix` and, with n = 2, below part 2; 0 for any other identifier.
static unsigned part_of(struct span oid, bool in_tcb)
{
	size_t n = sizeof sgx_oid;

	if (oid.n != n + 1 + in_tcb || !span_eq(span_of(oid.p, n), span_of(sgx_oid, n)))
		return 0;
	if (in_tcb && oid.p[n] != PART_TCB)
		return 0;
	return oid.p[n + in_tcb];
}

static enum reason octets(struct rd *r, uint8_t *out, size_t n, enum reason why)
{
	struct span v = der_take(r, DER_OCTET_STRING);

	if (r->bad || v.n != n)
		return why;
	for (size_t i = 0; i < n; i++)
		out[i] = v.p[i];
	return REASON_OK;
}

static enum reason read_tcb(struct pck *p, struct rd *in)
{
	struct rd list = der_enter(in, DER_SEQUENCE);
	uint8_t component[16] = { 0 };
	uint32_t seen = 0;
	enum reason why = REASON_OK;

	while (!list.bad && rd_left(&list)) {
		struct rd item = der_enter(&list, DER_SEQUENCE);
		unsigned part = part_of(der_take(&item, DER_OID), true);
		if (item.bad || part < 1 || part > TCB_CPUSVN)
			return REASON_PCK_EXT;
		if (seen >> part & 1)
			return REASON_PCK_EXT_TWICE;
		seen |= 1u << part;
		if (part == TCB_CPUSVN)
			why = octets(&item, p->cpu_svn, 16, REASON_PCK_CPUSVN);
		else if (part == TCB_PCESVN)
			p->pce_svn = (uint16_t)der_u32(&item, 0xffff);
		else
			component[part - 1] = (uint8_t)der_u32(&item, 0xff);
		der_end(&item);
		if (why)
			return why;
		if (item.bad)
			return part == TCB_PCESVN ? REASON_PCK_PCESVN : REASON_PCK_EXT;
	}
	if (list.bad || seen != 0x7fffe)
		return REASON_PCK_EXT;
	return span_eq(span_of(component, 16), span_of(p->cpu_svn, 16)) ? REASON_OK : REASON_PCK_SVN_DIFFER;
}

static enum reason read_part(struct pck *p, unsigned part, struct rd *item)
{
	switch (part) {
	case PART_PPID:
		return octets(item, p->ppid, 16, REASON_PCK_EXT);
	case PART_TCB:
		return read_tcb(p, item);
	case PART_PCEID:
		return octets(item, p->pce_id, 2, REASON_PCK_EXT);
	case PART_FMSPC:
		return octets(item, p->fmspc, 6, REASON_PCK_FMSPC);
	case PART_TYPE: {
		struct span v = der_take(item, DER_ENUMERATED);
		p->sgx_type = v.n == 1 ? v.p[0] : 0;
		return v.n == 1 ? REASON_OK : REASON_PCK_EXT;
	}
	case PART_INSTANCE:
		p->has_instance = true;
		return octets(item, p->instance, 16, REASON_PCK_EXT);
	default:
		der_take(item, DER_SEQUENCE);
		return REASON_OK;
	}
}

enum reason pck_parse(struct pck *p, const struct x509 *cert)
{
	struct rd all = rd_span(cert->sgx), list = der_enter(&all, DER_SEQUENCE);
	uint32_t seen = 0;

	*p = (struct pck){ 0 };
	if (!cert->sgx.p)
		return REASON_PCK_EXT_MISSING;
	if (cert->sgx_twice)
		return REASON_PCK_EXT_TWICE;
	der_end(&all);
	while (!all.bad && !list.bad && rd_left(&list)) {
		struct rd item = der_enter(&list, DER_SEQUENCE);
		unsigned part = part_of(der_take(&item, DER_OID), false);
		if (item.bad || part < 1 || part > PART_CONFIGURATION)
			return REASON_PCK_EXT;
		if (seen >> part & 1)
			return REASON_PCK_EXT_TWICE;
		seen |= 1u << part;
		enum reason why = read_part(p, part, &item);
		if (why)
			return why;
		der_end(&item);
		if (item.bad)
			return REASON_PCK_EXT;
	}
	// PPID, TCB, PCEID, FMSPC and type are mandatory.
	return all.bad || list.bad || (seen & 0x3e) != 0x3e ? REASON_PCK_EXT : REASON_OK;
}
