// handover_gate - when the roots may go to another KMS: only while an administrator has said so, for one
// measurement, for minutes, once.
//
// With core.handover_closed GetKmsKey asks here after evidence and policy. It is kept in memory: a restart
// closes it. It guards against strangers whose measurement the policy allows; who has taken this process over
// opens it for himself, so the key process's core.handover stays the outer lock.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { HANDOVER_GATE_MAX_S = 3600, HANDOVER_MR = 32 };

struct handover_gate {
	pthread_mutex_t lock;
	bool closed; // by configuration: else it always lets through
	uint8_t mr[HANDOVER_MR];
	uint64_t until_ms; // monotonic; 0: nobody may
};

void handover_gate_init(struct handover_gate *g, bool closed);
void handover_gate_open(struct handover_gate *g, const uint8_t mr[static HANDOVER_MR], uint64_t seconds);
// 0 once for the KMS it is open for, and it is closed again; else ERR_DENIED kms.handover_closed.
int handover_gate_take(struct handover_gate *g, const uint8_t mr[static HANDOVER_MR], struct err *e);
