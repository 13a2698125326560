// An image archive. First byte 0: gzip as it is; else a tar archive, which is compressed here.
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "ratls/untar.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { INPUT_MAX = 64 << 10 };

static size_t compress_tar(uint8_t *out, size_t cap, const uint8_t *p, size_t n)
{
	z_stream z = { .next_in = (z_const Bytef *)(uintptr_t)p,
		       .avail_in = (uInt)n,
		       .next_out = out,
		       .avail_out = (uInt)cap };

	if (deflateInit2(&z, 0, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	deflateEnd(&z);
	return cap - z.avail_out;
}

static void empty(int dir)
{
	int fd = dup(dir);
	DIR *d = fdopendir(fd);

	if (!d)
		abort();
	rewinddir(d);
	for (const struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && unlinkat(dir, e->d_name, 0))
			abort(); // a folder, which it never makes
	closedir(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static char path[] = "/tmp/untar-fuzz.XXXXXX";
	static uint8_t gz[INPUT_MAX + 4096];
	static int dir = -1;
	const struct untar_file *files;
	size_t count;
	struct err e;

	if (dir < 0 && (!mkdtemp(path) || (dir = open(path, O_RDONLY | O_DIRECTORY)) < 0))
		abort();
	if (!n || n > INPUT_MAX)
		return 0;
	struct untar *u = untar_new(dir, &e);

	if (!u)
		abort();
	size_t len = *p ? compress_tar(gz, sizeof gz, p + 1, n - 1) : n - 1;
	const uint8_t *from = *p ? gz : p + 1;
	int r = 0;

	for (size_t at = 0; at < len && !r; at += 1000)
		r = untar_feed(u, from + at, len - at < 1000 ? len - at : 1000, &e);
	if (!r && !untar_end(u, &files, &count, &e) && count > UNTAR_FILES)
		abort();
	untar_free(u);
	empty(dir);
	return 0;
}
