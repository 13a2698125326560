#include "handover_ring.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/cleanup.h"
#include "crypto/issue.h"
#include "crypto/k256.h"
#include "crypto/ssl.h"

static bool copy(uint8_t *out, size_t n, ProtobufCBinaryData b)
{
	if (b.len != n)
		return false;
	memcpy(out, b.data, n);
	return true;
}

static int read_said(const Kms__RootRotation *m, struct rotation *r, struct err *e)
{
	*r = (struct rotation){ .index = m->index, .time = m->time };
	if (copy(r->ca_spki, sizeof r->ca_spki, m->ca_pubkey) &&
	    copy(r->k256_pub, sizeof r->k256_pub, m->k256_pubkey) &&
	    copy(r->signature, sizeof r->signature, m->signature) &&
	    copy(r->own_signature, sizeof r->own_signature, m->own_signature) &&
	    m->attestation.len <= KEYRING_STATEMENT_MAX / 4)
		return 0;
	return err_code(e, ERR_INPUT, "onboard.keys",
			"Invalid keys: the statement of root set %u is malformed", m->index);
}

static int mismatch(uint32_t root, struct err *e)
{
	return err_code(e, ERR_UNTRUSTED, "onboard.keys_mismatch",
			"the source's root set %u is not the one it announced on the attested connection",
			root);
}

static int take_keys(const struct rotation *r, const Kms__RootSet *m, struct keyring_files *f, struct err *e)
{
	auto_pkey EVP_PKEY *ca = p256_from_pem(span_str(m->ca_key), e);
	uint8_t spki[P256_SPKI], pub[K256_PUB];

	if (!ca || !copy(f->k256, sizeof f->k256, m->k256_key))
		return err_code(e, ERR_INPUT, "onboard.keys", "Invalid keys: root set %u", r->index);
	if (p256_spki(ca, spki, e) || k256_public(f->k256, pub, e))
		return -1;
	if (CRYPTO_memcmp(spki, r->ca_spki, sizeof spki) || CRYPTO_memcmp(pub, r->k256_pub, sizeof pub))
		return mismatch(r->index, e);
	auto_x509 X509 *cert = keyfiles_root_cert(ca, e);
	return !cert || p256_to_pem(ca, f->ca_key, e) || cert_to_pem(cert, f->ca_cert, sizeof f->ca_cert, e)
		       ? -1
		       : 0;
}

static int take_set(const Kms__RootRotation *said, const Kms__RootSet *given, uint32_t index,
		    uint8_t before[static K256_PUB], struct keyring_set *out, struct err *e)
{
	auto_sb text = { 0 };
	struct rotation r;

	if (read_said(said, &r, e) || rotation_check(&r, index, before, e))
		return -1;
	memcpy(before, r.k256_pub, K256_PUB);
	out->files = secret_new(sizeof(struct keyring_files));
	if (!out->files)
		return err_set(e, ERR_SYSTEM, "out of locked memory");
	rotation_write(&text, &r, span_of(said->attestation.data, said->attestation.len));
	if (take_keys(&r, given, (struct keyring_files *)(void *)out->files->b, e))
		return -1;
	out->statement = sb_take(&text);
	return out->statement ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

int handover_take_ring(const Kms__GetMetaResponse *said, const Kms__KmsKeyResponse *given,
		       struct keyfiles_roots *out, struct err *e)
{
	uint8_t before[K256_PUB];

	if (said->n_roots != given->n_roots)
		return err_code(e, ERR_UNTRUSTED, "onboard.keys_mismatch",
				"the source announced %zu root sets after the first on the attested "
				"connection and hands over %zu",
				said->n_roots, given->n_roots);
	if (given->n_roots >= ROOT_SETS_MAX)
		return err_code(e, ERR_INPUT, "onboard.keys", "Invalid keys: %zu root sets after the first",
				given->n_roots);
	if (k256_public(out->k256->b, before, e))
		return -1;
	for (uint32_t i = 0; i < given->n_roots; i++) {
		out->n_more = i + 1; // also what is half taken is freed
		if (take_set(said->roots[i], given->roots[i], i + 1, before, &out->more[i], e))
			return -1;
	}
	return 0;
}
