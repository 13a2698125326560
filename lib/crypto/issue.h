// issue - X.509 certificates in the shapes dstack uses, and the dstack extensions in them.
//
// ECDSA P-256 with SHA-256 throughout. An extension's value is an OCTET STRING around the content (so two
// nested ones): RFC 5280 with spec 20 section 2.5, spec 50 section 8.1. What an extension says is a claim of
// the issuer; it is worth what the chain under a pinned root is worth.
#pragma once
#include <openssl/x509.h>

#include "base/err.h"
#include "core/codec/buf.h"

enum { CERT_SANS_MAX = 128, CERT_SPKI_MAX = 1024, CERT_PEM_MAX = 64 * 1024, CERT_URL_MAX = 256 };

enum cert_ext { // 1.3.6.1.4.1.62397.1.x
	CERT_EXT_QUOTE = 1,
	CERT_EXT_EVENT_LOG = 2,
	CERT_EXT_APP_ID = 3,
	CERT_EXT_USAGE = 4,
	CERT_EXT_ATTESTATION = 8,
	CERT_EXT_APP_INFO = 9,
};

struct cert_spec {
	const char *org, *cn; // org may be NULL
	const char *const *sans;
	size_t n_sans; // IP literals become iPAddress, the rest dNSName
	bool is_ca;
	int path_len; // of a CA; < 0: no limit
	bool server_auth, client_auth;
	int64_t not_before, not_after;                    // Unix seconds, both required
	struct span app_id, app_info, usage, attestation; // an empty one is left out
	bool encode_only;      // the certificate is only to be encoded: its key as an object is not made
	const uint8_t *serial; // 20 bytes, top bit clear; NULL: the key's, always the same
	const char *crl_url;   // where the issuer's revocation list is; NULL: said nowhere
	struct span quote, event_log; // the legacy form of `attestation`, for readers that know no other
};

// Who signs: a key at hand, or a function that signs a SHA-256 digest elsewhere (the KMS's key process).
struct cert_issuer {
	X509 *cert;    // NULL: self-signed by `key`
	EVP_PKEY *key; // NULL: `sign` is used
	int (*sign)(void *arg, const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len, struct err *e);
	void *arg;
};

X509 *cert_issue(const struct cert_spec *spec, EVP_PKEY *subject_key, const struct cert_issuer *by,
		 struct err *e);

// 1: found, `content` borrows from the certificate; 0: absent; -1: malformed or twice.
int cert_ext(const X509 *c, enum cert_ext which, struct span *content, struct err *e);
bool cert_usage_is(const X509 *c, const char *usage);   // e.g. "kms:rpc"
uint64_t cert_not_after(const X509 *c);                 // Unix seconds, 0: malformed
int cert_serial(const X509 *c, uint8_t out[static 20]); // zeros in front; -1: longer, or negative
int cert_spki(X509 *c, uint8_t spki[static CERT_SPKI_MAX], size_t *n,
	      struct err *e); // DER SubjectPublicKeyInfo

X509 *cert_from_pem(struct span pem, struct err *e);            // the first certificate
X509 *cert_from_der(struct span der, struct err *e);            // no trailing bytes
int cert_to_pem(X509 *c, char *out, size_t cap, struct err *e); // with final newline and NUL
