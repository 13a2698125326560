// dstack-guest-agent: keys, certificates and quotes for the containers of this guest (spec 10).
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "agent.h"
#include "app_quote.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "broker.h"
#include "cert.h"
#include "custody.h"
#include "engine.h"
#include "external.h"
#include "guestapi.h"
#include "info.h"
#include "jail.h"
#include "lanes.h"
#include "manager.h"
#include "power.h"
#include "rpc/client.h"
#include "upkeep.h"

enum { SOCKET_MODE = 0777, STOP_S = 5, HOST_CONNS = 32, RUNNING = 4, ARENAS = 2 };

// Table names are upstream's profiles, so that the file dstack-setup writes reads alike in both.
const struct config_key agent_config_keys[] = {
	{ "default.core.keys_file", CONFIG_STRING, .def = "/dstack/.host-shared/.appkeys.json",
	  .doc = "the app's keys (0600)" },
	{ "default.core.custody_user", CONFIG_INT, .def = "991", .min = 0, .max = 65533,
	  .doc = "user and group id of the process that holds the keys, and from then on of that file; 0: as "
		 "started" },
	{ "default.core.compose_file", CONFIG_STRING, .def = "/dstack/.host-shared/app-compose.json",
	  .doc = "the app's compose document" },
	{ "default.core.sys_config_file", CONFIG_STRING, .def = "/dstack/.host-shared/.sys-config.json",
	  .doc = "what the VMM said about the machine" },
	{ "default.core.data_disks", CONFIG_STRINGS,
	  .doc = "mount points whose size SysInfo reports; none: /" },
	{ "default.core.emit_event", CONFIG_BOOL, .def = "false",
	  .doc = "let containers add events to RTMR3 (EmitEvent)" },
	{ "default.core.gpu_attestation_file", CONFIG_STRING,
	  .def = "/run/nvidia-gpu-attestation/attestation.out", .doc = "what GpuInfo tells" },
	{ "default.core.tee", CONFIG_STRING, .def = "auto", .doc = "TEE driver: auto, tdx or soft" },
	{ "default.core.engine", CONFIG_STRING, .def = "/var/run/docker.sock",
	  .doc = "socket of the container engine, which ListContainers, the dashboard and /logs ask; empty: "
		 "none" },
	{ "default.core.legacy_extensions", CONFIG_STRING, .def = "plain",
	  .doc = "evidence in certificates of the app's own CA also in the old form: plain, packed (event "
		 "log as gzip) or none; a KMS decides for its own" },
	{ "default.core.quotes_waiting", CONFIG_INT, .def = "512", .min = 1, .max = 65536,
	  .doc = "calls that may wait for a quote; another in a full queue takes the place of the last one "
		 "of the client with most" },
	{ "default.core.quotes_per_client", CONFIG_INT, .def = "256", .min = 1, .max = 65536,
	  .doc = "how many of them may be of one container (without control groups: process)" },
	{ "default.core.quote_wait", CONFIG_INT, .def = "30", .min = 1, .max = 3600,
	  .doc = "seconds that a call waits for its turn to get a quote" },
	{ "default.core.poweroff", CONFIG_STRING, .def = "/usr/sbin/poweroff",
	  .doc = "what GuestApi's Shutdown runs, without arguments" },
	{ "internal.address", CONFIG_STRING, .def = "unix:/var/run/dstack.sock",
	  .doc = "socket for containers" },
	{ "internal.folder_address", CONFIG_STRING, .def = "unix:/var/run/dstack/dstack.sock",
	  .doc = "the same in a folder, which can be mounted and survives a restart of the agent; empty: "
		 "none" },
	{ "internal-v0.address", CONFIG_STRING, .def = "unix:/var/run/tappd.sock",
	  .doc = "socket for containers that know Tappd; empty: none" },
	{ "internal-v0.folder_address", CONFIG_STRING, .def = "unix:/var/run/dstack/tappd.sock",
	  .doc = "the same in a folder; empty: none" },
	{ "external.address", CONFIG_STRING, .def = "tcp:0.0.0.0:8090",
	  .doc = "Worker: Info, Version, GetAttestationForAppKey; the dashboard (/); /metrics when the app "
		 "says public_sysinfo, /logs/<container> when it says public_logs" },
	{ "external.rate", CONFIG_INT, .def = "100", .min = 0, .max = 1000000,
	  .doc = "requests a second of one address there (an app's gateway is one address); 0: any number" },
	{ "external.burst", CONFIG_INT, .def = "300", .min = 1, .max = 1000000,
	  .doc = "requests of one address at once" },
	{ "external.rate_all", CONFIG_INT, .def = "300", .min = 0, .max = 1000000,
	  .doc = "requests a second of all addresses there; 0: any number" },
	{ "external.burst_all", CONFIG_INT, .def = "600", .min = 1, .max = 1000000,
	  .doc = "requests of all addresses at once" },
	{ "external.user", CONFIG_INT, .def = "990", .min = 0, .max = 65533,
	  .doc = "user and group id of the process behind that address; 0: as started" },
	{ "guest-api.address", CONFIG_STRING, .def = "vsock:8000",
	  .doc = "GuestApi, for the host; a machine without vsock goes without it; empty: none" },
};
const size_t agent_config_n = sizeof agent_config_keys / sizeof *agent_config_keys;

// Processes first: each part of them forks what is behind it.
struct daemon {
	struct agent *agent;
	const struct config *config;
	struct custody custody;
	struct process external, power;
	struct event_base *base;
	struct rpc_server *internal, *tappd, *guest;
	struct pool *pool; // theirs
	struct broker *broker;
	struct event *upkeep;
	struct guest_side side;
	unsigned given; // sockets of a service manager: dstack.sock, tappd.sock
	struct manager manager;
	unsigned running;  // of the servers and the external listener
	const char *ended; // a process, by accident
	bool stopping;
};

static char *dmi(const char *name)
{
	auto_free char *path = str_format("/sys/class/dmi/id/%s", name);
	char *text = NULL;
	size_t n;
	struct err e;

	if (!path || file_read(path, 4096, &text, &n, &e) || !str_is_utf8(text, n)) {
		free(text);
		return strdup("");
	}
	while (n && strchr(" \t\r\n", text[n - 1]))
		text[--n] = 0;
	return text;
}

static int listen_internal(struct rpc_server *s, const char *address, struct err *e)
{
	if (str_starts(address, "unix:")) {
		auto_free char *folder = strdup(address + 5);
		char *slash = folder ? strrchr(folder, '/') : NULL;
		if (slash && slash != folder) {
			*slash = 0;
			if (file_mkdirs(folder, 0755, e))
				return -1;
		}
	}
	return rpc_server_listen(s, address, NULL, SOCKET_MODE, e);
}

static int set_side(struct daemon *d, struct err *e)
{
	size_t n = config_count(d->config, "default.core.data_disks");
	const char **disks = calloc(n + 1, sizeof *disks);

	if (!disks)
		return err_set(e, ERR_SYSTEM, "out of memory");
	disks[0] = "/";
	for (size_t i = 0; i < n; i++)
		disks[i] = config_item(d->config, i, "default.core.data_disks");
	d->side = (struct guest_side){
		.agent = d->agent,
		.root = "",
		.disks = disks,
		.n_disks = n ? n : 1,
		.engine = config_str(d->config, "default.core.engine"),
		.containers = containers_new(d->base, config_str(d->config, "default.core.engine"),
					     ENGINE_ANSWER_S),
		.power = &d->power,
	};
	return d->side.containers ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

// The host's door is a convenience of the host: no vsock, no door, but an agent all the same.
static int serve_host(struct daemon *d, struct err *e)
{
	const char *address = config_str(d->config, "guest-api.address");

	d->guest = rpc_server_new(d->base);
	if (!d->guest)
		return err_set(e, ERR_SYSTEM, "out of memory");
	rpc_server_limits(d->guest, HOST_CONNS, 10, 10, 60);
	rpc_server_pool(d->guest, d->pool);
	rpc_server_gate(d->guest, guest_gate, NULL);
	if (rpc_server_mount(d->guest, "/api", "GuestApi.", guest_methods, guest_methods_n, &d->side))
		return err_set(e, ERR_BUG, "set up the services");
	if (!*address || !rpc_server_listen(d->guest, address, NULL, 0, e))
		return 0;
	if (!str_starts(address, "vsock:"))
		return -1;
	log_warn("agent", "no GuestApi: %s", e->text);
	return 0;
}

static int serve_containers(struct daemon *d, struct err *e)
{
	d->internal = rpc_server_new(d->base);
	d->tappd = rpc_server_new(d->base);
	d->pool = lanes_new(d->base, d->config);
	if (!d->internal || !d->tappd || !d->pool)
		return err_set(e, ERR_SYSTEM, "out of memory");
	rpc_server_pool(d->internal, d->pool);
	rpc_server_pool(d->tappd, d->pool);
	if (mount_internal(d->internal, d->agent) || mount_tappd(d->tappd, d->agent))
		return err_set(e, ERR_BUG, "set up the services");
	const struct {
		struct rpc_server *server;
		const char *address;
	} sockets[] = {
		{ d->internal, d->given > 0 ? "fd:3" : config_str(d->config, "internal.address") },
		{ d->internal, config_str(d->config, "internal.folder_address") },
		{ d->tappd, d->given > 1 ? "fd:4" : config_str(d->config, "internal-v0.address") },
		{ d->tappd, config_str(d->config, "internal-v0.folder_address") },
	};
	for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++)
		if ((*sockets[i].address || !i) && listen_internal(sockets[i].server, sockets[i].address, e))
			return -1;
	return 0;
}

static void on_stopped(void *arg)
{
	struct daemon *d = arg;

	if (!--d->running)
		event_base_loopbreak(d->base);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	(void)what;
	if (d->stopping)
		return;
	d->stopping = true;
	log_info("agent", "stopping signal=%d", (int)sig);
	rpc_server_stop(d->internal, STOP_S, on_stopped, d);
	rpc_server_stop(d->tappd, STOP_S, on_stopped, d);
	rpc_server_stop(d->guest, STOP_S, on_stopped, d);
	shutdown(d->external.fd, SHUT_WR); // by which it knows; `on_stopped` when it is gone
}

// No part does without the others: the supervisor starts them all again.
static void on_child(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	(void)sig, (void)what;
	bool custody = process_ended(&d->custody.process), external = process_ended(&d->external),
	     power = process_ended(&d->power);
	if (d->stopping || !(custody || external || power))
		return;
	d->ended = custody ? "custody" : external ? "external" : "poweroff";
	event_base_loopbreak(d->base);
}

static int legacy_form(const char *text, enum legacy_form *out, struct err *e)
{
	static const char *const names[] = { "plain", "packed", "none" };

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		*out = (enum legacy_form)i;
		if (!strcmp(text, names[i]))
			return 0;
	}
	return err_code(e, ERR_INPUT, "config.value",
			"default.core.legacy_extensions must be plain, packed or none, not %s", STR_QZ(text));
}

static int load(struct daemon *d, struct err *e)
{
	struct agent *g = d->agent;
	const struct config *c = d->config;

	g->cloud_vendor = dmi("sys_vendor");
	g->cloud_product = dmi("product_name");
	if (!g->cloud_vendor || !g->cloud_product || rpc_client_setup())
		return err_set(e, ERR_SYSTEM, "start the agent: out of memory");
	g->emit_event = config_bool(c, "default.core.emit_event");
	g->gpu_file = config_str(c, "default.core.gpu_attestation_file");
	g->custody = &d->custody;
	return legacy_form(config_str(c, "default.core.legacy_extensions"), &g->legacy, e) || cert_open(g, e)
		       ? -1
		       : 0;
}

// Everything that is forked, before there is a thread, a key or a peer.
static int start_parts(struct daemon *d, struct err *e)
{
	const struct config *c = d->config;
	struct agent *g = d->agent;

	if (custody_start(&d->custody, config_str(c, "default.core.keys_file"),
			  (uid_t)config_int(c, "default.core.custody_user"), &g->keys, e) ||
	    app_files_read(config_str(c, "default.core.compose_file"),
			   config_str(c, "default.core.sys_config_file"), &g->app, e))
		return -1;
	g->tee = tee_open(config_str(c, "default.core.tee"), e);
	if (!g->tee)
		return err_wrap(e, "open the TEE");
	return external_start(&d->external, c, &g->app, tee_name(g->tee), e) ||
			       power_start(&d->power, config_str(c, "default.core.poweroff"), e)
		       ? -1
		       : 0;
}

static int start_main(struct daemon *d, struct err *e)
{
	d->base = event_base_new();
	if (!d->base)
		return err_set(e, ERR_SYSTEM, "start the event loop");
	if (load(d, e) || set_side(d, e) || serve_containers(d, e) || serve_host(d, e))
		return -1;
	const struct outside here = outside_here(d->base, &d->side);
	// From here on it can do what its user may, and no more: it needs no capability to serve. Before any
	// thread exists, since capabilities are a thread's.
	if (process_confine("main", 0, 0, e) || jail_main(e))
		return -1;
	d->broker = broker_new(d->base, d->external.fd, &here, on_stopped, d);
	d->running = RUNNING;
	return d->broker ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int dispatch(struct daemon *d, struct err *e)
{
	struct event *on[] = { evsignal_new(d->base, SIGTERM, on_signal, d),
			       evsignal_new(d->base, SIGINT, on_signal, d),
			       evsignal_new(d->base, SIGCHLD, on_child, d) };

	for (size_t i = 0; i < sizeof on / sizeof *on; i++)
		if (!on[i] || event_add(on[i], NULL))
			return err_set(e, ERR_SYSTEM, "watch for signals");
	d->upkeep = upkeep_start(d->base, d->agent);
	log_info("agent", "ready tee=%s app=%s", tee_name(d->agent->tee), STR_QZ(d->agent->app.name));
	puts("ready");
	fflush(stdout);
	manager_ready(&d->manager, d->base);
	on_child(SIGCHLD, 0, d); // one that ended before anybody watched
	if (!d->ended)
		event_base_dispatch(d->base);
	manager_stop(&d->manager);
	for (size_t i = 0; i < sizeof on / sizeof *on; i++)
		event_free(on[i]);
	if (d->upkeep)
		event_free(d->upkeep);
	return d->ended ? err_code(e, ERR_SYSTEM, "agent.part_ended",
				   "the process %s ended; the agent does not go on without it", d->ended)
			: 0;
}

static int run(struct daemon *d, struct err *e)
{
	if (start_parts(d, e) || start_main(d, e) || dispatch(d, e))
		return -1;
	pool_free(d->pool); // before the servers whose calls it has
	containers_free(d->side.containers);
	rpc_server_free(d->internal);
	rpc_server_free(d->tappd);
	rpc_server_free(d->guest);
	broker_free(d->broker);
	free((void *)(uintptr_t)d->side.disks);
	event_base_free(d->base);
	process_wait(&d->external);
	process_wait(&d->power);
	return 0;
}

int main(int argc, char **argv)
{
	static struct agent g = { .lock = PTHREAD_MUTEX_INITIALIZER,
				  .gate = GATE_INITIALIZER,
				  .demo = DEMO_INITIALIZER };
	static struct daemon d = { .agent = &g }; // outlives the thread that powers off
	struct err e = { 0 };
	bool check;
	int status;
	mallopt(M_ARENA_MAX, ARENAS); // else each thread keeps what it once needed
	d.given = manager_sockets();
	argc = manager_args(argc, argv);
	struct config *c =
		config_start_at("/etc/dstack/dstack.toml", argc, argv, "dstack-guest-agent",
				"Serves keys, certificates and quotes to the containers of this guest.",
				agent_config_keys, agent_config_n, &check, &status);

	if (!c)
		return status;
	if (check)
		return 0;
	d.config = c;
	if (secret_process(&e) || run(&d, &e)) {
		log_error("agent", "%s code=%s", e.text, e.code[0] ? e.code : "none");
		return err_exit(&e);
	}
	pthread_mutex_lock(&g.lock);
	// Else a thread still asks the KMS for the demonstration certificate, or tells the host of the end.
	bool idle = upkeep_idle(&g) && !atomic_load(&g.powering_off);
	info_free(&g);
	app_quote_free(&g);
	pthread_mutex_unlock(&g.lock);
	if (idle) {
		demo_free(&g);
		cert_close(&g);
		custody_stop(&d.custody);
		app_files_free(&g.app);
		tee_close(g.tee);
	}
	config_free(c);
	log_info("agent", "stopped");
	return 0;
}
