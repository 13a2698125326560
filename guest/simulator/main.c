// dstack-simulator: the agent's services over files in a folder, for people who write apps on machines
// without a TEE. It proves nothing: the quotes are old ones with other report data, the keys lie in the
// folder.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent.h"
#include "app_quote.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "cert.h"
#include "engine.h"
#include "external.h"
#include "fixture.h"
#include "guestapi.h"
#include "info.h"
#include "manager.h"
#include "core/attest/quote.h"
#include "resign.h"
#include "rpc/client.h"
#include "upkeep.h"

enum { STOP_S = 2, SOCKET_MODE = 0777, LISTENERS = 4 };

#define IGNORED "taken from upstream's files, without effect"
#define PROFILE(name)                                                                                        \
	{ name ".workers", CONFIG_INT, .doc = IGNORED },                                                     \
		{ name ".max_blocking", CONFIG_INT, .doc = IGNORED },                                        \
		{ name ".ident", CONFIG_STRING, .doc = IGNORED },                                            \
		{ name ".temp_dir", CONFIG_STRING, .doc = IGNORED },                                         \
		{ name ".keep_alive", CONFIG_INT, .doc = IGNORED },                                          \
		{ name ".log_level", CONFIG_STRING, .doc = IGNORED },                                        \
	{                                                                                                    \
		name ".limits.*", CONFIG_SIZE, .def = "10485760",                                            \
					       .doc = "of the body of method NAME, 10 MiB at most; names "   \
						      "of no method have no effect"                          \
	}
#define LISTENER(name, def_)                                                                                 \
	{ name ".address", CONFIG_STRING, .def = def_,                                                       \
	  .doc = "unix:PATH, tcp:HOST:PORT, or HOST with port" },                                            \
		{ name ".port", CONFIG_INT, .min = 0, .max = 65535, .doc = "of an address that is a host" }, \
	{                                                                                                    \
		name ".reuse", CONFIG_BOOL, .def = "true", .doc = IGNORED ": a stale socket is replaced"     \
	}

// Names as in upstream's dstack.toml.
static const struct config_key keys[] = {
	PROFILE("default"),
	{ "default.core.keys_file", CONFIG_STRING, .def = "./appkeys.json", .doc = "the app's keys" },
	{ "default.core.compose_file", CONFIG_STRING, .def = "./app-compose.json",
	  .doc = "the app's compose document" },
	{ "default.core.sys_config_file", CONFIG_STRING, .def = "./sys-config.json",
	  .doc = "what a VMM would say about the machine" },
	{ "default.core.pccs_url", CONFIG_STRING, .doc = IGNORED },
	{ "default.core.data_disks", CONFIG_STRINGS,
	  .doc = "mount points whose size SysInfo reports; none: /" },
	{ "default.core.engine", CONFIG_STRING,
	  .doc = "socket of a container engine, which ListContainers, the dashboard and /logs ask; empty: "
		 "none" },
	{ "default.core.simulator.enabled", CONFIG_BOOL, .def = "true", .doc = IGNORED },
	{ "default.core.simulator.attestation_file", CONFIG_STRING, .def = "./attestation.bin",
	  .doc = "the attestation to answer with" },
	{ "default.core.simulator.patch_report_data", CONFIG_BOOL, .def = "true",
	  .doc = "overwrite report_data in the quote, which voids its signature; false: the quote as it is, "
		 "whatever was asked" },
	{ "default.core.simulator.mock_attestation_seed", CONFIG_STRING,
	  .doc = "64 hex digits: quotes with the attestation's measurements are signed anew by the "
		 "development PKI of this seed; empty: they are not" },
	{ "default.core.simulator.mock_root_file", CONFIG_STRING, .def = "./mock-root.der",
	  .doc = "where to write that PKI's root, with a seed; empty: nowhere" },
	{ "default.core.simulator.mock_collateral_file", CONFIG_STRING, .def = "./mock-collateral.json",
	  .doc = "where to write its collateral, made at the start and good for 20 days" },
	LISTENER("internal", "unix:./dstack.sock"),
	PROFILE("internal"),
	LISTENER("internal-v0", "unix:./tappd.sock"),
	PROFILE("internal-v0"),
	LISTENER("external", "unix:./external.sock"),
	PROFILE("external"),
	LISTENER("guest-api", "unix:./guest.sock"),
	PROFILE("guest-api"),
};

struct simulator {
	struct agent agent;
	struct keyring keys; // in the open
	struct custody custody;
	struct fixture fixture;
	struct resign *resign; // NULL without a seed
	struct guest_side side;
	struct external external;
	const char **disks;
	struct event_base *base;
	struct rpc_server *servers[LISTENERS];
	unsigned stopped;
};

static int set_side(struct simulator *s, const struct config *c, struct err *e)
{
	size_t n = config_count(c, "default.core.data_disks");

	s->disks = calloc(n + 1, sizeof *s->disks);
	if (!s->disks)
		return err_set(e, ERR_SYSTEM, "out of memory");
	s->disks[0] = "/";
	for (size_t i = 0; i < n; i++)
		s->disks[i] = config_item(c, i, "default.core.data_disks");
	s->side = (struct guest_side){
		.agent = &s->agent,
		.root = "",
		.disks = s->disks,
		.n_disks = n ? n : 1,
		.engine = config_str(c, "default.core.engine"),
		.containers = containers_new(s->base, config_str(c, "default.core.engine"), ENGINE_ANSWER_S),
	};
	s->external.outside = outside_here(s->base, &s->side);
	return s->side.containers ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int resign(const void *signer, uint8_t *quote, struct err *e)
{
	return resign_quote(signer, quote, e);
}

static int set_seed(struct simulator *s, const struct config *c, struct err *e)
{
	const char *seed = config_str(c, "default.core.simulator.mock_attestation_seed");
	const struct resign_paths paths = { config_str(c, "default.core.simulator.mock_root_file"),
					    config_str(c, "default.core.simulator.mock_collateral_file") };
	struct quote q;

	if (!*seed)
		return 0;
	if (quote_parse(&q, s->fixture.quote))
		return err_code(e, ERR_BUG, "simulator.attestation", "its quote is none");
	s->resign = resign_new(seed, q.body, &paths, e);
	if (!s->resign)
		return -1;
	fixture_sign_with(&s->fixture, resign_first(s->resign), RESIGN_REPORT_DATA, resign, s->resign);
	return 0;
}

static int load(struct simulator *s, const struct config *c, struct err *e)
{
	struct agent *g = &s->agent;
	const char *path = config_str(c, "default.core.keys_file");
	auto_free char *text = NULL; // no secret: it lies in the open
	struct key_file file;
	size_t n;

	g->custody = &s->custody;

	if (app_files_read(config_str(c, "default.core.compose_file"),
			   config_str(c, "default.core.sys_config_file"), &g->app, e) ||
	    file_read(path, KEYS_MAX, &text, &n, e) || key_file_parse(path, text, n, &file, e) ||
	    custody_here(&s->custody, &s->keys, &file, &g->keys, e) || cert_open(g, e) ||
	    fixture_read(&s->fixture, config_str(c, "default.core.simulator.attestation_file"),
			 config_bool(c, "default.core.simulator.patch_report_data"), e) ||
	    set_seed(s, c, e))
		return -1;
	g->source = &s->fixture.source;
	atomic_store(&g->powering_off, true);    // so Shutdown is answered, and this machine stays on
	g->cloud_vendor = g->cloud_product = ""; // this machine is not the one of the attestation
	return set_side(s, c, e);
}

static struct rpc_server *server(struct simulator *s, unsigned i)
{
	s->servers[i] = rpc_server_new(s->base);
	return s->servers[i];
}

static int mount(struct simulator *s, struct err *e)
{
	struct rpc_server *internal = server(s, 0), *tappd = server(s, 1), *external = server(s, 2),
			  *guest = server(s, 3);
	struct agent *g = &s->agent;

	if (!internal || !tappd || !external || !guest || mount_internal(internal, g) ||
	    mount_tappd(tappd, g) || external_mount(external, &s->external) ||
	    rpc_server_mount(guest, "/api", "GuestApi.", guest_methods, guest_methods_n, &s->side))
		return err_set(e, ERR_SYSTEM, "set up the services: out of memory");
	return 0;
}

// Those of `default`, then the listener's own.
static int set_limits(struct rpc_server *server, const struct config *c, const char *profile, struct err *e)
{
	const char *const of[] = { "default", profile };
	const char *name;

	for (size_t k = 0; k < 2; k++) {
		auto_free char *table = str_format("%s.limits", of[k]);
		for (size_t i = 0; table && (name = config_name(c, table, &i));)
			if (rpc_server_body_max(server, name, config_size(c, "%s.%s", table, name)))
				return err_code(e, ERR_INPUT, "config.range", "%s has too many names", table);
		if (!table)
			return err_set(e, ERR_SYSTEM, "out of memory");
	}
	return 0;
}

static int serve(struct simulator *s, const struct config *c, struct err *e)
{
	static const char *const names[LISTENERS] = { "internal", "internal-v0", "external", "guest-api" };

	if (mount(s, e))
		return -1;
	for (unsigned i = 0; i < LISTENERS; i++) {
		const char *a = config_str(c, "%s.address", names[i]);
		bool whole = str_starts(a, "unix:") || str_starts(a, "tcp:");
		auto_free char *address =
			whole ? strdup(a)
			      : str_format("tcp:%s:%d", a, (int)config_int(c, "%s.port", names[i]));
		if (!address)
			return err_set(e, ERR_SYSTEM, "out of memory");
		if (set_limits(s->servers[i], c, names[i], e) ||
		    rpc_server_listen(s->servers[i], address, NULL, SOCKET_MODE, e))
			return err_wrap(e, "listener %s", names[i]);
	}
	return 0;
}

static void on_stopped(void *arg)
{
	struct simulator *s = arg;

	if (++s->stopped == LISTENERS)
		event_base_loopbreak(s->base);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct simulator *s = arg;

	(void)sig;
	(void)what;
	for (unsigned i = 0; i < LISTENERS; i++)
		rpc_server_stop(s->servers[i], STOP_S, on_stopped, s);
}

static int run(struct simulator *s, const struct config *c, struct err *e)
{
	struct event *term, *intr;

	s->base = event_base_new();
	if (!s->base || rpc_client_setup())
		return err_set(e, ERR_SYSTEM, "start the event loop");
	if (load(s, c, e) || serve(s, c, e))
		return -1;
	term = evsignal_new(s->base, SIGTERM, on_signal, s);
	intr = evsignal_new(s->base, SIGINT, on_signal, s);
	if (!term || !intr || event_add(term, NULL) || event_add(intr, NULL))
		return err_set(e, ERR_SYSTEM, "watch for signals");
	struct event *upkeep = upkeep_start(s->base, &s->agent);
	log_info("simulator", "ready app=%s", STR_QZ(s->agent.app.name));
	puts("ready");
	fflush(stdout);
	event_base_dispatch(s->base);
	event_free(term);
	event_free(intr);
	if (upkeep)
		event_free(upkeep);
	external_stop(&s->external);
	containers_free(s->side.containers);
	for (unsigned i = 0; i < LISTENERS; i++)
		rpc_server_free(s->servers[i]);
	event_base_free(s->base);
	return 0;
}

int main(int argc, char **argv)
{
	static struct simulator s = { .agent = { .lock = PTHREAD_MUTEX_INITIALIZER,
						 .gate = GATE_INITIALIZER,
						 .demo = DEMO_INITIALIZER } };
	struct err e = { 0 };
	bool check;
	int status;

	argc = manager_args(argc, argv);
	struct config *c =
		config_start_at("./dstack.toml", argc, argv, "dstack-simulator",
				"Answers as a guest agent would, from the files of this folder: for "
				"development. IT PROVES NOTHING.",
				keys, sizeof keys / sizeof *keys, &check, &status);

	if (!c)
		return status;
	if (check)
		return 0;
	log_warn("simulator",
		 "THIS IS A SIMULATOR: there is no TEE. Its quotes are an old one with other report data and "
		 "verify %s; its keys lie in a folder. Never use it for real secrets.",
		 *config_str(c, "default.core.simulator.mock_attestation_seed")
			 ? "only under the development root of a seed that lies there too"
			 : "nowhere");
	if (run(&s, c, &e)) {
		log_error("simulator", "%s code=%s", e.text, e.code[0] ? e.code : "none");
		return err_exit(&e);
	}
	pthread_mutex_lock(&s.agent.lock);
	bool idle = upkeep_idle(&s.agent);
	info_free(&s.agent);
	app_quote_free(&s.agent);
	pthread_mutex_unlock(&s.agent.lock);
	if (idle) {
		demo_free(&s.agent);
		cert_close(&s.agent);
		custody_stop(&s.custody);
		app_files_free(&s.agent.app);
		fixture_free(&s.fixture);
		resign_free(s.resign);
	}
	external_free(&s.external);
	free(s.disks);
	config_free(c);
	return 0;
}
