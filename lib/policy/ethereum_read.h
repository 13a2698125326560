// ethereum_read - what a node's answers mean for a decision. Pure. Private to lib/policy.
#pragma once
#include "policy/jsonrpc.h"
#include "policy/policy.h"

struct eth_block {
	uint64_t number, time;
	uint8_t hash[32];
};

// The second batch: which answer is which. Those that were not asked are -1.
struct eth_slots {
	int block, known, code, then, gateway, now;
};

int eth_block_read(struct json v, struct eth_block *out);
// chain id and head, of the first batch. policy.chain_id, .chain_stale, .chain_reply.
int eth_head_read(struct span body, uint64_t chain_id, uint64_t max_age, uint64_t now, struct eth_block *head,
		  struct err *e);
// The contract's word, of the second batch (of `n`): fills rc, err, gateway of `a`, and the two blocks.
void eth_verdict_read(struct policy_answer *a, struct span body, unsigned n, const struct eth_slots *s,
		      struct eth_block *block, struct eth_block *known);
