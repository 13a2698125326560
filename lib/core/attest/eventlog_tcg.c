// The two binary logs: CCEL and TPM, both TCG crypto-agile (TCG PC Client Platform Firmware Profile section
// 10).
#include "core/attest/eventlog.h"
#include "core/hash/sha2.h"

enum {
	EV_NO_ACTION = 3,
	PIECE_MAX = 65536, // any count or size above is refused
	DIGESTS_MAX = 16,  // of one event
};

static const uint32_t log_end = 0xffffffff; // index that ends a log

struct record {
	uint32_t index, type;
	struct span digest; // of the bank asked for; empty when it has none
	uint32_t digests;
	struct span data;
};

static size_t digest_size(uint16_t alg)
{
	return alg == 0x04            ? 20
	       : alg == TPMLOG_SHA256 ? 32
	       : alg == TPMLOG_SHA384 ? 48
	       : alg == TPMLOG_SHA512 ? 64
				      : 0;
}

// The first record has the old fixed form and carries the Spec ID event.
static int read_header(struct rd *in, unsigned *banks, struct fault *f)
{
	rd_le32(in);
	uint32_t type = rd_le32(in);
	struct span sha1 = rd_bytes(in, 20);
	uint32_t size = rd_le32(in);

	(void)sha1;
	if (in->bad || type != EV_NO_ACTION || size > PIECE_MAX)
		return fault_set(f, "events.format", "event log does not begin with a Spec ID event", 0);
	struct rd spec = rd_take(in, size);

	if (!span_eq(rd_bytes(&spec, 16), span_of("Spec ID Event03", 16)))
		return fault_set(f, "events.format", "event log is not in the crypto-agile format", 32);
	rd_bytes(&spec, 8); // platform class, versions, uintn size
	uint32_t n = rd_le32(&spec);

	*banks = 0;
	for (uint32_t i = 0; i < n && !spec.bad; i++) {
		uint16_t alg = rd_le16(&spec), len = rd_le16(&spec);

		if (!spec.bad && digest_size(alg) && digest_size(alg) != len)
			return fault_set(f, "events.format", "Spec ID event names a digest of another size",
					 i);
		*banks |= alg == TPMLOG_SHA256   ? 1u
			  : alg == TPMLOG_SHA384 ? 2u
			  : alg == TPMLOG_SHA512 ? 4u
						 : 8u;
	}
	rd_bytes(&spec, rd_u8(&spec));
	return spec.bad ? fault_set(f, "events.format", "truncated Spec ID event", 32) : 0;
}

// Firmware leaves the rest of its log area as zeros: no record begins behind the last byte that is none.
static const uint8_t *last_byte(struct span whole)
{
	size_t n = whole.n;

	while (n && !whole.p[n - 1])
		n--;
	return whole.p + n;
}

// 1: a record, 0: the end, -1: malformed.
static int read_record(struct record *r, struct rd *in, const uint8_t *last, uint16_t alg, size_t at,
		       struct fault *f)
{
	*r = (struct record){ 0 };
	if (in->p >= last)
		return 0;
	r->index = rd_le32(in);
	if (r->index == log_end)
		return 0;
	r->type = rd_le32(in);
	r->digests = rd_le32(in);
	if (!in->bad && r->digests > DIGESTS_MAX)
		return fault_set(f, "events.format", "event has too many digests", at);
	for (uint32_t i = 0; i < r->digests && !in->bad; i++) {
		uint16_t a = rd_le16(in);
		struct span d = rd_bytes(in, digest_size(a));

		if (!in->bad && !d.n)
			return fault_set(f, "events.format", "event has a digest of an unknown kind", at);
		if (a == alg) {
			if (r->digest.n)
				return fault_set(f, "events.format", "event has two digests of one kind", at);
			r->digest = d;
		}
	}
	uint32_t size = rd_le32(in);

	if (!in->bad && size > PIECE_MAX)
		return fault_set(f, "events.format", "event data is too large", at);
	r->data = rd_bytes(in, size);
	return in->bad ? fault_set(f, "events.format", "truncated event", at) : 1;
}

static int append(struct eventlog *log, const struct record *r, uint32_t imr, size_t at, struct fault *f)
{
	if (log->n == log->cap || log->n == EVENTLOG_MAX)
		return fault_set(f, "events.limit", "event log has too many events", at);
	if (!r->digest.n)
		return fault_set(f, "events.digest", "event has no digest of the bank in use", at);
	log->e[log->n++] = (struct event){
		.imr = imr, .type = r->type, .version = 1, .digest = r->digest, .payload = r->data
	};
	return 0;
}

int eventlog_read_ccel(struct eventlog *log, struct span bytes, struct fault *f)
{
	const uint8_t *last = last_byte(bytes);
	struct rd in = rd_span(bytes);
	struct record r;
	unsigned banks;
	int more;

	log->n = 0;
	if (read_header(&in, &banks, f))
		return -1;
	for (size_t i = 0; (more = read_record(&r, &in, last, TPMLOG_SHA384, i, f)) > 0; i++) {
		if (r.index == 0) // GCP writes some that belong to no register
			continue;
		if (r.index > 4)
			return fault_set(f, "events.imr", "event of a register that does not exist", i);
		if (r.digests != 1)
			return fault_set(f, "events.digest", "event does not have exactly one digest", i);
		if (append(log, &r, r.index - 1, i, f))
			return -1;
	}
	return more;
}

int eventlog_read_pcrs(struct eventlog *log, struct span bytes, uint16_t alg, struct fault *f)
{
	const uint8_t *last = last_byte(bytes);
	struct rd in = rd_span(bytes);
	struct record r;
	unsigned banks;
	int more;

	log->n = 0;
	if (read_header(&in, &banks, f))
		return -1;
	for (size_t i = 0; (more = read_record(&r, &in, last, alg, i, f)) > 0; i++) {
		if (r.type == EV_NO_ACTION)
			continue;
		if (r.index >= TPMLOG_PCRS)
			return fault_set(f, "events.imr", "event of a PCR that does not exist", i);
		if (append(log, &r, r.index, i, f))
			return -1;
	}
	return more;
}

// UEFI's mapping of PCRs to registers; PCR 0 belongs to MRTD, PCR 10 is the kernel's own (IMA).
static int register_of(uint32_t pcr)
{
	if (pcr == 1 || pcr == 7)
		return 0;
	if (pcr >= 2 && pcr <= 6)
		return 1;
	return pcr >= 8 && pcr <= 15 && pcr != 10 ? 2 : -1;
}

int eventlog_read_tpm(struct eventlog *log, struct span bytes, struct fault *f)
{
	size_t n = 0;

	if (eventlog_read_pcrs(log, bytes, TPMLOG_SHA384, f))
		return -1;
	for (size_t i = 0; i < log->n; i++) {
		int imr = register_of(log->e[i].imr);

		if (imr < 0)
			continue;
		log->e[n] = log->e[i];
		log->e[n++].imr = (uint32_t)imr;
	}
	log->n = n;
	return 0;
}

int tcglog_banks(unsigned *banks, struct span bytes, struct fault *f)
{
	struct rd in = rd_span(bytes);

	return read_header(&in, banks, f);
}

static void pcr_extend(uint8_t *pcr, size_t size, struct span digest)
{
	if (size == 32) {
		struct sha256 s;

		sha256_init(&s);
		sha256_add(&s, pcr, size);
		sha256_add(&s, digest.p, digest.n);
		sha256_end(&s, pcr);
		return;
	}
	struct sha512 s;

	(size == 48 ? sha384_init : sha512_init)(&s);
	sha512_add(&s, pcr, size);
	sha512_add(&s, digest.p, digest.n);
	(size == 48 ? sha384_end : sha512_end)(&s, pcr);
}

// TCG PFP section 10.4.5.3: PCR 0 starts with the locality of TPM2_Startup; the event comes before any
// extend.
static bool startup_locality(const struct record *r, struct tpm_pcrs *out)
{
	if (r->index != 0 || r->data.n != 17 ||
	    !span_eq(span_sub(r->data, 0, 16), span_of("StartupLocality", 16)))
		return true;
	if (out->used & 1)
		return false;
	out->pcr[0][out->size - 1] = r->data.p[16];
	return true;
}

int tpmlog_replay(struct tpm_pcrs *out, struct span bytes, uint16_t alg, struct fault *f)
{
	const uint8_t *last = last_byte(bytes);
	struct rd in = rd_span(bytes);
	struct record r;
	unsigned banks;
	int more;

	for (size_t i = 0; i < sizeof out->pcr; i++)
		out->pcr[i / 64][i % 64] = 0;
	out->size = digest_size(alg);
	out->used = 0;
	if (out->size < 32 || read_header(&in, &banks, f))
		return out->size < 32 ? fault_set(f, "events.bank", "bank of PCRs is not one of SHA-2", alg)
				      : -1;
	if (!(banks & (alg == TPMLOG_SHA256 ? 1u : alg == TPMLOG_SHA384 ? 2u : 4u)))
		return fault_set(f, "events.bank", "log does not have the bank asked for", alg);
	for (size_t i = 0; (more = read_record(&r, &in, last, alg, i, f)) > 0; i++) {
		if (r.type == EV_NO_ACTION) {
			if (!startup_locality(&r, out))
				return fault_set(f, "events.format", "startup locality after an extend", i);
			continue;
		}
		if (r.index >= TPMLOG_PCRS)
			return fault_set(f, "events.imr", "event of a PCR that does not exist", i);
		if (r.digest.n != out->size)
			return fault_set(f, "events.digest", "event has no digest of the bank in use", i);
		pcr_extend(out->pcr[r.index], out->size, r.digest);
		out->used |= 1u << r.index;
	}
	return more;
}
