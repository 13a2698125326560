// amd_cert - the profile of X.509 that AMD's SEV-SNP key service uses, and nothing beyond it.
//
// AMD publication 57230: ARK and ASK have RSA keys of 4096 bits, the VCEK a P-384 key; every certificate and
// revocation list is signed with RSASSA-PSS, SHA-384, MGF1 with SHA-384 and a salt of 48 bytes, as exactly
// these parameters say, both inside and outside. Signatures are taken out, not checked. Spans point into the
// input.
#pragma once
#include "core/codec/x509.h"

enum { AMD_RSA = 512, AMD_P384 = 96, AMD_SPLS = 10 };

struct amd_cert {
	struct x509 x;         // names, times, constraints; its own key and signature are not used
	bool is_ec;            // `key` is X || Y of P-384, else a modulus
	struct span key, sig;  // sig: 512 bytes
	struct span product;   // "Milan-B0"; empty when absent, as all that follows
	struct span hwid;      // of the chip; VCEK only
	struct span csp;       // of the cloud provider; VLEK only
	uint32_t version;      // of the extensions
	uint16_t has;          // bit i: spl[i] is there
	uint8_t spl[AMD_SPLS]; // security patch levels by the last number of their identifier, 1 to 9
	bool has_version;
};

struct amd_crl {
	struct x509_crl x; // its own signature is not used
	struct span sig;
};

MUST_USE int amd_cert_parse(struct amd_cert *c, struct span der);
// A certificate without its signature (TBSCertificate): `sig` stays empty, x.der is x.tbs.
MUST_USE int amd_tbs_parse(struct amd_cert *c, struct span tbs);
MUST_USE int amd_crl_parse(struct amd_crl *c, struct span der);
