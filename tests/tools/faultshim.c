// faultshim - kills a program, with all its processes, at the nth call that changes a file or sends a byte.
//
//   LD_PRELOAD=faultshim.so FAULT_FILE=FILE program
// FILE is five 64-bit numbers, shared by all processes of the program: armed, the step to die at (from 1),
// calls counted so far, dead, half. When the count reaches the step the process is killed before the call
// (half: after the first half of its bytes), and every other process at its next such call: nothing more
// leaves any of them, as if all had been killed at that instant. FILE absent or armed 0: nothing happens.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
	_Atomic uint64_t armed, step, count, dead, half;
};

static struct control *control;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_FILE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	control = p == MAP_FAILED ? NULL : p;
	close(fd);
}

__attribute__((noreturn)) static void die(void)
{
	// A jailed process may not call kill: then that is what kills it, as fast.
	syscall(SYS_kill, getpid(), SIGKILL);
	for (;;)
		syscall(SYS_exit_group, 137);
}

enum todo { GO_ON, HALF };

static enum todo step(void)
{
	if (!control || !atomic_load(&control->armed))
		return GO_ON;
	if (atomic_load(&control->dead))
		die();
	if (atomic_fetch_add(&control->count, 1) + 1 != atomic_load(&control->step))
		return GO_ON;
	atomic_store(&control->dead, 1); // for the others
	if (!atomic_load(&control->half))
		die();
	return HALF;
}

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *p, size_t n)
{
	if (fd == STDERR_FILENO) // the log is no promise
		return REAL(write)(fd, p, n);
	if (step() == HALF) {
		(void)!REAL(write)(fd, p, n / 2);
		die();
	}
	return REAL(write)(fd, p, n);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	if (step() == HALF) {
		(void)!REAL(writev)(fd, v, n / 2);
		die();
	}
	return REAL(writev)(fd, v, n);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
	if (step() == HALF) {
		(void)!REAL(send)(fd, p, n, flags); // a message goes whole
		die();
	}
	return REAL(send)(fd, p, n, flags);
}

ssize_t sendto(int fd, const void *p, size_t n, int flags, __CONST_SOCKADDR_ARG to, socklen_t len)
{
	if (step() == HALF)
		die();
	return REAL(sendto)(fd, p, n, flags, to, len);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	if (step() == HALF)
		die();
	return REAL(sendmsg)(fd, m, flags);
}

int fsync(int fd)
{
	if (step() == HALF)
		die();
	return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	if (step() == HALF)
		die();
	return REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t n)
{
	if (step() == HALF)
		die();
	return REAL(ftruncate)(fd, n);
}

int rename(const char *from, const char *to)
{
	if (step() == HALF) {
		(void)!REAL(rename)(from, to);
		die();
	}
	return REAL(rename)(from, to);
}
