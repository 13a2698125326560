// measure - the registers a given image must produce: MRTD from the firmware, RTMR0-2 from what QEMU and the
// firmware do with kernel, initrd and command line. Pure functions over file contents; nothing here is
// evidence.
//
// Profiles: "tdx" is a TD launched by QEMU as upstream does (firmware layout pre202505); "soft" is the
// software TEE: the same firmware in emulation with a TPM (QEMU 7.2 q35, Debian 13's OVMF). Soft must only be
// accepted when the quote's anchor is a development root. Standards: TDX module base spec (MRTD), PE
// Authenticode, TCG PFP.
#pragma once
#include "core/attest/eventlog.h"

enum measure_profile { MEASURE_TDX, MEASURE_SOFT };
enum { MEASURE_LEN = 48 };

// vm_config (JSON of the guest's sys-config); defaults where absent. Unknown members are ignored.
struct vm_config {
	bool has_image_hash;
	uint8_t os_image_hash[32];
	uint32_t cpu_count;
	uint64_t memory_size;
	int two_pass, pic; // -1 not said
	uint32_t qemu[3];  // zeros: not said
	uint32_t num_nics, num_gpus, num_nvswitches, num_verity_volumes;
	uint64_t pci_hole64_size;
	bool hugepages, hotplug_off, swtpm, lite;
	enum measure_profile profile; // "tee":"soft" with "swtpm":true
	struct span image, ovmf_variant;
	struct span mr_config; // the document of MRCONFIGID form 3 (mrconfig.h), empty when not along
	struct span tdx_checksum_file,
		tdx_measurement; // decoded from tdx_measurement{checksum_file, measurement}
};
int vm_config_read(struct vm_config *c, struct wr *scratch, struct span json, struct fault *f);

// TDVF metadata and MRTD.
enum { TDVF_SECTIONS_MAX = 16 };
enum tdvf_type { TDVF_BFV, TDVF_CFV, TDVF_TD_HOB, TDVF_TEMP_MEM };
struct tdvf_section {
	uint32_t offset, raw_size, type, attributes;
	uint64_t address, size;
};
struct tdvf {
	struct tdvf_section s[TDVF_SECTIONS_MAX];
	size_t n;
};
int tdvf_read(struct tdvf *t, struct span firmware, struct fault *f);
int measure_mrtd(uint8_t out[MEASURE_LEN], struct span firmware, bool two_pass, struct fault *f);
// Which of the two the VM's QEMU does: asked for, else by version (8.x two passes, later one).
int measure_two_pass(bool *two_pass, const struct vm_config *c, struct fault *f);

// TD HOB of the metadata: `witness` is the compact form kept in measurement.tdx.cbor.
int measure_td_hob(uint8_t out[MEASURE_LEN], const struct tdvf *t, uint64_t memory, struct fault *f);
int td_hob_witness_write(struct wr *out, const struct tdvf *t);
int td_hob_witness_read(struct tdvf *t, struct span witness, struct fault *f);

// Authenticode SHA-384 of the kernel after QEMU has patched its setup header (initrd address by `memory`).
int measure_kernel(uint8_t out[MEASURE_LEN], struct span kernel, uint64_t initrd_size, uint64_t memory,
		   struct fault *f);
// Authenticode SHA-384 of a PE image as it is: a UKI, or a kernel that nobody patched.
int measure_pe(uint8_t out[MEASURE_LEN], struct span file, struct fault *f);
// The command line as the firmware measures it: UTF-16LE(cmdline " initrd=initrd") and two zero bytes.
void measure_cmdline(uint8_t out[MEASURE_LEN], struct span cmdline);

// Image manifest: sha256sum.txt, metadata.json.
struct image_metadata {
	struct span bios, kernel, initrd, cmdline, rootfs, version, ovmf_variant;
	bool is_dev;
};
int image_metadata_read(struct image_metadata *m, struct wr *scratch, struct span json, struct fault *f);
// Digest of `name` in sha256sum.txt: flat names, each at most once; the whole file is checked.
int image_checksum(uint8_t out[32], struct span sha256sum, const char *name, struct fault *f);

// What measurement.tdx.cbor holds: enough for MRTD, RTMR0 (with the log's ACPI digests), RTMR1 and RTMR2 of a
// TD.
struct measurement_tdx {
	uint8_t mrtd_single[MEASURE_LEN], mrtd_two[MEASURE_LEN];
	uint8_t cmdline[MEASURE_LEN], kernel[MEASURE_LEN], initrd[MEASURE_LEN];
	struct tdvf hob; // TD_HOB and TEMP_MEM ranges
};
int measurement_tdx_make(struct measurement_tdx *m, struct span firmware, struct span kernel,
			 struct span initrd, struct span cmdline, struct fault *f);
int measurement_tdx_write(struct wr *out, const struct measurement_tdx *m);
int measurement_tdx_read(struct measurement_tdx *m, struct span cbor, struct fault *f);
// Binding to os_image_hash: SHA-256(checksum_file) equals it and the file's entry is the hash of the CBOR.
int measurement_bound(const uint8_t os_image_hash[32], struct span checksum_file, struct span cbor,
		      struct fault *f);

// The extends expected of one register, in order, each with a name for people.
enum { EXPECT_MAX = 32 };
struct expect_event {
	const char *name;  // "kernel", "command line", "acpi-tables" ...
	const char *cause; // what changes it, as a stable word (explain.h)
	const char *hint;  // and in words
	uint32_t type;     // the event's type in a TCG log
	uint8_t digest[MEASURE_LEN];
};
struct expect {
	struct expect_event e[EXPECT_MAX];
	size_t n;
	uint8_t value[MEASURE_LEN];
};

struct measured {
	uint8_t mrtd[MEASURE_LEN];
	struct expect rtmr[3];
};
// Registers 0..2 and MRTD of image `m` under `c`. ACPI digests are taken from `log` (the named or unnamed
// ACPI DATA events of imr 0, exactly three, or four for soft). `kernel` is the kernel digest for this memory
// size.
int measure_expect(struct measured *out, const struct measurement_tdx *m, const uint8_t kernel[MEASURE_LEN],
		   const struct vm_config *c, const struct eventlog *log, struct fault *f);
// The kernel digest of measurement.tdx.cbor holds for this memory size (2 GiB, or 2.75 GiB and more).
bool measure_memory_ok(const struct vm_config *c);
// First event of register i in which the log differs from what is expected, said in words; nothing is written
// when there is none, or when the log has no events of that register. More: explain.h.
void measure_explain(struct wr *out, const struct expect *want, uint32_t imr, const struct eventlog *log);

// Derived values. key_provider is the event's payload or empty.
void measure_mr_system(uint8_t out[32], const uint8_t mr_td[48], const uint8_t rtmr[4][48],
		       struct span key_provider);
void measure_mr_aggregated(uint8_t out[32], const uint8_t mr_td[48], const uint8_t rtmr[4][48],
			   const uint8_t rtmr3[48], const uint8_t mr_config_id[48],
			   const uint8_t mr_owner[48], const uint8_t mr_owner_config[48]);
// MRCONFIGID: V1 of a compose hash, V2 with app id and key provider, V3 of a document.
enum key_provider_kind { KEY_PROVIDER_NONE, KEY_PROVIDER_LOCAL, KEY_PROVIDER_KMS, KEY_PROVIDER_TPM };
void mr_config_id_v1(uint8_t out[48], const uint8_t compose_hash[32]);
void mr_config_id_v2(uint8_t out[48], const uint8_t compose_hash[32], const uint8_t app_id[20],
		     enum key_provider_kind kind, struct span key_provider_id);
void mr_config_id_v3(uint8_t out[48], struct span document);
