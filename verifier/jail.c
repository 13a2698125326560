#include "jail.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>

#define CALL(name) SCMP_SYS(name)

// clang-format off
static const int allowed[] = {
	// memory, time, threads, the end
	CALL(brk), CALL(mmap), CALL(munmap), CALL(mremap), CALL(mprotect), CALL(madvise), CALL(futex),
	CALL(clock_gettime), CALL(clock_getres), CALL(clock_nanosleep), CALL(nanosleep), CALL(gettimeofday), CALL(getrandom),
	CALL(clone), CALL(clone3), CALL(set_robust_list), CALL(rseq), CALL(set_tid_address), CALL(arch_prctl), CALL(prctl),
	CALL(sched_yield), CALL(sched_getaffinity), CALL(sched_getparam), CALL(sched_getscheduler), CALL(membarrier),
	CALL(getpid), CALL(gettid), CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid), CALL(getcpu), CALL(sysinfo),
	CALL(uname), CALL(prlimit64), CALL(getrlimit), CALL(sigaltstack), CALL(rt_sigaction), CALL(rt_sigprocmask),
	CALL(rt_sigreturn), CALL(restart_syscall), CALL(tgkill), CALL(exit), CALL(exit_group),
	// descriptors and waiting
	CALL(read), CALL(write), CALL(readv), CALL(writev), CALL(pread64), CALL(pwrite64), CALL(lseek), CALL(close), CALL(dup),
	CALL(fcntl), CALL(ioctl), CALL(pipe2), CALL(eventfd2), CALL(poll), CALL(ppoll), CALL(select), CALL(pselect6),
	CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2),
	// sockets
	CALL(socket), CALL(socketpair), CALL(bind), CALL(connect), CALL(accept), CALL(accept4), CALL(shutdown),
	CALL(getsockname), CALL(getpeername), CALL(getsockopt), CALL(setsockopt), CALL(sendto), CALL(recvfrom), CALL(sendmsg),
	CALL(recvmsg), CALL(sendmmsg), CALL(recvmmsg),
	// files
	CALL(open), CALL(openat), CALL(stat), CALL(lstat), CALL(fstat), CALL(newfstatat), CALL(statx), CALL(statfs),
	CALL(fstatfs), CALL(access), CALL(faccessat), CALL(faccessat2), CALL(readlink), CALL(readlinkat), CALL(getcwd),
	CALL(getdents64), CALL(mkdir), CALL(mkdirat), CALL(rmdir), CALL(unlink), CALL(unlinkat), CALL(rename), CALL(renameat),
	CALL(renameat2), CALL(fchmod), CALL(fsync), CALL(fdatasync), CALL(ftruncate), CALL(flock), CALL(umask),
};
// clang-format on

int jail_enter(struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = f ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < sizeof allowed / sizeof *allowed; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	rc = rc ? rc : seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	rc = rc ? rc : seccomp_load(f); // sets no_new_privs first
	if (f)
		seccomp_release(f);
	return rc ? err_set(e, ERR_SYSTEM, "cannot restrict system calls: error %d", -rc) : 0;
}
