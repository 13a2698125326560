// The report itself: its layout, and the rules on what it says.
#include "core/attest/snp_job.h"

enum {
	ALGORITHM_P384_SHA384 = 1,
	SIG_PART = 72, // little-endian, of which 48 bytes count
	FLAG_AUTHOR_KEY = 1,
	FLAG_MASK_CHIP_KEY = 2,
	KEY_VCEK = 0,
	KEY_VLEK = 1,
	FAMILY_19H = 0x19,
	FAMILY_1AH = 0x1a,
};

// Bits that have a meaning in the ABI: minor and major version, flags 16 to 25.
#define POLICY_KNOWN   UINT64_C(0x3ffffff)
#define PLATFORM_KNOWN UINT64_C(0xbf) // SMT, TSME, ECC, RAPL off, ciphertext hiding, alias check; TIO

// Bytes that must be zero: from the first that is not, its offset, else 0.
static size_t not_zero(struct span bytes, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (bytes.p[i])
			return i;
	return 0;
}

static enum reason reserved(const struct snp_report *r, struct span b, uint32_t arg[static 2])
{
	static const size_t always[][2] = {
		{ 0x4c, 0x50 },   { 0x18b, 0x1a0 }, { 0x1eb, 0x1ec },      { 0x1ef, 0x1f0 },
		{ 0x208, 0x2a0 }, { 0x2d0, 0x2e8 }, { 0x318, SNP_REPORT },
	};
	size_t at = 0;

	for (size_t i = 0; !at && i < sizeof always / sizeof *always; i++)
		at = not_zero(b, always[i][0], always[i][1]);
	if (!at && r->version < 3)
		at = not_zero(b, 0x188, 0x18b);
	if (!at && r->version < 5)
		at = not_zero(b, 0x1f8, 0x208);
	if (!at && r->flags >> 5)
		at = 0x48;
	if (!at && !(r->flags & FLAG_AUTHOR_KEY))
		at = not_zero(b, 0x110, 0x140);
	arg[0] = (uint32_t)at;
	return at ? REASON_SNP_RESERVED : REASON_OK;
}

enum reason snp_report_read(struct snp_report *r, struct span bytes, uint32_t arg[static 2])
{
	struct rd in = rd_span(bytes);

	*r = (struct snp_report){ 0 };
	arg[0] = (uint32_t)bytes.n;
	arg[1] = 0;
	if (bytes.n != SNP_REPORT)
		return REASON_SNP_LENGTH;
	r->version = rd_le32(&in);
	r->guest_svn = rd_le32(&in);
	r->policy = rd_le64(&in);
	rd_copy(&in, r->family_id, 16);
	rd_copy(&in, r->image_id, 16);
	r->vmpl = rd_le32(&in);
	r->algorithm = rd_le32(&in);
	rd_copy(&in, r->current, 8);
	r->platform = rd_le64(&in);
	r->flags = rd_le32(&in);
	rd_bytes(&in, 4);
	rd_copy(&in, r->report_data, 64);
	rd_copy(&in, r->measurement, 48);
	rd_copy(&in, r->host_data, 32);
	rd_copy(&in, r->id_key_digest, 48);
	rd_copy(&in, r->author_key_digest, 48);
	rd_copy(&in, r->report_id, 32);
	rd_copy(&in, r->report_id_ma, 32);
	rd_copy(&in, r->reported, 8);
	r->cpu_family = rd_u8(&in);
	r->cpu_model = rd_u8(&in);
	r->cpu_stepping = rd_u8(&in);
	rd_bytes(&in, 21);
	rd_copy(&in, r->chip_id, 64);
	rd_copy(&in, r->committed, 8);
	rd_copy(&in, r->current_version, 3);
	rd_bytes(&in, 1);
	rd_copy(&in, r->committed_version, 3);
	rd_bytes(&in, 1);
	rd_copy(&in, r->launch, 8);
	r->launch_mit = rd_le64(&in);
	r->current_mit = rd_le64(&in);
	arg[0] = r->version;
	if (r->version != 2 && r->version != 3 && r->version != 5)
		return REASON_SNP_VERSION;
	arg[0] = r->algorithm;
	if (r->algorithm != ALGORITHM_P384_SHA384)
		return REASON_SNP_ALGORITHM;
	return reserved(r, bytes, arg);
}

// A quote's second half word is its key type, which is never 0; a report's version has no second half.
bool snp_is_report(struct span bytes)
{
	return bytes.n == SNP_REPORT && !bytes.p[2] && !bytes.p[3];
}

int snp_report_product(const struct snp_report *r, enum snp_product *out)
{
	uint8_t model = r->cpu_model;

	if (r->version < 3)
		return -1;
	if (r->cpu_family == FAMILY_19H && model <= 0x0f)
		*out = SNP_MILAN;
	else if (r->cpu_family == FAMILY_19H && (model <= 0x1f || (model >= 0xa0 && model <= 0xaf)))
		*out = SNP_GENOA;
	else if (r->cpu_family == FAMILY_1AH && model <= 0x11)
		*out = SNP_TURIN;
	else
		return -1;
	return 0;
}

static bool at_most(const uint8_t *a, const uint8_t *b)
{
	for (size_t i = 0; i < 8; i++)
		if (a[i] > b[i])
			return false;
	return true;
}

static uint32_t firmware(const uint8_t v[3])
{
	return (uint32_t)v[2] << 16 | (uint32_t)v[1] << 8 | v[0];
}

// What guest and platform agreed on at launch must be what the platform is.
static int agreement(struct snp_job *j, const struct snp_report *r)
{
	if (r->platform & SNP_PLATFORM_SMT && !(r->policy & SNP_POLICY_SMT))
		return snp_fail(j, REASON_SNP_SMT, 0, 0);
	if (r->policy & SNP_POLICY_RAPL_OFF && !(r->platform & SNP_PLATFORM_RAPL_OFF))
		return snp_fail(j, REASON_SNP_RAPL, 0, 0);
	if (r->policy & SNP_POLICY_HIDING && !(r->platform & SNP_PLATFORM_HIDING))
		return snp_fail(j, REASON_SNP_HIDING, 0, 0);
	return 0;
}

static int versions(struct snp_job *j, const struct snp_report *r)
{
	uint32_t now = firmware(r->current_version);

	if (!at_most(r->reported, r->committed) || !at_most(r->committed, r->current) ||
	    !at_most(r->launch, r->current))
		return snp_fail(j, REASON_SNP_TCB_ORDER, 0, 0);
	// The policy's lowest ABI version, 15:0, is major.minor like the firmware's.
	if (firmware(r->committed_version) > now || (r->policy & 0xffff) > now >> 8)
		return snp_fail(j, REASON_SNP_FIRMWARE, 0, 0);
	return 0;
}

int snp_rules(struct snp_job *j)
{
	const struct snp_report *r = &j->s->result.report;

	if (r->vmpl)
		return snp_fail(j, REASON_SNP_VMPL, r->vmpl, 0);
	if (r->policy & ~POLICY_KNOWN || !(r->policy & SNP_POLICY_ONE))
		return snp_fail(j, REASON_SNP_POLICY, 0, 0);
	if (r->policy & SNP_POLICY_DEBUG && !j->in->allow_debug)
		return snp_fail(j, REASON_SNP_DEBUG, 0, 0);
	if (r->policy & SNP_POLICY_MIGRATE)
		return snp_fail(j, REASON_SNP_MIGRATION, 0, 0);
	for (size_t i = 0; i < sizeof r->report_id_ma; i++)
		if (r->report_id_ma[i] != 0xff)
			return snp_fail(j, REASON_SNP_MIGRATION, 0, 0);
	if (r->platform & ~PLATFORM_KNOWN)
		return snp_fail(j, REASON_SNP_PLATFORM, 0, 0);
	return agreement(j, r) || versions(j, r) ? -1 : 0;
}

// Bytes of r and s from little-endian.
static void read_signature(uint8_t out[96], struct span report)
{
	for (size_t half = 0; half < 2; half++)
		for (size_t i = 0; i < 48; i++)
			out[48 * half + i] = report.p[SNP_SIGNED + SIG_PART * half + 47 - i];
}

int snp_report_open(struct snp_job *j)
{
	struct snp *s = j->s;
	struct snp_report *r = &s->result.report;
	enum reason why = snp_report_read(r, j->in->report, s->arg);
	uint8_t chip = 0;

	if (why)
		return snp_fail(j, why, s->arg[0], s->arg[1]);
	if (r->version > 3)
		return snp_fail(j, REASON_SNP_VERSION, r->version, 0);
	if (r->flags & FLAG_MASK_CHIP_KEY)
		return snp_fail(j, REASON_SNP_KEY_MASKED, 0, 0);
	if ((r->flags >> 2 & 7) == KEY_VLEK)
		return snp_fail(j, REASON_SNP_VLEK, 0, 0);
	if ((r->flags >> 2 & 7) != KEY_VCEK)
		return snp_fail(j, REASON_SNP_SIGNING_KEY, r->flags >> 2 & 7, 0);
	for (size_t i = 0; i < sizeof r->chip_id; i++)
		chip |= r->chip_id[i];
	if (!chip)
		return snp_fail(j, REASON_SNP_CHIP_MASKED, 0, 0);
	read_signature(s->sig, j->in->report);
	return 0;
}
