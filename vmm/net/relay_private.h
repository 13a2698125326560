// relay_private - what the two kinds of relay share; for relay*.c only.
#pragma once
#include "relay.h"

struct tcp_pair;
struct udp_flow;

struct relay {
	struct event_base *base;
	struct relay_plan plan;
	int fd;
	size_t count;
	struct event *accept, *sweep;
	struct tcp_pair *pairs;
	struct udp_flow *flows;
};

int relay_dial(const struct relay *r);
int relay_tcp_start(struct relay *r);
void relay_tcp_stop(struct relay *r);
int relay_udp_start(struct relay *r);
void relay_udp_stop(struct relay *r);
