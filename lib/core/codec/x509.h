// x509 - the profile of X.509 that Intel's provisioning certificates and CRLs use (RFC 5280), and nothing
// beyond it.
//
// Version 3, ECDSA P-256 with SHA-256 throughout, named keys and extensions at most once, unknown critical
// extensions refused. One reader for every build is what makes verdicts identical. Signatures are taken out,
// not checked. RA-TLS certificates belong to OpenSSL, not here. Spans point into the input.
#pragma once
#include "core/codec/buf.h"

enum {
	X509_DIGITAL_SIGNATURE = 0x80, // first octet of keyUsage
	X509_CERT_SIGN = 0x04,
	X509_CRL_SIGN = 0x02,
	X509_NO_PATH_LIMIT = 0xffff,
};

struct x509 {
	struct span der, tbs, serial, issuer, subject; // serial: minimal big-endian bytes; names: their DER
	struct span common_name;                       // empty when there is none
	struct span sgx; // value of Intel's SGX extension, empty when there is none
	uint64_t not_before, not_after;
	bool is_ca, has_constraints, for_server; // for_server: no extended key usage, or serverAuth among it
	uint8_t usage;
	uint32_t path_limit;
	uint8_t key[64], sig[64];
	bool sgx_twice;
};

struct x509_crl {
	struct span tbs, issuer, list;
	uint64_t this_update, next_update;
	uint8_t sig[64];
};

MUST_USE int x509_parse(struct x509 *c, struct span der);
MUST_USE int x509_crl_parse(struct x509_crl *c, struct span der);
bool x509_crl_has(const struct x509_crl *c,
		  struct span serial); // revoked; also true for a list that cannot be read
bool x509_name_has(const struct x509 *c, const char *text); // in the common name
