// Image archives: what unpacks, and what must not, whatever it was meant to do.
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "base/file.h"
#include "base/strings.h"
#include "ratls/image_folder.h"
#include "tarball.h"

static char dir[] = "/tmp/archive-test-XXXXXX";
static struct sb manifest;
static uint8_t hash[32];

static int set_up(void **state)
{
	static const char *const names[] = { "bzImage", "metadata.json" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint8_t digest[32];

		SHA256((const uint8_t *)names[i], strlen(names[i]), digest); // each holds its own name
		sb_hex(&manifest, digest, 32);
		sb_fmt(&manifest, "  %s\n", names[i]);
	}
	SHA256((const uint8_t *)manifest.p, manifest.n, hash);
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	sb_free(&manifest);
	return file_remove_tree(dir, &e);
}

static size_t entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void put(struct sb *tar, const char *name, const void *data, size_t n)
{
	tar_add(tar, &(struct tar_entry){ .name = name, .type = '0', .data = data, .n = n });
}

static void put_image(struct sb *tar, const char *prefix)
{
	char name[3][64];
	const char *const names[] = { "bzImage", "metadata.json", "sha256sum.txt" };

	for (size_t i = 0; i < 3; i++) {
		snprintf(name[i], sizeof name[i], "%s%s", prefix, names[i]);
		put(tar, name[i], i == 2 ? manifest.p : names[i], i == 2 ? manifest.n : strlen(names[i]));
	}
}

// Fed in pieces of `step` bytes; the archive is freed.
static int unpack_bytes(const void *p, size_t n, size_t step, struct err *e)
{
	struct image_folder *f = image_folder_new(dir, e);
	int r = 0;

	assert_non_null(f);
	for (size_t at = 0; at < n && !r; at += step)
		r = image_folder_feed(f, (const char *)p + at, n - at < step ? n - at : step, e);
	if (!r)
		r = image_folder_finish(f, hash, e);
	image_folder_free(f);
	return r;
}

static int unpack(struct sb *tar, size_t step, struct err *e)
{
	struct sb gz = { 0 };

	tar_gzip(&gz, tar);
	sb_free(tar);
	*tar = (struct sb){ 0 };
	int r = unpack_bytes(gz.p, gz.n, step, e);

	sb_free(&gz);
	return r;
}

static char *image_path(void)
{
	static char path[200];

	snprintf(path, sizeof path, "%s/%s", dir, STR_HEX(hash, 32));
	return path;
}

static void genuine_images_unpack(void **state)
{
	static const char *const prefixes[] = { "", "./" };
	static const size_t steps[] = { 1, 7, 512, 100000 };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		struct sb tar = { 0 };

		if (i % 2)
			tar_add(&tar, &(struct tar_entry){ .name = "./", .type = '5' });
		put_image(&tar, prefixes[i % 2]);
		put(&tar, "rootfs.img", NULL, 70000); // not listed
		put(&tar, "folder/bzImage", "other", 5);
		tar_end(&tar);
		if (unpack(&tar, steps[i / 2], &e))
			fail_msg("%s [%s]", e.text, e.code);
		assert_int_equal(entries(dir), 1);
		assert_int_equal(entries(image_path()), 3);
		assert_int_equal(file_remove_tree(image_path(), &e), 0);
	}
}

static void refuse(struct sb *tar, const char *code)
{
	struct err e = { 0 };

	assert_int_equal(unpack(tar, 4096, &e), -1);
	if (strcmp(e.code, code) != 0)
		fail_msg("%s instead of %s: %s", e.code, code, e.text);
	assert_int_equal(entries(dir), 0); // nothing is left
}

static void refuse_entry(const struct tar_entry *t, const char *code)
{
	struct sb tar = { 0 };

	tar_add(&tar, t);
	put_image(&tar, "");
	tar_end(&tar);
	refuse(&tar, code);
}

static void names_that_lead_elsewhere(void **state)
{
	static const char *const names[] = { "/etc/passwd", "../x", "a/../../x",    "./../x",      "a/..",
					     "..",          "",     "x\\y",         "bad\nname",   "\x01",
					     ".hidden",     "/",    "./.unpacking", "\xc3\xa4.bin" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		refuse_entry(&(struct tar_entry){ .name = names[i], .type = '0', .data = "x", .n = 1 },
			     "image.archive");
	refuse_entry(&(struct tar_entry){ .name = "../x", .type = '5' }, "image.archive");
}

static void kinds_that_are_no_files(void **state)
{
	static const char kinds[] = "12346xgLKSVXADMN9";

	(void)state;
	for (const char *k = kinds; *k; k++)
		refuse_entry(&(struct tar_entry){ .name = "x", .type = *k, .link = "/etc/passwd" },
			     "image.archive");
	refuse_entry(&(struct tar_entry){ .name = "x/", .type = '0' }, "image.archive");
	refuse_entry(&(struct tar_entry){ .name = "x", .type = '5', .n = 5 }, "image.archive");
}

static void damaged_archives(void **state)
{
	struct sb tar = { 0 }, gz = { 0 };
	struct err e;

	(void)state;
	refuse_entry(&(struct tar_entry){ .name = "x", .type = '0', .bad_sum = true }, "image.archive");
	put_image(&tar, "");
	refuse(&tar, "image.archive"); // without its end
	put_image(&tar, "");
	tar_add(&tar, &(struct tar_entry){ .name = "x", .type = '0', .n = 10, .says = 5000 });
	refuse(&tar, "image.archive");
	put_image(&tar, "");
	tar_end(&tar);
	tar_gzip(&gz, &tar);
	for (size_t n = 0; n < gz.n; n += 7) { // every length but the whole
		assert_int_equal(unpack_bytes(gz.p, n, 64, &e), -1);
		assert_string_equal(e.code, "image.archive");
	}
	sb_str(&gz, "more");
	assert_int_equal(unpack_bytes(gz.p, gz.n, 64, &e), -1);
	assert_string_equal(e.code, "image.archive");
	assert_int_equal(unpack_bytes("not gzip at all", 15, 64, &e), -1);
	assert_string_equal(e.code, "image.archive");
	assert_int_equal(entries(dir), 0);
	sb_free(&tar);
	sb_free(&gz);
}

static void sizes_are_bounded(void **state)
{
	struct sb tar = { 0 };

	(void)state;
	refuse_entry(&(struct tar_entry){ .name = "x", .type = '0', .n = 1, .says = (512u << 20) + 1 },
		     "image.too_large");
	for (int i = 0; i < UNTAR_FILES + 1; i++) {
		char name[16];

		snprintf(name, sizeof name, "f%d", i);
		put(&tar, name, "x", 1);
	}
	tar_end(&tar);
	refuse(&tar, "image.archive");
	for (int i = 0; i < UNTAR_ENTRIES + 1; i++)
		tar_add(&tar, &(struct tar_entry){ .name = "d/", .type = '5' });
	tar_end(&tar);
	refuse(&tar, "image.archive");
	put(&tar, "bzImage", "bzImage", 7);
	put_image(&tar, ""); // a file twice
	tar_end(&tar);
	refuse(&tar, "image.archive");
}

static void other_images(void **state)
{
	struct sb tar = { 0 };

	(void)state;
	put(&tar, "bzImage", "bzImage", 7);
	tar_end(&tar);
	refuse(&tar, "image.manifest"); // no manifest
	put(&tar, "bzImage", "bzImage", 7);
	put(&tar, "sha256sum.txt", "x", 1);
	tar_end(&tar);
	refuse(&tar, "image.hash"); // another
	put(&tar, "bzImage", "bzimage", 7);
	put(&tar, "metadata.json", "metadata.json", 13);
	put(&tar, "sha256sum.txt", manifest.p, manifest.n);
	tar_end(&tar);
	refuse(&tar, "image.file"); // altered
	put(&tar, "bzImage", "bzImage", 7);
	put(&tar, "sha256sum.txt", manifest.p, manifest.n);
	tar_end(&tar);
	refuse(&tar, "image.file"); // one is missing
}

static void bad_manifests(void **state)
{
	static const char *const texts[] = {
		"",
		"x\n",
		"0000000000000000000000000000000000000000000000000000000000000000  ../x\n",
		"0000000000000000000000000000000000000000000000000000000000000000  a/b\n",
	};
	uint8_t was[32];

	(void)state;
	memcpy(was, hash, 32);
	for (size_t i = 1; i < sizeof texts / sizeof *texts; i++) {
		struct sb tar = { 0 };

		SHA256((const uint8_t *)texts[i], strlen(texts[i]), hash);
		put(&tar, "bzImage", "bzImage", 7);
		put(&tar, "sha256sum.txt", texts[i], strlen(texts[i]));
		tar_end(&tar);
		refuse(&tar, "image.manifest");
	}
	memcpy(hash, was, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genuine_images_unpack),   cmocka_unit_test(names_that_lead_elsewhere),
		cmocka_unit_test(kinds_that_are_no_files), cmocka_unit_test(damaged_archives),
		cmocka_unit_test(sizes_are_bounded),       cmocka_unit_test(other_images),
		cmocka_unit_test(bad_manifests),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
