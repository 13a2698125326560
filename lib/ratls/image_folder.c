#include "ratls/image_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/measure/measure.h"
#include "ratls/images.h"

enum { MANIFEST_CAP = 64 << 10, OLD_SECONDS = 3600 };
#define HIDDEN   ".unpacking-"
#define MANIFEST "sha256sum.txt"

struct image_folder {
	char dir[PATH_MAX], path[PATH_MAX];
	int fd;
	bool finished;
	struct untar *tar;
};

struct image_folder *image_folder_new(const char *dir, struct err *e)
{
	struct image_folder *f = calloc(1, sizeof *f);

	if (!f) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	f->fd = -1;
	snprintf(f->dir, sizeof f->dir, "%s", dir);
	if (snprintf(f->path, sizeof f->path, "%s/" HIDDEN "XXXXXX", dir) >= (int)sizeof f->path ||
	    !mkdtemp(f->path)) {
		err_errno(e, "make a folder in %s", dir);
		free(f);
		return NULL;
	}
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->fd < 0)
		err_errno(e, "open %s", f->path);
	else
		f->tar = untar_new(f->fd, e);
	if (f->tar)
		return f;
	image_folder_free(f);
	return NULL;
}

void image_folder_free(struct image_folder *f)
{
	struct err ignored;

	if (!f)
		return;
	untar_free(f->tar);
	if (f->fd >= 0)
		close(f->fd);
	if (!f->finished)
		(void)!file_remove_tree(f->path, &ignored);
	free(f);
}

int image_folder_feed(struct image_folder *f, const void *p, size_t n, struct err *e)
{
	return untar_feed(f->tar, p, n, e);
}

static size_t lines(struct span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '\n' || i + 1 == text.n;
	return n;
}

// Every file that the manifest lists is there with its hash; files it does not list are removed.
static int compare(const struct image_folder *f, struct span manifest, const struct untar_file *file,
		   size_t n, struct err *e)
{
	size_t listed = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t want[32];
		struct fault why;

		if (!strcmp(file[i].name, MANIFEST))
			continue;
		if (image_checksum(want, manifest, file[i].name, &why)) {
			if (strcmp(why.code, "image.unlisted") != 0)
				return err_fault(e, ERR_UNTRUSTED, &why);
			if (unlinkat(f->fd, file[i].name, 0))
				return err_errno(e, "remove %s", file[i].name);
			continue;
		}
		if (memcmp(want, file[i].sha256, sizeof want) != 0)
			return err_code(e, ERR_UNTRUSTED, "image.file",
					"%s is not the file that the image's manifest lists", file[i].name);
		listed++;
	}
	if (listed != lines(manifest))
		return err_code(e, ERR_UNTRUSTED, "image.file",
				"the archive has %zu of the %zu files that the image's manifest lists",
				listed, lines(manifest));
	return 0;
}

static int settle(struct image_folder *f, const uint8_t hash[32], struct err *e)
{
	char to[PATH_MAX];

	if (snprintf(to, sizeof to, "%s/%s", f->dir, STR_HEX(hash, 32)) >= (int)sizeof to)
		return err_set(e, ERR_INPUT, "path of the image folder is too long");
	if (fchmod(f->fd, 0755) || fsync(f->fd))
		return err_errno(e, "write %s", f->path);
	if (rename(f->path, to))
		return errno == ENOTEMPTY || errno == EEXIST ? 0 // another process was faster
							     : err_errno(e, "make %s", to);
	f->finished = true;
	auto_close int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? err_errno(e, "sync %s", f->dir) : 0;
}

int image_folder_finish(struct image_folder *f, const uint8_t hash[32], struct err *e)
{
	auto_free char *text = NULL;
	const struct untar_file *file;
	const uint8_t *got = NULL;
	size_t files, n;

	if (untar_end(f->tar, &file, &files, e))
		return -1;
	for (size_t i = 0; i < files; i++)
		if (!strcmp(file[i].name, MANIFEST))
			got = file[i].sha256;
	if (!got)
		return err_code(e, ERR_UNTRUSTED, "image.manifest", "the image archive has no " MANIFEST);
	if (memcmp(got, hash, 32) != 0)
		return err_code(e, ERR_UNTRUSTED, "image.hash", "the archive is of the image %s, not of %s",
				STR_HEX(got, 32), STR_HEX(hash, 32));
	if (file_read_at(f->fd, MANIFEST, MANIFEST_CAP, &text, &n, e))
		return -1;
	return compare(f, span_of(text, n), file, files, e) || settle(f, hash, e) ? -1 : 0;
}

void image_folder_sweep(const char *dir)
{
	DIR *d = opendir(dir);
	time_t now = time(NULL);
	char path[PATH_MAX];
	struct err ignored;
	struct stat st;

	for (const struct dirent *entry; d && (entry = readdir(d));)
		if (str_starts(entry->d_name, HIDDEN) &&
		    snprintf(path, sizeof path, "%s/%s", dir, entry->d_name) < (int)sizeof path &&
		    !lstat(path, &st) && S_ISDIR(st.st_mode) && now - st.st_mtime > OLD_SECONDS)
			(void)!file_remove_tree(path, &ignored);
	if (d)
		closedir(d);
}
