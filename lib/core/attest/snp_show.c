#include "core/attest/snp_show.h"

#include "core/attest/show.h"

// Names of the bits that are set, in the order of their numbers.
static void show_bits(struct show *s, const char *field, uint64_t v, const char *const *names, size_t n)
{
	char text[200];
	struct wr w = wr_to(text, sizeof text);

	for (size_t i = 0; i < n; i++)
		if (v >> i & 1 && names[i]) {
			wr_str(&w, w.n ? " " : "");
			wr_str(&w, names[i]);
		}
	show_text(s, field, span_of(text, w.n));
}

static void show_tcb(struct show *s, const char *field, const uint8_t tcb[8], bool is_turin)
{
	static const char *const names[2][8] = {
		{ "boot", "tee", NULL, NULL, NULL, NULL, "snp", "ucode" },
		{ "fmc", "boot", "tee", "snp", NULL, NULL, NULL, "ucode" },
	};
	char text[100];
	struct wr w = wr_to(text, sizeof text);

	wr_hex(&w, tcb, 8);
	wr_str(&w, ":");
	for (size_t i = 0; i < 8; i++)
		if (names[is_turin][i]) {
			wr_str(&w, " ");
			wr_str(&w, names[is_turin][i]);
			wr_str(&w, "=");
			wr_dec(&w, tcb[i]);
		}
	show_text(s, field, span_of(text, w.n));
}

static void show_firmware(struct show *s, const char *field, const uint8_t v[3])
{
	char text[20];
	struct wr w = wr_to(text, sizeof text);

	wr_dec(&w, v[2]);
	wr_str(&w, ".");
	wr_dec(&w, v[1]);
	wr_str(&w, " build ");
	wr_dec(&w, v[0]);
	show_text(s, field, span_of(text, w.n));
}

static void guest(struct show *s, const struct snp_report *r)
{
	static const char *const policy[] = {
		[16] = "smt", "reserved-one",       "migrate-ma", [19] = "debug",      "single-socket",
		"cxl",        [22] = "aes-256-xts", "rapl-off",   "ciphertext-hiding", [25] = "page-swap-off",
	};

	show_group(s, "guest");
	show_number(s, "guest_svn", r->guest_svn);
	show_number(s, "policy", r->policy);
	show_bits(s, "policy_bits", r->policy, policy, sizeof policy / sizeof *policy);
	show_number(s, "policy_abi_major", r->policy >> 8 & 255);
	show_number(s, "policy_abi_minor", r->policy & 255);
	show_number(s, "vmpl", r->vmpl);
	show_hex(s, "family_id", r->family_id, sizeof r->family_id);
	show_hex(s, "image_id", r->image_id, sizeof r->image_id);
	show_hex(s, "measurement", r->measurement, sizeof r->measurement);
	show_hex(s, "host_data", r->host_data, sizeof r->host_data);
	show_hex(s, "report_data", r->report_data, sizeof r->report_data);
	show_hex(s, "id_key_digest", r->id_key_digest, sizeof r->id_key_digest);
	show_hex(s, "author_key_digest", r->author_key_digest, sizeof r->author_key_digest);
	show_hex(s, "report_id", r->report_id, sizeof r->report_id);
	show_hex(s, "report_id_ma", r->report_id_ma, sizeof r->report_id_ma);
}

static void platform(struct show *s, const struct snp_report *r)
{
	static const char *const bits[] = { "smt",         "tsme", "ecc", "rapl-off", "ciphertext-hiding",
					    "alias-check", NULL,   "tio" };
	enum snp_product p = SNP_PRODUCTS;
	bool known = !snp_report_product(r, &p), is_turin = known && p == SNP_TURIN;

	show_group(s, "platform");
	show_number(s, "platform_info", r->platform);
	show_bits(s, "platform_bits", r->platform, bits, sizeof bits / sizeof *bits);
	show_text(s, "product", span_str(snp_product_name(p)));
	if (r->version >= 3) {
		show_number(s, "cpu_family", r->cpu_family);
		show_number(s, "cpu_model", r->cpu_model);
		show_number(s, "cpu_stepping", r->cpu_stepping);
	}
	show_hex(s, "chip_id", r->chip_id, sizeof r->chip_id);
	show_tcb(s, "current_tcb", r->current, is_turin);
	show_tcb(s, "committed_tcb", r->committed, is_turin);
	show_tcb(s, "launch_tcb", r->launch, is_turin);
	show_tcb(s, "reported_tcb", r->reported, is_turin);
	show_firmware(s, "current_firmware", r->current_version);
	show_firmware(s, "committed_firmware", r->committed_version);
	if (r->version >= 5) {
		show_number(s, "launch_mit_vector", r->launch_mit);
		show_number(s, "current_mit_vector", r->current_mit);
	}
}

enum reason snp_show(struct wr *out, struct span report, bool json, uint32_t arg[static 2])
{
	static const char *const keys[] = { "VCEK", "VLEK", "2", "3", "4", "5", "6", "none" };
	struct show s = { out, json, false, false };
	struct snp_report r;
	enum reason why = snp_report_read(&r, report, arg);

	if (why)
		return why;
	show_group(&s, "header");
	show_number(&s, "version", r.version);
	show_text(&s, "tee_type", span_str("sev-snp"));
	show_number(&s, "signature_algorithm", r.algorithm);
	show_text(&s, "signing_key", span_str(keys[r.flags >> 2 & 7]));
	show_number(&s, "chip_key_masked", r.flags >> 1 & 1);
	show_number(&s, "author_key", r.flags & 1);
	guest(&s, &r);
	platform(&s, &r);
	show_group(&s, "signature");
	show_hex(&s, "r", report.p + SNP_SIGNED, 48);
	show_hex(&s, "s", report.p + SNP_SIGNED + 72, 48);
	show_end(&s);
	return REASON_OK;
}
