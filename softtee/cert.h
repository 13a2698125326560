// cert - certificates and revocation lists of exactly Intel's shape, from a description of each.
//
// Intel SGX PCK Certificate and CRL Profile Specification: one name layout, ECDSA P-256 with SHA-256, the
// extensions in the order of genuine ones. What is written here is what is to be signed; signing is the
// caller's, and so is the truth of what is written.
#pragma once
#include "core/codec/buf.h"
#include "asn.h"
#include "keys.h"

enum { CERT_SIGN = 0x04, CRL_SIGN = 0x02, DIGITAL_SIGNATURE = 0x80, NON_REPUDIATION = 0x40 };

struct cert_spec {
	unsigned version;             // as encoded: 2 is version 3
	struct span serial;           // big-endian
	const char *issuer, *subject; // common names
	int64_t not_before, not_after;
	const uint8_t *key;                            // the subject's, X || Y
	uint8_t subject_id[KEY_ID], authority[KEY_ID]; // key identifiers
	bool has_constraints, is_ca;
	int path_len;               // -1: none
	uint8_t usage;              // 0: no keyUsage extension
	const char *extended_usage; // an OID; NULL: none
	struct span extra;          // more extensions, in DER
};

struct crl_spec {
	unsigned version; // as encoded: 1 is version 2
	const char *issuer;
	int64_t this_update, next_update;
	uint64_t number;
	uint8_t authority[KEY_ID];
	const struct span *revoked; // serials
	size_t n_revoked;
};

// What Intel's SGX extension says (OID 1.2.840.113741.1.13.1).
struct sgx_spec {
	struct span ppid, cpu_svn, pce_id, fmspc, instance;
	uint8_t component[16];
	uint32_t pce_svn;
	uint8_t type;
	uint32_t omit; // bit n: part n is left out; SGX_OMIT_*: a part of the TCB
};
enum { SGX_OMIT_PCESVN = 1 << 17, SGX_OMIT_CPUSVN = 1 << 18 };

void cert_put_tbs(struct asn *d, const struct cert_spec *c);
void cert_put_crl_tbs(struct asn *d, const struct crl_spec *c);
void cert_put_sgx(struct asn *d, const struct sgx_spec *s); // as an extension, for `extra`
void cert_put_extension(struct asn *d, const char *oid, bool critical, const struct asn *value);
// SEQUENCE { tbs, algorithm, signature } with the signature in DER.
void cert_put_signed(struct asn *d, struct span tbs, struct span sig);
// PEM text appended.
struct sb;
void cert_pem(struct sb *out, struct span der);
