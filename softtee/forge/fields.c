#include "forge/fields.h"

#include <stddef.h>

const char *const forge_fault_name[FORGE_NONE + 1] = { "good", "flip", "zero", "swap", "none" };
const char *const forge_kind_name[FORGE_SGX3 + 1] = { "tdx4", "tdx5", "tdx5-1.0", "tdx5-ex", "sgx3" };
const char *const forge_op_name[FORGE_DER_REPEAT + 1] = { "set",        "xor",     "insert",
							  "cut",        "replace", "der-set",
							  "der-insert", "der-cut", "der-repeat" };

#define F(type, name, form, what)                                                                            \
	{                                                                                                    \
#name, form, offsetof(struct type, name), sizeof((struct type *)0)->name, what               \
	}
#define S(name, form, what)                                                                                  \
	{                                                                                                    \
		"sign." #name, form, offsetof(struct forge_sign, name), 0, what                              \
	}
#define R(name, form, at, n, what)                                                                           \
	{                                                                                                    \
		name, form, at, n, what                                                                      \
	}

static const struct field cert[] = {
	F(forge_cert, version, FIELD_INT, "as encoded: 2 is version 3"),
	F(forge_cert, serial, FIELD_BYTES, ""),
	F(forge_cert, subject, FIELD_TEXT, "common name"),
	F(forge_cert, issuer, FIELD_TEXT, "common name"),
	F(forge_cert, not_before, FIELD_TIME, ""),
	F(forge_cert, not_after, FIELD_TIME, ""),
	F(forge_cert, key, FIELD_KEY, "whose certificate it is"),
	F(forge_cert, point, FIELD_BYTES, "another public key, 64 bytes"),
	F(forge_cert, under, FIELD_KEY, "the issuer's key"),
	F(forge_cert, constraints, FIELD_BOOL, "basicConstraints is there"),
	F(forge_cert, ca, FIELD_BOOL, ""),
	F(forge_cert, path_len, FIELD_INT, "-1: none"),
	F(forge_cert, usage, FIELD_U8, "first octet of keyUsage; 0: no such extension"),
	F(forge_cert, extended_usage, FIELD_TEXT, "an OID"),
	F(forge_cert, extra, FIELD_BYTES, "more extensions, in DER"),
	F(forge_cert, der, FIELD_BYTES, "the whole certificate as it is"),
};
static const struct field crl[] = {
	F(forge_crl, version, FIELD_INT, "as encoded: 1 is version 2"),
	F(forge_crl, issuer, FIELD_TEXT, "common name"),
	F(forge_crl, this_update, FIELD_TIME, ""),
	F(forge_crl, next_update, FIELD_TIME, ""),
	F(forge_crl, number, FIELD_U64, ""),
};
static const struct field sgx[] = {
	F(sgx_spec, ppid, FIELD_BYTES, ""),
	F(sgx_spec, cpu_svn, FIELD_BYTES, "octets (.2.18); else the components"),
	R("components", FIELD_HEX, offsetof(struct sgx_spec, component), 16, "integers (.2.1 to .2.16)"),
	F(sgx_spec, pce_svn, FIELD_U32, ""),
	F(sgx_spec, pce_id, FIELD_BYTES, ""),
	F(sgx_spec, fmspc, FIELD_BYTES, ""),
	F(sgx_spec, type, FIELD_U8, ""),
	F(sgx_spec, instance, FIELD_BYTES, ""),
	F(sgx_spec, omit, FIELD_U32, "bit n leaves out part .n"),
};
static const struct field sgx_count[] = { R("count", FIELD_INT, 0, 0, "how often the extension is there") };
static const struct field sign[] = {
	S(by, FIELD_KEY, "own: the right one"),
	S(fault, FIELD_FAULT, ""),
	S(over, FIELD_BYTES, "these bytes are signed in place of the layer's"),
	S(raw, FIELD_BYTES, "the signature, r and s"),
};
static const struct field quote[] = {
	F(forge_quote, version, FIELD_U16, ""),
	F(forge_quote, key_type, FIELD_U16, ""),
	F(forge_quote, tee, FIELD_U32, ""),
	F(forge_quote, qe_svn, FIELD_U16, ""),
	F(forge_quote, pce_svn, FIELD_U16, ""),
	F(forge_quote, vendor, FIELD_HEX, ""),
	F(forge_quote, user_data, FIELD_HEX, ""),
	F(forge_quote, body_type, FIELD_U16, "1 SGX, 2 TD 1.0, 3 TD 1.5, 4 TD 1.5 Ex"),
	F(forge_quote, body_size, FIELD_LENGTH, "as claimed in version 5"),
	F(forge_quote, body, FIELD_BYTES, "the whole report as it is"),
	F(forge_quote, bind, FIELD_BOOL, "put the key's hash into the QE report"),
	F(forge_quote, attestation_key, FIELD_BYTES, "64 bytes"),
	F(forge_quote, qe_auth, FIELD_BYTES, ""),
	F(forge_quote, qe_auth_hashed, FIELD_BYTES, "hashed in place of qe_auth"),
	F(forge_quote, qe_auth_len, FIELD_LENGTH, ""),
	F(forge_quote, cert_type, FIELD_U16, ""),
	F(forge_quote, cert_len, FIELD_LENGTH, ""),
	F(forge_quote, cert_data, FIELD_BYTES, "in place of the chain"),
	F(forge_quote, outer_type, FIELD_U16, ""),
	F(forge_quote, outer_len, FIELD_LENGTH, ""),
	F(forge_quote, auth_len, FIELD_LENGTH, ""),
	F(forge_quote, trailing, FIELD_BYTES, ""),
};
static const struct field td[] = {
	R("tee_tcb_svn", FIELD_HEX, TD_SVN, 16, ""),
	R("mr_seam", FIELD_HEX, TD_MRSEAM, 48, ""),
	R("mr_signer_seam", FIELD_HEX, TD_MRSIGNERSEAM, 48, ""),
	R("seam_attributes", FIELD_HEX, TD_SEAMATTRIBUTES, 8, ""),
	R("td_attributes", FIELD_HEX, TD_ATTRIBUTES, 8, ""),
	R("xfam", FIELD_HEX, TD_XFAM, 8, ""),
	R("mr_td", FIELD_HEX, TD_MRTD, 48, ""),
	R("mr_config_id", FIELD_HEX, TD_MRCONFIGID, 48, ""),
	R("mr_owner", FIELD_HEX, TD_MROWNER, 48, ""),
	R("mr_owner_config", FIELD_HEX, TD_MROWNERCONFIG, 48, ""),
	R("rtmr0", FIELD_HEX, TD_RTMR, 48, ""),
	R("rtmr1", FIELD_HEX, TD_RTMR + 48, 48, ""),
	R("rtmr2", FIELD_HEX, TD_RTMR + 96, 48, ""),
	R("rtmr3", FIELD_HEX, TD_RTMR + 144, 48, "`events` sets it, too"),
	R("report_data", FIELD_HEX, TD_REPORT_DATA, 64, ""),
	R("tee_tcb_svn2", FIELD_HEX, TD_SVN2, 16, "TD 1.5"),
	R("mr_service_td", FIELD_HEX, TD_MRSERVICETD, 48, "TD 1.5"),
	R("ex", FIELD_HEX, 648, 237, "what TD 1.5 Ex has more"),
};
static const struct field enclave[] = {
	R("cpu_svn", FIELD_HEX, SGX_CPUSVN, 16, ""),
	R("misc_select", FIELD_LE32, SGX_MISC, 4, ""),
	R("attributes", FIELD_HEX, SGX_ATTRIBUTES, 16, ""),
	R("mr_enclave", FIELD_HEX, SGX_MRENCLAVE, 32, ""),
	R("mr_signer", FIELD_HEX, SGX_MRSIGNER, 32, ""),
	R("isv_prod_id", FIELD_LE16, SGX_PRODID, 2, ""),
	R("isv_svn", FIELD_LE16, SGX_SVN, 2, ""),
	R("report_data", FIELD_HEX, SGX_REPORT_DATA, 64, "of the QE: see quote.bind"),
};
static const struct field chain[] = {
	R("quote", FIELD_TEXT, 0, 0, "names of certificates, with blanks between"),
	R("pck", FIELD_TEXT, sizeof(char *), 0, "pck_certificate_chain of the collateral; none by default"),
	R("pck_crl", FIELD_TEXT, 2 * sizeof(char *), 0, ""),
	R("tcb_info", FIELD_TEXT, 3 * sizeof(char *), 0, ""),
	R("qe_identity", FIELD_TEXT, 4 * sizeof(char *), 0, ""),
};
static const struct field document[] = { R("text", FIELD_STRING, 0, 0, "the whole document as it is") };

static const char *const prefix_td[] = { "td" }, *const prefix_chain[] = { "chain" },
			 *const prefix_enclave[] = { "enclave", "qe" }, *const prefix_quote[] = { "quote" },
			 *const prefix_sgx[] = { "pck.sgx" }, *const prefix_crl[] = { "root_crl", "pck_crl" },
			 *const prefix_document[] = { "tcb_info", "qe_identity" };

#define N(a) (sizeof(a) / sizeof *(a))
#define G(prefix, first, stride, field)                                                                      \
	{                                                                                                    \
		prefix, N(prefix), offsetof(struct forge, first), stride, field, N(field)                    \
	}

const struct field_group field_groups[] = {
	{ forge_layer_name, FORGE_CERTS, offsetof(struct forge, cert), sizeof(struct forge_cert), cert,
	  N(cert) },
	G(prefix_sgx, sgx, 0, sgx),
	G(prefix_sgx, sgx_count, 0, sgx_count),
	G(prefix_crl, crl, sizeof(struct forge_crl), crl),
	G(prefix_document, text, sizeof(struct span), document),
	G(prefix_quote, quote, 0, quote),
	G(prefix_td, quote.td, 0, td),
	G(prefix_enclave, quote.enclave, FORGE_ENCLAVE, enclave),
	G(prefix_chain, chain, 0, chain),
	{ forge_layer_name, FORGE_SIGNED, offsetof(struct forge, sign), sizeof(struct forge_sign), sign,
	  N(sign) },
};
const size_t field_group_count = N(field_groups);
