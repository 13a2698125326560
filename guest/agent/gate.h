// gate - one at a time, whoever is marked first before all others: the quotes that the agent needs itself
// (Info) never wait for more than one of those that apps asked for.
#pragma once
#include <pthread.h>
#include <stdbool.h>

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool taken;
	unsigned first; // such that wait
};
#define GATE_INITIALIZER                                                                                     \
	{                                                                                                    \
		.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER                         \
	}

void gate_enter(struct gate *g, bool first);
void gate_leave(struct gate *g);
