#include "core/verdict/reason.h"

#include "core/verdict/reason_more.h"

// clang-format off
static const struct reason_text table[REASON_SNP] = {
	[REASON_OK] = { "ok", "The evidence holds", "Every check passed.", "Nothing." },
	[REASON_LIMIT] = {
		"evidence.too_large", "Data length exceeds maximum",
		"The quote, its collateral or what they unpack to is larger than any genuine one.",
		"Check that the right file was given. Genuine quotes have about 5 KB, collateral about 20 KB.",
	},
	[REASON_QUOTE_FORMAT] = {
		"quote.format", "Failed to decode quote",
		"The bytes are not laid out as a quote of the version they claim.",
		"Pass the quote itself, raw or as hex, not a report, a certificate or an envelope around it.",
	},
	[REASON_QUOTE_LENGTH] = {
		"quote.truncated", "Failed to decode quote: Not enough data to fill buffer",
		"The quote ends before the parts it announces.",
		"The quote was cut on its way. Fetch it again and compare the sizes.",
	},
	[REASON_QUOTE_VERSION] = {
		"quote.version", "Failed to decode quote: Unsupported quote version",
		"Only quote versions 3 (SGX), 4 and 5 (TDX) exist for DCAP.",
		"Check that the file is a quote and not another document.",
	},
	[REASON_QUOTE_TEE] = {
		"quote.tee", "Failed to decode quote: Invalid TEE type (Unsupported TEE type: #)",
		"The quote names a TEE that is neither SGX nor TDX.",
		"Only evidence of SGX enclaves and TDX virtual machines can be verified here.",
	},
	[REASON_QUOTE_TEE_SGX] = {
		"quote.tee", "SGX TEE quote must have version 3",
		"An enclave report in a version 4 or 5 quote is not accepted, as upstream does not.",
		"Ask for a version 3 quote.",
	},
	[REASON_QUOTE_TEE_TDX] = {
		"quote.tee", "TDX TEE quote must have version 4 or 5",
		"A TDX report cannot be in a version 3 quote.",
		"The header was altered or the quoting software is broken.",
	},
	[REASON_QUOTE_BODY] = {
		"quote.body", "Failed to decode quote: Unsupported body type",
		"The report inside the quote has an unknown type, or a size that is not the type's.",
		"Update this software if the platform is newer than it; otherwise the quote was altered.",
	},
	[REASON_QUOTE_BODY_EX] = {
		"quote.body_ex", "Failed to decode quote: Unsupported body type (TD 1.5 Ex)",
		"The report is a TD 1.5 Ex report, whose rules are not settled.",
		"Configure the platform to produce TD 1.5 reports.",
	},
	[REASON_QUOTE_KEY_TYPE] = {
		"quote.key_type", "Unsupported DCAP attestation key type",
		"The quote is not signed with ECDSA P-256, the only type in use.",
		"Use a quoting enclave with P-256 keys.",
	},
	[REASON_QUOTE_VENDOR] = {
		"quote.vendor", "Unknown QE vendor ID",
		"The quoting enclave is not Intel's.",
		"Only Intel's quoting enclave is accepted. The header was altered or the quote comes from something else.",
	},
	[REASON_QUOTE_AUTH] = {
		"quote.auth", "Failed to decode quote: Unsupported auth data version",
		"The signature data do not consist of exactly the parts they must have.",
		"The quote was altered or made by broken software. Fetch it again.",
	},
	[REASON_QE_AUTH] = {
		"quote.qe_auth", "Invalid QE auth data length",
		"The quoting enclave's authentication data are not the 32 bytes of every genuine quote.",
		"The quote was altered or not made by Intel's quoting enclave.",
	},
	[REASON_COLLATERAL_FORMAT] = {
		"collateral.format", "Failed to decode quote collateral",
		"The collateral is not a QuoteCollateralV3 JSON document with all its members.",
		"Fetch the collateral again. A member may be missing, or a value may not be hex or PEM.",
	},
	[REASON_ROOT_FORMAT] = {
		"root.format", "The trusted root is not a certificate of an SGX root CA",
		"The configured anchor cannot be used as one.",
		"Give the DER file of the root certificate, such as the root.der of the development PKI.",
	},
	[REASON_ROOT_TIME] = {
		"root.time", "Certificate is expired or not yet valid: trusted root",
		"The anchor is outside its validity at the time of the verification.",
		"Check the clock (or --at). A development root that has expired must be made anew.",
	},
	[REASON_ROOT_OTHER] = {
		"root.not_trusted", "Failed to verify certificate chain: the evidence is under another root",
		"The evidence brings a root certificate of the trusted root's name that is another.",
		"If it is from a development machine, its root must be configured. Otherwise trust nothing of it.",
	},
	[REASON_CRL_FORMAT] = {
		"crl.format", "Failed to verify certificate chain: malformed CRL",
		"A revocation list is missing or not a DER CRL of Intel's form.",
		"Fetch the collateral again. A missing list is never taken as an empty one.",
	},
	[REASON_CRL_TIME] = {
		"crl.time", "Failed to verify certificate chain: CRL is expired or not yet valid",
		"A revocation list is outside its validity.",
		"Fetch fresh collateral, and check the clock (or --at).",
	},
	[REASON_CRL_ISSUER] = {
		"crl.issuer", "Failed to verify certificate chain: CRL of an unknown issuer",
		"A revocation list was not issued by the CA whose certificates it should cover.",
		"Fetch the collateral for the right CA (processor or platform) and the right root.",
	},
	[REASON_CRL_SIGNATURE] = {
		"crl.signature", "Failed to verify certificate chain: invalid CRL signature",
		"A revocation list is not signed by its CA, or its CA not by the trusted root.",
		"If the evidence is from a development machine, its root must be configured. Otherwise the list is forged or damaged.",
	},
	[REASON_ROOT_REVOKED] = {
		"root.revoked", "Failed to verify certificate chain: the trusted root is revoked",
		"The revocation list names the anchor itself.",
		"Trust nothing under this root.",
	},
	[REASON_TCB_FORMAT] = {
		"tcb_info.format", "Failed to decode TcbInfo",
		"The TCB info lacks a required member or has one out of range.",
		"Fetch the collateral again. The document must be version 3 as Intel serves it.",
	},
	[REASON_TCB_COUNT_SGX] = {
		"tcb_info.format", "Failed to decode TcbInfo: SGX component count mismatch",
		"A TCB level does not list exactly 16 SGX components.",
		"Fetch the collateral again.",
	},
	[REASON_TCB_COUNT_TDX] = {
		"tcb_info.format", "Failed to decode TcbInfo: TDX component count mismatch",
		"A TCB level does not list exactly 16 TDX components.",
		"Fetch the collateral again.",
	},
	[REASON_TCB_V2] = {
		"tcb_info.version_2", "Failed to decode TcbInfo: TCB levels in the form of version 2",
		"The TCB info lists each component as a member of its own, as version 2 did; only version 3 is read.",
		"Fetch the TCB info from /sgx/certification/v4/tcb.",
	},
	[REASON_TCB_FUTURE] = {
		"tcb_info.future", "TCBInfo issue date is in the future",
		"The TCB info was issued after the time of this verification.",
		"Check the clock (or --at).",
	},
	[REASON_TCB_EXPIRED] = {
		"tcb_info.expired", "TCBInfo expired",
		"The TCB info's next update has passed.",
		"Fetch fresh collateral, and check the clock (or --at).",
	},
	[REASON_TCB_CHAIN_SHORT] = {
		"tcb_info.chain", "Certificate chain is too short for TCB Info",
		"The issuer chain of the TCB info holds no certificate.",
		"Fetch the collateral again, with the issuer chain header.",
	},
	[REASON_TCB_CHAIN] = {
		"tcb_info.chain", "Failed to verify certificate chain of TCB Info",
		"The signer of the TCB info is not a valid TCB signing certificate under the trusted root.",
		"If the evidence is from a development machine, its root must be configured. Otherwise fetch the collateral again.",
	},
	[REASON_TCB_SIGNATURE] = {
		"tcb_info.signature", "Signature is invalid for tcb_info in quote_collateral",
		"The TCB info is not what Intel signed.",
		"The text must be kept byte for byte as received. If it was, it is forged or damaged.",
	},
	[REASON_QEID_FORMAT] = {
		"qe_identity.format", "Failed to decode QeIdentity",
		"The QE identity lacks a required member or has one out of range.",
		"Fetch the collateral again.",
	},
	[REASON_QEID_FUTURE] = {
		"qe_identity.future", "QE Identity issue date is in the future",
		"The QE identity was issued after the time of this verification.",
		"Check the clock (or --at).",
	},
	[REASON_QEID_EXPIRED] = {
		"qe_identity.expired", "QE Identity expired",
		"The QE identity's next update has passed.",
		"Fetch fresh collateral, and check the clock (or --at).",
	},
	[REASON_QEID_CHAIN_SHORT] = {
		"qe_identity.chain", "Certificate chain is too short for QE Identity",
		"The issuer chain of the QE identity holds no certificate.",
		"Fetch the collateral again, with the issuer chain header.",
	},
	[REASON_QEID_CHAIN] = {
		"qe_identity.chain", "Failed to verify certificate chain of QE Identity",
		"The signer of the QE identity is not a valid TCB signing certificate under the trusted root.",
		"If the evidence is from a development machine, its root must be configured. Otherwise fetch the collateral again.",
	},
	[REASON_QEID_SIGNATURE] = {
		"qe_identity.signature", "Signature is invalid for qe_identity in quote_collateral",
		"The QE identity is not what Intel signed.",
		"The text must be kept byte for byte as received. If it was, it is forged or damaged.",
	},
	[REASON_QEID_KIND] = {
		"qe_identity.kind", "Unsupported QE Identity id/version for the quote TEE type",
		"The identity is that of another quoting enclave than the quote's.",
		"Fetch the QE identity for the TEE of the quote (TD_QE for TDX, QE for SGX).",
	},
	[REASON_PCK_TYPE] = {
		"pck.type", "Unsupported DCAP PCK cert format: #",
		"The quote does not carry its PCK certificate chain and the collateral has none either.",
		"Give collateral with pck_certificate_chain, or configure the platform to embed the chain.",
	},
	[REASON_PCK_CHAIN_SHORT] = {
		"pck.chain", "Certificate chain is too short in quote",
		"The PCK certificate chain lacks the CA between leaf and root.",
		"The chain must be leaf, PCK CA and (optionally) root.",
	},
	[REASON_PCK_CHAIN] = {
		"pck.chain", "Failed to verify certificate chain of the PCK certificate",
		"The PCK certificate is not a valid one under the trusted root.",
		"If the evidence is from a development machine, its root must be configured. Otherwise the quote does not come from a genuine platform.",
	},
	[REASON_PCK_EXT_MISSING] = {
		"pck.extension", "Intel extension not found",
		"The PCK certificate lacks the SGX extension that names the platform.",
		"The certificate is no PCK certificate.",
	},
	[REASON_PCK_EXT_TWICE] = {
		"pck.extension", "Intel extension OID appears more than once",
		"The SGX extension, or a part of it, is there twice.",
		"The certificate is malformed, it must not be trusted.",
	},
	[REASON_PCK_EXT] = {
		"pck.extension", "Malformed Intel extension",
		"The SGX extension of the PCK certificate lacks a part or has a malformed one.",
		"The certificate is malformed, it must not be trusted.",
	},
	[REASON_PCK_FMSPC] = {
		"pck.extension", "Fmspc length mismatch",
		"The FMSPC in the PCK certificate is not 6 bytes.",
		"The certificate is malformed, it must not be trusted.",
	},
	[REASON_PCK_CPUSVN] = {
		"pck.extension", "CpuSvn length mismatch",
		"The CPUSVN in the PCK certificate is not 16 bytes.",
		"The certificate is malformed, it must not be trusted.",
	},
	[REASON_PCK_PCESVN] = {
		"pck.extension", "PceSvn length mismatch",
		"The PCESVN in the PCK certificate is no number of 0 to 65535.",
		"The certificate is malformed, it must not be trusted.",
	},
	[REASON_PCK_SVN_DIFFER] = {
		"pck.extension", "CPUSVN and its components differ",
		"The PCK certificate states the CPU's security version twice, and differently.",
		"The certificate is malformed, it must not be trusted.",
	},
	[REASON_CERT_REVOKED] = {
		"cert.revoked", "Failed to verify certificate chain: certificate is revoked",
		"A certificate of the evidence is on its CA's revocation list.",
		"The platform's or signer's key is no longer trusted by Intel. Use another machine.",
	},
	[REASON_QE_SIGNATURE] = {
		"quote.qe_signature", "Signature is invalid for qe_report in quote",
		"The platform's PCK key did not sign this quoting enclave.",
		"The quote was altered, or its parts come from different machines.",
	},
	[REASON_QE_HASH] = {
		"quote.qe_hash", "QE report hash mismatch",
		"The quoting enclave did not vouch for the key that signed the quote.",
		"The attestation key or its data were replaced.",
	},
	[REASON_QE_SIGNER] = {
		"quote.qe_signer", "QE MRSIGNER mismatch",
		"The quoting enclave was not signed by Intel's QE key.",
		"The quote was made by another enclave.",
	},
	[REASON_QE_DEBUG] = {
		"quote.qe_debug", "QE report validation failed: Debug mode is enabled",
		"The quoting enclave runs in debug mode: anyone on that machine can read its keys.",
		"Use a machine with the production quoting enclave.",
	},
	[REASON_QE_PRODUCT] = {
		"quote.qe_product", "QE ISVPRODID mismatch",
		"The enclave is signed by Intel's QE key but is another product.",
		"The quote was made by another enclave.",
	},
	[REASON_QE_MISC] = {
		"quote.qe_misc", "QE MISCSELECT mismatch",
		"The quoting enclave's MISCSELECT is not what its identity demands.",
		"The quote was made by another enclave.",
	},
	[REASON_QE_ATTRIBUTES] = {
		"quote.qe_attributes", "QE ATTRIBUTES mismatch at byte #",
		"The quoting enclave's attributes are not what its identity demands.",
		"The quote was made by another enclave, or one in another mode.",
	},
	[REASON_QE_LEVEL] = {
		"quote.qe_level", "QE ISVSVN # is below minimum required #",
		"The quoting enclave is older than any version Intel still judges.",
		"Update the quoting enclave on that machine.",
	},
	[REASON_QE_NO_LEVELS] = {
		"qe_identity.format", "No TCB levels found in QE Identity",
		"The QE identity has no levels to compare with.",
		"Fetch the collateral again.",
	},
	[REASON_QUOTE_SIGNATURE] = {
		"quote.signature", "ISV enclave report signature is invalid",
		"The quote's content is not what the attestation key signed.",
		"The quote was altered after it was made.",
	},
	[REASON_FMSPC] = {
		"tcb_info.fmspc", "Fmspc mismatch",
		"The TCB info is for another platform model than the quote's.",
		"Fetch the TCB info for the FMSPC of the PCK certificate.",
	},
	[REASON_PCEID] = {
		"tcb_info.pceid", "PceId mismatch",
		"The TCB info is for another provisioning enclave than the platform's.",
		"Fetch the TCB info for the FMSPC and PCE id of the PCK certificate.",
	},
	[REASON_KIND_TDX] = {
		"tcb_info.kind", "TDX quote with non-TDX TCB info in the collateral",
		"The TCB info is for SGX or of a version without TDX.",
		"Fetch the TDX TCB info (/tdx/certification/v4/tcb).",
	},
	[REASON_KIND_SGX] = {
		"tcb_info.kind", "SGX quote with non-SGX TCB info in the collateral",
		"The TCB info is for TDX or of an unknown version.",
		"Fetch the SGX TCB info (/sgx/certification/v4/tcb).",
	},
	[REASON_TCB_LEVEL] = {
		"tcb.no_level", "No matching TCB level found",
		"The platform's security versions are below every level that Intel lists.",
		"Update firmware, microcode and TDX module of that machine. If it was just updated, fetch its new PCK certificate.",
	},
	[REASON_MODULE_MISSING] = {
		"tdx_module.missing", "TDX module identity check: TDX TCB Info is missing tdxModule field",
		"The TCB info says nothing about TDX modules.",
		"Fetch the TDX TCB info, version 3.",
	},
	[REASON_MODULE_ID] = {
		"tdx_module.unknown", "TDX module identity check: No TDX module identity with id TDX_@",
		"The TDX module has a version that Intel's TCB info does not know.",
		"Fetch newer collateral, or update the module.",
	},
	[REASON_MODULE_SIGNER] = {
		"tdx_module.signer", "TDX module identity check: TDX module MRSIGNER mismatch",
		"The TDX module was not signed by Intel.",
		"Nothing this machine says can be trusted.",
	},
	[REASON_MODULE_ATTRIBUTES] = {
		"tdx_module.attributes", "TDX module identity check: TDX module SEAMATTRIBUTES mismatch at byte #",
		"The TDX module runs with attributes that its identity does not allow.",
		"Nothing this machine says can be trusted.",
	},
	[REASON_MODULE_OUTSIDE] = {
		"tdx_module.attributes", "TDX module identity check: TDX module SEAMATTRIBUTES bits set outside mask",
		"The TDX module has attribute bits that must be zero.",
		"Nothing this machine says can be trusted.",
	},
	[REASON_MODULE_LEVEL] = {
		"tdx_module.level", "TDX module identity check: TDX module ISVSVN # is below minimum",
		"The TDX module is older than any version that Intel still judges.",
		"Update the TDX module of that machine.",
	},
	[REASON_TCB_REVOKED] = {
		"tcb.revoked", "TCB status is invalid: Revoked",
		"Intel revoked the security version this platform runs.",
		"Update the machine; until then its evidence is worthless.",
	},
	[REASON_TD_RESERVED] = {
		"td.reserved", "Reserved bits in TD attributes are set",
		"The virtual machine runs in a mode that this software does not know.",
		"Update this software if the mode is legitimate.",
	},
	[REASON_TD_DEBUG] = {
		"td.debug", "Debug mode is enabled (Debug mode is not allowed)",
		"The virtual machine is a debug TD: its host can read and change its memory.",
		"Start it without the debug attribute.",
	},
	[REASON_TD_SEPT] = {
		"td.sept_ve", "SEPT_VE_DISABLE is not enabled",
		"The host may inject faults into the virtual machine's memory accesses.",
		"Start it with SEPT_VE_DISABLE (QEMU: sept-ve-disable=on).",
	},
	[REASON_TD_SEAM_SIGNER] = {
		"td.seam_signer", "Invalid mr signer seam",
		"The TDX module's signer is not Intel's (all zero).",
		"Nothing this machine says can be trusted.",
	},
	[REASON_TD_SERVICE] = {
		"td.service", "Invalid MR service TD",
		"A service TD is bound to the virtual machine and may act on it.",
		"Start it without a service TD.",
	},
	[REASON_SGX_DEBUG] = {
		"sgx.debug", "Debug mode is enabled",
		"The enclave is a debug enclave: its host can read its memory.",
		"Build and sign it for production.",
	},
};
// clang-format on

static const struct reason_group *const more[] = { &reason_evidence, &reason_verdict, &reason_keys,
						   &reason_guest,    &reason_env,     &reason_host,
						   &reason_release,  &reason_lint };

const struct reason_text *reason_text(enum reason r)
{
	if (r >= REASON_SNP && r < REASON_COUNT)
		return &reason_snp.text[r - REASON_SNP];
	return &table[r < REASON_SNP ? r : REASON_LIMIT];
}

const struct reason_text *reason_at(size_t i)
{
	if (i < REASON_COUNT)
		return reason_text((enum reason)i);
	i -= REASON_COUNT;
	for (size_t g = 0; g < sizeof more / sizeof *more; i -= more[g++]->n)
		if (i < more[g]->n)
			return &more[g]->text[i];
	return NULL;
}

const struct reason_text *reason_find(struct span code)
{
	const struct reason_text *r;

	for (size_t i = 0; (r = reason_at(i)); i++)
		if (span_is(code, r->code))
			return r;
	return NULL;
}

static const struct reason_text *find_in(const struct reason_group *g, struct span code)
{
	for (size_t i = 0; i < g->n; i++)
		if (span_is(code, g->text[i].code))
			return &g->text[i];
	return NULL;
}

const struct reason_text *reason_find_evidence(struct span code)
{
	for (enum reason r = REASON_LIMIT; r < REASON_COUNT; r++)
		if (span_is(code, reason_text(r)->code))
			return reason_text(r);
	const struct reason_text *r = find_in(&reason_evidence, code);

	return r ? r : find_in(&reason_verdict, code);
}

void wr_reason(struct wr *w, enum reason r, const uint32_t arg[static 2])
{
	static const char hex[] = "0123456789ABCDEF";
	size_t next = 0;

	for (const char *p = reason_text(r)->text; *p; p++) {
		uint32_t v = next < 2 ? arg[next] : 0;
		if (*p == '#') {
			wr_dec(w, v);
			next++;
		} else if (*p == '@') {
			wr_u8(w, (uint8_t)hex[v >> 4 & 15]);
			wr_u8(w, (uint8_t)hex[v & 15]);
			next++;
		} else {
			wr_u8(w, (uint8_t)*p);
		}
	}
}
