// x509_part - what the certificate profiles have in common: names, the standard extensions, the body of a
// revocation list. Private to codec/x509.c (Intel) and attest/amd_cert.c (AMD).
#pragma once
#include "core/codec/x509.h"

enum { X509_SERIAL_MAX = 20, X509_TAG_VERSION = 0xa0, X509_TAG_EXTENSIONS = 0xa3 };

// Relative names of one attribute each; the common name at most once. `common` must come empty.
void x509_part_name(struct rd *r, struct span *name, struct span *common);
// One extension: its object identifier, value and criticality. False when it is malformed.
bool x509_part_open(struct rd *list, struct span *oid, struct span *value, bool *critical);
// A standard extension into `c`; every bit of `seen` but the lowest is one that was there. False: not
// acceptable (twice, malformed, or unknown and critical).
bool x509_part_standard(struct x509 *c, struct span oid, struct span value, bool critical, uint32_t *seen);
// From the issuer of a revocation list to its end.
MUST_USE int x509_part_crl(struct x509_crl *c, struct rd *in);
