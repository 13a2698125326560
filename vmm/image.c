#include "image.h"

#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/codec/json.h"
#include "core/measure/measure.h"

enum { LISTED_MAX = 32, REMEMBERED_MAX = 256 };

// A file that hashed as it should, by all that changes when its bytes do.
struct seen {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec time;
	uint8_t digest[SHA256_DIGEST_LENGTH];
};

struct image_memory {
	struct seen firmware; // the last one measured
	uint8_t mrtd[MEASURE_LEN];
	struct seen v[REMEMBERED_MAX];
	size_t n; // counts on; the oldest are overwritten
};

struct image_memory *image_memory_new(void)
{
	return calloc(1, sizeof(struct image_memory));
}

void image_memory_free(struct image_memory *m)
{
	free(m);
}

void image_free(struct image *im)
{
	free(im->description);
	free(im->checksums);
	free(im->measurement);
	*im = (struct image){ 0 };
}

static bool same_file(const struct seen *a, const struct seen *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->time.tv_sec == b->time.tv_sec && a->time.tv_nsec == b->time.tv_nsec;
}

static bool remembers(const struct image_memory *m, const struct seen *want)
{
	for (size_t i = 0; i < m->n && i < REMEMBERED_MAX; i++)
		if (same_file(&m->v[i], want) && !memcmp(m->v[i].digest, want->digest, sizeof want->digest))
			return true;
	return false;
}

static int hash_fd(int fd, uint8_t out[static SHA256_DIGEST_LENGTH])
{
	static uint8_t block[1 << 16];
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	ssize_t n = -1;

	if (c && EVP_DigestInit_ex(c, EVP_sha256(), NULL))
		while ((n = read(fd, block, sizeof block)) > 0 && EVP_DigestUpdate(c, block, (size_t)n))
			;
	if (n != 0 || !EVP_DigestFinal_ex(c, out, NULL))
		n = -1;
	EVP_MD_CTX_free(c);
	return (int)n;
}

static int check_file(struct image_memory *memory, const char *folder, const char *name,
		      const uint8_t digest[static SHA256_DIGEST_LENGTH], struct err *e)
{
	auto_free char *path = str_format("%s/%s", folder, name);
	auto_close int fd = path ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	uint8_t is[SHA256_DIGEST_LENGTH];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return err_code(e, ERR_ABSENT, "image.absent", "image file %s is not there", name);
	struct seen s = { st.st_dev, st.st_ino, st.st_size, st.st_mtim, { 0 } };
	memcpy(s.digest, digest, sizeof s.digest);
	if (remembers(memory, &s))
		return 0;
	if (hash_fd(fd, is))
		return err_errno(e, "read image file %s", name);
	if (memcmp(is, digest, sizeof is) != 0)
		return err_code(e, ERR_UNTRUSTED, "image.digest", "image file %s was altered: SHA-256 is %s",
				name, STR_HEX(is, sizeof is));
	memory->v[memory->n++ % REMEMBERED_MAX] = s;
	return 0;
}

int image_verify(const struct image *im, struct image_memory *memory, const char *folder, struct err *e)
{
	auto_free char *dir = str_format("%s/%s", folder, im->name);
	uint8_t digest[SHA256_DIGEST_LENGTH];
	size_t listed = 0;

	if (!dir)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (const char *line = im->checksums; *line; listed++) {
		const char *end = strchr(line, '\n');
		char name[NAME_MAX + 1], hex[65];
		size_t n = end ? (size_t)(end - line) : strlen(line);

		// "<64 hex>  <name>", sha256sum's binary mark allowed
		if (listed == LISTED_MAX || n < 67 || n - 66 > NAME_MAX || line[64] != ' ')
			return err_code(e, ERR_UNTRUSTED, "image.digest",
					"sha256sum.txt has a malformed line");
		snprintf(hex, sizeof hex, "%.64s", line);
		snprintf(name, sizeof name, "%.*s", (int)(n - 66), line + 66);
		if (!hex_exact(digest, sizeof digest, hex) || strchr(name, '/') || name[0] == '.')
			return err_code(e, ERR_UNTRUSTED, "image.digest",
					"sha256sum.txt has a malformed line");
		if (check_file(memory, dir, name, digest, e))
			return -1;
		line += n + (end != NULL);
	}
	return 0;
}

int image_mrtd(uint8_t out[static MEASURE_LEN], const struct image *im, struct image_memory *memory,
	       struct err *e)
{
	auto_free char *firmware = NULL;
	struct fault f = { 0 };
	struct stat st;
	size_t n;

	if (stat(im->bios, &st))
		return err_errno(e, "firmware %s", im->bios);
	struct seen s = { st.st_dev, st.st_ino, st.st_size, st.st_mtim, { 0 } };
	if (!same_file(&s, &memory->firmware)) {
		if (file_read(im->bios, 64 << 20, &firmware, &n, e))
			return err_wrap(e, "firmware");
		if (measure_mrtd(memory->mrtd, span_of(firmware, n), false, &f))
			return err_code(e, ERR_INPUT, f.code, "firmware: %s", f.text);
		memory->firmware = s;
	}
	memcpy(out, memory->mrtd, MEASURE_LEN);
	return 0;
}

static int member(struct json o, const char *name, char *out, size_t cap)
{
	struct json v;

	*out = 0;
	if (!json_get(o, name, &v) || json_kind(v) == JSON_NULL)
		return 0;
	return json_cstr(v, out, cap);
}

// The absolute path of a file that metadata.json names; it must be a regular file in the folder itself.
static int artefact(struct json o, const char *key, const char *dir, char out[static IMAGE_PATH],
		    struct err *e)
{
	char name[NAME_MAX + 1];
	struct stat st;

	*out = 0;
	if (member(o, key, name, sizeof name))
		return err_code(e, ERR_INPUT, "image.metadata", "metadata.json: %s is not a file name", key);
	if (!*name)
		return 0;
	if (strchr(name, '/') || name[0] == '.')
		return err_code(e, ERR_INPUT, "image.metadata", "metadata.json: %s escapes image directory",
				key);
	if (snprintf(out, IMAGE_PATH, "%s/%s", dir, name) >= IMAGE_PATH)
		return err_code(e, ERR_INPUT, "image.metadata", "path of %s is too long", key);
	if (lstat(out, &st) || !S_ISREG(st.st_mode))
		return err_code(e, ERR_ABSENT, "image.absent", "image file %s is not there", name);
	return 0;
}

static int read_metadata(struct image *im, const char *dir, struct json o, struct err *e)
{
	struct json v;

	if (json_kind(o) != JSON_OBJECT || member(o, "version", im->version, sizeof im->version) ||
	    member(o, "cmdline", im->cmdline, sizeof im->cmdline) ||
	    member(o, "ovmf_variant", im->ovmf_variant, sizeof im->ovmf_variant) ||
	    (json_get(o, "is_dev", &v) && json_bool(v, &im->is_dev)))
		return err_code(e, ERR_INPUT, "image.metadata",
				"metadata.json has members of the wrong type");
	if (artefact(o, "kernel", dir, im->kernel, e) || artefact(o, "initrd", dir, im->initrd, e) ||
	    artefact(o, "rootfs", dir, im->rootfs, e) || artefact(o, "bios", dir, im->bios, e))
		return -1;
	if (!*im->kernel || !*im->initrd)
		return err_code(e, ERR_INPUT, "image.metadata", "metadata.json names no kernel or no initrd");
	return 0;
}

// digest.txt must be the hash of sha256sum.txt; an image without them has no identity and is refused.
static int read_digest(struct image *im, const char *dir, struct err *e)
{
	auto_free char *path = str_format("%s/sha256sum.txt", dir), *path2 = str_format("%s/digest.txt", dir);
	auto_free char *said = NULL;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	size_t n;

	if (!path || !path2)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (file_read(path, 1 << 16, &im->checksums, &im->checksums_n, e) ||
	    file_read(path2, 256, &said, &n, e))
		return err_wrap(e, "image %s", im->name);
	while (n && (said[n - 1] == '\n' || said[n - 1] == ' '))
		said[--n] = 0;
	SHA256((const uint8_t *)im->checksums, im->checksums_n, digest);
	hex_encode(im->digest, digest, sizeof digest);
	if (strcmp(im->digest, said) != 0)
		return err_code(e, ERR_UNTRUSTED, "image.digest",
				"digest.txt of image %s is not that of sha256sum.txt", im->name);
	return 0;
}

int image_load(struct image *out, const char *folder, const char *name, struct err *e)
{
	auto_free char *dir = str_format("%s/%s", folder, name), *path = str_format("%s/metadata.json", dir);
	auto_free char *cbor = str_format("%s/measurement.tdx.cbor", dir);
	struct err ignored = { 0 };
	struct json o;
	size_t n;

	*out = (struct image){ 0 };
	if (!dir || !path || !cbor)
		return err_set(e, ERR_SYSTEM, "out of memory");
	snprintf(out->name, sizeof out->name, "%s", name);
	if (file_read(path, 1 << 16, &out->description, &n, e)) {
		if (e->class == ERR_ABSENT)
			return err_code(e, ERR_ABSENT, "image.absent", "image %s is not there", STR_QZ(name));
		return -1;
	}
	int rc = json_parse(&o, span_of(out->description, n), NULL)
			 ? err_code(e, ERR_INPUT, "image.metadata", "metadata.json is not JSON")
			 : read_metadata(out, dir, o, e);
	if (rc == 0)
		rc = read_digest(out, dir, e);
	if (rc == 0 && file_read(cbor, 1 << 16, &out->measurement, &out->measurement_n, &ignored))
		out->measurement = NULL;
	if (rc)
		image_free(out);
	return rc;
}
