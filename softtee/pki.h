// pki - the development PKI: certificates and CRLs of exactly Intel's shape, under a root that is not
// Intel's.
//
// Subject names, extensions and the SGX extension are those of genuine PCK chains (spec 50 sections 1.4, 3.2
// and 14.3), so that a strict verifier sees no difference but the root. A folder holds one PKI: five keys
// (0600), four certificates, root.pem for configuration files. It is made once and never overwritten.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "keys.h"

enum { PKI_CERT_MAX = 2048, PKI_CRL_MAX = 1024, PKI_CHAIN_MAX = 8192 };

enum pki_id { PKI_ROOT, PKI_CA, PKI_PCK, PKI_TCB, PKI_ATT, PKI_KEYS, PKI_CERTS = PKI_ATT };

struct pki_cert {
	size_t n;
	uint8_t der[PKI_CERT_MAX];
};

struct pki {
	struct dev_key key[PKI_KEYS];
	struct pki_cert cert[PKI_CERTS]; // the attestation key has none: the quoting enclave vouches for it
};

// What the platform's certificate says; the collateral must agree.
#define PKI_FMSPC "D57AC0000000"
#define PKI_PCEID "0000"
enum { PKI_PCE_SVN = 13, PKI_CPU_SVN = 5 }; // all 16 components alike

// Make the PKI in `dir`. A complete one is left alone (0); a damaged one is `pki.incomplete`.
int pki_make(const char *dir, int64_t now, struct err *e);
int pki_load(struct pki *p, const char *dir, struct err *e);
void pki_free(struct pki *p);

// CRL of the root or of the PCK CA, empty, valid from now - 1 day for 30 days.
int pki_crl(const struct pki *p, enum pki_id issuer, int64_t now, uint8_t out[static PKI_CRL_MAX], size_t *n,
	    struct err *e);

// PEM text of certificates, in the order given; ends with NUL.
int pki_chain(const struct pki *p, const enum pki_id *ids, size_t count, char out[static PKI_CHAIN_MAX],
	      struct err *e);
