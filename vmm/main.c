// dstack-vmm - runs confidential VMs: an API daemon, and a runner process for each VM.
//
//     dstack-vmm -c FILE                        the daemon
//     dstack-vmm run DIR                        the runner of the VM in DIR (started by the daemon)
//     dstack-vmm run vm.json [-c FILE] [--workdir D] [--dry-run]
//                                               one VM without a daemon; --dry-run prints QEMU's command
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/version.h"
#include "daemon/api.h"
#include "daemon/bridge.h"
#include "daemon/guests.h"
#include "daemon/state.h"
#include "lock.h"
#include "oneshot.h"
#include "runner/runner.h"

static const char summary[] =
	"Run confidential virtual machines.\n"
	"Other forms: dstack-vmm run DIR | dstack-vmm run vm.json [--dry-run] (run --help)";

static int report(const struct err *e)
{
	log_error("vmm", "%s%s%s", e->text, *e->code ? " code=" : "", e->code);
	return err_exit(e);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

static int listen_all(struct rpc_server *s, const struct config *c, struct err *e)
{
	const char *tcp = config_str(c, "tcp_address");

	if (rpc_server_listen(s, config_str(c, "address"), NULL, 0600, e))
		return -1;
	return *tcp ? rpc_server_listen(s, tcp, NULL, 0, e) : 0;
}

// One daemon for a folder of VMs: two would fight over the runners.
static int lock_folder(const struct vmm_config *c, struct err *e)
{
	char path[600];

	if (file_mkdirs(c->run_path, 0700, e))
		return -1;
	snprintf(path, sizeof path, "%s/.vmm.lock", c->run_path);
	return lock_take(path, e);
}

static int serve(struct daemon *d, struct err *e)
{
	auto_close int lock = lock_folder(&d->config, e);
	struct event *term = NULL, *intr = NULL;
	struct rpc_server *s = NULL;
	char version[96] = "";
	struct bridge *bridge = NULL;
	int rc = -1;

	if (lock < 0 || platform_find(&d->facts, &d->config, false, e))
		return -1;
	d->base = event_base_new();
	d->images = image_memory_new();
	s = d->base ? rpc_server_new(d->base) : NULL;
	// Upstream's clients look at the first; the second keeps proxies from holding back followed logs.
	if (s)
		snprintf(version, sizeof version, "X-App-Version: v%s (%s)", version_text, version_rev);
	if (!s || !d->images || rpc_server_header(s, version) ||
	    rpc_server_header(s, "X-Accel-Buffering: no") || api_mount(s, d) || logs_mount(s, d) ||
	    guests_mount(s, d)) {
		err_set(e, ERR_SYSTEM, "out of memory");
	} else if (!state_load(d, e) && !listen_all(s, d->config.raw, e) && !bridge_start(&bridge, d, e)) {
		term = evsignal_new(d->base, SIGTERM, on_signal, d->base);
		intr = evsignal_new(d->base, SIGINT, on_signal, d->base);
		if (term && intr && !event_add(term, NULL) && !event_add(intr, NULL)) {
			log_info("vmm", "ready address=%s platform=%s qemu=%s",
				 config_str(d->config.raw, "address"),
				 d->facts.platform == PLATFORM_TDX ? "tdx" : "soft", d->facts.qemu_version);
			event_base_dispatch(d->base);
			log_info("vmm", "end; VMs go on");
			rc = 0;
		}
	}
	bridge_free(bridge);
	guests_free(d);
	if (s)
		rpc_server_free(s);
	state_free(d);
	if (term)
		event_free(term);
	if (intr)
		event_free(intr);
	if (d->base)
		event_base_free(d->base);
	return rc;
}

static int daemon_main(int argc, char **argv)
{
	static char program[4096];
	struct daemon d = { .program = program };
	struct err e = { 0 };
	bool check = false;
	int status = 0;
	struct config *raw =
		config_start(argc, argv, "dstack-vmm", summary, vmm_keys, vmm_keys_n, &check, &status);

	if (!raw)
		return status;
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	int rc = -1;
	if (n <= 0) {
		err_errno(&e, "find this program");
	} else if (!vmm_config_load(&d.config, raw, &e)) {
		program[n] = 0;
		rc = check ? 0 : serve(&d, &e);
		if (check)
			puts("configuration is valid");
	}
	config_free(raw);
	if (rc && !e.class)
		err_set(&e, ERR_SYSTEM, "set up the event loop");
	return rc ? report(&e) : 0;
}

static int run_main(int argc, char **argv)
{
	struct err e = { 0 };
	struct stat st;

	if (argc == 3 && !stat(argv[2], &st) && S_ISDIR(st.st_mode))
		return runner_run(argv[2], &e) ? report(&e) : 0;
	return oneshot_main(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	umask(077);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (argc > 1 && !strcmp(argv[1], "run"))
		return run_main(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "serve")) {
		argv[1] = argv[0];
		return daemon_main(argc - 1, argv + 1);
	}
	return daemon_main(argc, argv);
}
