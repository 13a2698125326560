// dstack-kms - gives apps their keys when their evidence and the policy allow it. spec: docs/kms.md.
#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "admin.h"
#include "base/log.h"
#include "base/version.h"
#include "crypto/ssl.h"
#include "issue.h"
#include "jail.h"
#include "policy/config.h"
#include "rpc/client.h"
#include "keyfiles.h"
#include "setup.h"
#include "upkeep.h"

enum {
	IDLE_S = 10,
	REQUEST_S = 30,
	HANDLER_S = 60,
	WAIT_MS = 55000,
	STOP_S = 10,
	PUBLIC_THREADS = 2,
	TIDY_S = 2,
	FEW_CONNS = 16,
	ARENAS = 2,
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
	bool key_process_died;
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

static void on_child(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	(void)sig, (void)what;
	if (waitpid(d->keys.pid, NULL, WNOHANG) != d->keys.pid)
		return;
	log_error("kms", "the key process ended; without it there is nothing to serve");
	d->key_process_died = true;
	event_base_loopbreak(d->base);
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
	struct timeval every = { .tv_sec = TIDY_S };
	struct event *tidy = event_new(d->base, -1, EV_PERSIST, on_tidy, d);
	struct event *on[3] = { evsignal_new(d->base, SIGTERM, on_stop, d),
				evsignal_new(d->base, SIGINT, on_stop, d),
				evsignal_new(d->base, SIGCHLD, on_child, d) };

	if (upkeep_first_certs(&d->service, e))
		return -1;
	for (size_t i = 0; i < 3; i++)
		if (!on[i] || event_add(on[i], NULL))
			return err_set(e, ERR_SYSTEM, "watch signals");
	if (!tidy || event_add(tidy, &every))
		return err_set(e, ERR_SYSTEM, "start a timer");
	if (set_limits(d, c, e) || upkeep_start(&d->upkeep, &d->service, d->base, e) ||
	    admin_start(&d->admin, &d->service, d->base, e) || service_mount(&d->service, d->server, e) ||
	    faces_listen(&d->service.faces, d->server, e) || jail_service(e))
		return -1;
	log_info("kms", "ready address=%s version=%s", c->address, version_text);
	event_base_dispatch(d->base);
	event_free(tidy);
	for (size_t i = 0; i < 3; i++)
		event_free(on[i]);
	return d->key_process_died ? err_code(e, ERR_SYSTEM, "kms.key_process", "the key process ended") : 0;
}

static int run_loop(struct daemon *d, const struct kms_config *c, struct err *e)
{
	signal(SIGPIPE, SIG_IGN);
	d->base = event_base_new();
	d->server = d->base ? rpc_server_new(d->base) : NULL;
	if (!d->server || rpc_client_setup())
		return err_set(e, ERR_SYSTEM, "start event loop");
	int rc = service_init(&d->service, c, &d->keys, e);
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
	event_base_free(d->base);
	return rc;
}

static int prepare_keys(struct kms_config *c, struct err *e)
{
	if ((c->attest_rpc || c->self_authorize) && !*c->agent)
		return err_code(
			e, ERR_ABSENT, "kms.no_agent",
			"no guest agent gives evidence of this KMS: it runs inside a confidential VM, or "
			"with insecure_development = true");
	switch (keyfiles_state(c->keys.dir, e)) {
	case KEYFILES_BAD:
		return -1;
	case KEYFILES_ALL:
		return kms_config_names(c, e);
	case KEYFILES_NONE:
		break;
	}
	return setup_run(c, e) ? -1 : kms_config_names(c, e);
}

static int run(struct kms_config *c, struct err *e)
{
	struct daemon d = { 0 };

	if (c->insecure_development)
		log_warn("kms", "INSECURE DEVELOPMENT is on: use no real secret here development_root=%s",
			 *c->development_root ? c->development_root : "none");
	// The key process first: nothing from the network has been read, no thread runs.
	if (prepare_keys(c, e) || keyproc_start(&d.keys, &c->keys, e) || secret_process(e))
		return -1;
	int rc = run_loop(&d, c, e);
	keyproc_stop(&d.keys);
	return rc;
}

static int check_only(const struct kms_config *c, struct err *e)
{
	struct policy *p = policy_from_config(c->file, e);

	policy_free(p);
	if (p && *c->admin_address) {
		struct admin_auth *a = admin_auth_new(c->admin_token_file, c->admin_htpasswd_file, e);
		admin_auth_free(a);
		if (!a)
			return -1;
	}
	if (!p)
		return -1;
	enum keyfiles_state state = keyfiles_state(c->keys.dir, e);
	if (state == KEYFILES_NONE && !c->bootstrap && !*c->onboard_address)
		return err_code(e, ERR_ABSENT, "kms.no_keys",
				"%s has no keys, and neither bootstrap nor onboarding is configured",
				c->keys.dir);
	return state == KEYFILES_BAD ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct kms_config c;
	struct err e = { 0 };
	bool check = false;
	int status = 0;

	if (argc > 1 && !strcmp(argv[1], "issue"))
		return issue_main(argc - 1, argv + 1);
	struct config *file = config_start(argc, argv, "dstack-kms", "Key management service of dstack.",
					   kms_config_keys, kms_config_n_keys, &check, &status);
	if (!file)
		return status;
	if (kms_config_load(&c, file, &e)) {
		log_error("kms", "%s code=%s", e.text, e.code);
		return err_exit(&e);
	}
	mallopt(M_ARENA_MAX, ARENAS); // else each thread keeps what it once needed
	int rc = check ? check_only(&c, &e) : run(&c, &e);
	kms_config_free(&c);
	if (rc) {
		log_error("kms", "%s code=%s", e.text, *e.code ? e.code : "none");
		return err_exit(&e);
	}
	return 0;
}
