// ethtx - Ethereum transactions of type 2, signed: RLP by hand. Pure but for the signature.
//
// EIP-1559, EIP-2718, EIP-55 (not checked: addresses are taken in any case). Nonce of the signature by RFC
// 6979, so that the same transaction has the same bytes everywhere.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

enum { ETH_ADDRESS = 20, ETH_DATA_MAX = 64 << 10, ETH_TX_MAX = ETH_DATA_MAX + 512 };

struct eth_tx {
	uint64_t chain_id, nonce, tip, fee, gas; // tip and fee: wei per gas, at most
	const uint8_t *to;                       // 20 bytes; NULL: makes a contract
	struct span data;
};

int eth_tx_sign(struct wr *out, const struct eth_tx *t, const uint8_t key[static 32], struct err *e);
int eth_address(const uint8_t key[static 32], uint8_t out[static ETH_ADDRESS], struct err *e);
