#include "policy/ethtx.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/hash/keccak.h"
#include "crypto/k256.h"

static void rlp_head(struct wr *w, uint8_t base, size_t n)
{
	uint8_t be[8];
	size_t skip = 0;

	if (n <= 55) {
		wr_u8(w, (uint8_t)(base + n));
		return;
	}
	struct wr number = wr_to(be, sizeof be);
	wr_be64(&number, n);
	while (!be[skip])
		skip++;
	wr_u8(w, (uint8_t)(base + 55 + sizeof be - skip));
	wr_put(w, be + skip, sizeof be - skip);
}

static void rlp_bytes(struct wr *w, const uint8_t *p, size_t n)
{
	if (n != 1 || p[0] >= 0x80)
		rlp_head(w, 0x80, n);
	wr_put(w, p, n);
}

// Numbers have no leading zeros; zero is the empty string.
static void rlp_number(struct wr *w, const uint8_t *p, size_t n)
{
	while (n && !*p) {
		p++;
		n--;
	}
	rlp_bytes(w, p, n);
}

static void rlp_u64(struct wr *w, uint64_t v)
{
	uint8_t be[8];
	struct wr number = wr_to(be, sizeof be);

	wr_be64(&number, v);
	rlp_number(w, be, sizeof be);
}

static void fields(struct wr *w, const struct eth_tx *t, const uint8_t *sig)
{
	rlp_u64(w, t->chain_id);
	rlp_u64(w, t->nonce);
	rlp_u64(w, t->tip);
	rlp_u64(w, t->fee);
	rlp_u64(w, t->gas);
	rlp_bytes(w, t->to, t->to ? ETH_ADDRESS : 0);
	rlp_u64(w, 0); // value
	rlp_bytes(w, t->data.p, t->data.n);
	rlp_head(w, 0xc0, 0); // no access list
	if (!sig)
		return;
	rlp_u64(w, sig[64]);
	rlp_number(w, sig, 32);
	rlp_number(w, sig + 32, 32);
}

static void typed(struct wr *w, const struct eth_tx *t, const uint8_t *sig)
{
	struct wr size = wr_to(NULL, 0);

	fields(&size, t, sig);
	wr_u8(w, 2);
	rlp_head(w, 0xc0, size.n);
	fields(w, t, sig);
}

int eth_tx_sign(struct wr *out, const struct eth_tx *t, const uint8_t key[static 32], struct err *e)
{
	auto_free uint8_t *unsigned_tx = malloc(ETH_TX_MAX);
	uint8_t digest[32], sig[K256_SIG];

	if (!unsigned_tx)
		return err_set(e, ERR_SYSTEM, "out of memory");
	struct wr w = wr_to(unsigned_tx, ETH_TX_MAX);
	typed(&w, t, NULL);
	if (w.bad)
		return err_set(e, ERR_INPUT, "the transaction is too long");
	keccak256(unsigned_tx, w.n, digest);
	if (k256_sign_digest(key, digest, sig, e))
		return -1;
	typed(out, t, sig);
	return out->bad ? err_set(e, ERR_INPUT, "the transaction is too long") : 0;
}

int eth_address(const uint8_t key[static 32], uint8_t out[static ETH_ADDRESS], struct err *e)
{
	uint8_t pub[K256_PUB];

	return k256_public(key, pub, e) ? -1 : k256_address(pub, out, e);
}
