// abi - the few calls a KMS makes of upstream's contracts, in Solidity's ABI. Pure.
//
// What comes back is not trusted: every offset and length is checked against the bytes that are there.
// Contract ABI specification; spec 20 section 3.3.
#pragma once
#include "core/codec/buf.h"
#include "core/verify/bootinfo.h"
#include "policy/policy.h"

enum { ABI_WORD = 32, ABI_TEXT_MAX = 4096, ABI_CALL_MAX = 8192 };

// First 4 bytes of Keccak-256 of the signature.
void abi_selector(struct wr *w, const char *signature);
void abi_u64(struct wr *w, uint64_t v);
void abi_right(struct wr *w, const void *p,
	       size_t n); // n at most 32, zeros before it: addresses, short hashes
void abi_bytes(struct wr *w, const void *p, size_t n); // length, bytes, zeros to a word
// isAppAllowed or isKmsAllowed with the whole boot info.
void abi_boot_call(struct wr *w, const struct boot_info *b, enum policy_kind kind);

// (bool, string): -1 when it is not that. The text has a NUL behind.
MUST_USE int abi_read_verdict(struct span data, bool *allowed, char text[static ABI_TEXT_MAX + 1]);
MUST_USE int abi_read_text(struct span data, char text[static ABI_TEXT_MAX + 1]); // (string)
MUST_USE int abi_read_address(struct span data, uint8_t out[static 20]);
MUST_USE int abi_read_u64(struct span data, uint64_t *out);
