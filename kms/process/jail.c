#include "jail.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

// What any process needs to compute and to end.
static const int common[] = {
	SCMP_SYS(read),         SCMP_SYS(write),        SCMP_SYS(recvfrom),       SCMP_SYS(sendto),
	SCMP_SYS(recvmsg),      SCMP_SYS(sendmsg),      SCMP_SYS(close),          SCMP_SYS(exit),
	SCMP_SYS(exit_group),   SCMP_SYS(brk),          SCMP_SYS(mmap),           SCMP_SYS(munmap),
	SCMP_SYS(mremap),       SCMP_SYS(mprotect),     SCMP_SYS(madvise),        SCMP_SYS(mlock),
	SCMP_SYS(munlock),      SCMP_SYS(futex),        SCMP_SYS(getrandom),      SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall),
	SCMP_SYS(getpid),       SCMP_SYS(gettid),       SCMP_SYS(sigaltstack),    SCMP_SYS(sched_yield)
};

static const int service[] = { SCMP_SYS(accept),
			       SCMP_SYS(accept4),
			       SCMP_SYS(access),
			       SCMP_SYS(arch_prctl),
			       SCMP_SYS(bind),
			       SCMP_SYS(clock_getres),
			       SCMP_SYS(clock_nanosleep),
			       SCMP_SYS(clone),
			       SCMP_SYS(clone3),
			       SCMP_SYS(connect),
			       SCMP_SYS(dup),
			       SCMP_SYS(dup2),
			       SCMP_SYS(dup3),
			       SCMP_SYS(epoll_create),
			       SCMP_SYS(epoll_create1),
			       SCMP_SYS(epoll_ctl),
			       SCMP_SYS(epoll_pwait),
			       SCMP_SYS(epoll_pwait2),
			       SCMP_SYS(epoll_wait),
			       SCMP_SYS(eventfd),
			       SCMP_SYS(eventfd2),
			       SCMP_SYS(faccessat),
			       SCMP_SYS(faccessat2),
			       SCMP_SYS(fchmod),
			       SCMP_SYS(fcntl),
			       SCMP_SYS(fdatasync),
			       SCMP_SYS(flock),
			       SCMP_SYS(fstat),
			       SCMP_SYS(fstatfs),
			       SCMP_SYS(fsync),
			       SCMP_SYS(ftruncate),
			       SCMP_SYS(getcpu),
			       SCMP_SYS(getcwd),
			       SCMP_SYS(getdents64),
			       SCMP_SYS(getegid),
			       SCMP_SYS(geteuid),
			       SCMP_SYS(getgid),
			       SCMP_SYS(getpeername),
			       SCMP_SYS(getppid),
			       SCMP_SYS(getrlimit),
			       SCMP_SYS(getsockname),
			       SCMP_SYS(getsockopt),
			       SCMP_SYS(getuid),
			       SCMP_SYS(ioctl),
			       SCMP_SYS(kill),
			       SCMP_SYS(link),
			       SCMP_SYS(linkat),
			       SCMP_SYS(listen),
			       SCMP_SYS(lseek),
			       SCMP_SYS(lstat),
			       SCMP_SYS(membarrier),
			       SCMP_SYS(mkdir),
			       SCMP_SYS(mkdirat),
			       SCMP_SYS(mlock2),
			       SCMP_SYS(nanosleep),
			       SCMP_SYS(newfstatat),
			       SCMP_SYS(open),
			       SCMP_SYS(openat),
			       SCMP_SYS(openat2),
			       SCMP_SYS(pipe),
			       SCMP_SYS(pipe2),
			       SCMP_SYS(poll),
			       SCMP_SYS(ppoll),
			       SCMP_SYS(prctl),
			       SCMP_SYS(pread64),
			       SCMP_SYS(preadv),
			       SCMP_SYS(prlimit64),
			       SCMP_SYS(pselect6),
			       SCMP_SYS(pwrite64),
			       SCMP_SYS(readlink),
			       SCMP_SYS(readlinkat),
			       SCMP_SYS(readv),
			       SCMP_SYS(recvmmsg),
			       SCMP_SYS(rename),
			       SCMP_SYS(renameat),
			       SCMP_SYS(renameat2),
			       SCMP_SYS(rmdir),
			       SCMP_SYS(rseq),
			       SCMP_SYS(rt_sigaction),
			       SCMP_SYS(rt_sigpending),
			       SCMP_SYS(rt_sigsuspend),
			       SCMP_SYS(rt_sigtimedwait),
			       SCMP_SYS(sched_getaffinity),
			       SCMP_SYS(sched_getparam),
			       SCMP_SYS(sched_getscheduler),
			       SCMP_SYS(select),
			       SCMP_SYS(sendmmsg),
			       SCMP_SYS(set_robust_list),
			       SCMP_SYS(set_tid_address),
			       SCMP_SYS(setsockopt),
			       SCMP_SYS(shutdown),
			       SCMP_SYS(signalfd),
			       SCMP_SYS(signalfd4),
			       SCMP_SYS(socket),
			       SCMP_SYS(socketpair),
			       SCMP_SYS(stat),
			       SCMP_SYS(statfs),
			       SCMP_SYS(statx),
			       SCMP_SYS(sysinfo),
			       SCMP_SYS(tgkill),
			       SCMP_SYS(timerfd_create),
			       SCMP_SYS(timerfd_gettime),
			       SCMP_SYS(timerfd_settime),
			       SCMP_SYS(umask),
			       SCMP_SYS(uname),
			       SCMP_SYS(unlink),
			       SCMP_SYS(unlinkat),
			       SCMP_SYS(utimensat),
			       SCMP_SYS(wait4),
			       SCMP_SYS(waitid),
			       SCMP_SYS(writev) };

static int allow(scmp_filter_ctx f, const int *calls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	return rc;
}

static int enter(uint32_t otherwise, const int *more, size_t n_more, struct err *e)
{
	scmp_filter_ctx f = seccomp_init(otherwise);
	int rc = f ? allow(f, common, sizeof common / sizeof *common) : -ENOMEM;

	rc = rc ? rc : allow(f, more, n_more);
	rc = rc ? rc : seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1); // threads that run already, too
	// seccomp_load sets no_new_privs first.
	rc = rc ? rc : seccomp_load(f);
	if (f)
		seccomp_release(f);
	return rc ? err_set(e, ERR_SYSTEM, "cannot restrict system calls: error %d", -rc) : 0;
}

int jail_key_process(struct err *e)
{
	// Its one open file is the audit log.
	static const int log[] = { SCMP_SYS(fdatasync), SCMP_SYS(ftruncate) };

	return enter(SCMP_ACT_KILL_PROCESS, log, sizeof log / sizeof *log, e);
}

int jail_key_maker(struct err *e)
{
	static const int files[] = { SCMP_SYS(open),    SCMP_SYS(openat),     SCMP_SYS(mkdir),
				     SCMP_SYS(mkdirat), SCMP_SYS(rename),     SCMP_SYS(renameat),
				     SCMP_SYS(unlink),  SCMP_SYS(unlinkat),   SCMP_SYS(rmdir),
				     SCMP_SYS(fchmod),  SCMP_SYS(fsync),      SCMP_SYS(fstat),
				     SCMP_SYS(lstat),   SCMP_SYS(newfstatat), SCMP_SYS(getdents64),
				     SCMP_SYS(fcntl),   SCMP_SYS(lseek),      SCMP_SYS(renameat2) };

	return enter(SCMP_ACT_KILL_PROCESS, files, sizeof files / sizeof *files, e);
}

int jail_judge(struct err *e)
{
	return enter(SCMP_ACT_KILL_PROCESS, NULL, 0, e);
}

int jail_supervisor(struct err *e)
{
	static const int more[] = { SCMP_SYS(seccomp), SCMP_SYS(close_range), SCMP_SYS(fork),
				    SCMP_SYS(vfork) };
	int all[sizeof service / sizeof *service + sizeof more / sizeof *more];

	memcpy(all, service, sizeof service);
	memcpy(all + sizeof service / sizeof *service, more, sizeof more);
	return enter(SCMP_ACT_ERRNO(EPERM), all, sizeof all / sizeof *all, e);
}

int jail_service(struct err *e)
{
	return enter(SCMP_ACT_ERRNO(EPERM), service, sizeof service / sizeof *service, e);
}
