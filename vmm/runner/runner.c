#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../child.h"
#include "../lock.h"
#include "../platform.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "private.h"

enum { SAVE_MS = 50, QUIT_S = 5, ORPHAN_S = 3 };

static const char RUNTIME[] = "vm-runtime.json";

static void save_now(struct runner *r)
{
	struct err e = { 0 };

	if (runtime_write(&r->now, RUNTIME, &e))
		log_error("vmm", "state of the VM cannot be written: %s", e.text);
}

static void on_save(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	save_now(arg);
}

void runner_changed(struct runner *r)
{
	struct timeval soon = { .tv_usec = SAVE_MS * 1000 };

	if (!evtimer_pending(r->save, NULL))
		event_add(r->save, &soon);
}

// Carry the ports: what the guest may reach on the host, and what the host may reach in the guest.
static int start_relays(struct runner *r, struct err *e)
{
	const struct launch *l = &r->launch;

	for (size_t i = 0; i < l->n_forward + l->n_port; i++) {
		bool in = i >= l->n_forward;
		const struct forward *f = &l->forward[in ? 0 : i];
		const struct port_map *p = &l->port[in ? i - l->n_forward : 0];
		struct relay_plan plan = { .udp = in ? p->udp : f->udp, .into_vm = in, .ns = &r->ns };
		int rc = in ? address_of(&plan.from, p->address, p->from, e) ||
					 address_of(&plan.to, "127.0.0.2", p->from, e)
			    : address_of(&plan.from, "127.0.0.1", f->listen, e) ||
					 address_parse(&plan.to, f->to, e);

		r->relay[r->n_relay] = rc ? NULL : relay_new(r->base, &plan, e);
		if (!r->relay[r->n_relay])
			return err_wrap(e, "%s port %u of the VM", plan.udp ? "udp" : "tcp",
					in ? p->from : f->listen);
		r->n_relay++;
	}
	return 0;
}

static void on_qmp(void *arg, const char *name, const char *reason)
{
	struct runner *r = arg;

	if (!strcmp(name, "SHUTDOWN")) {
		r->guest_off |= !strcmp(reason, "guest-shutdown");
		r->guest_reset |= !strcmp(reason, "guest-reset") || !strcmp(reason, "guest-panic");
	}
}

static int start_qemu(struct runner *r, const char *dir, struct err *e)
{
	struct launch_scratch scratch;
	struct qemu_plan plan = launch_plan(&r->launch, dir, &scratch);
	auto_args a = { 0 };
	auto_free char *memory = NULL;
	char why[128] = "";

	if (plan.accel == ACCEL_AUTO) {
		memory = str_format("%s/../.kvm-probe", dir);
		if (!memory)
			return err_set(e, ERR_SYSTEM, "out of memory");
		plan.accel = platform_kvm_works(plan.qemu, plan.kernel, memory, why) ? ACCEL_KVM : ACCEL_TCG;
		log_info("vmm", "accelerator is %s, KVM: %s", plan.accel == ACCEL_KVM ? "KVM" : "emulation",
			 why);
	}
	if (qemu_command(&a, &plan, e))
		return -1;
	struct child_plan child = { .argv = (char *const *)a.v, .log = "stderr.log", .ns = &r->ns };
	r->qemu = child_start(&child, e);
	if (r->qemu < 0)
		return -1;
	r->qmp = qmp_new(r->base, "qmp.sock", on_qmp, r);
	r->now.qemu = r->qemu;
	r->now.state = RUN_RUNNING;
	save_now(r);
	return r->qmp ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static void on_kill(evutil_socket_t fd, short what, void *arg)
{
	struct runner *r = arg;

	(void)fd, (void)what;
	if (r->qemu > 0)
		kill(r->qemu, SIGKILL);
}

static void stop_hard(struct runner *r)
{
	struct timeval limit = { .tv_sec = QUIT_S };

	r->stopping = true;
	if (r->now.state != RUN_STOPPING) {
		r->now.state = RUN_STOPPING;
		runner_changed(r);
	}
	qmp_execute(r->qmp, "quit");         // lets QEMU write its buffers; then it has five seconds
	if (!evtimer_pending(r->kill, NULL)) // asked again: no reprieve
		event_add(r->kill, &limit);
}

static void on_term(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	stop_hard(arg);
}

static void on_shutdown(evutil_socket_t fd, short what, void *arg)
{
	struct runner *r = arg;
	struct timeval limit = { .tv_sec = r->launch.shutdown_grace };

	(void)fd, (void)what;
	if (r->now.state == RUN_STOPPING)
		return;
	r->now.state = RUN_STOPPING;
	r->stopping = true;
	runner_changed(r);
	channel_ask_shutdown(r);
	qmp_execute(r->qmp, "system_powerdown");
	event_add(r->grace, &limit);
}

static void on_child(evutil_socket_t fd, short what, void *arg)
{
	struct runner *r = arg;
	int status;
	pid_t pid;

	(void)fd, (void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == r->qemu) {
			r->qemu = 0;
			r->qemu_status = status;
			event_base_loopbreak(r->base);
		} else if (pid == r->softtee) {
			struct timeval limit = { .tv_sec = ORPHAN_S };

			r->softtee = 0;
			event_add(r->orphan, &limit); // it also ends when QEMU closes its TPM, on its way out
		} else if (pid == r->swtpm) {
			r->swtpm = 0;
		}
	}
}

static void on_orphan(evutil_socket_t fd, short what, void *arg)
{
	struct runner *r = arg;

	(void)fd, (void)what;
	if (r->qemu <= 0 || r->stopping)
		return;
	snprintf(r->ended_by, sizeof r->ended_by, "vmm.softtee: the software TEE ended, see tee.log");
	log_error("vmm", "%s; the VM cannot go on without it", r->ended_by);
	kill(r->qemu, SIGKILL);
}

static int add_handlers(struct runner *r, struct err *e)
{
	r->child = evsignal_new(r->base, SIGCHLD, on_child, r);
	r->term = evsignal_new(r->base, SIGTERM, on_term, r);
	r->usr1 = evsignal_new(r->base, SIGUSR1, on_shutdown, r);
	r->grace = evtimer_new(r->base, on_term, r);
	r->kill = evtimer_new(r->base, on_kill, r);
	r->orphan = evtimer_new(r->base, on_orphan, r);
	if (!r->orphan || !r->child || !r->term || !r->usr1 || !r->grace || !r->kill ||
	    event_add(r->child, NULL) || event_add(r->term, NULL) || event_add(r->usr1, NULL))
		return err_set(e, ERR_SYSTEM, "set up signals");
	return 0;
}

// Why the VM ended, for people; and for a boot that did not finish, in boot_error as well.
static void conclude(struct runner *r)
{
	struct runtime *n = &r->now;
	char words[RUNTIME_TEXT] = "";
	bool booted = !strcmp(n->boot_progress, "done");
	bool has_words = serial_last_words(words, sizeof words);

	n->state = RUN_EXITED;
	n->stopped_at = time_now();
	if (*r->ended_by)
		snprintf(n->exit_reason, RUNTIME_TEXT, "%s", r->ended_by);
	else if (r->guest_off && r->stopping)
		snprintf(n->exit_reason, RUNTIME_TEXT, "guest powered off as asked");
	else if (r->stopping)
		snprintf(n->exit_reason, RUNTIME_TEXT, "stopped");
	else if (has_words)
		snprintf(n->exit_reason, RUNTIME_TEXT, "%s", words);
	else if (r->guest_off)
		snprintf(n->exit_reason, RUNTIME_TEXT, "guest powered off");
	else if (WIFSIGNALED(r->qemu_status))
		snprintf(n->exit_reason, RUNTIME_TEXT, "QEMU was killed by signal %d",
			 WTERMSIG(r->qemu_status));
	else if (r->guest_reset)
		snprintf(n->exit_reason, RUNTIME_TEXT, "guest rebooted");
	else
		snprintf(n->exit_reason, RUNTIME_TEXT, "QEMU ended with status %d, see stderr.log",
			 WEXITSTATUS(r->qemu_status));
	// What dstack-setup reported says more than the script that saw it fail.
	bool reported = *n->boot_error && strcmp(n->boot_error, r->launch.previous_error) != 0;
	if (!booted && !r->stopping && !reported)
		snprintf(n->boot_error, RUNTIME_TEXT, "%s", has_words ? words : n->exit_reason);
	runtime_event(n, "vmm.exit", n->exit_reason, time_now_ms());
	save_now(r);
	log_info("vmm", "VM ended id=%s reason=%s", r->launch.id, n->exit_reason);
}

static int prepare(struct runner *r, struct err *e)
{
	struct err none = { 0 };
	struct runtime before;

	if (runtime_read(&before, RUNTIME, &none)) // the first start
		before = (struct runtime){ 0 };
	r->now = (struct runtime){ .state = RUN_STARTING,
				   .runner = getpid(),
				   .started_at = time_now(),
				   .events_max = r->launch.events_max };
	for (size_t i = 0; i < before.n_events; i++) // what happened earlier stays to be seen
		runtime_event(&r->now, before.event[i].name, before.event[i].body, before.event[i].ms);
	runtime_free(&before);
	snprintf(r->now.boot_progress, RUNTIME_TEXT, "booting");
	snprintf(r->now.boot_error, RUNTIME_TEXT, "%s", r->launch.previous_error);
	r->base = event_base_new();
	r->save = r->base ? evtimer_new(r->base, on_save, r) : NULL;
	if (!r->save)
		return err_set(e, ERR_SYSTEM, "no event loop");
	save_now(r);
	if (netns_new(&r->ns, e) || start_relays(r, e) || prepare_disks(r, e) || hostapi_start(r, e) ||
	    channel_start(r, e) || serial_begin(r, e) || prepare_tee(r, e) || add_handlers(r, e))
		return -1;
	serial_watch(r);
	return 0;
}

static void end_helper(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGTERM);
	for (int i = 0; i < 100; i++) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		time_sleep_ms(10);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void tear_down(struct runner *r)
{
	struct event *events[] = { r->child,     r->term,  r->usr1, r->save,
				   r->log_timer, r->grace, r->kill, r->orphan };

	if (r->qemu > 0) {
		kill(r->qemu, SIGKILL);
		waitpid(r->qemu, NULL, 0);
	}
	end_helper(r->softtee);
	end_helper(r->swtpm);
	qmp_free(r->qmp);
	channel_stop(r);
	for (size_t i = 0; i < r->n_relay; i++)
		relay_free(r->relay[i]);
	if (r->host_api)
		rpc_server_free(r->host_api);
	for (size_t i = 0; i < sizeof events / sizeof *events; i++)
		if (events[i])
			event_free(events[i]);
	if (r->base)
		event_base_free(r->base);
	netns_close(&r->ns);
	runtime_free(&r->now);
}

static void failed(struct runner *r, const struct err *e)
{
	snprintf(r->now.exit_reason, RUNTIME_TEXT, "%s%s%s", e->code, *e->code ? ": " : "", e->text);
	snprintf(r->now.boot_error, RUNTIME_TEXT, "%s", r->now.exit_reason);
	r->now.state = RUN_EXITED;
	r->now.stopped_at = time_now();
	runtime_event(&r->now, "vmm.exit", r->now.exit_reason, time_now_ms());
	save_now(r);
	log_error("vmm", "VM could not be started id=%s: %s", r->launch.id, e->text);
}

int runner_run(const char *dir, struct err *e)
{
	struct runner *r = calloc(1, sizeof *r);
	auto_close int lock = -1;
	int rc = -1;

	if (!r)
		return err_set(e, ERR_SYSTEM, "out of memory");
	r->ns = (struct netns){ -1, -1 };
	signal(SIGPIPE, SIG_IGN);
	if (chdir(dir)) {
		err_errno(e, "enter %s", dir);
	} else if ((lock = lock_take("runner.lock", e)) >= 0 && !launch_read(&r->launch, "launch.json", e)) {
		rc = prepare(r, e) || start_qemu(r, dir, e) ? -1 : 0;
		if (rc == 0) {
			log_info("vmm", "VM started id=%s qemu=%d", r->launch.id, r->qemu);
			event_base_dispatch(r->base);
			conclude(r);
		} else {
			failed(r, e);
		}
	}
	tear_down(r);
	free(r);
	return rc;
}
