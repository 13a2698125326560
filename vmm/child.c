#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/close_range.h>

#include "base/cleanup.h"
#include "base/time.h"

// In the child between fork and exec: only async-signal-safe calls. Returns only on failure.
static void become(const struct child_plan *p, int out, int report, pid_t parent)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (p->own_session)
		setsid();
	else if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		return;
	if (null < 0 || dup2(null, 0) < 0 || dup2(out >= 0 ? out : null, 1) < 0 ||
	    dup2(out >= 0 ? out : null, 2) < 0)
		return;
	if ((p->dir && chdir(p->dir)) || (p->ns && netns_enter(p->ns)))
		return;
	if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC))
		return;
	fcntl(report, F_SETFD, FD_CLOEXEC);
	execvp(p->argv[0], p->argv);
}

pid_t child_start(const struct child_plan *p, struct err *e)
{
	auto_close int log = -1, get = -1, put = -1;
	int ends[2], why = 0;
	pid_t parent = getpid();

	if (p->log) {
		log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (log < 0)
			return err_errno(e, "open %s", p->log);
	}
	if (pipe2(ends, O_CLOEXEC))
		return err_errno(e, "make a pipe");
	get = ends[0];
	put = ends[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_errno(e, "fork");
	if (pid == 0) {
		become(p, p->out > 0 ? p->out : log, put, parent);
		why = errno;
		if (write(put, &why, sizeof why) < 0)
			_exit(126);
		_exit(127);
	}
	close(take_fd(&put));
	ssize_t n;
	while ((n = read(get, &why, sizeof why)) < 0 && errno == EINTR)
		;
	if (n == 0)
		return pid;
	waitpid(pid, NULL, 0);
	errno = why;
	return err_errno(e, "start %s", p->argv[0]);
}

// Collect output until the end of it, the deadline, or a full buffer (the rest is thrown away).
static bool collect(int fd, uint64_t deadline, char *out, size_t cap)
{
	char spill[4096];
	size_t have = 0;

	for (;;) {
		struct pollfd p = { fd, POLLIN, 0 };
		uint64_t now = time_mono_ms();

		out[have] = 0;
		if (now >= deadline)
			return false;
		if (poll(&p, 1, (int)(deadline - now)) <= 0)
			continue;
		bool room = have + 1 < cap;
		ssize_t n = read(fd, room ? out + have : spill, room ? cap - 1 - have : sizeof spill);
		if (n <= 0)
			return n == 0;
		if (room)
			have += (size_t)n;
	}
}

int child_run(char *const *argv, int seconds, char *out, size_t cap, struct err *e)
{
	auto_close int get = -1, put = -1;
	int ends[2], status = 0;

	*out = 0;
	if (pipe2(ends, O_CLOEXEC))
		return err_errno(e, "make a pipe");
	get = ends[0];
	put = ends[1];
	struct child_plan p = { .argv = argv, .out = put };
	pid_t pid = child_start(&p, e);
	if (pid < 0)
		return -1;
	close(take_fd(&put));
	bool ended = collect(get, time_mono_ms() + (uint64_t)seconds * 1000, out, cap);
	if (!ended)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!ended)
		return err_set(e, ERR_AGAIN, "%s took longer than %d seconds", argv[0], seconds);
	if (!WIFEXITED(status))
		return err_set(e, ERR_SYSTEM, "%s was killed by signal %d", argv[0], WTERMSIG(status));
	return WEXITSTATUS(status);
}
