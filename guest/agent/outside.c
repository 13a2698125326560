#include "outside.h"

#include "app_quote.h"
#include "engine.h"
#include "info.h"
#include "sysinfo.h"

static int info(const struct outside *o, struct arena *a, Guest__AppInfo *out, struct err *e)
{
	const struct guest_side *s = o->arg;

	return info_fill(s->agent, true, a, out, e);
}

static int app_quote(const struct outside *o, const char *algorithm, struct arena *a,
		     Guest__GetQuoteResponse *out, struct err *e)
{
	const struct guest_side *s = o->arg;

	return app_quote_fill(s->agent, algorithm, a, out, e);
}

static void containers(const struct outside *o, struct containers_wait *w)
{
	const struct guest_side *s = o->arg;

	containers_list(s->containers, w);
}

static int sysinfo(const struct outside *o, struct arena *a, Host__SystemInfo *out, struct err *e)
{
	const struct guest_side *s = o->arg;

	return sysinfo_fill(s->root, s->disks, s->n_disks, a, out, e);
}

static int logs(const struct outside *o, const char *name, const struct log_query *how, struct err *e)
{
	const struct guest_side *s = o->arg;

	return engine_logs(s->engine, name, how, e);
}

struct outside outside_here(struct event_base *base, const struct guest_side *side)
{
	const struct agent *g = side->agent;

	return (struct outside){ .app = &g->app,
				 .tee = g->source ? NULL
					: g->tee  ? tee_name(g->tee)
						  : "tdx",
				 .base = base,
				 .arg = side,
				 .info = info,
				 .app_quote = app_quote,
				 .containers = containers,
				 .sysinfo = sysinfo,
				 .logs = logs };
}
