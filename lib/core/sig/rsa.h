// rsa - RSASSA-PSS verification of the core's own: SHA-384, MGF1 with SHA-384, a salt of 48 bytes, exponent
// 65537 (RFC 8017, sections 8.1.2 and 9.1.2). For AMD's keys of 4096 bits; public values only. Freestanding.
#pragma once
#include "core/codec/buf.h"

// The modulus is 256 to 512 bytes, a multiple of 128, odd, its first bit set; the signature is as long.
bool rsa_pss_sha384(struct span modulus, struct span msg, struct span sig);
