// kms_checked - a KMS that runs in a CVM, judged like an app: by the evidence in its own RPC certificate.
//
// The key of the finished handshake is the attested one; the certificate is the KMS's own, by its root, which
// is the key provider that apps measured; the compose file and the image are the expected ones.
#pragma once
#include "core/codec/buf.h"
#include "ratls/trust.h"

struct kms_expect {
	const char *url;             // https://host:port: asked, and the handshake finished
	const char *cert_file;       // or its certificate (PEM), got earlier; NULL: ask
	const uint8_t *compose_hash; // 32, of its app-compose.json
	const char *root_pem;        // its root CA; NULL: not compared
};

// 0, and `out` is the KMS's own verdict; -1: code kms.issuer, ratls.usage, or the evidence's.
int kms_checked(struct trust *t, const struct kms_expect *x, struct trust_result *out, struct err *e);
// The same as claims kms_evidence and kms_compose of an app's verdict; a KMS that fails makes that fail.
void kms_claims(struct verdict *v, const struct trust_result *kms, int rc, const struct err *why);
