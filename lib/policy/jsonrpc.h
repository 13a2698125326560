// jsonrpc - batches of JSON-RPC 2.0 requests to an Ethereum node, and their answers read strictly. Pure.
//
// The node is not trusted to be well-behaved: ids, counts and forms are checked; numbers are the hex
// "quantities" of Ethereum's JSON-RPC.
#pragma once
#include "base/sb.h"
#include "core/codec/json.h"

enum { JSONRPC_MAX = 8 };

// `params` is JSON text, an array. The ids are 1, 2, 3 …
void jsonrpc_add(struct sb *b, unsigned *n, const char *method, const char *params);
void jsonrpc_end(struct sb *b);

struct jsonrpc_reply {
	struct json result; // JSON_NONE when there is an error
	int64_t code;       // of the error
	char error[200];    // "" when there is none
};

// The answers to ids 1 to n, in any order, each once. NULL, or what is wrong.
const char *jsonrpc_read(struct jsonrpc_reply *out, unsigned n, struct span body);

MUST_USE int jsonrpc_quantity(struct json v, uint64_t *out);                   // "0x1f"
MUST_USE int jsonrpc_hash(struct json v, uint8_t out[static 32]);              // "0x…" of 32 bytes
MUST_USE int jsonrpc_data(struct json v, uint8_t *out, size_t cap, size_t *n); // "0x…"
