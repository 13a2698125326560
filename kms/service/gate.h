// gate - counts who decided something and is not through yet, so that a change can wait for all of those who
// decided before it.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
	pthread_mutex_t lock; // held for moments only: taken on the loop's thread, too
	pthread_cond_t left;
	uint64_t generation, now, before; // inside since the last turn, and since an earlier one
};
struct gate_pass {
	bool inside;
	uint64_t generation;
};

void gate_init(struct gate *g);
void gate_destroy(struct gate *g);
void gate_enter(struct gate *g, struct gate_pass *p);
void gate_leave(struct gate *g, struct gate_pass *p); // nothing when it is not inside
void gate_turn(struct gate *g);                       // who is inside now is of before
uint64_t gate_wait(struct gate *g, int seconds);      // till none of those is left; how many are
