#include "jail.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

// What any process needs to compute, to answer on a socket and to end.
static const int common[] = {
	SCMP_SYS(brk),          SCMP_SYS(clock_gettime), SCMP_SYS(close),           SCMP_SYS(exit),
	SCMP_SYS(exit_group),   SCMP_SYS(futex),         SCMP_SYS(getpid),          SCMP_SYS(getrandom),
	SCMP_SYS(gettid),       SCMP_SYS(gettimeofday),  SCMP_SYS(madvise),         SCMP_SYS(mlock),
	SCMP_SYS(mremap),       SCMP_SYS(munlock),       SCMP_SYS(munmap),          SCMP_SYS(read),
	SCMP_SYS(recvfrom),     SCMP_SYS(recvmsg),       SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sched_yield),   SCMP_SYS(sendmsg),         SCMP_SYS(sendto),
	SCMP_SYS(sigaltstack),  SCMP_SYS(write),
};

// Threads, an event loop, connections that were accepted.
static const int serving[] = {
	SCMP_SYS(pipe2),
	SCMP_SYS(accept4),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(membarrier),
	SCMP_SYS(nanosleep),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(pread64),
	SCMP_SYS(readv),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(setsockopt),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(shutdown),
	SCMP_SYS(socketpair),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(writev),
};

// Files, above all those of the TEE's drivers.
static const int working[] = {
	SCMP_SYS(access),       SCMP_SYS(dup),        SCMP_SYS(dup2),       SCMP_SYS(dup3),
	SCMP_SYS(faccessat),    SCMP_SYS(faccessat2), SCMP_SYS(fchmod),     SCMP_SYS(fdatasync),
	SCMP_SYS(flock),        SCMP_SYS(fstatfs),    SCMP_SYS(fsync),      SCMP_SYS(ftruncate),
	SCMP_SYS(getcpu),       SCMP_SYS(getcwd),     SCMP_SYS(getdents64), SCMP_SYS(getegid),
	SCMP_SYS(getgid),       SCMP_SYS(getppid),    SCMP_SYS(getrlimit),  SCMP_SYS(ioctl),
	SCMP_SYS(link),         SCMP_SYS(linkat),     SCMP_SYS(lseek),      SCMP_SYS(lstat),
	SCMP_SYS(memfd_create), SCMP_SYS(mkdir),      SCMP_SYS(mkdirat),    SCMP_SYS(newfstatat),
	SCMP_SYS(open),         SCMP_SYS(openat),     SCMP_SYS(pipe),       SCMP_SYS(prlimit64),
	SCMP_SYS(pselect6),     SCMP_SYS(pwrite64),   SCMP_SYS(readlink),   SCMP_SYS(readlinkat),
	SCMP_SYS(rename),       SCMP_SYS(renameat),   SCMP_SYS(renameat2),  SCMP_SYS(rmdir),
	SCMP_SYS(rt_sigaction), SCMP_SYS(select),     SCMP_SYS(stat),       SCMP_SYS(statfs),
	SCMP_SYS(statx),        SCMP_SYS(sysinfo),    SCMP_SYS(tgkill),     SCMP_SYS(umask),
	SCMP_SYS(uname),        SCMP_SYS(unlink),     SCMP_SYS(unlinkat),   SCMP_SYS(utimensat),
	SCMP_SYS(wait4),        SCMP_SYS(waitid),
};

static const int networking[] = {
	SCMP_SYS(bind),     SCMP_SYS(connect),  SCMP_SYS(listen),
	SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg), SCMP_SYS(socket),
};

// A process that starts others, and gives them a narrower list than its own.
static const int forking[] = {
	SCMP_SYS(clone),   SCMP_SYS(getppid),         SCMP_SYS(prctl), SCMP_SYS(rt_sigaction),
	SCMP_SYS(seccomp), SCMP_SYS(set_tid_address), SCMP_SYS(wait4),
};

// A program: a shell and what it starts. No sockets.
static const int running[] = {
	SCMP_SYS(arch_prctl),    SCMP_SYS(chdir),     SCMP_SYS(chmod),   SCMP_SYS(clone3),
	SCMP_SYS(execve),        SCMP_SYS(fchmodat),  SCMP_SYS(getpgid), SCMP_SYS(getpgrp),
	SCMP_SYS(getresgid),     SCMP_SYS(getresuid), SCMP_SYS(getsid),  SCMP_SYS(kill),
	SCMP_SYS(mmap),          SCMP_SYS(mprotect),  SCMP_SYS(pause),   SCMP_SYS(reboot),
	SCMP_SYS(rt_sigsuspend), SCMP_SYS(setpgid),   SCMP_SYS(setsid),  SCMP_SYS(sync),
	SCMP_SYS(times),         SCMP_SYS(vfork),
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int allow(scmp_filter_ctx f, const int *calls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	return rc;
}

// Memory stays data: the third argument of both without PROT_EXEC.
static int data_memory(scmp_filter_ctx f)
{
	int rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	return rc ? rc
		  : seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

// Threads, not processes. clone3's arguments lie in memory, where a filter cannot look: libc falls back.
static int threads(scmp_filter_ctx f)
{
	int rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

	return rc ? rc : seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int load(scmp_filter_ctx f, int rc, struct err *e)
{
	rc = rc ? rc : seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1); // threads that run already, too
	rc = rc ? rc : seccomp_load(f);
	if (f)
		seccomp_release(f);
	return rc ? err_set(e, ERR_SYSTEM, "restrict system calls: %s", strerror(-rc)) : 0;
}

int jail_custody(struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = f ? allow(f, common, COUNT(common)) : -ENOMEM;

	return load(f, rc ? rc : data_memory(f), e);
}

// What all the others have in common; more lists are added to it.
static int begin(scmp_filter_ctx *out)
{
	scmp_filter_ctx f = *out = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = f ? allow(f, common, COUNT(common)) : -ENOMEM;

	return rc ? rc : allow(f, serving, COUNT(serving));
}

int jail_external(struct err *e)
{
	scmp_filter_ctx f;
	int rc = begin(&f);

	rc = rc ? rc : data_memory(f);
	return load(f, rc ? rc : threads(f), e);
}

int jail_keeper(struct err *e)
{
	scmp_filter_ctx f;
	int rc = begin(&f);

	rc = rc ? rc : allow(f, forking, COUNT(forking));
	return load(f, rc ? rc : data_memory(f), e);
}

int jail_power(struct err *e)
{
	scmp_filter_ctx f;
	int rc = begin(&f);

	rc = rc ? rc : allow(f, forking, COUNT(forking));
	rc = rc ? rc : allow(f, working, COUNT(working));
	return load(f, rc ? rc : allow(f, running, COUNT(running)), e);
}

int jail_main(struct err *e)
{
	scmp_filter_ctx f;
	int rc = begin(&f);

	rc = rc ? rc : allow(f, working, COUNT(working));
	rc = rc ? rc : allow(f, networking, COUNT(networking));
	rc = rc ? rc : data_memory(f);
	return load(f, rc ? rc : threads(f), e);
}
