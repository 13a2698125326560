#include "ratls/images.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/cleanup.h"
#include "base/file.h"

enum { FILE_MAX = 512 << 20, TEXT_MAX = 64 << 10, KEPT = 16, KERNELS = 8 };

struct kept {
	uint8_t hash[32];
	struct measurement_tdx m;
	char dir[PATH_MAX], kernel_file[160];
	uint64_t initrd_size;
	char version[64];
	bool is_dev;
	struct {
		uint64_t memory;
		uint8_t digest[MEASURE_LEN];
	} kernel[KERNELS];
	size_t n_kernels;
};

struct images {
	char *dir, *also; // NULL: none
	struct kept kept[KEPT];
	size_t n, next;
};

int err_fault(struct err *e, enum err_class c, const struct fault *f)
{
	return err_code(e, c, f->code, "%s (at %zu)", f->text, f->at);
}

struct images *images_new(const char *dir, struct err *e)
{
	struct images *s = calloc(1, sizeof *s);

	if (s && dir)
		s->dir = strdup(dir);
	if (s && (!dir || s->dir))
		return s;
	images_free(s);
	err_set(e, ERR_SYSTEM, "out of memory");
	return NULL;
}

int images_also(struct images *s, const char *dir, struct err *e)
{
	s->also = strdup(dir);
	return s->also ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

void images_free(struct images *s)
{
	if (s) {
		free(s->dir);
		free(s->also);
	}
	free(s);
}

void images_forget(struct images *s)
{
	s->n = s->next = 0;
}

struct blob {
	char *p;
	size_t n;
};

static void blob_free(struct blob *b)
{
	free(b->p);
}
#define auto_blob AUTO(blob_free) struct blob

static struct span span_blob(const struct blob *b)
{
	return span_of(b->p, b->n);
}

// Names come from metadata.json and have been checked to be flat.
static int read_file(struct blob *out, const char *dir, struct span name, size_t max, struct err *e)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s/%.*s", dir, (int)name.n, (const char *)name.p) >=
	    (int)sizeof path)
		return err_set(e, ERR_INPUT, "path of an image file is too long");
	return file_read(path, max, &out->p, &out->n, e);
}

static int read_listed(struct blob *out, const char *dir, struct span name, size_t max, struct span manifest,
		       struct err *e)
{
	uint8_t want[32], got[32];
	char text[160];
	struct fault f;

	snprintf(text, sizeof text, "%.*s", (int)name.n, (const char *)name.p);
	if (image_checksum(want, manifest, text, &f))
		return err_fault(e, ERR_UNTRUSTED, &f), err_wrap(e, "%s", text);
	if (read_file(out, dir, name, max, e))
		return -1;
	SHA256((const uint8_t *)out->p, out->n, got);
	if (memcmp(want, got, sizeof got) != 0)
		return err_code(e, ERR_UNTRUSTED, "image.file",
				"%s/%s is not the file that its manifest lists", dir, text);
	return 0;
}

// Read through the manifest when there is one.
static int read_part(struct blob *out, const char *dir, struct span name, const struct span *manifest,
		     struct err *e)
{
	return manifest ? read_listed(out, dir, name, FILE_MAX, *manifest, e)
			: read_file(out, dir, name, FILE_MAX, e);
}

static int measure_files(const char *dir, const struct image_metadata *meta, const struct span *manifest,
			 struct measurement_tdx *out, struct err *e)
{
	auto_blob firmware = { 0 };
	auto_blob kernel = { 0 };
	auto_blob initrd = { 0 };
	struct fault f;

	if (read_part(&firmware, dir, meta->bios, manifest, e) ||
	    read_part(&kernel, dir, meta->kernel, manifest, e) ||
	    read_part(&initrd, dir, meta->initrd, manifest, e))
		return -1;
	if (measurement_tdx_make(out, span_blob(&firmware), span_blob(&kernel), span_blob(&initrd),
				 meta->cmdline, &f))
		return err_fault(e, ERR_INPUT, &f), err_wrap(e, "measure %s", dir);
	return 0;
}

int image_measure(const char *dir, struct measurement_tdx *out, struct err *e)
{
	auto_blob json = { 0 };
	auto_free uint8_t *text = malloc(TEXT_MAX);
	struct wr scratch = wr_to(text, text ? TEXT_MAX : 0);
	struct image_metadata meta;
	struct fault f;

	if (read_file(&json, dir, span_str("metadata.json"), TEXT_MAX, e))
		return -1;
	if (image_metadata_read(&meta, &scratch, span_blob(&json), &f))
		return err_fault(e, ERR_INPUT, &f), err_wrap(e, "%s/metadata.json", dir);
	return measure_files(dir, &meta, NULL, out, e);
}

// From measurement.tdx.cbor where the manifest lists it, else from the files themselves.
static int measure_kept(struct kept *k, const struct image_metadata *meta, struct span manifest,
			struct err *e)
{
	auto_blob cbor = { 0 };
	struct fault f;
	uint8_t listed[32];

	if (image_checksum(listed, manifest, "measurement.tdx.cbor", &f))
		return measure_files(k->dir, meta, &manifest, &k->m, e);
	if (read_listed(&cbor, k->dir, span_str("measurement.tdx.cbor"), TEXT_MAX, manifest, e))
		return -1;
	if (measurement_tdx_read(&k->m, span_blob(&cbor), &f))
		return err_fault(e, ERR_UNTRUSTED, &f), err_wrap(e, "%s", k->dir);
	return 0;
}

static int load_kept(struct kept *k, struct span manifest, struct err *e)
{
	auto_blob json = { 0 };
	auto_blob initrd = { 0 };
	auto_free uint8_t *text = malloc(TEXT_MAX);
	struct wr scratch = wr_to(text, text ? TEXT_MAX : 0);
	struct image_metadata meta;
	struct fault f;

	if (read_listed(&json, k->dir, span_str("metadata.json"), TEXT_MAX, manifest, e))
		return -1;
	if (image_metadata_read(&meta, &scratch, span_blob(&json), &f))
		return err_fault(e, ERR_UNTRUSTED, &f), err_wrap(e, "%s/metadata.json", k->dir);
	if (read_listed(&initrd, k->dir, meta.initrd, FILE_MAX, manifest, e) ||
	    measure_kept(k, &meta, manifest, e))
		return -1;
	k->initrd_size = initrd.n;
	k->is_dev = meta.is_dev;
	snprintf(k->kernel_file, sizeof k->kernel_file, "%.*s", (int)meta.kernel.n,
		 (const char *)meta.kernel.p);
	snprintf(k->version, sizeof k->version, "%.*s", (int)meta.version.n, (const char *)meta.version.p);
	return 0;
}

// 0: this folder is the image; 1: it is not one, or another.
static int try_folder(struct kept *k, struct blob *manifest, const char *dir, const char *name,
		      const uint8_t hash[32])
{
	struct err ignored;
	uint8_t got[32];
	int n = *name ? snprintf(k->dir, sizeof k->dir, "%s/%s", dir, name)
		      : snprintf(k->dir, sizeof k->dir, "%s", dir);

	if (n >= (int)sizeof k->dir ||
	    read_file(manifest, k->dir, span_str("sha256sum.txt"), TEXT_MAX, &ignored))
		return 1;
	SHA256((const uint8_t *)manifest->p, manifest->n, got);
	if (memcmp(got, hash, sizeof got) == 0)
		return 0;
	free(manifest->p);
	*manifest = (struct blob){ 0 };
	return 1;
}

// -1: the folder cannot be read.
static int look_into(const char *dir, bool *found, struct kept *k, struct blob *manifest,
		     const uint8_t hash[32])
{
	*found = try_folder(k, manifest, dir, "", hash) == 0; // the folder may be an image itself
	DIR *d = *found ? NULL : opendir(dir);

	if (!*found && !d)
		return -1;
	for (const struct dirent *entry; !*found && (entry = readdir(d));)
		if (entry->d_name[0] != '.')
			*found = try_folder(k, manifest, dir, entry->d_name, hash) == 0;
	if (d)
		closedir(d);
	return 0;
}

static int find_folder(const struct images *s, struct kept *k, struct blob *manifest, const uint8_t hash[32],
		       struct err *e)
{
	bool found = false;
	char text[65];

	for (int i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", hash[i]);
	if (!s->dir && !s->also)
		return err_code(e, ERR_ABSENT, "image.unknown",
				"no image folder is configured, so image %s is unknown", text);
	// A folder of downloads makes the other one optional.
	if (s->dir && look_into(s->dir, &found, k, manifest, hash) && !s->also)
		return err_errno(e, "open image folder %s", s->dir);
	if (!found && s->also && look_into(s->also, &found, k, manifest, hash))
		return err_errno(e, "open image folder %s", s->also);
	return found ? 0
		     : err_code(e, ERR_ABSENT, "image.unknown", "no image in %s has the hash %s",
				s->also ? s->also : s->dir, text);
}

static struct kept *find_kept(struct images *s, const uint8_t hash[32], struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (memcmp(s->kept[i].hash, hash, 32) == 0)
			return &s->kept[i];
	auto_blob manifest = { 0 };
	auto_free struct kept *k = calloc(1, sizeof *k);

	if (!k) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	memcpy(k->hash, hash, 32);
	if (find_folder(s, k, &manifest, hash, e) || load_kept(k, span_blob(&manifest), e))
		return NULL;
	struct kept *to = &s->kept[s->next];

	s->next = (s->next + 1) % KEPT;
	s->n += s->n < KEPT;
	*to = *k;
	return to;
}

static int kernel_digest(struct kept *k, uint8_t out[MEASURE_LEN], uint64_t memory, struct err *e)
{
	struct vm_config c = { .memory_size = memory };
	auto_blob kernel = { 0 };
	auto_blob manifest = { 0 };
	struct fault f;
	uint8_t got[32];

	if (measure_memory_ok(&c)) {
		memcpy(out, k->m.kernel, MEASURE_LEN);
		return 0;
	}
	for (size_t i = 0; i < k->n_kernels; i++)
		if (k->kernel[i].memory == memory) {
			memcpy(out, k->kernel[i].digest, MEASURE_LEN);
			return 0;
		}
	if (read_file(&manifest, k->dir, span_str("sha256sum.txt"), TEXT_MAX, e))
		return -1;
	SHA256((const uint8_t *)manifest.p, manifest.n, got);
	if (memcmp(got, k->hash, sizeof got) != 0)
		return err_code(e, ERR_UNTRUSTED, "image.hash", "%s was changed while in use", k->dir);
	if (read_listed(&kernel, k->dir, span_str(k->kernel_file), FILE_MAX, span_blob(&manifest), e))
		return -1;
	if (measure_kernel(out, span_blob(&kernel), k->initrd_size, memory, &f))
		return err_fault(e, ERR_UNTRUSTED, &f);
	size_t at = k->n_kernels < KERNELS ? k->n_kernels++ : (size_t)(memory >> 20) % KERNELS;

	k->kernel[at].memory = memory;
	memcpy(k->kernel[at].digest, out, MEASURE_LEN);
	return 0;
}

int images_find(struct images *s, struct verify_image *out, const uint8_t os_image_hash[32], uint64_t memory,
		struct err *e)
{
	struct kept *k = find_kept(s, os_image_hash, e);

	if (!k || kernel_digest(k, out->kernel, memory, e))
		return -1;
	out->m = k->m;
	out->is_dev = k->is_dev;
	snprintf(out->version, sizeof out->version, "%s", k->version);
	return 0;
}
