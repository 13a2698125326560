#include "ratls/pccs_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strings.h"

enum { LEFT_OVER_SECONDS = 600 };

// Temporary files of writers that were killed. Young ones may be another process's work.
static void sweep(int dir)
{
	int fd = dup(dir);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	time_t now = time(NULL);
	struct stat st;

	for (const struct dirent *entry; d && (entry = readdir(d));)
		if (str_ends(entry->d_name, ".tmp") && strstr(entry->d_name, ".json.") &&
		    !fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) &&
		    now - st.st_mtime > LEFT_OVER_SECONDS)
			unlinkat(dir, entry->d_name, 0);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

int pccs_disk_open(const char *dir, struct err *e)
{
	if (file_mkdirs(dir, 0700, e))
		return err_wrap(e, "collateral cache");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "open collateral cache %s", dir);
	sweep(fd);
	close(fd);
	return 0;
}

static int path_of(char out[static PATH_MAX], const char *dir, const struct dcap_platform *p, struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/%s-%02x%02x%02x%02x%02x%02x-%s.json", dir,
			 p->is_tdx ? "tdx" : "sgx", p->fmspc[0], p->fmspc[1], p->fmspc[2], p->fmspc[3],
			 p->fmspc[4], p->fmspc[5], p->processor_ca ? "processor" : "platform");

	return n < PATH_MAX ? 0 : err_set(e, ERR_INPUT, "path of the collateral cache is too long");
}

int pccs_disk_read(const char *dir, const struct dcap_platform *p, char **json, size_t *n, uint64_t *written,
		   struct err *e)
{
	char path[PATH_MAX];
	struct stat st;

	if (path_of(path, dir, p, e) || file_read(path, DCAP_COLLATERAL_MAX, json, n, e))
		return -1;
	*written = !stat(path, &st) && st.st_mtime > 0 ? (uint64_t)st.st_mtime : 0;
	return 0;
}

int pccs_disk_write(const char *dir, const struct dcap_platform *p, const char *json, size_t n, struct err *e)
{
	char path[PATH_MAX];

	return path_of(path, dir, p, e) || file_write(path, 0600, json, n, e) ? -1 : 0;
}
