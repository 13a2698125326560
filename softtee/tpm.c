#include "tpm.h"

#include <string.h>

enum {
	CC_PCR_EVENT = 0x13C,
	CC_PCR_EXTEND = 0x182,
	CC_EVENT_SEQUENCE_COMPLETE = 0x185,
	RH_NULL = 0x40000007,
	ST_SESSIONS = 0x8002,
	ALG_SHA384 = 0xC,
	BANKS_MAX = 16,
};

size_t tpm_size(const uint8_t head[static TPM_HEAD])
{
	struct rd r = rd_from(head, TPM_HEAD);

	rd_be16(&r);
	uint32_t size = rd_be32(&r);
	return size >= TPM_HEAD && size <= TPM_MESSAGE_MAX ? size : 0;
}

static size_t digest_size(uint16_t alg)
{
	switch (alg) {
	case 4:
		return 20;
	case 0xB:
	case 0x12: // SM3
	case 0x27: // SHA3-256
		return 32;
	case ALG_SHA384:
	case 0x28:
		return 48;
	case 0xD:
	case 0x29:
		return 64;
	}
	return 0;
}

// TPML_DIGEST_VALUES: NOTHING when the bank we follow is not among them.
static enum tpm_seen read_digests(struct rd *r, struct tpm_extend *out)
{
	uint32_t count = rd_be32(r);
	enum tpm_seen seen = TPM_NOTHING;

	if (r->bad || count > BANKS_MAX)
		return TPM_UNREADABLE;
	for (uint32_t i = 0; i < count; i++) {
		uint16_t alg = rd_be16(r);
		size_t size = digest_size(alg);
		struct span d = rd_bytes(r, size);

		if (r->bad || !size || (alg == ALG_SHA384 && seen == TPM_EXTEND))
			return TPM_UNREADABLE;
		if (alg == ALG_SHA384) {
			memcpy(out->digest, d.p, TPM_DIGEST);
			seen = TPM_EXTEND;
		}
	}
	return seen;
}

enum tpm_seen tpm_watch(struct span command, struct span answer, struct tpm_extend *out)
{
	struct rd c = rd_span(command), a = rd_span(answer);

	rd_bytes(&c, 6);
	uint32_t code = rd_be32(&c);
	uint16_t tag = rd_be16(&a);
	rd_bytes(&a, 4);
	uint32_t rc = rd_be32(&a);
	if (c.bad || a.bad)
		return TPM_UNREADABLE;
	if (rc || (code != CC_PCR_EXTEND && code != CC_PCR_EVENT && code != CC_EVENT_SEQUENCE_COMPLETE))
		return TPM_NOTHING;
	out->pcr = rd_be32(&c);
	if (!c.bad && out->pcr == RH_NULL)
		return TPM_NOTHING;
	if (c.bad || out->pcr >= TPM_PCRS || tag != ST_SESSIONS)
		return TPM_UNREADABLE; // all three need an authorisation, so the answer has sessions
	if (code == CC_PCR_EXTEND) {
		rd_bytes(&c, rd_be32(&c)); // authorisation area
		return read_digests(&c, out);
	}
	struct rd parameters = rd_take(&a, rd_be32(&a));
	return read_digests(&parameters, out);
}
