// crl - a list of revoked certificates: version 2, signed ECDSA P-256 with SHA-256 (RFC 5280 section 5).
//
// Written here, byte for byte, because the signer is elsewhere and signs a digest; read with
// core/codec/x509.h. Extensions: authority key identifier (the issuer's) and CRL number, no others, so that
// every reader understands the whole list.
#pragma once
#include <openssl/x509.h>

#include "base/err.h"
#include "core/codec/buf.h"

enum { CRL_SERIAL = 20 };

struct crl_entry {
	uint8_t serial[CRL_SERIAL]; // top bit clear, not all zero
	uint64_t at;                // Unix seconds
};

struct crl_spec {
	X509 *issuer; // with a subject key identifier
	uint64_t number, this_update, next_update;
	const struct crl_entry *entry;
	size_t n;
};

// As struct cert_issuer's.
typedef int crl_sign(void *arg, const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len,
		     struct err *e);
// *der is the caller's to free.
int crl_issue(const struct crl_spec *spec, crl_sign *sign, void *arg, uint8_t **der, size_t *n, struct err *e)
	__attribute__((warn_unused_result));
