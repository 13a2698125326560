#include "guestapi.h"

#include <string.h>
#include "base/log.h"
#include "base/version.h"
#include "containers.h"
#include "host.pb-c.h"
#include "info.h"
#include "power.h"
#include "prpc.pb-c.h"
#include "rpc/client.h"
#include "sysinfo.h"

enum { HOST_CID = 2, NOTIFY_S = 5, BODY_MAX = 4096 };

bool guest_peer_ok(const struct http_peer *p)
{
	return p->kind != HTTP_PEER_VSOCK || p->cid == HOST_CID;
}

int guest_gate(struct rpc_call *c, void *arg, struct err *e)
{
	(void)arg;
	return guest_peer_ok(rpc_peer(c))
		       ? 0
		       : err_code(e, ERR_DENIED, "agent.not_host", "only the host may ask this");
}

static int info(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const struct guest_side *s = rpc_arg(c);
	Guest__AppInfo i = GUEST__APP_INFO__INIT;
	Host__GuestInfo *r = out;

	(void)in;
	if (info_fill(s->agent, true, rpc_arena(c), &i, e))
		return -1;
	r->version = (char *)(uintptr_t)version_text;
	r->app_id = i.app_id;
	r->instance_id = i.instance_id;
	r->app_cert = i.app_cert;
	r->tcb_info = i.tcb_info;
	r->device_id = i.device_id;
	return 0;
}

static int sys_info(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const struct guest_side *s = rpc_arg(c);

	(void)in;
	return sysinfo_fill(s->root, s->disks, s->n_disks, rpc_arena(c), out, e);
}

static int network_info(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const struct guest_side *s = rpc_arg(c);
	struct ifaddrs *all = NULL;

	(void)in;
	if (getifaddrs(&all))
		return err_errno(e, "read the addresses");
	int rc = netinfo_fill(s->root, all, rpc_arena(c), out, e);
	freeifaddrs(all);
	return rc;
}

struct list_call {
	struct containers_wait wait; // first: what `listed` is given
	struct rpc_call *call;
};

// The reply is written before rpc_finish returns, or before list_containers' caller does: the list lives on.
static void listed(struct containers_wait *w, const Host__ListContainersResponse *list, const struct err *e)
{
	struct rpc_call *c = ((struct list_call *)w)->call;
	Host__ListContainersResponse *r = rpc_out(c);

	if (list) {
		r->containers = list->containers;
		r->n_containers = list->n_containers;
	}
	rpc_finish(c, list ? 0 : -1, e);
}

static int list_containers(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const struct guest_side *s = rpc_arg(c);
	struct list_call *l = arena_alloc(rpc_arena(c), sizeof *l);

	(void)in;
	(void)out;
	if (!l)
		return err_set(e, ERR_SYSTEM, "out of memory");
	*l = (struct list_call){ { .done = listed }, c };
	containers_list(s->containers, &l->wait);
	return RPC_LATER;
}

static void tell_host(const char *url)
{
	const struct rpc_client_opts o = { .connect_s = NOTIFY_S, .timeout_s = NOTIFY_S };
	Host__Notification n = HOST__NOTIFICATION__INIT;
	struct err e = { 0 };
	auto_arena *a = arena_new(0);
	auto_rpc_client *c = a ? rpc_client_new(url, &o, &e) : NULL;

	n.event = (char *)(uintptr_t) "shutdown.progress";
	n.payload = (char *)(uintptr_t) "powering off";
	if (!c || rpc_client_call(c, "Notify", &n.base, NULL, a, NULL, &e))
		log_warn("agent", "the host was not told of the shutdown: %s", e.text);
}

static void *power_off(void *arg)
{
	struct guest_side *s = arg;
	struct err e = { 0 };

	tell_host(s->agent->app.host_api_url);
	if (power_off_now(s->power, &e)) {
		log_error("agent", "cannot power off: %s", e.text);
		atomic_store(&s->agent->powering_off, false); // may be asked again
	}
	return NULL;
}

// The answer goes out before anything ends; what follows is the init's work.
static int shut_down(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	struct guest_side *s = rpc_arg(c);
	pthread_t t;

	(void)in;
	(void)out;
	if (atomic_exchange(&s->agent->powering_off, true))
		return 0;
	log_info("agent", "powering off: the host asked for it");
	if (pthread_create(&t, NULL, power_off, s)) {
		atomic_store(&s->agent->powering_off, false);
		return err_set(e, ERR_SYSTEM, "start a thread");
	}
	pthread_detach(t);
	return 0;
}

#define M(name, out, fn, on_worker)                                                                          \
	{                                                                                                    \
		name, &prpc__empty__descriptor, &out##__descriptor, fn, .worker = on_worker,                 \
									.body_max = BODY_MAX                 \
	}
const struct rpc_method guest_methods[] = {
	M("Info", host__guest_info, info, true),
	M("SysInfo", host__system_info, sys_info, true),
	M("NetworkInfo", host__network_information, network_info, true),
	M("ListContainers", host__list_containers_response, list_containers, false),
	M("Shutdown", prpc__empty, shut_down, false),
};
const size_t guest_methods_n = sizeof guest_methods / sizeof *guest_methods;
