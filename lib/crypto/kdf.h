// kdf - the one key derivation of dstack: HKDF-SHA256 (RFC 5869) with salt "RATLS" and unframed parts.
//
// info is the parts one after another, without lengths or terminators, as every upstream component does it;
// callers therefore pass only parts of fixed size (spec 20 section 2.3). Known answers:
// tests/vectors/kms.json.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

enum { KDF_OUT_MAX = 255 * 32, KDF_INFO_MAX = 1024 };

// The same with another salt, which keeps two uses of one key apart whatever their parts are.
int kdf_derive_salted(const char *salt, struct span ikm, const struct span *parts, size_t n_parts, void *out,
		      size_t len, struct err *e) __attribute__((warn_unused_result));
int kdf_derive(struct span ikm, const struct span *parts, size_t n_parts, void *out, size_t len,
	       struct err *e) __attribute__((warn_unused_result));
