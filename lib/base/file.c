#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/strings.h"

// A regular file of at most `max` bytes, opened without following a link and without waiting on a FIFO.
static int open_regular(int dir, const char *name, size_t max, struct stat *st, struct err *e)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		if (errno == ENOENT)
			return err_code(e, ERR_ABSENT, "file.absent", "read %s: no such file", name);
		if (errno == ELOOP)
			return err_code(e, ERR_INPUT, "file.not_regular", "read %s: is a link", name);
		return err_errno(e, "read %s", name);
	}
	if (fstat(fd, st))
		return err_errno(e, "read %s", name);
	if (!S_ISREG(st->st_mode))
		return err_code(e, ERR_INPUT, "file.not_regular", "read %s: not a regular file", name);
	if (st->st_size < 0 || (uintmax_t)st->st_size > max)
		return err_code(e, ERR_INPUT, "file.too_large", "read %s: larger than %zu bytes", name, max);
	return take_fd(&fd);
}

// Files of /proc and /sys say size 0: read until the end, whatever stat said, but never past cap.
static int read_all(int fd, const char *name, char *p, size_t cap, size_t *n, struct err *e)
{
	size_t at = 0;

	for (;;) {
		ssize_t r = read(fd, p + at, cap - at);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_errno(e, "read %s", name);
		if (!r)
			break;
		at += (size_t)r;
		if (at == cap)
			return err_code(e, ERR_INPUT, "file.too_large", "read %s: larger than %zu bytes",
					name, cap - 1);
	}
	p[at] = 0;
	*n = at;
	return 0;
}

int file_read_at(int dir, const char *name, size_t max, char **out, size_t *n, struct err *e)
{
	struct stat st;
	auto_close int fd = open_regular(dir, name, max, &st, e);

	if (fd < 0)
		return -1;
	size_t guess = st.st_size ? (size_t)st.st_size : 4096, cap = guess < max ? guess : max;
	for (;;) { // a file that grows, or one of /sys: once more with more room
		auto_free char *p = malloc(cap + 1);
		if (!p)
			return err_set(e, ERR_SYSTEM, "read %s: out of memory", name);
		if (lseek(fd, 0, SEEK_SET) < 0)
			return err_errno(e, "read %s", name);
		if (!read_all(fd, name, p, cap + 1, n, e)) {
			*out = TAKE(p);
			return 0;
		}
		if (cap >= max || strcmp(e->code, "file.too_large"))
			return -1;
		cap = cap < max / 4 ? cap * 4 : max;
	}
}

int file_read(const char *path, size_t max, char **out, size_t *n, struct err *e)
{
	return file_read_at(AT_FDCWD, path, max, out, n, e);
}

int file_read_secret(const char *path, size_t max, struct secret **out, struct err *e)
{
	struct stat st;
	auto_close int fd = open_regular(AT_FDCWD, path, max, &st, e);

	if (fd < 0)
		return -1;
	if (st.st_mode & 077)
		return err_code(e, ERR_DENIED, "file.mode",
				"read %s: mode %03o lets others read a secret, want 0600", path,
				st.st_mode & 0777);
	size_t n, cap = (size_t)st.st_size + 1;
	auto_secret *s = secret_new(cap);
	if (!s)
		return err_set(e, ERR_SYSTEM, "read %s: out of memory", path);
	if (read_all(fd, path, (char *)s->b, cap, &n, e))
		return -1;
	s->n = n;
	*out = TAKE(s);
	return 0;
}

static int sync_folder(const char *path, struct err *e)
{
	auto_free char *copy = strdup(path);
	char *slash = copy ? strrchr(copy, '/') : NULL;

	if (!copy)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (slash)
		slash[slash == copy] = 0;
	auto_close int fd = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		return err_errno(e, "sync the folder of %s", path);
	return 0;
}

static int write_all(int fd, const void *p, size_t n)
{
	const char *s = p;

	while (n) {
		ssize_t w = write(fd, s, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		s += w;
		n -= (size_t)w;
	}
	return 0;
}

// The temporary file, whole and on disk. Its name goes to tmp.
static int write_beside(const char *path, mode_t mode, const void *p, size_t n, char **tmp, struct err *e)
{
	static unsigned serial;

	auto_free char *name =
		str_format("%s.%d.%u.tmp", path, getpid(), __atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED));
	if (!name)
		return err_set(e, ERR_SYSTEM, "write %s: out of memory", path);
	unlink(name); // of a process that died with our pid
	auto_close int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_errno(e, "write %s", path);
	if (fchmod(fd, mode) || write_all(fd, p, n) || fsync(fd)) {
		err_errno(e, "write %s", path);
		unlink(name);
		return -1;
	}
	*tmp = TAKE(name);
	return 0;
}

int file_write(const char *path, mode_t mode, const void *p, size_t n, struct err *e)
{
	auto_free char *tmp = NULL;

	if (write_beside(path, mode, p, n, &tmp, e))
		return -1;
	if (rename(tmp, path)) {
		err_errno(e, "write %s", path);
		unlink(tmp);
		return -1;
	}
	return sync_folder(path, e);
}

int file_write_str(const char *path, mode_t mode, const char *s, struct err *e)
{
	return file_write(path, mode, s, strlen(s), e);
}

int file_write_new(const char *path, mode_t mode, const void *p, size_t n, struct err *e)
{
	auto_free char *tmp = NULL;

	if (write_beside(path, mode, p, n, &tmp, e))
		return -1;
	int rc = link(tmp, path), why = errno;
	unlink(tmp);
	errno = why;
	if (rc && why == EEXIST)
		return err_code(e, ERR_DENIED, "file.exists", "write %s: exists already", path);
	if (rc)
		return err_errno(e, "write %s", path);
	return sync_folder(path, e);
}

int file_mkdirs(const char *path, mode_t mode, struct err *e)
{
	auto_free char *copy = strdup(path);

	if (!copy)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (char *p = copy + 1;; p++) {
		if (*p && *p != '/')
			continue;
		char was = *p;
		*p = 0;
		if (mkdir(copy, mode) && errno != EEXIST)
			return err_errno(e, "make folder %s", copy);
		*p = was;
		if (!was)
			break;
	}
	struct stat st;
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return err_set(e, ERR_SYSTEM, "make folder %s: something else is there", path);
	return 0;
}

bool file_exists(const char *path)
{
	struct stat st;
	return !lstat(path, &st);
}

int file_remove(const char *path, struct err *e)
{
	if (unlink(path) && errno != ENOENT)
		return err_errno(e, "remove %s", path);
	return 0;
}
