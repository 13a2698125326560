// manager - a service manager around the agent, spoken to as systemd defines it: sockets it has opened
// (LISTEN_FDS), that the agent serves (READY), that its loop still turns (WATCHDOG). Without one: nothing.
//
// The environment comes from whoever starts the agent, who is trusted with more than that.
#pragma once
#include <event2/event.h>

struct manager {
	int fd; // where it is told, -1: nowhere
	struct event *tick;
};

// Upstream's units pass -w or --watchdog; the environment alone says whether there is one. The new argc.
int manager_args(int argc, char **argv);
// The descriptors given, once, before anything else is opened: how many; the first is MANAGER_FIRST_FD.
enum { MANAGER_FIRST_FD = 3, MANAGER_FDS_MAX = 16 };
unsigned manager_sockets(void);

void manager_ready(struct manager *m, struct event_base *base); // all sockets listen; feeds the watchdog, too
void manager_stop(struct manager *m);
