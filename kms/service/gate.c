#include "gate.h"

#include <time.h>

void gate_init(struct gate *g)
{
	pthread_condattr_t attr;

	*g = (struct gate){ 0 };
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->left, &attr);
	pthread_condattr_destroy(&attr);
}

void gate_destroy(struct gate *g)
{
	pthread_mutex_destroy(&g->lock);
	pthread_cond_destroy(&g->left);
}

void gate_enter(struct gate *g, struct gate_pass *p)
{
	pthread_mutex_lock(&g->lock);
	*p = (struct gate_pass){ true, g->generation };
	g->now++;
	pthread_mutex_unlock(&g->lock);
}

void gate_leave(struct gate *g, struct gate_pass *p)
{
	if (!p->inside)
		return;
	p->inside = false;
	pthread_mutex_lock(&g->lock);
	if (p->generation == g->generation)
		g->now--;
	else if (!--g->before)
		pthread_cond_broadcast(&g->left);
	pthread_mutex_unlock(&g->lock);
}

void gate_turn(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->generation++;
	g->before += g->now;
	g->now = 0;
	pthread_mutex_unlock(&g->lock);
}

uint64_t gate_wait(struct gate *g, int seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	pthread_mutex_lock(&g->lock);
	while (g->before && !pthread_cond_timedwait(&g->left, &g->lock, &until))
		;
	uint64_t n = g->before;
	pthread_mutex_unlock(&g->lock);
	return n;
}
