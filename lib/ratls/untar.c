#include "ratls/untar.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/strings.h"

enum { BLOCK = 512, CHUNK = 64 << 10, GZIP = 16 };

struct untar {
	int dir, fd; // fd: of the file being written, -1 when its content is passed over
	z_stream z;
	bool z_open, z_end, tar_end;
	uint64_t total, left; // unpacked so far; still to come of this entry, padding included
	uint64_t content;     // of that, the file's own bytes
	unsigned entries;
	EVP_MD_CTX *md;
	size_t n, block_n;
	struct untar_file file[UNTAR_FILES];
	uint8_t block[BLOCK], chunk[CHUNK];
};

struct untar *untar_new(int dir, struct err *e)
{
	struct untar *u = calloc(1, sizeof *u);

	if (u) {
		u->dir = dir;
		u->fd = -1;
		u->md = EVP_MD_CTX_new();
		u->z_open = inflateInit2(&u->z, GZIP + MAX_WBITS) == Z_OK;
	}
	if (u && u->md && u->z_open)
		return u;
	untar_free(u);
	err_set(e, ERR_SYSTEM, "out of memory");
	return NULL;
}

void untar_free(struct untar *u)
{
	if (!u)
		return;
	if (u->fd >= 0)
		close(u->fd);
	if (u->z_open)
		inflateEnd(&u->z);
	EVP_MD_CTX_free(u->md);
	free(u);
}

static int bad(struct err *e, const char *what)
{
	return err_code(e, ERR_UNTRUSTED, "image.archive", "the image archive %s", what);
}

// A field of octal digits, ended by blank, NUL or its end. Binary sizes (first bit set) are refused.
static bool octal(const uint8_t *p, size_t n, uint64_t *out)
{
	size_t i = 0;

	*out = 0;
	while (i < n && p[i] == ' ')
		i++;
	if (i == n || p[i] < '0' || p[i] > '7')
		return false;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		*out = *out << 3 | (uint64_t)(p[i] - '0');
	for (; i < n; i++)
		if (p[i] != ' ' && p[i] != 0)
			return false;
	return true;
}

static bool checksum_ok(const uint8_t *b)
{
	uint64_t want, got = 0;

	for (size_t i = 0; i < BLOCK; i++)
		got += i >= 148 && i < 156 ? ' ' : b[i];
	return octal(b + 148, 8, &want) && want == got;
}

// prefix '/' name, without leading "./". Refuses what could lead elsewhere.
static int read_name(char out[static 512], const uint8_t *b, struct err *e)
{
	char whole[512];
	size_t prefix = memcmp(b + 257, "ustar", 5) ? 0 : strnlen((const char *)b + 345, 155);
	const char *s = whole;

	snprintf(whole, sizeof whole, "%.*s%s%.*s", (int)prefix, (const char *)b + 345, prefix ? "/" : "",
		 (int)strnlen((const char *)b, 100), (const char *)b);
	for (const char *c = whole; *c; c++)
		if (*c < ' ' || *c >= 0x7f || *c == '\\')
			return bad(e, "has a name that is not plain text");
	if (!*s || *s == '/')
		return bad(e, "has an absolute or empty name");
	for (const char *c = s; c; c = strchr(c, '/')) {
		c += *c == '/';
		if (!strncmp(c, "..", 2) && (!c[2] || c[2] == '/'))
			return bad(e, "has a name with ..");
	}
	while (!strncmp(s, "./", 2)) {
		s += 2;
		while (*s == '/')
			s++;
	}
	snprintf(out, 512, "%s", s);
	return 0;
}

static int begin_file(struct untar *u, const char *name, uint64_t size, struct err *e)
{
	struct untar_file *f = &u->file[u->n];

	if (strlen(name) >= UNTAR_NAME || name[0] == '.')
		return bad(e, "has a file whose name is too long or hidden");
	if (u->n == UNTAR_FILES)
		return bad(e, "has too many files");
	if (size > UNTAR_FILE_MAX)
		return err_code(e, ERR_UNTRUSTED, "image.too_large", "%.100s is larger than %d MiB", name,
				UNTAR_FILE_MAX >> 20);
	for (size_t i = 0; i < u->n; i++)
		if (!strcmp(u->file[i].name, name))
			return bad(e, "has a file twice");
	*f = (struct untar_file){ .size = size };
	snprintf(f->name, sizeof f->name, "%s", name);
	u->fd = openat(u->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (u->fd < 0)
		return err_errno(e, "write image file %.100s", name);
	if (EVP_DigestInit_ex(u->md, EVP_sha256(), NULL) != 1)
		return err_set(e, ERR_SYSTEM, "SHA-256 is not there");
	return 0;
}

static int end_file(struct untar *u, struct err *e)
{
	if (EVP_DigestFinal_ex(u->md, u->file[u->n].sha256, NULL) != 1)
		return err_set(e, ERR_SYSTEM, "SHA-256 is not there");
	int r = fsync(u->fd) ? err_errno(e, "write image file %.100s", u->file[u->n].name) : 0;

	close(u->fd);
	u->fd = -1;
	u->n++;
	return r;
}

static int read_header(struct untar *u, struct err *e)
{
	static const uint8_t zeros[BLOCK];
	const uint8_t *b = u->block;
	char name[512];
	uint64_t size;

	if (!memcmp(b, zeros, BLOCK)) {
		u->tar_end = true;
		return 0;
	}
	if (!checksum_ok(b) || !octal(b + 124, 12, &size))
		return bad(e, "has a damaged header");
	if (++u->entries > UNTAR_ENTRIES)
		return bad(e, "has too many entries");
	if (read_name(name, b, e))
		return -1;
	bool file = b[156] == '0' || b[156] == 0 || b[156] == '7', folder = b[156] == '5';

	if (!file && !folder)
		return bad(e, "has something that is neither a file nor a folder");
	if ((folder && size) || (file && (!*name || name[strlen(name) - 1] == '/')))
		return bad(e, "has a folder with content");
	u->content = size;
	u->left = (size + BLOCK - 1) / BLOCK * BLOCK;
	if (file && !strchr(name, '/') && begin_file(u, name, size, e))
		return -1;
	return u->fd >= 0 && !size ? end_file(u, e) : 0;
}

static int write_content(struct untar *u, const uint8_t *p, size_t n, struct err *e)
{
	if (EVP_DigestUpdate(u->md, p, n) != 1)
		return err_set(e, ERR_SYSTEM, "SHA-256 is not there");
	while (n) {
		ssize_t w = write(u->fd, p, n);

		if (w <= 0)
			return err_errno(e, "write image file %.100s", u->file[u->n].name);
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

// Content of an entry, then its padding. How much was taken.
static int take_entry(struct untar *u, const uint8_t *p, size_t n, size_t *took, struct err *e)
{
	size_t k = u->left < n ? (size_t)u->left : n, own = u->content < k ? (size_t)u->content : k;

	if (own && u->fd >= 0 && write_content(u, p, own, e))
		return -1;
	u->content -= own;
	u->left -= k;
	*took = k;
	return own && !u->content && u->fd >= 0 ? end_file(u, e) : 0;
}

static int feed_tar(struct untar *u, const uint8_t *p, size_t n, struct err *e)
{
	while (n && !u->tar_end) {
		size_t k;

		if (u->left) {
			if (take_entry(u, p, n, &k, e))
				return -1;
		} else {
			k = BLOCK - u->block_n < n ? BLOCK - u->block_n : n;
			memcpy(u->block + u->block_n, p, k);
			u->block_n = (u->block_n + k) % BLOCK;
			if (!u->block_n && read_header(u, e))
				return -1;
		}
		p += k;
		n -= k;
	}
	return 0; // behind the end of the archive there is only padding
}

int untar_feed(struct untar *u, const void *p, size_t n, struct err *e)
{
	if (n > UINT32_MAX)
		return bad(e, "is too large");
	u->z.next_in = (z_const Bytef *)(uintptr_t)p;
	u->z.avail_in = (uInt)n;
	do {
		u->z.next_out = u->chunk;
		u->z.avail_out = CHUNK;
		int r = u->z_end ? Z_BUF_ERROR : inflate(&u->z, Z_NO_FLUSH);
		size_t got = CHUNK - u->z.avail_out;

		if (r == Z_BUF_ERROR && !got)
			break; // it waits for more input
		if (r != Z_OK && r != Z_STREAM_END)
			return bad(e, "is not gzip");
		u->z_end = r == Z_STREAM_END;
		u->total += got;
		if (u->total > UNTAR_TOTAL_MAX)
			return err_code(e, ERR_UNTRUSTED, "image.too_large", "the image is too large");
		if (feed_tar(u, u->chunk, got, e))
			return -1;
	} while (u->z.avail_in || !u->z.avail_out);
	return u->z.avail_in ? bad(e, "has bytes behind its end") : 0;
}

int untar_end(struct untar *u, const struct untar_file **files, size_t *n, struct err *e)
{
	if (!u->z_end || u->left || u->fd >= 0 || u->block_n || !u->tar_end)
		return bad(e, "is cut short");
	*files = u->file;
	*n = u->n;
	return 0;
}
