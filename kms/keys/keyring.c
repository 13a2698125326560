#include "keyring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"

const char keyring_statement[] = "rotation.json";
static const char fresh_prefix[] = ".new-";
static const char *const names[] = { "root-ca.key", "root-ca.crt", "root-k256.key", "rotation.json" };
enum { N_NAMES = sizeof names / sizeof *names };

void keyring_set_free(struct keyring_set *s)
{
	secret_free(s->files);
	free(s->statement);
	*s = (struct keyring_set){ 0 };
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, "out of memory");
}

char *keyring_folder(const char *dir, uint32_t root, struct err *e)
{
	char *p = root ? str_format("%s/roots/%u", dir, root) : strdup(dir);

	if (!p)
		no_memory(e);
	return p;
}

static int partial(const char *dir, uint32_t root, const char *name, struct err *e)
{
	return err_code(e, ERR_INPUT, "kms.partial_keys",
			"%s/roots/%u/%s is missing: restore it, nothing is created beside existing keys", dir,
			root, name);
}

static int check_set(const char *dir, uint32_t root, struct err *e)
{
	auto_free char *folder = keyring_folder(dir, root, e);

	if (!folder)
		return -1;
	for (size_t i = 0; i < N_NAMES; i++) {
		auto_free char *path = str_format("%s/%s", folder, names[i]);
		struct stat st;
		if (!path)
			return no_memory(e);
		if (lstat(path, &st))
			return errno == ENOENT ? partial(dir, root, names[i], e)
					       : err_errno(e, "look for %s", path);
	}
	return 0;
}

int keyring_count(const char *dir, uint32_t *n, struct err *e)
{
	auto_free char *path = str_format("%s/roots", dir);
	bool have[ROOT_SETS_MAX] = { false };
	uint64_t root;

	*n = 1;
	if (!path)
		return no_memory(e);
	DIR *d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : err_errno(e, "open %s", path);
	for (const struct dirent *x; (x = readdir(d));)
		if (str_u64(x->d_name, &root) && root && root < ROOT_SETS_MAX)
			have[root] = true;
	closedir(d);
	for (uint32_t r = ROOT_SETS_MAX - 1; r; r--)
		if (have[r] && r >= *n)
			*n = r + 1;
	for (uint32_t r = 1; r < *n; r++)
		if (check_set(dir, r, e))
			return -1;
	return 0;
}

static int put(const char *folder, const char *name, mode_t mode, const void *p, size_t n, struct err *e)
{
	auto_free char *path = str_format("%s/%s", folder, name);

	return path ? file_write(path, mode, p, n, e) : no_memory(e);
}

static int sync_folder(const char *path, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? err_errno(e, "sync %s", path) : 0;
}

static int fill(const char *folder, const struct keyring_files *f, const char *statement, struct err *e)
{
	return put(folder, names[0], 0600, f->ca_key, strnlen(f->ca_key, sizeof f->ca_key),
		   e) || put(folder, names[1], 0644, f->ca_cert, strnlen(f->ca_cert, sizeof f->ca_cert), e) ||
			       put(folder, names[2], 0600, f->k256, sizeof f->k256, e) ||
			       put(folder, names[3], 0644, statement, strlen(statement), e) ||
			       sync_folder(folder, e)
		       ? -1
		       : 0;
}

// rename(2) replaces nothing but an empty folder, and such a one is refused before.
static int place(const char *fresh, const char *folder, const char *roots, struct err *e)
{
	struct stat st;

	if (!lstat(folder, &st) || rename(fresh, folder))
		return err_code(e, ERR_INPUT, "kms.dir_not_empty", "%s is there already", folder);
	return sync_folder(roots, e);
}

int keyring_add(const char *dir, uint32_t root, const struct keyring_files *f, const char *statement,
		struct err *e)
{
	auto_free char *roots = str_format("%s/roots", dir), *folder = keyring_folder(dir, root, e);
	auto_free char *fresh = str_format("%s/roots/%sXXXXXX", dir, fresh_prefix);
	struct err ignored;

	if (!roots || !folder || !fresh)
		return no_memory(e);
	if (mkdir(roots, 0700) && errno != EEXIST)
		return err_errno(e, "make %s", roots);
	if (sync_folder(dir, e))
		return -1;
	if (!mkdtemp(fresh)) // 0700
		return err_errno(e, "make a folder in %s", roots);
	if (!fill(fresh, f, statement, e) && !place(fresh, folder, roots, e))
		return 0;
	if (file_remove_tree(fresh, &ignored))
		return err_wrap(e, "(and %s stays behind)", fresh);
	return -1;
}

void keyring_sweep(const char *dir)
{
	auto_free char *roots = str_format("%s/roots", dir);
	DIR *d = roots ? opendir(roots) : NULL;
	struct err why;

	for (const struct dirent *x; d && (x = readdir(d));) {
		auto_free char *path =
			str_starts(x->d_name, fresh_prefix) ? str_format("%s/%s", roots, x->d_name) : NULL;
		if (path && file_remove_tree(path, &why))
			log_warn("kms", "%s", why.text);
	}
	if (d)
		closedir(d);
}
