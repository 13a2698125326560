#include "net.h"

#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../admin/admin.h"
#include "base/log.h"
#include "base/version.h"
#include "crypto/ssl.h"
#include "jail.h"
#include "pass.h"
#include "policy/config.h"
#include "rpc/client.h"
#include "../service/upkeep.h"
#include "wipe.h"

enum {
	IDLE_S = 10,
	REQUEST_S = 30,
	HANDLER_S = 60,
	WAIT_MS = 55000,
	STOP_S = 10,
	PUBLIC_THREADS = 2,
	TIDY_S = 2,
	FEW_CONNS = 16,
	IMAGE_THREADS = 4
};

struct daemon {
	struct event_base *base;
	struct rpc_server *server;
	struct pool *pool;
	struct service service;
	struct admin admin;
	struct upkeep upkeep;
	struct keyproc keys;
	struct judges *judges;
	const struct net_ends *ends;
	struct event *control;
	bool was_busy;      // since memory was given back
	bool no_more_faces; // the address of a new root set could not be opened
};

static void on_done(void *arg)
{
	struct daemon *d = arg;

	event_base_loopbreak(d->base);
}

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	(void)what;
	log_info("kms", "stopping signal=%d", (int)sig);
	rpc_server_stop(d->server, STOP_S, on_done, d);
}

// From the supervisor: who follows one that ended.
static void on_control(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	struct kms_pass m;
	int given;

	(void)what;
	if (kms_take(fd, &m, &given)) {
		event_del(d->control); // it has ended, and so will this
		return;
	}
	if (given >= 0 && m.kind == PASS_KEYS)
		keyproc_rejoin(&d->keys, given);
	else if (given >= 0 && m.kind == PASS_JUDGE)
		judges_seat(d->judges, m.seat, m.serial, given);
	else if (given >= 0)
		close(given);
}

static void on_judge_lost(void *arg, uint32_t seat, uint32_t serial)
{
	const struct kms_pass m = { .kind = PASS_LOST, .seat = seat, .serial = serial };
	struct daemon *d = arg;

	if (kms_pass(d->ends->control, &m, -1))
		log_error("kms", "the supervisor does not hear");
}

// What a thousand guests needed for a moment is not kept for ever.
static void on_tidy(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	struct rpc_counts n = rpc_server_counts(d->server);
	struct err e;

	(void)fd, (void)what;
	if (!d->no_more_faces && faces_listen(&d->service.faces, d->server, &e)) {
		log_error("kms", "%s", e.text);
		d->no_more_faces = true;
	}
	if (n.conns > FEW_CONNS) {
		d->was_busy = true;
	} else if (d->was_busy) {
		malloc_trim(0);
		d->was_busy = false;
	}
}

// Guests behind one host share an address, so turns are all they get; the limits are for the unproven.
static int set_limits(struct daemon *d, const struct kms_config *c, struct err *e)
{
	const size_t waiting = (size_t)c->waiting;
	const struct pool_lane lanes[SERVICE_LANES] = {
		[LANE_KEYS] = { (unsigned)c->workers, waiting, waiting, WAIT_MS },
		[LANE_IMAGES] = { IMAGE_THREADS, waiting, waiting, 0 },
		[LANE_PUBLIC] = { PUBLIC_THREADS, waiting, waiting, WAIT_MS },
	};

	d->pool = pool_new_lanes(d->base, lanes, SERVICE_LANES);
	if (!d->pool || rpc_server_conn_rate(d->server, &c->conn_rate) ||
	    rpc_server_rate(d->server, &c->request_rate))
		return err_set(e, ERR_SYSTEM, "out of memory");
	rpc_server_pool(d->server, d->pool);
	d->service.pool = d->pool;
	rpc_server_limits(d->server, (size_t)c->connections, IDLE_S, REQUEST_S, HANDLER_S);
	return 0;
}

static int serve(struct daemon *d, const struct kms_config *c, struct err *e)
{
	const struct kms_pass ready = { .kind = PASS_READY };
	// When this follows one that ended, its certificate serves on till there is a fresh one: nobody waits
	// for evidence.
	bool reuse = d->ends->again && c->attest_rpc;
	struct timeval every = { .tv_sec = TIDY_S };
	struct event *tidy = event_new(d->base, -1, EV_PERSIST, on_tidy, d);
	struct event *on[2] = { evsignal_new(d->base, SIGTERM, on_stop, d),
				evsignal_new(d->base, SIGINT, on_stop, d) };

	d->service.faces.listener = d->ends->listener;
	if (upkeep_first_certs(&d->service, reuse, e))
		return -1;
	d->control = event_new(d->base, d->ends->control, EV_READ | EV_PERSIST, on_control, d);
	for (size_t i = 0; i < 2; i++)
		if (!on[i] || event_add(on[i], NULL))
			return err_set(e, ERR_SYSTEM, "watch signals");
	if (!tidy || event_add(tidy, &every) || !d->control || event_add(d->control, NULL))
		return err_set(e, ERR_SYSTEM, "start a timer");
	if (set_limits(d, c, e) || upkeep_start(&d->upkeep, &d->service, reuse, d->base, e) ||
	    admin_start(&d->admin, &d->service, d->ends->admin, d->base, e) ||
	    service_mount(&d->service, d->server, e) || faces_listen(&d->service.faces, d->server, e) ||
	    jail_service(e))
		return -1;
	if (kms_pass(d->ends->control, &ready, -1))
		return err_set(e, ERR_SYSTEM, "the supervisor does not hear");
	log_info("kms", "ready address=%s version=%s", c->address, version_text);
	event_base_dispatch(d->base);
	event_free(tidy);
	event_free(d->control);
	for (size_t i = 0; i < 2; i++)
		event_free(on[i]);
	return 0;
}

static int run_loop(struct daemon *d, const struct kms_config *c, struct err *e)
{
	signal(SIGPIPE, SIG_IGN);
	d->base = event_base_new();
	d->server = d->base ? rpc_server_new(d->base) : NULL;
	d->judges = judges_new(d->ends->judge, d->ends->serial, d->ends->n_judges, (int)c->judge_s * 1000,
			       on_judge_lost, d);
	if (!d->server || !d->judges || rpc_client_setup())
		return err_set(e, ERR_SYSTEM, "start event loop");
	int rc = service_init(&d->service, c, &d->keys, d->judges, e);
	if (!rc) {
		rc = serve(d, c, e);
		policy_stop(
			d->service.policy); // calls that wait for it are answered before their server goes
		if (d->service.downloads)
			downloads_stop(d->service.downloads);
		pool_free(d->pool);
		rpc_server_free(d->server);
		admin_free(&d->admin);
		upkeep_free(&d->upkeep);
		service_free(&d->service);
	}
	judges_free(d->judges);
	event_base_free(d->base);
	return rc;
}

int net_process(const struct kms_config *c, const struct net_ends *ends)
{
	static struct daemon d;
	struct err e = { 0 };

	wipe_begin();
	d.ends = ends;
	int rc = keyproc_join(&d.keys, ends->keys, &e);
	if (!rc) {
		rc = run_loop(&d, c, &e);
		keyproc_stop(&d.keys);
	}
	if (rc)
		log_error("kms", "%s code=%s", e.text, *e.code ? e.code : "none");
	return rc ? err_exit(&e) : 0;
}
