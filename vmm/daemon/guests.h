// guests - what the agents inside the VMs tell, through the daemon: /guest/<Method>, ProxiedGuestApi. spec 40
// section 6.
//
// A guest may answer anything, or nothing: an answer is bounded in size and time, decoded and encoded again,
// and a guest has few requests open at once, so that it can hold up nobody but those who ask for it.
#pragma once
#include "rpc/server.h"
#include "state.h"

enum { GUEST_API_PORT = 8000, GUEST_OPEN_MAX = 4, GUESTS_OPEN_MAX = 32, GUEST_WAIT_S = 20 };
enum { GUEST_ANSWER_MAX = 10 << 20 };

int guests_mount(struct rpc_server *s, struct daemon *d);
void guests_free(struct daemon *d); // before the server: open requests end with an error

// What a guest's whole answer means: a message of type `d` in the arena, or NULL with the error for who
// asked. Codes: vmm.guest_answer, vmm.guest_refused.
void *guest_answer(const ProtobufCMessageDescriptor *d, int status, struct span body, struct arena *a,
		   struct err *e);
