#include "volatile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strings.h"

int volatile_write(const char *path, const void *p, size_t n, struct err *e)
{
	const char *slash = strrchr(path, '/');
	size_t dir = slash ? (size_t)(slash - path) + 1 : 0;
	auto_free char *tmp = str_format("%.*s.%s.new", (int)dir, path, path + dir);
	auto_close int fd = tmp ? open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
	const char *b = p;

	if (fd < 0)
		return err_errno(e, "create %s", path);
	while (n) {
		ssize_t k = write(fd, b, n);

		if (k <= 0)
			return err_errno(e, "write %s", path);
		b += k;
		n -= (size_t)k;
	}
	return rename(tmp, path) ? err_errno(e, "rename %s", path) : 0;
}
