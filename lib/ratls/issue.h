// issue - RA-TLS identity: a fresh key and a certificate that carries evidence bound to it.
//
// The evidence's report data is SHA-512("ratls-cert:" || SPKI) (spec 50 section 2), so whoever checks it
// knows that the TEE vouched for exactly this key. The signing CA gives no authority (spec 20 section 0).
#pragma once
#include <openssl/x509.h>

#include "base/err.h"
#include "core/codec/buf.h"
#include "crypto/issue.h"

enum { RATLS_REPORT_DATA = 64 };

struct ratls_identity {
	EVP_PKEY *key;
	X509 *cert;
};

// Give a stripped versioned attestation for `report_data`; the bytes are malloc'd, the caller's from then on.
typedef int ratls_attest_fn(void *arg, const uint8_t report_data[static RATLS_REPORT_DATA],
			    uint8_t **attestation, size_t *n, struct err *e);

void ratls_report_data(struct span spki, uint8_t out[static RATLS_REPORT_DATA]);
// A client certificate "RA-TLS TEMP Cert" for `attest`'s evidence, signed by the temporary CA of a KMS (PEM
// texts of GetTempCaCert). `attest` NULL: no evidence (tests of refusals, gateways outside a CVM).
int ratls_identity_new(struct span ca_cert_pem, struct span ca_key_pem, ratls_attest_fn *attest, void *arg,
		       struct ratls_identity *out, struct err *e) __attribute__((warn_unused_result));
void ratls_identity_free(struct ratls_identity *id);
