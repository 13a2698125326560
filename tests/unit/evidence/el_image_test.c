// Spec 70, images: EL-14 (manifests that can be read two ways) and what of EL-11 is the core's: a manifest
// that was added to is consistent in itself and is another image.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/hash/sha2.h"
#include "core/measure/measure.h"
#include "load.h"

#define HASH "8c9e955f0b577cc8945a891a34ccfa5b8e08bb5e5d249992603e64dd14870e3c"

static uint8_t scratch[1 << 16];

static void refused(struct span text)
{
	uint8_t out[32];
	struct fault f = { "accepted", "", 0 };

	(void)!image_checksum(out, text, "a", &f);
	assert_string_equal(f.code, "image.manifest");
}

static void el_14_manifest_that_reads_two_ways(void **state)
{
	static const char *const bad[] = {
		HASH "  a\n" HASH "  a\n", // the same name twice, the same digest
		HASH "  a\n0"
		     "c9e955f0b577cc8945a891a34ccfa5b8e08bb5e5d249992603e64dd14870e3c  a\n", // another
		HASH "  a\n" HASH "  ../a\n",
		HASH "  a\n" HASH "  ..\n",
		HASH "  a\n" HASH "  .\n",
		HASH "  a\n" HASH "  .a\n",
		HASH "  a\n" HASH "  /etc/passwd\n",
		HASH "  a\n" HASH "  dir/a\n",
		HASH "  a\n" HASH "  dir\\a\n",
		HASH "  a\n" HASH "  -a\n",
		HASH "  a\r\n",
		HASH "  a\r",
		HASH "  a \n",
		HASH "  a\tb\n",
		HASH " a\n",
		HASH " *a\n",
		HASH "\ta\n",
		HASH "   a\n",
		HASH "  \n",
		HASH "  a\n\n",
		"\n" HASH "  a\n",
		" " HASH "  a\n",
		"8C9E955F0B577CC8945A891A34CCFA5B8E08BB5E5D249992603E64DD14870E3C  a\n",
		"8c9e955f0b577cc8945a891a34ccfa5b8e08bb5e5d249992603e64dd14870e3  a\n",
		"8c9e955f0b577cc8945a891a34ccfa5b8e08bb5e5d249992603e64dd14870e3g  a\n",
		HASH "  \xc3\xa4\n",
	};
	char *line = malloc(1 << 20);

	(void)state;
	assert_non_null(line);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refused(span_str(bad[i]));
	refused(span_of(HASH "  a\0b\n", 69));
	refused(span_of(HASH "  a\n\0", 69));
	memset(line, 'a', 1 << 20); // one line of 1 MiB, and one behind a good one
	memcpy(line, HASH "  ", 66);
	refused(span_of(line, 1 << 20));
	memcpy(line, HASH "  a\n" HASH "  ", 134);
	refused(span_of(line, 1 << 20));
	char *many = line;
	size_t n = 0;

	for (int i = 0; i < 65; i++) // more files than an image has
		n += (size_t)snprintf(many + n, 100, HASH "  f%d\n", i);
	refused(span_of(many, n));
	free(line);
}

static void el_14_good_manifests_are_read(void **state)
{
	uint8_t out[32];
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(image_checksum(out, span_str(HASH "  b\n" HASH "  a"), "a", &f), 0);
	assert_memory_equal(out, hex(HASH).p, 32);
	assert_int_equal(image_checksum(out, span_str(HASH "  b\n"), "a", &f), -1);
	assert_string_equal(f.code, "image.unlisted");
	assert_int_equal(image_checksum(out, span_str(""), "a", &f), -1);
	assert_string_equal(f.code, "image.unlisted");
}

static void el_11_line_added_to_a_manifest(void **state)
{
	static const char lite[] = "real/dstack/verifier/tdx-lite-getquote.json";
	struct wr s = wr_to(scratch, sizeof scratch);
	struct vm_config c;
	struct fault f = { 0 };
	uint8_t text[4096], hash[32];
	struct wr w = wr_to(text, sizeof text);

	(void)state;
	assert_int_equal(vm_config_read(&c, &s, load_text_member(lite, "vm_config"), &f), 0);
	assert_int_equal(measurement_bound(c.os_image_hash, c.tdx_checksum_file, c.tdx_measurement, &f), 0);
	wr_span(&w, c.tdx_checksum_file);
	wr_str(&w, HASH "  another.file\n");
	// not under the hash that people know
	assert_int_equal(measurement_bound(c.os_image_hash, span_of(text, w.n), c.tdx_measurement, &f), -1);
	assert_string_equal(f.code, "image.hash");
	// under its own hash it holds together: consistent, and nothing more
	sha256(text, w.n, hash);
	assert_int_equal(measurement_bound(hash, span_of(text, w.n), c.tdx_measurement, &f), 0);
	assert_memory_not_equal(hash, c.os_image_hash, 32);
	// a second entry for the measurement itself does not even do that
	w = wr_to(text, sizeof text);
	wr_span(&w, c.tdx_checksum_file);
	wr_str(&w, HASH "  measurement.tdx.cbor\n");
	sha256(text, w.n, hash);
	assert_int_equal(measurement_bound(hash, span_of(text, w.n), c.tdx_measurement, &f), -1);
	assert_string_equal(f.code, "image.manifest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(el_14_manifest_that_reads_two_ways),
		cmocka_unit_test(el_14_good_manifests_are_read),
		cmocka_unit_test(el_11_line_added_to_a_manifest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
