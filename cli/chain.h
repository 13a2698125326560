// chain - an Ethereum node for the commands that change policy on chain: calls, and signed transactions.
//
// The key stays here; the node gets what is signed. It is trusted for gas prices and receipts, not for which
// chain it is on: that is demanded by the user, and part of what is signed.
#pragma once
#include "base/arena.h"
#include "base/secret.h"
#include "core/codec/json.h"
#include "policy/ethtx.h"

struct chain;

struct chain_opts {
	const char *url, *ca_file, *key_file; // key: 64 hex digits in a file that only its owner reads
	uint64_t chain_id;
	int wait_s; // for a receipt
};

struct chain_receipt {
	uint8_t hash[32], contract[ETH_ADDRESS]; // contract: of a creation
	uint64_t block, gas;
	struct json logs; // in the arena of the chain
};

struct chain *chain_open(const struct chain_opts *o, struct err *e); // key_file may be NULL: only to read
void chain_close(struct chain *c);
const uint8_t *chain_sender(const struct chain *c); // 20 bytes

// Sent and in a block, or an error: chain.rpc, chain.reverted, chain.no_receipt.
int chain_send(struct chain *c, const uint8_t *to, struct span data, struct chain_receipt *r, struct err *e);
// A call at the head: at most `cap` bytes.
int chain_call(struct chain *c, const uint8_t to[static ETH_ADDRESS], struct span data, uint8_t *out,
	       size_t cap, size_t *n, struct err *e);
// The i-th indexed word of the first event with this signature, of this contract. -1: no such event.
int chain_event(const struct chain_receipt *r, const uint8_t of[static ETH_ADDRESS], const char *signature,
		unsigned topic, uint8_t out[static 32]);
