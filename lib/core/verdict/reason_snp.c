// The reasons of SEV-SNP reports, in the order of enum reason from REASON_SNP on.
#include "core/verdict/reason_more.h"

// clang-format off
static const struct reason_text table[REASON_COUNT - REASON_SNP] = {
	[REASON_SNP_LENGTH - REASON_SNP] = {
		"snp.length", "An SEV-SNP report has 1184 bytes, not #",
		"It is no attestation report, or not the whole of one.",
		"Pass the report itself, as the firmware gave it.",
	},
	[REASON_SNP_VERSION - REASON_SNP] = {
		"snp.version", "SEV-SNP report version # is not supported",
		"Versions 2 and 3 are verified; version 5 can only be shown.",
		"Update this software.",
	},
	[REASON_SNP_ALGORITHM - REASON_SNP] = {
		"snp.algorithm", "Signature algorithm # is not ECDSA P-384 with SHA-384",
		"The ABI has no other.",
		"The report was altered.",
	},
	[REASON_SNP_RESERVED - REASON_SNP] = {
		"snp.reserved", "Byte # of the report must be zero",
		"The ABI reserves it.",
		"The report was altered, or its firmware is newer than this software.",
	},
	[REASON_SNP_KEY_MASKED - REASON_SNP] = {
		"snp.key_masked", "The platform masks its chip key, so the report is not signed",
		"Nobody can verify such a report.",
		"The operator must clear MASK_CHIP_KEY.",
	},
	[REASON_SNP_VLEK - REASON_SNP] = {
		"snp.vlek", "The report is signed with a VLEK, which is not supported",
		"A VLEK belongs to a cloud provider, not to one chip.",
		"Use a platform that signs with its VCEK.",
	},
	[REASON_SNP_SIGNING_KEY - REASON_SNP] = {
		"snp.signing_key", "The report names signing key #, which is not the VCEK",
		"No key, or an unknown one, signed the report.",
		"The operator must provision the chip's VCEK.",
	},
	[REASON_SNP_CHIP_MASKED - REASON_SNP] = {
		"snp.chip_masked", "The report has no chip id",
		"The report cannot be tied to a chip and its VCEK.",
		"The operator must clear MASK_CHIP_ID.",
	},
	[REASON_SNP_ROOT_FORMAT - REASON_SNP] = {
		"snp.root_format", "The trusted root is not a self-signed AMD root key certificate",
		"An ARK is called ARK-Milan, ARK-Genoa or ARK-Turin and has an RSA key of 4096 bits.",
		"Give the ARK of the product.",
	},
	[REASON_SNP_ROOT_TIME - REASON_SNP] = {
		"snp.root_time", "The trusted root is not valid at this time",
		"The clock lies outside the ARK's validity.",
		"Check the clock.",
	},
	[REASON_SNP_CERT_FORMAT - REASON_SNP] = {
		"snp.cert_format", "A certificate is not of AMD's form",
		"AMD's are RSA-4096 or P-384, signed with RSASSA-PSS, SHA-384 and a salt of 48 bytes.",
		"Fetch them from AMD again.",
	},
	[REASON_SNP_CERT_VLEK - REASON_SNP] = {
		"snp.cert_vlek", "The certificates are those of a VLEK, which is not supported",
		"A VLEK belongs to a cloud provider, not to one chip.",
		"Give the VCEK's certificate and its chain.",
	},
	[REASON_SNP_ROOT_OTHER - REASON_SNP] = {
		"snp.root_other", "The chain has another root than the trusted one",
		"Its ARK is not the one that is trusted for this product.",
		"Never trust it, unless the certificates are of another product by mistake.",
	},
	[REASON_SNP_CERTS_MISSING - REASON_SNP] = {
		"snp.certs_missing", "The VCEK's or the ASK's certificate is missing",
		"The signature cannot be traced to AMD.",
		"Give both: kdsintf.amd.com has them.",
	},
	[REASON_SNP_CHAIN - REASON_SNP] = {
		"snp.chain", "The certificates do not form a chain ARK - ASK - VCEK",
		"One is there twice, has no place, or was not issued by the one above it.",
		"Give exactly the VCEK and the chain of its product.",
	},
	[REASON_SNP_PRODUCT - REASON_SNP] = {
		"snp.product", "The report's processor (family @h, model @h) is none with SEV-SNP that is known",
		"Milan is 19h 00-0F, Genoa 19h 10-1F and A0-AF, Turin 1Ah 00-11.",
		"Update this software if the processor is newer than it.",
	},
	[REASON_SNP_PRODUCT_OTHER - REASON_SNP] = {
		"snp.product_other", "The report, its certificates and the root are not of one product",
		"Each product has a root of its own.",
		"Give the certificates of the product that the report names.",
	},
	[REASON_SNP_CERT_TIME - REASON_SNP] = {
		"snp.cert_time", "The ASK or the VCEK is not valid at this time",
		"The clock lies outside a certificate's validity.",
		"Check the clock; fetch the VCEK again if it has expired.",
	},
	[REASON_SNP_ASK_SIGNATURE - REASON_SNP] = {
		"snp.ask_signature", "The ASK is not signed by the trusted root",
		"The intermediate certificate was made by somebody else.",
		"Never trust it.",
	},
	[REASON_SNP_CRL_FORMAT - REASON_SNP] = {
		"snp.crl_format", "The revocation list is not AMD's for this product",
		"It cannot be read, or is another root's.",
		"Fetch it from AMD again.",
	},
	[REASON_SNP_CRL_TIME - REASON_SNP] = {
		"snp.crl_time", "The revocation list is not valid at this time",
		"A list from the past may hide a revocation.",
		"Fetch the current list; check the clock.",
	},
	[REASON_SNP_CRL_SIGNATURE - REASON_SNP] = {
		"snp.crl_signature", "The revocation list is not signed by the trusted root",
		"It was altered or made by somebody else.",
		"Fetch it from AMD again.",
	},
	[REASON_SNP_REVOKED - REASON_SNP] = {
		"snp.revoked", "AMD revoked a certificate of the chain",
		"What it signed proves nothing any more.",
		"The platform needs new certificates.",
	},
	[REASON_SNP_VCEK_SIGNATURE - REASON_SNP] = {
		"snp.vcek_signature", "The VCEK is not signed by the ASK",
		"The chip's certificate was altered or made by somebody else.",
		"Never trust it.",
	},
	[REASON_SNP_VCEK_FIELDS - REASON_SNP] = {
		"snp.vcek_fields", "The VCEK lacks what it must say about its chip",
		"Version, product name, patch levels or chip id are not as for its product.",
		"Fetch the VCEK from AMD again.",
	},
	[REASON_SNP_CHIP_ID - REASON_SNP] = {
		"snp.chip_id", "The report and the VCEK name different chips",
		"The certificate belongs to another machine.",
		"Give the VCEK of the chip in the report.",
	},
	[REASON_SNP_TCB_MISMATCH - REASON_SNP] = {
		"snp.tcb_mismatch", "Reported TCB and VCEK differ (byte #)",
		"The certificate is for another firmware level than the report claims.",
		"Give the VCEK for exactly the reported TCB.",
	},
	[REASON_SNP_SIGNATURE - REASON_SNP] = {
		"snp.signature", "The report is not signed by the VCEK",
		"The report was altered, or another chip made it.",
		"Never trust it.",
	},
	[REASON_SNP_VMPL - REASON_SNP] = {
		"snp.vmpl", "The report was requested at VMPL #, not 0",
		"Software of lower privilege asked for it.",
		"Ask for the report from VMPL 0.",
	},
	[REASON_SNP_POLICY - REASON_SNP] = {
		"snp.policy", "The guest policy has reserved bits set, or lacks bit 17",
		"The known ABI has no such policy.",
		"Start the guest with a plain policy such as 0x30000.",
	},
	[REASON_SNP_DEBUG - REASON_SNP] = {
		"snp.debug", "Debug mode is enabled",
		"The host can read and change the guest's memory.",
		"Start the guest without the DEBUG policy bit.",
	},
	[REASON_SNP_MIGRATION - REASON_SNP] = {
		"snp.migration", "The guest may be migrated",
		"A migration agent may move its memory and keys elsewhere.",
		"Start the guest without a migration agent.",
	},
	[REASON_SNP_PLATFORM - REASON_SNP] = {
		"snp.platform", "PLATFORM_INFO has bits of unknown meaning",
		"This software does not know what they say.",
		"Update this software.",
	},
	[REASON_SNP_SMT - REASON_SNP] = {
		"snp.smt", "SMT is on although the guest's policy forbids it",
		"The report contradicts itself.",
		"Never trust it.",
	},
	[REASON_SNP_RAPL - REASON_SNP] = {
		"snp.rapl", "RAPL is on although the guest's policy wants it off",
		"The report contradicts itself.",
		"The operator must disable RAPL.",
	},
	[REASON_SNP_HIDING - REASON_SNP] = {
		"snp.ciphertext_hiding", "Ciphertext hiding is off although the guest's policy wants it",
		"The report contradicts itself.",
		"The operator must enable ciphertext hiding.",
	},
	[REASON_SNP_TCB_ORDER - REASON_SNP] = {
		"snp.tcb_order", "TCB versions contradict each other",
		"Reported must be at most committed, committed and launch at most current.",
		"Restart the guest on current firmware: it was taken back since launch.",
	},
	[REASON_SNP_FIRMWARE - REASON_SNP] = {
		"snp.firmware", "Firmware versions contradict each other",
		"Committed is above current, or the policy wants a newer ABI.",
		"The operator must update the firmware.",
	},
	[REASON_SNP_TABLE - REASON_SNP] = {
		"snp.table", "The certificate table cannot be read",
		"Its entries do not end, or point outside of it.",
		"Give the certificates as files.",
	},
};
// clang-format on

const struct reason_group reason_snp = { table, sizeof table / sizeof *table };
