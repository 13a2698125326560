#include "upkeep.h"

#include "demo.h"
#include "kms_link.h"

enum { EVERY_S = 5 };

static void look(struct agent *g)
{
	if (g->kms)
		kms_link_kick(g->kms);
	demo_kick(g);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	look(arg);
}

struct event *upkeep_start(struct event_base *base, struct agent *g)
{
	struct event *tick = event_new(base, -1, EV_PERSIST, on_tick, g);

	if (tick && event_add(tick, &(struct timeval){ EVERY_S, 0 })) {
		event_free(tick);
		return NULL;
	}
	look(g);
	return tick;
}

bool upkeep_idle(struct agent *g)
{
	return demo_idle(g) && (!g->kms || kms_link_idle(g->kms));
}
