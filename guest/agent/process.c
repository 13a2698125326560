#include "process.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "base/secret.h"

enum { CHILD_FD = 3 };

int process_fork(struct process *p, struct err *e)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return err_errno(e, "start a process: socketpair");
	p->pid = fork();
	if (p->pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return err_errno(e, "start a process: fork");
	}
	if (p->pid) {
		close(pair[1]);
		p->fd = pair[0];
		return 0;
	}
	// A terminal's Ctrl-C goes to the group, a supervisor's signal to the first process: that one
	// decides.
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	if (pair[1] != CHILD_FD && dup2(pair[1], CHILD_FD) < 0)
		_exit(1);
	closefrom(CHILD_FD + 1); // above all the sockets to the other parts
	p->fd = CHILD_FD;
	return 0;
}

static int drop_bounding_set(struct err *e)
{
	for (int cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EINVAL && errno != EPERM)
			return err_errno(e, "drop a capability");
	return 0;
}

static int become(const char *part, uid_t user, struct err *e)
{
	if (!user)
		return 0;
	if (geteuid() != 0) {
		log_warn("agent", "not started as root: no user of its own part=%s uid=%u", part, geteuid());
		return 0;
	}
	if (setgroups(0, NULL) || setresgid(user, user, user) || setresuid(user, user, user))
		return err_errno(e, "become user %u for %s", user, part);
	return 0;
}

int process_confine(const char *part, uid_t user, pid_t parent, struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	if (drop_bounding_set(e) || become(part, user, e))
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &head, none))
		return err_errno(e, "drop capabilities");
	// After the change of user, which resets both of these.
	if (secret_process(e))
		return -1;
	if (parent && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent))
		return err_set(e, ERR_SYSTEM, "the agent ended while %s started", part);
	return 0;
}

bool process_ended(struct process *p)
{
	if (p->pid <= 0 || waitpid(p->pid, NULL, WNOHANG) != p->pid)
		return false;
	p->pid = 0;
	return true;
}

void process_wait(struct process *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	while (p->pid > 0 && waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
}
