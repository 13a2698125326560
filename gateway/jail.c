#include "jail.h"

#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static const int allowed[] = {
	SCMP_SYS(accept4),       SCMP_SYS(brk),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(close),         SCMP_SYS(connect),
	SCMP_SYS(epoll_ctl),     SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_wait),    SCMP_SYS(exit),
	SCMP_SYS(exit_group),    SCMP_SYS(fcntl),
	SCMP_SYS(futex),         SCMP_SYS(getpid),
	SCMP_SYS(getrandom),     SCMP_SYS(getsockopt),
	SCMP_SYS(gettid),        SCMP_SYS(gettimeofday),
	SCMP_SYS(madvise),       SCMP_SYS(mremap),
	SCMP_SYS(munmap),        SCMP_SYS(pipe2),
	SCMP_SYS(read),          SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),       SCMP_SYS(restart_syscall),
	SCMP_SYS(rseq),          SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),  SCMP_SYS(sched_yield),
	SCMP_SYS(sendmsg),       SCMP_SYS(sendto),
	SCMP_SYS(setsockopt),    SCMP_SYS(shutdown),
	SCMP_SYS(sigaltstack),   SCMP_SYS(splice),
	SCMP_SYS(tgkill),        SCMP_SYS(write),
};

static int rules(scmp_filter_ctx f)
{
	int rc = 0;

	for (size_t i = 0; i < sizeof allowed / sizeof *allowed && !rc; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	// TCP to instances and nothing else: no unix sockets, no netlink.
	if (!rc)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)AF_INET));
	// Memory stays data: the third argument of both without PROT_EXEC.
	if (!rc)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	if (!rc)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	return rc;
}

int jail_enter(struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));

	if (!f)
		return err_set(e, ERR_SYSTEM, "seccomp: out of memory");
	int rc = rules(f);
	if (!rc)
		rc = seccomp_load(f);
	seccomp_release(f);
	return rc ? err_set(e, ERR_SYSTEM, "seccomp: %s", strerror(-rc)) : 0;
}
