// outside - all that the external listener needs of the agent: five questions.
//
// Strangers talk to that listener, so in a guest it is a process that holds nothing and asks by messages
// (ask.h, broker.h); in the simulator and in tests the answers come from the same process. Whoever answers
// takes the asker for hostile: what may be asked is what anybody may know.
#pragma once
#include "agent.h"
#include "containers.h"
#include "guest.pb-c.h"
#include "guestapi.h"
#include "host.pb-c.h"
#include "logline.h"

// `out` is initialised, and filled from the arena. 0 or -1.
struct outside {
	const struct app_files *app; // name and the three public switches; no more is to be used
	const char *tee;             // name of the driver, NULL: a simulator
	struct event_base *base;
	const void *arg;
	// For workers:
	int (*info)(const struct outside *o, struct arena *a, Guest__AppInfo *out, struct err *e);
	int (*app_quote)(const struct outside *o, const char *algorithm, struct arena *a,
			 Guest__GetQuoteResponse *out, struct err *e);
	// For the loop; as containers_list:
	void (*containers)(const struct outside *o, struct containers_wait *w);
	// For both:
	int (*sysinfo)(const struct outside *o, struct arena *a, Host__SystemInfo *out, struct err *e);
	// A descriptor (nonblocking, the caller's) on which the engine's HTTP answer comes, or -1. At its end
	// the connection ends, too.
	int (*logs)(const struct outside *o, const char *name, const struct log_query *how, struct err *e);
};

// Answered in this process; `side` lives as long as what is returned.
struct outside outside_here(struct event_base *base, const struct guest_side *side);
