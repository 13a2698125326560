// supervise - the first process: holds the listeners, no keys, reads nothing of strangers; starts the others
// and starts them anew.
//
// The key process, the network process and the judges are its children. One that ends is followed by another
// at once: connections that have not been accepted wait in the listener meanwhile, and what was asked of a
// key process or a judge is answered with an error or asked again. When the first network process cannot
// start, or more than ten of it and the key process end within a minute, the KMS ends (kms.crash_loop) and
// the service manager sees it. When the supervisor is killed, so are all the others.
#pragma once
#include "../config.h"
#include "../judge/judges.h"

// What the network process is born with.
struct net_ends {
	int listener, admin; // sockets; admin -1: none
	int control;         // to the supervisor: pass.h
	int keys;            // to the key process
	int judge[JUDGES_MAX];
	uint32_t serial[JUDGES_MAX];
	size_t n_judges;
	bool again; // not the first one of this KMS
};

// Runs until it is told to stop: the exit status. `net` is the network process; what it returns is its own
// exit status. -1: nothing could be started.
int supervise(const struct kms_config *c, int (*net)(const struct kms_config *c, const struct net_ends *ends),
	      struct err *e);
