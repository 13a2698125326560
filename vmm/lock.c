#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

// Clock ticks after boot at which the process started: field 22 of /proc/PID/stat, counted from behind the
// name, which may hold anything.
static unsigned long long start_time(pid_t pid)
{
	char path[64], text[1024];
	unsigned long long at = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0)
		return 0;
	text[n] = 0;
	char *p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		at = strtoull(p + 1, NULL, 10);
	return at;
}

int lock_take(const char *path, struct err *e)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return err_code(e, ERR_AGAIN, "vmm.locked", "another process has %s", path);
		return err_errno(e, "lock %s", path);
	}
	if (ftruncate(fd, 0) || dprintf(fd, "%d %llu\n", (int)getpid(), start_time(getpid())) < 0)
		return err_errno(e, "write %s", path);
	return take_fd(&fd);
}

int lock_owner(const char *path, pid_t *pid)
{
	auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[64];

	if (fd < 0 || !flock(fd, LOCK_SH | LOCK_NB))
		return -1; // no file, or nobody holds it
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	text[n > 0 ? n : 0] = 0;
	char *end;
	long p = strtol(text, &end, 10);
	unsigned long long started = strtoull(end, NULL, 10);
	if (p <= 0 || p > INT32_MAX)
		return -1;
	int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)p, 0);
	if (pidfd >= 0 && start_time((pid_t)p) != started) {
		close(pidfd);
		return -1;
	}
	*pid = (pid_t)p;
	return pidfd;
}
