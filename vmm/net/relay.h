// relay - carries one port between a VM's network namespace and the host's, TCP or UDP.
//
// Listens in one namespace and connects in the other, to one fixed address: whatever a peer sends, it cannot
// choose where it goes. Connections, datagram flows and buffers are capped; end of file is passed on.
#pragma once
#include <event2/event.h>
#include <stdbool.h>

#include "address.h"
#include "netns.h"

enum { RELAY_TCP_MAX = 512, RELAY_UDP_MAX = 256, RELAY_UDP_IDLE_S = 180 };

struct relay;

struct relay_plan {
	bool udp;
	bool into_vm;        // listens at home and connects inside; else the other way round
	struct address from; // where to listen
	struct address to;
	const struct netns *ns; // outlives the relay
};

// Code vmm.port_in_use when somebody else listens there.
struct relay *relay_new(struct event_base *base, const struct relay_plan *plan, struct err *e);
void relay_free(struct relay *r);
