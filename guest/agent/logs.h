// logs - what the containers write, for anyone: GET /logs/<container> of the external listener (spec 10
// section 1.5).
//
// Only for apps that say public_logs; for others the path does not exist. The container engine's answer
// comes over a descriptor (outside.h) to the event loop; a reader that does not read stops the engine's
// stream. Places are few, and fewer for one address; who goes away gives its place back, though it says
// nothing (within GONE_S), and who gets nothing for 600 s is let go.
#pragma once
#include "outside.h"
#include "rpc/server.h"

enum { LOGS_READERS = 32, LOGS_PER_ADDRESS = 8, LOGS_ANSWER_S = 10, LOGS_SILENCE_S = 600, LOGS_ADDRESS = 64 };

struct reader; // logs.c

struct logs {
	const struct outside *outside;
	struct event_base *base;
	unsigned readers, readers_max, address_max;
	struct reader *all;
	int answer_s, silence_s;
};

// Nothing unless the app's public_logs is true. `l` lives as long as the server.
int logs_mount(struct rpc_server *s, struct event_base *base, struct logs *l, const struct outside *outside);
void logs_address(const struct http_peer *p, char out[static LOGS_ADDRESS]); // what address_max counts by
