// The LUKS2 header rules, on headers that libcryptsetup made and on what a host could make of them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "disk.h"
#include "header.h"
#include "rekey.h"

#include <errno.h>
#include <fcntl.h>
#include <libcryptsetup.h>
#include <openssl/sha.h>
#include <unistd.h>

static char dir[] = "/tmp/header-test.XXXXXX";
static char header[64], disk[64];
static uint8_t *area; // the good one
static const char pass[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static int setup(void **state)
{
	struct err e = { 0 };
	char *bytes;
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(header, sizeof header, "%s/header", dir);
	snprintf(disk, sizeof disk, "%s/disk", dir);
	int fd = open(disk, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	close(fd);
	if (disk_format(header, disk, pass, &e))
		fail_msg("%s", e.text);
	assert_int_equal(file_read(header, HEADER_AREA, &bytes, &n, &e), 0);
	assert_int_equal(n, HEADER_AREA);
	area = (uint8_t *)bytes;
	return 0;
}

static int teardown(void **state)
{
	struct err e;

	(void)state;
	free(area);
	return file_remove_tree(dir, &e);
}

static uint64_t header_size(const uint8_t *a)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | a[8 + i];
	return n;
}

// What an attacker who knows the format does: change, then make the checksums hold again.
static void reseal(uint8_t *a)
{
	uint64_t size = header_size(a);

	for (int i = 0; i < 2; i++) {
		uint8_t *copy = a + (i ? size : 0);

		memset(copy + 448, 0, 64);
		uint8_t digest[32];
		SHA256(copy, size, digest);
		memcpy(copy + 448, digest, 32);
	}
}

// Replace the text in both metadata copies, keeping the length of the area.
static bool replace(uint8_t *a, const char *from, const char *to)
{
	uint64_t size = header_size(a);

	for (int i = 0; i < 2; i++) {
		char *json = (char *)a + (i ? size : 0) + 4096;
		size_t n = strlen(json), at, fn = strlen(from), tn = strlen(to);
		char *hit = strstr(json, from);

		if (!hit)
			return false;
		at = (size_t)(hit - json);
		memmove(hit + tn, hit + fn, n - at - fn + 1);
		memcpy(hit, to, tn);
		if (tn < fn)
			memset(json + n - (fn - tn), 0, fn - tn);
	}
	reseal(a);
	return true;
}

static uint8_t *copy(void)
{
	uint8_t *a = malloc(HEADER_AREA);

	assert_non_null(a);
	memcpy(a, area, HEADER_AREA);
	return a;
}

static void ours_is_good(void **state)
{
	struct err e = { 0 };

	(void)state;
	if (header_check(span_of(area, HEADER_AREA), &e))
		fail_msg("%s", e.text);
	assert_true(header_is_luks(span_of(area, 4096)));
	// resealing by the test's own hand gives the same bytes, so its other cases test what they say
	uint8_t *a = copy();
	reseal(a);
	assert_memory_equal(a, area, 1 << 20);
	free(a);
}

static void changed_metadata_is_refused(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{ "\"encryption\":\"aes-xts-plain64\",\"sector_size\"",
		  "\"encryption\":\"cipher_null-ecb\",\"sector_size\"" },
		{ "\"offset\":\"16777216\"", "\"offset\":\"16777728\"" },
		{ "\"size\":\"dynamic\"", "\"size\":\"1048576\"" },
		{ "\"iv_tweak\":\"0\"", "\"iv_tweak\":\"8\"" },
		{ "\"sector_size\":512", "\"sector_size\":4096" },
		{ "\"tokens\":{}", "\"tokens\":{\"0\":{\"type\":\"x\",\"keyslots\":[]}}" },
		{ "\"type\":\"pbkdf2\"", "\"type\":\"argon2i\"" },
		{ "\"stripes\":4000", "\"stripes\":1" },
		{ "\"segments\":{\"0\":{", "\"segments\":{\"0\":{\"flags\":[\"backup-final\"]," },
		{ "\"keyslots\":{\"0\":{", "\"keyslots\":{\"0\":{\"priority\":2," },
		{ "\"config\":{", "\"config\":{\"flags\":[\"allow-discards\"]," },
		{ "\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":[\"online-reencrypt\"]}," },
		{ "\"iterations\":1000", "\"iterations\":4000000000" },
		{ "\"hash\":\"sha256\"", "\"hash\":\"sha1\"" },
		{ "\"key_size\":64", "\"key_size\":32" },
		{ "{\"keyslots\":", "{\"more\":1,\"keyslots\":" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct err e = { 0 };
		uint8_t *a = copy();

		if (!replace(a, cases[i].from, cases[i].to))
			fail_msg("no %s in the header", cases[i].from);
		if (!header_check(span_of(a, HEADER_AREA), &e))
			fail_msg("%s was taken", cases[i].to);
		assert_string_equal(e.code, "disk.header");
		free(a);
	}
}

static void changed_binary_is_refused(void **state)
{
	static const size_t at[] = { 0, 7, 8, 15, 24, 72, 104, 208, 263, 264, 448, 480 };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
		uint8_t *a = copy();

		a[at[i]] ^= 1;
		assert_int_equal(header_check(span_of(a, HEADER_AREA), &e), -1);
		assert_string_equal(e.code, "disk.header");
		free(a);
	}
	uint8_t *a = copy();
	a[header_size(a)] ^= 1; // the second copy alone
	assert_int_equal(header_check(span_of(a, HEADER_AREA), &e), -1);
	a[header_size(area)] ^= 1;
	a[24] = 'x'; // a label, sealed
	reseal(a);
	assert_int_equal(header_check(span_of(a, HEADER_AREA), &e), -1);
	assert_int_equal(header_check(span_of(a, 4096), &e), -1);
	free(a);
}

static void opens_with_its_key_only(void **state)
{
	struct crypt_device *cd = NULL;
	char other[65];

	(void)state;
	assert_int_equal(crypt_init_data_device(&cd, header, disk), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_activate_by_passphrase(cd, NULL, 0, pass, 64, 0), 0); // checks, maps nothing
	memcpy(other, pass, sizeof other);
	other[3] ^= 1;
	assert_true(crypt_activate_by_passphrase(cd, NULL, 0, other, 64, 0) < 0);
	crypt_free(cd);
}

// ---- another pass phrase (rekey.h)

static const char newer[] = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
static char private[64];

static void put(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(pwrite(fd, p, n, 0), n);
	close(fd);
}

static uint8_t *get(const char *path)
{
	uint8_t *p = malloc(HEADER_AREA);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, p, HEADER_AREA, 0), HEADER_AREA);
	close(fd);
	return p;
}

// As a boot does: the disk's header copied, mended when it must be, and tried. Which of the two opens it.
static int opens_with(const char **which)
{
	const char *const word[] = { newer, pass };
	struct crypt_device *cd = NULL;
	struct err e = { 0 }, why = { 0 };
	int rc = -1;

	assert_int_equal(disk_copy_header(disk, private, &e), 0);
	uint8_t *bytes = get(private);
	if (header_check(span_of(bytes, HEADER_AREA), &e) && rekey_mend(private, disk, &why))
		fail_msg("%s; %s", e.text, why.text);
	free(bytes);
	assert_int_equal(crypt_init_data_device(&cd, private, disk), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	*which = NULL;
	for (size_t i = 0; i < 2 && rc < 0; i++) {
		rc = crypt_activate_by_passphrase(cd, NULL, CRYPT_ANY_SLOT, word[i], strlen(word[i]), 0);
		if (rc >= 0)
			*which = word[i];
	}
	crypt_free(cd);
	bytes = get(disk);
	if (header_check(span_of(bytes, HEADER_AREA), &e))
		fail_msg("the disk's header is not ours afterwards: %s", e.text);
	free(bytes);
	return rc;
}

static uint8_t *rekeyed(uint64_t *at, uint64_t *n)
{
	struct crypt_device *cd = NULL;
	struct err e = { 0 };

	snprintf(private, sizeof private, "%s/private", dir);
	put(disk, area, HEADER_AREA);
	assert_int_equal(disk_copy_header(disk, private, &e), 0);
	if (rekey_disk(private, disk, pass, newer, &e))
		fail_msg("%s", e.text);
	assert_int_equal(crypt_init_data_device(&cd, private, disk), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_keyslot_area(cd, 1, at, n), 0);
	assert_int_equal(crypt_keyslot_status(cd, 0), CRYPT_SLOT_INACTIVE);
	assert_int_equal(crypt_activate_by_passphrase(cd, NULL, CRYPT_ANY_SLOT, pass, strlen(pass), 0),
			 -EPERM);
	crypt_free(cd);
	return get(disk);
}

static void key_is_changed(void **state)
{
	const char *which;
	uint64_t at, n;
	struct err e = { 0 };

	(void)state;
	free(rekeyed(&at, &n));
	assert_true(opens_with(&which) >= 0);
	assert_ptr_equal(which, newer);
	assert_int_equal(rekey_disk(private, disk, pass, newer, &e), -1);
	assert_string_equal(e.code, "disk.key");
	assert_int_equal(rekey_disk(private, disk, newer, pass, &e), 0);
	assert_true(opens_with(&which) >= 0);
	assert_ptr_equal(which, pass);
}

// A crash after any number of bytes of any of the four steps: one of the two pass phrases opens the disk, and
// its header is whole again.
static void crash_at_any_point(void **state)
{
	uint64_t at, n, size = header_size(area);
	uint8_t *after = rekeyed(&at, &n), *torn = malloc(HEADER_AREA);
	const struct {
		uint64_t at, n;
	} step[] = { { at, n }, { size, size }, { 0, size }, { 0, HEADER_AREA } };

	(void)state;
	for (size_t s = 0; s < 4; s++)
		for (unsigned part = 0; part <= 4; part++) {
			const char *which;
			memcpy(torn, area, HEADER_AREA);
			for (size_t done = 0; done < s; done++)
				memcpy(torn + step[done].at, after + step[done].at, step[done].n);
			memcpy(torn + step[s].at, after + step[s].at, step[s].n * part / 4);
			put(disk, torn, HEADER_AREA);
			if (opens_with(&which) < 0)
				fail_msg("step %zu, %u of 4 parts: nothing opens it", s, part);
		}
	free(after);
	free(torn);
}

static void two_broken_headers_are_refused(void **state)
{
	uint8_t *bad = malloc(HEADER_AREA);
	struct err e = { 0 };
	uint64_t at;

	(void)state;
	memcpy(bad, area, HEADER_AREA);
	assert_int_equal(header_odd_one(span_of(bad, HEADER_AREA), &at, &e), 0);
	bad[100] ^= 1;
	assert_int_equal(header_odd_one(span_of(bad, HEADER_AREA), &at, &e), 0);
	assert_int_equal(at, 0);
	bad[header_size(area) + 100] ^= 1;
	assert_int_equal(header_odd_one(span_of(bad, HEADER_AREA), &at, &e), -1);
	assert_string_equal(e.code, "disk.header");
	free(bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ours_is_good),
		cmocka_unit_test(changed_metadata_is_refused),
		cmocka_unit_test(changed_binary_is_refused),
		cmocka_unit_test(opens_with_its_key_only),
		cmocka_unit_test(key_is_changed),
		cmocka_unit_test(crash_at_any_point),
		cmocka_unit_test(two_broken_headers_are_refused),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
