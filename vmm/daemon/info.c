#include "info.h"

#include <string.h>

#include "../share.h"
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/codec/buf.h"
#include "rpc/pbjson.h"

// Seconds as upstream prints them: "1day 2h 3m 4s".
static char *span_text(struct arena *a, uint64_t s)
{
	static const struct {
		uint64_t unit;
		const char *one, *many;
	} units[] = { { 86400, "day", "days" }, { 3600, "h", "h" }, { 60, "m", "m" }, { 1, "s", "s" } };
	char out[64] = "";
	size_t n = 0;

	for (size_t i = 0; i < 4; i++) {
		uint64_t k = s / units[i].unit;

		s %= units[i].unit;
		if (k)
			n += (size_t)snprintf(out + n, sizeof out - n, "%s%llu%s", n ? " " : "",
					      (unsigned long long)k, k == 1 ? units[i].one : units[i].many);
	}
	return arena_str(a, n ? out : "0s");
}

static char *since(struct arena *a, uint64_t at)
{
	uint64_t now = time_now();

	return at ? span_text(a, now > at ? now - at : 0) : arena_str(a, "never");
}

static const char *status_of(const struct vm *v)
{
	if (v->removing)
		return "removing";
	if (v->started)
		return v->runner ? "running" : "exited";
	return v->runner ? "stopping" : "stopped";
}

static char **copy_urls(struct arena *a, const struct urls *u)
{
	char **out = arena_array(a, u->n ? u->n : 1, sizeof *out);

	for (size_t i = 0; out && i < u->n; i++)
		out[i] = arena_str(a, u->v[i]);
	return out;
}

// A file of the share, or nothing when it is not there.
static char *shared_file(const struct vm *v, const char *name, size_t *n)
{
	struct err ignored = { 0 };
	char *text = NULL;

	*n = 0;
	return share_read(v->dir, name, COMPOSE_MAX, &text, n, &ignored) ? NULL : text;
}

static void add_ports(Vmm__VmConfiguration *c, const struct manifest *m, struct arena *a)
{
	c->ports = arena_array(a, m->n_port ? m->n_port : 1, sizeof *c->ports);
	for (size_t i = 0; c->ports && i < m->n_port; i++) {
		Vmm__PortMapping *p = pb_new(&vmm__port_mapping__descriptor, a);

		if (!p)
			return;
		p->protocol = arena_str(a, m->port[i].udp ? "udp" : "tcp");
		p->host_port = m->port[i].from;
		p->vm_port = m->port[i].to;
		p->host_address = arena_str(a, m->port[i].address);
		c->ports[c->n_ports++] = p;
	}
}

static Vmm__VmConfiguration *configuration(const struct vm *v, struct arena *a)
{
	Vmm__VmConfiguration *c = pb_new(&vmm__vm_configuration__descriptor, a);
	size_t compose_n, env_n, user_n;
	auto_free char *compose = shared_file(v, "app-compose.json", &compose_n);
	auto_free char *env = shared_file(v, ".encrypted-env", &env_n);
	auto_free char *user = shared_file(v, ".user-config", &user_n);
	const struct manifest *m = &v->m;

	if (!c)
		return NULL;
	c->name = arena_str(a, m->name);
	c->image = arena_str(a, m->image);
	c->compose_file = arena_str(a, compose ? compose : "");
	c->vcpu = m->vcpu;
	c->memory = m->memory;
	c->disk_size = m->disk_size;
	add_ports(c, m, a);
	c->encrypted_env = pb_bytes(a, env ? env : "", env_n);
	c->app_id = arena_str(a, m->app_id);
	c->opt_app_id_case = VMM__VM_CONFIGURATION__OPT_APP_ID_APP_ID;
	c->user_config = arena_str(a, user ? user : "");
	c->gpus = pb_new(&vmm__gpu_config__descriptor, a);
	if (c->gpus)
		c->gpus->attach_mode = arena_str(a, "listed");
	c->kms_urls = copy_urls(a, &m->kms);
	c->n_kms_urls = m->kms.n;
	c->gateway_urls = copy_urls(a, &m->gateway);
	c->n_gateway_urls = m->gateway.n;
	c->stopped = !v->started;
	c->no_tee = m->no_tee;
	return c;
}

static void add_events(Vmm__VmInfo *out, const struct vm *v, struct arena *a)
{
	out->events = arena_array(a, v->now.n_events ? v->now.n_events : 1, sizeof *out->events);
	for (size_t i = 0; out->events && i < v->now.n_events; i++) {
		Vmm__GuestEvent *g = pb_new(&vmm__guest_event__descriptor, a);

		if (!g)
			return;
		g->event = arena_str(a, v->now.event[i].name);
		g->body = arena_str(a, v->now.event[i].body);
		g->timestamp = v->now.event[i].ms;
		out->events[out->n_events++] = g;
	}
}

static void add_interface(Vmm__VmInfo *out, const struct vm *v, struct arena *a)
{
	Vmm__NetworkInterfaceStatus *nic = pb_new(&vmm__network_interface_status__descriptor, a);
	char mac[MAC_TEXT];
	struct err ignored = { 0 };

	out->interfaces = arena_array(a, 1, sizeof *out->interfaces);
	if (!nic || !out->interfaces ||
	    qemu_mac(mac, v->m.id, config_str(v->owner->config.raw, "cvm.networking.mac_prefix"), &ignored))
		return;
	nic->mode = arena_str(a, "user");
	nic->backend = arena_str(a, "slirp");
	nic->mac = arena_str(a, mac);
	nic->netdev_id = arena_str(a, "net0");
	nic->opt_netdev_id_case = VMM__NETWORK_INTERFACE_STATUS__OPT_NETDEV_ID_NETDEV_ID;
	out->interfaces[out->n_interfaces++] = nic;
}

// Where the app's agent answers through the gateway: of the VM's own gateway URL, else the node's settings.
static char *app_url(const struct vm *v, const char *instance, struct arena *a)
{
	const struct config *c = v->owner->config.raw;
	long long port = config_int(c, "gateway.port"), agent = config_int(c, "gateway.agent_port");
	char host[URL_MAX];

	snprintf(host, sizeof host, "%s", config_str(c, "gateway.base_domain"));
	if (v->m.gateway.n) {
		const char *url = v->m.gateway.v[0], *at = strstr(url, "://");
		uint64_t own = 443;

		at = at ? at + 3 : url;
		size_t n = strcspn(at, ":/");
		snprintf(host, sizeof host, "%.*s", (int)n, at);
		if (at[n] == ':')
			str_u64_n(at + n + 1, strcspn(at + n + 1, "/"), &own);
		port = (long long)own;
	}
	if (port == 443)
		return arena_fmt(a, "https://%s-%lld.%s", instance, agent, host);
	return arena_fmt(a, "https://%s-%lld.%s:%lld", instance, agent, host, port);
}

static void add_identity(Vmm__VmInfo *out, const struct vm *v, struct arena *a)
{
	char instance[41];

	share_instance_id(v->dir, instance);
	if (!*instance)
		return;
	out->instance_id = arena_str(a, instance);
	out->opt_instance_id_case = VMM__VM_INFO__OPT_INSTANCE_ID_INSTANCE_ID;
	if (v->app.gateway) {
		out->app_url = app_url(v, instance, a);
		out->opt_app_url_case = VMM__VM_INFO__OPT_APP_URL_APP_URL;
	}
}

static char *image_version(const struct vm *v, struct arena *a)
{
	auto_image im = { 0 };
	struct err ignored = { 0 };

	if (image_load(&im, v->owner->config.image_path, v->m.image, &ignored))
		return arena_str(a, "");
	return arena_str(a, im.version);
}

Vmm__VmInfo *info_of(struct vm *v, bool brief, struct arena *a)
{
	Vmm__VmInfo *out = pb_new(&vmm__vm_info__descriptor, a);

	if (!out)
		return NULL;
	vm_refresh(v);
	out->id = arena_str(a, v->m.id);
	out->name = arena_str(a, v->m.name);
	out->status = arena_str(a, status_of(v));
	out->uptime = since(a, v->now.started_at);
	out->app_id = arena_str(a, v->m.app_id);
	out->exited_at = since(a, v->runner ? 0 : v->now.stopped_at);
	out->opt_exited_at_case = VMM__VM_INFO__OPT_EXITED_AT_EXITED_AT;
	out->boot_progress = arena_str(a, v->now.boot_progress);
	out->boot_error = arena_str(a, v->now.boot_error);
	out->shutdown_progress = arena_str(a, v->now.shutdown_progress);
	out->image_version = image_version(v, a);
	add_identity(out, v, a);
	add_events(out, v, a);
	add_interface(out, v, a);
	if (!brief)
		out->configuration = configuration(v, a);
	return arena_bad(a) ? NULL : out;
}
