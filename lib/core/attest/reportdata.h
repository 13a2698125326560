// reportdata - the 64 bytes a quote binds: pad64(HASH(tag ":" content)).
//
// Default hash SHA-512. "raw" takes exactly 64 bytes unchanged and no tag. Freestanding.
#pragma once
#include "core/codec/buf.h"
#include "core/codec/fault.h"

#define REPORT_RATLS_CERT   "ratls-cert"   // content: DER SubjectPublicKeyInfo
#define REPORT_KMS_ROOT_CA  "kms-root-ca"  // DER SubjectPublicKeyInfo
#define REPORT_APP_DATA     "app-data"     // the caller's bytes
#define REPORT_ACME_ACCOUNT "acme-account" // account URI
#define REPORT_ZT_CERT      "zt-cert"      // DER SubjectPublicKeyInfo

// The first 16 bytes of every report data that an OS image, and not its app, is to answer for; 48 bytes
// follow. Agents refuse to quote them for a container, so under a measurement of such an image nobody else
// minted them. None is in use yet: the domains above are bare hashes, which no agent can tell from an app's
// own bytes.
#define REPORT_SYSTEM "dstack-system-1:"

// `hash` is one of sha256 sha384 sha512 sha3-256 sha3-384 sha3-512 keccak256 keccak384 keccak512 raw, "" =
// sha512.
int report_data_make(uint8_t out[64], struct span hash, struct span tag, struct span content,
		     struct fault *f);
// SHA-512 with a tag: what every fixed use above takes. Cannot fail.
void report_data_tagged(uint8_t out[64], const char *tag, struct span content);
