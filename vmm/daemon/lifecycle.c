#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../child.h"
#include "../lock.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "private.h"

static int64_t setting(const struct vm *v, const char *key)
{
	return config_int(v->owner->config.raw, "cvm.auto_restart.%s", key);
}

static void forget_attempts(struct vm *v)
{
	v->attempts = 0;
	v->delay_s = (uint64_t)setting(v, "initial_backoff");
	event_del(v->retry);
}

// The VM ended although it shall run: try again later, ever later, a limited number of times.
static void schedule_retry(struct vm *v)
{
	int64_t most = setting(v, "max_retries"), longest = setting(v, "max_backoff");
	struct timeval in = { .tv_sec = (time_t)v->delay_s };

	if (!config_bool(v->owner->config.raw, "cvm.auto_restart.enabled"))
		return;
	if (v->attempts >= (uint64_t)most) {
		log_warn("vmm", "automatic restart stopped id=%s attempts=%u", v->m.id, v->attempts);
		runtime_event(&v->now, "vmm.auto_restart.exhausted",
			      "Automatic restart stopped after failed attempts", time_now_ms());
		return;
	}
	log_info("vmm", "VM will be started again id=%s seconds=%llu", v->m.id,
		 (unsigned long long)v->delay_s);
	event_add(v->retry, &in);
	v->delay_s = v->delay_s * 2 < (uint64_t)longest ? v->delay_s * 2 : (uint64_t)longest;
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct vm *v = arg;
	struct err e = { 0 };

	(void)fd, (void)what;
	if (!v->started || v->removing || v->runner)
		return;
	v->attempts++;
	if (vm_start(v, false, &e)) {
		log_error("vmm", "automatic start failed id=%s: %s", v->m.id, e.text);
		schedule_retry(v);
	}
}

static void on_stable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	forget_attempts(arg);
}

int vm_timers(struct vm *v)
{
	v->retry = evtimer_new(v->owner->base, on_retry, v);
	v->stable = evtimer_new(v->owner->base, on_stable, v);
	v->delay_s = (uint64_t)setting(v, "initial_backoff");
	return v->retry && v->stable ? 0 : -1;
}

static void finish_removal(struct vm *v)
{
	struct err e = { 0 };

	if (file_remove_tree(v->dir, &e)) {
		log_error("vmm", "VM cannot be removed id=%s: %s", v->m.id, e.text);
		return;
	}
	log_info("vmm", "VM removed id=%s", v->m.id);
	vm_forget(v);
}

// A runner writes down how its VM ended. One that was killed could not: then we do it for it.
static void note_death(struct vm *v)
{
	auto_free char *path = str_format("%s/vm-runtime.json", v->dir);
	struct err e = { 0 };

	vm_refresh(v);
	if (v->now.state == RUN_EXITED || !path)
		return;
	bool stopped = !v->started;
	v->now.state = RUN_EXITED;
	v->now.stopped_at = time_now();
	snprintf(v->now.exit_reason, RUNTIME_TEXT, "%s",
		 stopped ? "stopped" : "vmm.runner_died: the VM's runner was killed");
	if (!stopped) {
		log_error("vmm", "runner died id=%s", v->m.id);
		snprintf(v->now.boot_error, RUNTIME_TEXT, "%s", v->now.exit_reason);
		runtime_event(&v->now, "vmm.exit", v->now.exit_reason, time_now_ms());
	}
	if (runtime_write(&v->now, path, &e))
		log_warn("vmm", "%s", e.text);
}

static void ended(struct vm *v)
{
	struct err e = { 0 };

	note_death(v);
	event_del(v->stable);
	log_info("vmm", "VM is not running id=%s reason=%s", v->m.id, STR_QZ(v->now.exit_reason));
	if (v->removing) {
		finish_removal(v);
		return;
	}
	if (v->started && !strcmp(v->now.shutdown_progress, "powering off")) {
		v->started = false; // the guest did as it was told, by us or from inside
		if (vm_save_state(v, &e))
			log_warn("vmm", "%s", e.text);
	}
	if (v->started)
		schedule_retry(v);
}

static void on_gone(evutil_socket_t fd, short what, void *arg)
{
	struct vm *v = arg;

	(void)fd, (void)what;
	waitpid(v->runner, NULL, WNOHANG); // a child of ours, unless adopted
	vm_unwatch(v);
	ended(v);
}

void vm_unwatch(struct vm *v)
{
	if (v->gone) {
		close(event_get_fd(v->gone));
		event_free(v->gone);
	}
	v->gone = NULL;
	v->runner = 0;
}

static int watch(struct vm *v, int pidfd, pid_t pid, struct err *e)
{
	struct timeval window = { .tv_sec = (time_t)setting(v, "reset_window") };

	v->gone = event_new(v->owner->base, pidfd, EV_READ, on_gone, v);
	if (!v->gone || event_add(v->gone, NULL)) {
		if (v->gone)
			event_free(TAKE(v->gone));
		close(pidfd);
		return err_set(e, ERR_SYSTEM, "watch a runner");
	}
	v->runner = pid;
	event_add(v->stable, &window);
	return 0;
}

void vm_adopt(struct vm *v)
{
	auto_free char *path = str_format("%s/runner.lock", v->dir);
	struct err e = { 0 };
	pid_t pid = 0;
	int pidfd = path ? lock_owner(path, &pid) : -1;

	if (pidfd < 0)
		return;
	if (watch(v, pidfd, pid, &e))
		log_error("vmm", "VM cannot be adopted id=%s: %s", v->m.id, e.text);
	else
		log_info("vmm", "VM adopted id=%s runner=%d", v->m.id, (int)pid);
}

void vm_resume(struct vm *v)
{
	struct err e = { 0 };

	if (v->removing) {
		if (v->runner)
			kill(v->runner, SIGTERM);
		else
			finish_removal(v);
		return;
	}
	if (v->runner)
		return;
	if (v->started && !strcmp(v->now.shutdown_progress, "powering off") && v->now.state == RUN_EXITED) {
		v->started = false;
		if (vm_save_state(v, &e))
			log_warn("vmm", "%s", e.text);
	}
	if (v->now.started_at && v->now.state != RUN_EXITED)
		note_death(v);
	if (v->started && vm_start(v, false, &e)) {
		log_error("vmm", "VM cannot be started id=%s: %s", v->m.id, e.text);
		schedule_retry(v);
	}
}

// Fork the runner: a session of its own, so that nothing that happens to the daemon reaches it.
static int start_runner(struct vm *v, struct err *e)
{
	auto_free char *log = str_format("%s/runner.log", v->dir), *program = strdup(v->owner->program);
	auto_free char *dir = strdup(v->dir);
	char *argv[] = { program, (char[]){ "run" }, dir, NULL };
	struct child_plan p = { .argv = argv, .log = log, .own_session = true };

	if (!log || !program || !dir)
		return err_set(e, ERR_SYSTEM, "out of memory");
	pid_t pid = child_start(&p, e);
	if (pid < 0)
		return -1;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		kill(pid, SIGKILL);
		return err_errno(e, "watch the runner");
	}
	return watch(v, pidfd, pid, e);
}

int vm_start(struct vm *v, bool by_user, struct err *e)
{
	bool was = v->started;

	if (v->removing)
		return err_code(e, ERR_INPUT, "vmm.removing", "VM is being removed");
	if (by_user)
		forget_attempts(v);
	if (v->runner) {
		vm_refresh(v);
		if (v->now.state == RUN_STOPPING)
			return err_code(e, ERR_AGAIN, "vmm.stopping", "VM is still stopping");
		v->started = true;
		return vm_save_state(v, e);
	}
	if (vm_check_room(v, e) || vm_prepare_launch(v, e))
		return -1;
	v->started = true;
	if ((!was && vm_save_state(v, e)) || start_runner(v, e)) {
		v->started = was;
		return -1;
	}
	// Until the runner has written its own first words.
	v->now.state = RUN_STARTING;
	v->now.started_at = time_now();
	v->now.stopped_at = 0;
	v->now.exit_reason[0] = v->now.shutdown_progress[0] = 0;
	if (by_user)
		v->now.boot_error[0] = 0;
	snprintf(v->now.boot_progress, RUNTIME_TEXT, "booting");
	return 0;
}

static int want_stopped(struct vm *v, struct err *e)
{
	v->started = false;
	forget_attempts(v);
	return vm_save_state(v, e);
}

int vm_stop(struct vm *v, struct err *e)
{
	if (want_stopped(v, e))
		return -1;
	if (v->runner && kill(v->runner, SIGTERM))
		return err_errno(e, "signal the runner");
	return 0;
}

int vm_shutdown(struct vm *v, struct err *e)
{
	if (!v->runner)
		return err_code(e, ERR_INPUT, "vmm.not_running", "VM is not running");
	if (want_stopped(v, e))
		return -1;
	return kill(v->runner, SIGUSR1) ? err_errno(e, "signal the runner") : 0;
}

int vm_remove(struct vm *v, struct err *e)
{
	auto_free char *mark = str_format("%s/.removing", v->dir);

	if (v->removing)
		return 0;
	if (!mark || file_write_str(mark, 0600, "", e) || want_stopped(v, e))
		return -1;
	v->removing = true;
	if (v->runner)
		return kill(v->runner, SIGTERM) ? err_errno(e, "signal the runner") : 0;
	finish_removal(v);
	return 0;
}
