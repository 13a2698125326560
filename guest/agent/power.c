#include "power.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "jail.h"

extern char **environ;

// The wait status of the program, or -errno.
static int run(const char *program)
{
	char *argv[] = { (char *)(uintptr_t)program, NULL };
	int status = -1;
	pid_t pid;

	int rc = posix_spawn(&pid, program, NULL, NULL, argv, environ);
	while (!rc && waitpid(pid, &status, 0) < 0)
		rc = errno == EINTR ? 0 : errno;
	return rc ? -rc : status;
}

__attribute__((noreturn)) static void serve(int fd, const char *program, pid_t parent)
{
	struct err e = { 0 };
	char now;

	if (process_confine("poweroff", 0, parent, &e) || jail_power(&e))
		_exit(1);
	while (recv(fd, &now, sizeof now, 0) == (ssize_t)sizeof now) {
		int status = run(program);
		if (send(fd, &status, sizeof status, MSG_NOSIGNAL) != (ssize_t)sizeof status)
			break;
	}
	_exit(0);
}

int power_start(struct process *p, const char *program, struct err *e)
{
	pid_t parent = getpid();

	if (process_fork(p, e))
		return -1;
	if (!p->pid)
		serve(p->fd, program, parent);
	return 0;
}

int power_off_now(struct process *p, struct err *e)
{
	int status = 0;
	ssize_t n = send(p->fd, "", 1, MSG_NOSIGNAL);

	if (n == 1)
		do
			n = recv(p->fd, &status, sizeof status, 0);
		while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof status)
		return err_code(e, ERR_SYSTEM, "agent.poweroff", "the process that powers off is gone");
	if (status)
		return err_code(e, ERR_SYSTEM, "agent.poweroff", "the program that powers off: %s",
				status < 0 ? strerror(-status) : "failed");
	return 0;
}
