#include "crypto/rotation.h"

#include <string.h>

#include "core/codec/json.h"
#include "core/hash/keccak.h"
#include "core/hash/sha2.h"
#include "crypto/k256.h"

static const char prefix[] = "dstack-kms-root-rotation";

static int digest_of(const struct rotation *r, uint8_t digest[static 32], struct err *e)
{
	uint8_t msg[16 + sizeof r->ca_spki + sizeof r->k256_pub];
	struct wr w = wr_to(msg, sizeof msg);

	wr_be64(&w, r->index);
	wr_be64(&w, r->time);
	wr_put(&w, r->ca_spki, sizeof r->ca_spki);
	wr_put(&w, r->k256_pub, sizeof r->k256_pub);
	return k256_statement(prefix, span_of(NULL, 0), span_of(msg, w.n), digest, e);
}

int rotation_sign(struct rotation *r, const uint8_t before[static 32], const uint8_t own[static 32],
		  struct err *e)
{
	uint8_t digest[32];

	return digest_of(r, digest, e) || k256_sign_digest(before, digest, r->signature, e) ||
			       k256_sign_digest(own, digest, r->own_signature, e)
		       ? err_wrap(e, "sign root set %u", r->index)
		       : 0;
}

static bool is_by(const uint8_t digest[static 32], const uint8_t sig[static 65], const uint8_t pub[static 33])
{
	uint8_t got[K256_PUB];
	struct err e;

	return !k256_recover(digest, sig, got, &e) && !memcmp(got, pub, sizeof got);
}

int rotation_check(const struct rotation *r, uint32_t index, const uint8_t before[static 33], struct err *e)
{
	uint8_t digest[32];

	if (r->index != index)
		return err_code(e, ERR_UNTRUSTED, "roots.statement", "root set %u stands where %u belongs",
				r->index, index);
	if (digest_of(r, digest, e))
		return -1;
	if (!is_by(digest, r->signature, before))
		return err_code(e, ERR_UNTRUSTED, "roots.statement",
				"root set %u is not signed by the K256 key of the set before it", index);
	if (!is_by(digest, r->own_signature, r->k256_pub))
		return err_code(e, ERR_UNTRUSTED, "roots.statement",
				"root set %u is not signed by its own K256 key", index);
	return 0;
}

int rotation_signer(const struct rotation *r, uint8_t pub[static 33], struct err *e)
{
	uint8_t digest[32];

	if (digest_of(r, digest, e))
		return -1;
	if (k256_recover(digest, r->signature, pub, e))
		return err_code(e, ERR_UNTRUSTED, "roots.statement", "root set %u is not signed", r->index);
	return 0;
}

void rotation_id(const uint8_t ca_spki[static 91], const uint8_t k256_pub[static 33], uint8_t out[static 32])
{
	uint8_t both[91 + 33];

	memcpy(both, ca_spki, 91);
	memcpy(both + 91, k256_pub, 33);
	sha256(both, sizeof both, out);
}

void rotation_report_data(const uint8_t ca_spki[static 91], const uint8_t k256_pub[static 33],
			  uint8_t out[static 64])
{
	static const char birth[] = "dstack-kms-genereted-keys-v1:"; // so spelled on the wire
	char text[sizeof birth + 2 * (91 + 33) + 2];
	struct wr w = wr_to(text, sizeof text);

	wr_str(&w, birth);
	wr_hex(&w, ca_spki, 91);
	wr_u8(&w, ';');
	wr_hex(&w, k256_pub, 33);
	wr_u8(&w, ';');
	memset(out, 0, 64);
	keccak256(text, w.n, out);
}

static void put_hex(struct sb *b, const char *name, const void *p, size_t n)
{
	sb_json_key(b, name);
	sb_chr(b, '"');
	sb_hex(b, p, n);
	sb_chr(b, '"');
}

void rotation_write(struct sb *b, const struct rotation *r, struct span attestation)
{
	sb_fmt(b, "{\"index\":%u,\"time\":%llu", r->index, (unsigned long long)r->time);
	put_hex(b, "ca_pubkey", r->ca_spki, sizeof r->ca_spki);
	put_hex(b, "k256_pubkey", r->k256_pub, sizeof r->k256_pub);
	put_hex(b, "signature", r->signature, sizeof r->signature);
	put_hex(b, "own_signature", r->own_signature, sizeof r->own_signature);
	put_hex(b, "attestation", attestation.p, attestation.n);
	sb_str(b, "}\n");
}

int rotation_read(struct rotation *r, struct span text, struct err *e)
{
	static const char *const member[] = { "index",     "time",          "ca_pubkey",  "k256_pubkey",
					      "signature", "own_signature", "attestation" };
	enum { N = sizeof member / sizeof *member };
	struct json all, v[N];
	uint64_t index;

	*r = (struct rotation){ 0 };
	if (json_parse(&all, text, NULL) || json_kind(all) != JSON_OBJECT || json_count(all) != N ||
	    json_pick(all, member, v, N) != N || json_u64(v[0], ROOT_SETS_MAX, &index) ||
	    json_u64(v[1], UINT64_MAX, &r->time) || json_hex(v[2], r->ca_spki, sizeof r->ca_spki) ||
	    json_hex(v[3], r->k256_pub, sizeof r->k256_pub) ||
	    json_hex(v[4], r->signature, sizeof r->signature) ||
	    json_hex(v[5], r->own_signature, sizeof r->own_signature) || json_kind(v[6]) != JSON_STRING)
		return err_code(e, ERR_INPUT, "roots.statement", "the statement of a root set is malformed");
	r->index = (uint32_t)index;
	return 0;
}
