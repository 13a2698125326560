// dstack-kms - gives apps their keys when their evidence and the policy allow it. spec: docs/kms.md.
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "admin.h"
#include "base/log.h"
#include "base/version.h"
#include "crypto/ssl.h"
#include "issue.h"
#include "jail.h"
#include "rpc/client.h"
#include "service.h"

enum { CONNS_MAX = 1024, IDLE_S = 10, REQUEST_S = 30, HANDLER_S = 60, STOP_S = 10 };

struct daemon {
	struct event_base *base;
	struct rpc_server *server;
	struct service service;
	struct admin admin;
	struct keyproc keys;
	bool key_process_died;
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

static int serve(struct daemon *d, const struct kms_config *c, struct err *e)
{
	auto_sslctx SSL_CTX *tls = service_tls(&d->service, e);
	struct event *on[3] = { evsignal_new(d->base, SIGTERM, on_stop, d),
				evsignal_new(d->base, SIGINT, on_stop, d),
				evsignal_new(d->base, SIGCHLD, on_child, d) };

	if (!tls)
		return -1;
	for (size_t i = 0; i < 3; i++)
		if (!on[i] || event_add(on[i], NULL))
			return err_set(e, ERR_SYSTEM, "watch signals");
	rpc_server_limits(d->server, CONNS_MAX, IDLE_S, REQUEST_S, HANDLER_S);
	if (admin_start(&d->admin, &d->service, d->base, e) || service_mount(&d->service, d->server, e) || rpc_server_listen(d->server, c->address, tls, 0, e) ||
	    jail_service(e))
		return -1;
	log_info("kms", "ready address=%s version=%s", c->address, version_text);
	event_base_dispatch(d->base);
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
		rpc_server_free(d->server);
		admin_free(&d->admin);
		service_free(&d->service);
	}
	event_base_free(d->base);
	return rc;
}

static int run(const struct kms_config *c, struct err *e)
{
	struct daemon d = { 0 };

	if (c->insecure_development)
		log_warn("kms", "INSECURE DEVELOPMENT is on: use no real secret here development_root=%s",
			 *c->development_root ? c->development_root : "none");
	// The key process first: nothing from the network has been read, no thread runs.
	if (keyproc_start(&d.keys, &c->keys, e) || secret_process(e))
		return -1;
	int rc = run_loop(&d, c, e);
	keyproc_stop(&d.keys);
	return rc;
}

static int check_only(const struct kms_config *c, struct err *e)
{
	struct policy *p = policy_file_new(c->policy_file, e);

	policy_free(p);
	if (p && *c->admin_address) {
		struct admin_auth *a = admin_auth_new(c->admin_token_file, c->admin_htpasswd_file, e);
		admin_auth_free(a);
		if (!a)
			return -1;
	}
	return p ? keystore_check(&c->keys, e) : -1;
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
	int rc = check ? check_only(&c, &e) : run(&c, &e);
	kms_config_free(&c);
	if (rc) {
		log_error("kms", "%s code=%s", e.text, *e.code ? e.code : "none");
		return err_exit(&e);
	}
	return 0;
}
