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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ours_is_good),
		cmocka_unit_test(changed_metadata_is_refused),
		cmocka_unit_test(changed_binary_is_refused),
		cmocka_unit_test(opens_with_its_key_only),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
