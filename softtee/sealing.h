// sealing - the local key provider of the software TEE: a disk key for one measured guest on one machine.
//
// Upstream's protocol (docs/formats/sealing.md): a guest's TDX quote over an X25519 key comes, a key derived
// from this machine's secret and the guest's measurements goes back in a libsodium sealed box, with an SGX
// quote over the box. The stand-in for the enclave is this process; its quote is genuine in form, its
// MRENCLAVE stands for this program and its root is the development root.
#pragma once
#include "base/sb.h"
#include "core/attest/quote.h"
#include "crypto/engine.h"
#include "quote.h"

enum { SEALING_SECRET = 16, SEALING_KEY = 32, SEALING_MEASURED = 5 * MR };

struct sealing {
	const struct pki *pki;
	uint8_t secret[SEALING_SECRET];
	struct engine *engine; // trusts the development root only
	struct quote_signer signer;
	struct enclave self;
};

// The machine's secret is `dir`/sealing.key, 0600, made once.
int sealing_init(struct sealing *s, const struct pki *pki, const char *dir, struct err *e);
void sealing_free(struct sealing *s);
// SHA-256(secret || MRTD || RTMR0 || .. || RTMR3); the secret has at most 64 bytes, the registers
// SEALING_MEASURED.
void sealing_derive(const uint8_t *secret, size_t n, const void *measurements, size_t measured,
		    uint8_t key[static SEALING_KEY]);

// The document for one request document. Codes: sealing.request, sealing.guest_key, sealing.machine, and
// those of the quote's verification.
int sealing_answer(struct sealing *s, struct span request, int64_t now, struct sb *out, struct err *e);
// Serve "tcp:127.0.0.1:PORT" until the process is ended: one connection at a time, at most ten seconds each.
int sealing_run(struct sealing *s, const char *address, struct err *e);
