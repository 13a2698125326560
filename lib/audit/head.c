#include "audit/head.h"

#include <string.h>

#include "base/strings.h"
#include "core/codec/json.h"
#include "crypto/k256.h"

static const char prefix[] = "dstack-kms-audit";

static int digest_of(const struct audit_head *h, uint8_t digest[static 32], struct err *e)
{
	uint8_t msg[2 * MERKLE_HASH + 16];
	struct wr w = wr_to(msg, sizeof msg);

	wr_put(&w, h->log_id, sizeof h->log_id);
	wr_be64(&w, h->size);
	wr_be64(&w, h->time);
	wr_put(&w, h->root, sizeof h->root);
	return k256_statement(prefix, span_of(NULL, 0), span_of(msg, w.n), digest, e);
}

int audit_head_sign(struct audit_head *h, const uint8_t k256[static 32], struct err *e)
{
	uint8_t digest[32];

	return digest_of(h, digest, e) || k256_public(k256, h->signer, e) ||
			       k256_sign_digest(k256, digest, h->signature, e)
		       ? err_wrap(e, "sign tree head")
		       : 0;
}

int audit_head_check(const struct audit_head *h, const uint8_t *signer, struct err *e)
{
	uint8_t digest[32], got[K256_PUB];

	if (digest_of(h, digest, e))
		return -1;
	if (k256_recover(digest, h->signature, got, e) || memcmp(got, h->signer, sizeof got) != 0)
		return err_code(e, ERR_UNTRUSTED, "audit.signature",
				"the tree head of %llu records is not signed by the key it names",
				(unsigned long long)h->size);
	if (signer && memcmp(signer, h->signer, sizeof h->signer) != 0)
		return err_code(e, ERR_UNTRUSTED, "audit.signer",
				"the tree head is signed by %s, not by the KMS's root key %s",
				STR_HEX(h->signer, 33), STR_HEX(signer, 33));
	return 0;
}

void audit_head_write(struct wr *w, const struct audit_head *h)
{
	wr_str(w, "{\"log_id\":");
	wr_json_hex(w, h->log_id, sizeof h->log_id);
	wr_str(w, ",\"size\":");
	wr_dec(w, h->size);
	wr_str(w, ",\"root\":");
	wr_json_hex(w, h->root, sizeof h->root);
	wr_str(w, ",\"time\":");
	wr_dec(w, h->time);
	wr_str(w, ",\"k256_pubkey\":");
	wr_json_hex(w, h->signer, sizeof h->signer);
	wr_str(w, ",\"signature\":");
	wr_json_hex(w, h->signature, sizeof h->signature);
	wr_str(w, "}");
}

int audit_head_read(struct audit_head *h, struct span text, struct err *e)
{
	static const char *const member[] = { "log_id", "size", "root", "time", "k256_pubkey", "signature" };
	enum { N = sizeof member / sizeof *member };
	struct json all, v[N];

	*h = (struct audit_head){ 0 };
	if (json_parse(&all, text, NULL) || json_pick(all, member, v, N) != N ||
	    json_hex(v[0], h->log_id, sizeof h->log_id) || json_u64(v[1], UINT64_MAX, &h->size) ||
	    json_hex(v[2], h->root, sizeof h->root) || json_u64(v[3], UINT64_MAX, &h->time) ||
	    json_hex(v[4], h->signer, sizeof h->signer) || json_hex(v[5], h->signature, sizeof h->signature))
		return err_code(e, ERR_INPUT, "audit.head",
				"not a tree head: a JSON object with log_id, size, root, "
				"time, k256_pubkey, signature");
	return 0;
}
