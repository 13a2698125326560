#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"

enum { DEPTH_MAX = 64 };

static int remove_in(int dir, const char *name, int depth, struct err *e)
{
	if (!unlinkat(dir, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(e, "remove %s", name);
	if (depth == DEPTH_MAX)
		return err_set(e, ERR_SYSTEM, "remove %s: nested too deeply", name);

	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		err_errno(e, "remove %s", name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	int rc = 0;
	for (struct dirent *x; !rc && (x = readdir(d));)
		if (strcmp(x->d_name, ".") && strcmp(x->d_name, ".."))
			rc = remove_in(fd, x->d_name, depth + 1, e);
	closedir(d);
	if (!rc && unlinkat(dir, name, AT_REMOVEDIR) && errno != ENOENT)
		rc = err_errno(e, "remove %s", name);
	return rc;
}

int file_remove_tree(const char *path, struct err *e)
{
	return remove_in(AT_FDCWD, path, 0, e);
}
