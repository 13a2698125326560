// dstack-auth - answers a KMS's question whether a machine may have keys. docs/policy.md.
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/config.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/version.h"
#include "channel.h"
#include "jail.h"
#include "policy/config.h"
#include "policy/seal.h"
#include "rpc/client.h"
#include "service.h"

enum { CONNS = 256, IDLE_S = 60, REQUEST_S = 10, HANDLER_S = 65, STOP_S = 5 };

static const struct config_key keys[] = {
	{ "address", CONFIG_STRING, .def = "tcp:127.0.0.1:8001",
	  .doc = "where to serve: unix:/path or tcp:ADDRESS:PORT; beyond the loopback with tls.*" },
	CHANNEL_KEYS,
	POLICY_KEYS,
};
enum { KEYS = sizeof keys / sizeof *keys };

struct daemon {
	const struct config *config;
	SSL_CTX *tls;        // NULL: none
	struct secret *seal; // NULL: none
	struct event_base *base;
	struct rpc_server *server;
};

static void on_done(void *arg)
{
	event_base_loopbreak(((struct daemon *)arg)->base);
}

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	(void)what;
	log_info("auth", "stopping signal=%d", (int)sig);
	rpc_server_stop(d->server, STOP_S, on_done, d);
}

static int serve(struct daemon *d, struct policy *p, struct err *e)
{
	const char *address = config_str(d->config, "address");
	struct event *on[2] = { evsignal_new(d->base, SIGTERM, on_stop, d),
				evsignal_new(d->base, SIGINT, on_stop, d) };

	for (size_t i = 0; i < 2; i++)
		if (!on[i] || event_add(on[i], NULL))
			return err_set(e, ERR_SYSTEM, "watch signals");
	rpc_server_limits(d->server, CONNS, IDLE_S, REQUEST_S, HANDLER_S);
	if (service_mount(d->server, p, d->seal))
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (rpc_server_listen(d->server, address, d->tls, 0600, e) || jail_enter(e))
		return -1;
	log_info("auth", "ready address=%s tls=%s version=%s", address, d->tls ? "yes" : "no", version_text);
	event_base_dispatch(d->base);
	for (size_t i = 0; i < 2; i++)
		event_free(on[i]);
	return 0;
}

static int run(struct daemon *d, struct policy *p, struct err *e)
{
	d->base = event_base_new();
	d->server = d->base ? rpc_server_new(d->base) : NULL;
	if (!d->server)
		return err_set(e, ERR_SYSTEM, "start event loop");
	int rc = serve(d, p, e);
	policy_stop(p); // who waits for it is answered before the server goes
	rpc_server_free(d->server);
	event_base_free(d->base);
	return rc;
}

// Who may ask, before anything is asked of anybody.
static int open_channel(struct daemon *d, struct err *e)
{
	const char *file = config_str(d->config, "hmac_key_file");

	if (*file && !(d->seal = policy_seal_key(file, e)))
		return -1;
	return secret_process(e) || channel_open(d->config, &d->tls, e) ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct err e = { 0 };
	bool check = false;
	int status = 0;
	struct config *c =
		config_start(argc, argv, "dstack-auth", "Policy server for key management services.", keys,
			     KEYS, &check, &status);

	if (!c)
		return status;
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	struct daemon d = { .config = c };
	struct policy *p = open_channel(&d, &e) || rpc_client_setup() ? NULL : policy_from_config(c, &e);
	int rc = !p ? -1 : check ? 0 : run(&d, p, &e);
	SSL_CTX_free(d.tls);
	secret_free(d.seal);
	policy_free(p);
	config_free(c);
	if (!rc)
		return 0;
	log_error("auth", "%s code=%s", e.text, *e.code ? e.code : "none");
	return err_exit(&e);
}
