// demo - the demonstration certificate of Info.app_cert: what a certificate of this app looks like, with its
// evidence, for anybody to verify. Its key is thrown away.
//
// Spec 10 section 3.5. Asked for in the background (a KMS may take its time, or be away), again after a
// failure, and before it expires; until the first one the text is empty.
#pragma once
#include <pthread.h>
#include "base/arena.h"
#include "renewal.h"

struct agent;

struct demo {
	pthread_mutex_t lock;
	char *chain; // PEMs; NULL until issued
	bool busy;   // a thread asks
	struct renewal life;
};
#define DEMO_INITIALIZER                                                                                     \
	{                                                                                                    \
		.lock = PTHREAD_MUTEX_INITIALIZER                                                            \
	}

void demo_kick(struct agent *g);                   // asks if it is time to
char *demo_text(struct agent *g, struct arena *a); // "" until there is one
bool demo_idle(struct agent *g);
void demo_free(struct agent *g);
