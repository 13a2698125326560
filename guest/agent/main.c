// dstack-guest-agent: keys, certificates and quotes for the containers of this guest (spec 10).
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "agent.h"
#include "app_quote.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "cert.h"
#include "dashboard.h"
#include "engine.h"
#include "guestapi.h"
#include "info.h"
#include "lanes.h"
#include "logs.h"
#include "metrics.h"
#include "rpc/client.h"
#include "upkeep.h"

enum { SOCKET_MODE = 0777, STOP_S = 5, EXTERNAL_CONNS = 256, HOST_CONNS = 32, SERVERS = 4 };

// Table names are upstream's profiles, so that the file dstack-setup writes reads alike in both.
const struct config_key agent_config_keys[] = {
	{ "default.core.keys_file", CONFIG_STRING, .def = "/dstack/.host-shared/.appkeys.json",
	  .doc = "the app's keys (0600)" },
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
	{ "guest-api.address", CONFIG_STRING, .def = "vsock:8000",
	  .doc = "GuestApi, for the host; a machine without vsock goes without it; empty: none" },
};
const size_t agent_config_n = sizeof agent_config_keys / sizeof *agent_config_keys;

struct servers {
	struct event_base *base;
	struct rpc_server *internal, *tappd, *external, *guest;
	struct pool *pool; // theirs
	struct event *upkeep;
	struct guest_side side;
	struct metrics metrics;
	struct logs logs;
	struct dashboard dashboard;
	unsigned stopped;
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

// The host's door is a convenience of the host: no vsock, no door, but an agent all the same.
static int serve_host(struct servers *s, struct agent *g, const struct config *c, struct err *e)
{
	const char *address = config_str(c, "guest-api.address");
	size_t n = config_count(c, "default.core.data_disks");
	const char **disks = calloc(n + 1, sizeof *disks);

	s->side.disks = disks;
	s->guest = rpc_server_new(s->base);
	if (!disks || !s->guest)
		return err_set(e, ERR_SYSTEM, "out of memory"); // the process ends
	disks[0] = "/";
	for (size_t i = 0; i < n; i++)
		disks[i] = config_item(c, i, "default.core.data_disks");
	s->side = (struct guest_side){
		.agent = g,
		.root = "",
		.disks = disks,
		.n_disks = n ? n : 1,
		.engine = config_str(c, "default.core.engine"),
		.containers = containers_new(s->base, config_str(c, "default.core.engine"), ENGINE_ANSWER_S),
		.poweroff = config_str(c, "default.core.poweroff"),
	};
	if (!s->side.containers)
		return err_set(e, ERR_SYSTEM, "out of memory");
	rpc_server_limits(s->guest, HOST_CONNS, 10, 10, 60);
	rpc_server_pool(s->guest, s->pool);
	rpc_server_gate(s->guest, guest_gate, NULL);
	if (rpc_server_mount(s->guest, "/api", "GuestApi.", guest_methods, guest_methods_n, &s->side) ||
	    metrics_mount(s->external, &s->metrics, &s->side) ||
	    logs_mount(s->external, s->base, &s->logs, &s->side) ||
	    dashboard_mount(s->external, s->base, &s->dashboard, &s->side))
		return err_set(e, ERR_BUG, "set up the services");
	if (!*address || !rpc_server_listen(s->guest, address, NULL, 0, e))
		return 0;
	if (!str_starts(address, "vsock:"))
		return -1;
	log_warn("agent", "no GuestApi: %s", e->text);
	return 0;
}

static int serve(struct servers *s, struct agent *g, const struct config *c, struct err *e)
{
	s->internal = rpc_server_new(s->base);
	s->tappd = rpc_server_new(s->base);
	s->external = rpc_server_new(s->base);
	s->pool = lanes_new(s->base, c);
	if (!s->internal || !s->tappd || !s->external || !s->pool || lanes_rate(s->external, c))
		return err_set(e, ERR_SYSTEM, "out of memory");
	rpc_server_pool(s->internal, s->pool);
	rpc_server_pool(s->tappd, s->pool);
	rpc_server_pool(s->external, s->pool);
	rpc_server_limits(s->external, EXTERNAL_CONNS, 10, 30, 120);
	if (mount_internal(s->internal, g) || mount_tappd(s->tappd, g) || mount_external(s->external, g))
		return err_set(e, ERR_BUG, "set up the services");
	const struct {
		struct rpc_server *server;
		const char *address;
	} sockets[] = {
		{ s->internal, config_str(c, "internal.address") },
		{ s->internal, config_str(c, "internal.folder_address") },
		{ s->tappd, config_str(c, "internal-v0.address") },
		{ s->tappd, config_str(c, "internal-v0.folder_address") },
	};
	for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++)
		if ((*sockets[i].address || !i) && listen_internal(sockets[i].server, sockets[i].address, e))
			return -1;
	return rpc_server_listen(s->external, config_str(c, "external.address"), NULL, 0, e) ||
			       serve_host(s, g, c, e)
		       ? -1
		       : 0;
}

static void on_stopped(void *arg)
{
	struct servers *s = arg;

	if (++s->stopped == SERVERS)
		event_base_loopbreak(s->base);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct servers *s = arg;

	(void)what;
	log_info("agent", "stopping signal=%d", (int)sig);
	rpc_server_stop(s->internal, STOP_S, on_stopped, s);
	rpc_server_stop(s->tappd, STOP_S, on_stopped, s);
	rpc_server_stop(s->external, STOP_S, on_stopped, s);
	rpc_server_stop(s->guest, STOP_S, on_stopped, s);
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

static int load(struct agent *g, const struct config *c, struct err *e)
{
	g->cloud_vendor = dmi("sys_vendor");
	g->cloud_product = dmi("product_name");
	if (!g->cloud_vendor || !g->cloud_product || rpc_client_setup())
		return err_set(e, ERR_SYSTEM, "start the agent: out of memory");
	if (app_files_read(config_str(c, "default.core.compose_file"),
			   config_str(c, "default.core.sys_config_file"), &g->app, e) ||
	    key_file_read(config_str(c, "default.core.keys_file"), &g->keys, e))
		return -1;
	if (legacy_form(config_str(c, "default.core.legacy_extensions"), &g->legacy, e) || cert_open(g, e))
		return -1;
	g->emit_event = config_bool(c, "default.core.emit_event");
	g->gpu_file = config_str(c, "default.core.gpu_attestation_file");
	g->tee = tee_open(config_str(c, "default.core.tee"), e);
	return g->tee ? 0 : err_wrap(e, "open the TEE");
}

// From here on the process can do what its own user may, and no more: it needs no capability to serve. Before
// any thread exists, since capabilities are a thread's.
static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	for (int cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EINVAL && errno != EPERM)
			return err_errno(e, "drop a capability");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &head, none))
		return err_errno(e, "drop capabilities");
	return 0;
}

static int run(struct agent *g, const struct config *c, struct err *e)
{
	static struct servers s; // outlives the thread that powers off
	struct event *term, *intr;

	s.base = event_base_new();
	if (!s.base)
		return err_set(e, ERR_SYSTEM, "start the event loop");
	if (load(g, c, e) || serve(&s, g, c, e) || drop_capabilities(e))
		return -1;
	term = evsignal_new(s.base, SIGTERM, on_signal, &s);
	intr = evsignal_new(s.base, SIGINT, on_signal, &s);
	if (!term || !intr || event_add(term, NULL) || event_add(intr, NULL))
		return err_set(e, ERR_SYSTEM, "watch for signals");
	s.upkeep = upkeep_start(s.base, g);
	log_info("agent", "ready tee=%s app=%s", tee_name(g->tee), STR_QZ(g->app.name));
	puts("ready");
	fflush(stdout);
	event_base_dispatch(s.base);
	event_free(term);
	event_free(intr);
	if (s.upkeep)
		event_free(s.upkeep);
	pool_free(s.pool); // before the servers whose calls it has
	dashboard_stop(&s.dashboard);
	containers_free(s.side.containers);
	rpc_server_free(s.internal);
	rpc_server_free(s.tappd);
	rpc_server_free(s.external);
	rpc_server_free(s.guest);
	metrics_free(&s.metrics);
	dashboard_free(&s.dashboard);
	free((void *)(uintptr_t)s.side.disks);
	event_base_free(s.base);
	return 0;
}

int main(int argc, char **argv)
{
	static struct agent g = { .lock = PTHREAD_MUTEX_INITIALIZER,
				  .gate = GATE_INITIALIZER,
				  .demo = DEMO_INITIALIZER };
	struct err e = { 0 };
	bool check;
	int status;
	struct config *c =
		config_start(argc, argv, "dstack-guest-agent",
			     "Serves keys, certificates and quotes to the containers of this guest.",
			     agent_config_keys, agent_config_n, &check, &status);

	if (!c)
		return status;
	if (check)
		return 0;
	if (secret_process(&e) || run(&g, c, &e)) {
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
		key_file_free(&g.keys);
		app_files_free(&g.app);
		tee_close(g.tee);
	}
	config_free(c);
	log_info("agent", "stopped");
	return 0;
}
