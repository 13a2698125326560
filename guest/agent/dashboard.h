// dashboard - the page about this guest for people: GET / of the external listener (spec 10 section 1.5).
//
// Anyone may ask. What the app keeps to itself is not in it: public_sysinfo, public_logs and public_tcbinfo
// decide. The page needs no script and loads nothing; its names are the app's own words and only ever text.
// It is made at most once a second, however many ask, and nothing of that blocks the event loop.
#pragma once
#include "base/sb.h"
#include "guest.pb-c.h"
#include "host.pb-c.h"
#include "outside.h"
#include "rpc/pool.h"

struct dashboard_view {
	const Guest__AppInfo *info;     // tcb_info "": not public
	const Host__SystemInfo *system; // NULL: not public
	const Host__ListContainersResponse *containers;
	bool logs, tcb;        // public
	const char *notice[2]; // said on top: in bold, and the rest; NULL: nothing
};
void dashboard_write(struct sb *b, const struct dashboard_view *v);
extern const char dashboard_html[], dashboard_css[]; // as in page/, embedded

struct dashboard_wait; // dashboard.c
struct dashboard_build;

struct dashboard {
	const struct outside *outside;
	struct event_base *base;
	struct pool *pool; // NULL before the first page
	struct dashboard_wait *waiting;
	struct dashboard_build *build; // the page being made, or NULL
	char *page;                    // the last one
	size_t n;
	uint64_t until_ms; // when it is too old
	bool stopping;
};

// `d` lives as long as the server; the headers it adds (a policy that lets nothing load) are on every reply.
int dashboard_mount(struct rpc_server *s, struct event_base *base, struct dashboard *d,
		    const struct outside *outside);
void dashboard_stop(struct dashboard *d); // before the server and side->containers are freed
void dashboard_free(struct dashboard *d); // after
