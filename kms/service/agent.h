// agent - evidence of the KMS itself, from the guest agent of the CVM it runs in.
//
// The agent is inside the same trust domain; what it gives is verified all the same, by whoever receives it.
// Synchronous: for start-up and for workers. spec 20 section 2.7.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

enum { AGENT_REPORT_DATA = 64 };

// A versioned attestation over `report_data`, malloc'd. `address` "" gives kms.no_agent.
int agent_attest(const char *address, const uint8_t report_data[static AGENT_REPORT_DATA], uint8_t **out,
		 size_t *n, struct err *e);
// The same as certificates carry it. `arg` is the address: a ratls_attest_fn.
int agent_attest_stripped(void *arg, const uint8_t report_data[static AGENT_REPORT_DATA], uint8_t **out,
			  size_t *n, struct err *e);
// What the agent says of its machine, malloc'd.
int agent_vm_config(const char *address, char **out, struct err *e);
