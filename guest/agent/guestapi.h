// guestapi - what the host may ask of this guest: its state in numbers, its containers, to power off.
//
// The host is not trusted: it gets what the external listener tells anybody, numbers it could see from
// outside, and names of containers. It can end the VM anyway; Shutdown lets the app end in order first. On
// vsock only the host itself (CID 2) is served, not what else can open such sockets in the guest.
#pragma once
#include "agent.h"
#include "containers.h"

struct process;

struct guest_side {
	struct agent *agent;
	const char *root; // before the paths of /proc: "" outside tests
	const char *const *disks;
	size_t n_disks;
	const char *engine;            // the container engine's socket, "" for none
	struct containers *containers; // of that engine
	struct process *power;         // asks the init to power off (power.h)
};

extern const struct rpc_method guest_methods[]; // the mount's argument is a struct guest_side
extern const size_t guest_methods_n;
bool guest_peer_ok(const struct http_peer *p);
int guest_gate(struct rpc_call *c, void *arg, struct err *e); // code: agent.not_host
