#include "crypto/envsign.h"

#include <openssl/sha.h>
#include <string.h>

#include "crypto/seal.h"

static const uint8_t tag[ENVSIGN_TAG] = "dstack-env-v1";

enum { SIGNED = ENVSIGN_TAG + ENVSIGN_APP + 8 + ED25519_PUB + SHA256_DIGEST_LENGTH };

static void what_is_signed(uint8_t out[static SIGNED], const uint8_t app[static ENVSIGN_APP],
			   uint64_t version, const uint8_t signer[static ED25519_PUB], struct span box)
{
	struct wr w = wr_to(out, SIGNED);
	uint8_t sum[SHA256_DIGEST_LENGTH];

	SHA256(box.p, box.n, sum);
	wr_put(&w, tag, sizeof tag);
	wr_put(&w, app, ENVSIGN_APP);
	wr_be64(&w, version);
	wr_put(&w, signer, ED25519_PUB);
	wr_put(&w, sum, sizeof sum);
}

int envsign_read(struct span in, struct envsign *out, struct err *e)
{
	struct rd r = rd_span(in);
	struct span head = rd_bytes(&r, ENVSIGN_TAG);

	*out = (struct envsign){ 0 };
	if (r.bad || memcmp(head.p, tag, sizeof tag) != 0)
		return err_code(e, ERR_DENIED, "env.unsigned",
				"environment: not signed, but the app takes it from its signers only");
	out->version = rd_be64(&r);
	out->signer = rd_bytes(&r, ED25519_PUB).p;
	out->sig = rd_bytes(&r, ED25519_SIG).p;
	out->box = rd_bytes(&r, rd_left(&r));
	if (r.bad || !out->version || out->box.n < SEAL_OVERHEAD || in.n > ENVSIGN_MAX)
		return err_code(e, ERR_INPUT, "env.envelope",
				"environment: a signed envelope of %zu bytes cannot be read", in.n);
	return 0;
}

int envsign_check(const struct envsign *s, const uint8_t app[static ENVSIGN_APP],
		  const uint8_t (*signers)[ED25519_PUB], size_t n, struct err *e)
{
	uint8_t text[SIGNED];
	bool known = false, valid = false;

	for (size_t i = 0; i < n; i++)
		known |= !memcmp(signers[i], s->signer, ED25519_PUB);
	if (!known)
		return err_code(e, ERR_DENIED, "env.signer",
				"environment: signed by a key that the app does not name");
	what_is_signed(text, app, s->version, s->signer, s->box);
	if (ed25519_verify(s->signer, span_of(text, sizeof text), s->sig, &valid, e))
		return -1;
	return valid ? 0
		     : err_code(e, ERR_UNTRUSTED, "env.signature",
				"environment: the signature is not over this app, version and box");
}

int envsign_write(const uint8_t seed[static ED25519_SEED], const uint8_t app[static ENVSIGN_APP],
		  uint64_t version, struct span box, uint8_t *out, struct err *e)
{
	uint8_t text[SIGNED], signer[ED25519_PUB], sig[ED25519_SIG];

	if (box.n > ENVSIGN_MAX - ENVSIGN_HEAD)
		return err_code(e, ERR_INPUT, "env.too_large",
				"environment: %zu sealed bytes, the limit is %d", box.n,
				ENVSIGN_MAX - ENVSIGN_HEAD);
	struct wr w = wr_to(out, ENVSIGN_HEAD + box.n);
	if (!version || ed25519_public(seed, signer, e))
		return version ? -1 : err_set(e, ERR_BUG, "an environment of version 0");
	what_is_signed(text, app, version, signer, box);
	if (ed25519_sign(seed, span_of(text, sizeof text), sig, e))
		return -1;
	wr_put(&w, tag, sizeof tag);
	wr_be64(&w, version);
	wr_put(&w, signer, sizeof signer);
	wr_put(&w, sig, sizeof sig);
	wr_span(&w, box);
	return 0;
}
