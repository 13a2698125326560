// kms_floor - what a KMS cannot do without for an answer, measured in the very run it is compared with.
#pragma once
#include "base/err.h"

struct kms_work {
	int p256_signatures, p256_verifications, k256_signatures, agreements;
};
// A new TLS 1.3 connection with a client certificate, seen from the server: its own signature, the client's
// CertificateVerify and certificate, one X25519 key made and one secret derived.
#define KMS_HANDSHAKE .p256_signatures = 1, .p256_verifications = 2, .agreements = 1

// CPU nanoseconds of this process for one such lot of work, the mean of `rounds`.
double kms_floor_ns(const struct kms_work *w, int rounds);
