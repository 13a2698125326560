#include "gate.h"

void gate_enter(struct gate *g, bool first)
{
	pthread_mutex_lock(&g->lock);
	g->first += first;
	while (g->taken || (g->first && !first))
		pthread_cond_wait(&g->moved, &g->lock);
	g->first -= first;
	g->taken = true;
	pthread_mutex_unlock(&g->lock);
}

void gate_leave(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->taken = false;
	pthread_cond_broadcast(&g->moved);
	pthread_mutex_unlock(&g->lock);
}
