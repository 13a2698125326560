// The policy file: who is allowed, every refusal with its code, changes on disk, and writing to it.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/verify/bootinfo.h"
#include "policy/policy.h"

#define ID  "00112233445566778899aabbccddeeff00112233"
#define ID2 "ff112233445566778899aabbccddeeff00112233"
#define H1  "1111111111111111111111111111111111111111111111111111111111111111"
#define H2  "2222222222222222222222222222222222222222222222222222222222222222"
#define H3  "3333333333333333333333333333333333333333333333333333333333333333"

static char dir[64], path[96];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/policy-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/policy.toml", dir);
	return 0;
}

static int teardown(void **state)
{
	char lock[128];

	(void)state;
	snprintf(lock, sizeof lock, "%s.lock", path);
	unlink(path);
	unlink(lock);
	return rmdir(dir);
}

static void put(const char *text)
{
	char fresh[128];

	snprintf(fresh, sizeof fresh, "%s.new", path);
	FILE *f = fopen(fresh, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(fresh, path), 0);
}

static void unhex(uint8_t *out, const char *hex)
{
	for (; *hex; hex += 2) {
		unsigned byte;
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		*out++ = (uint8_t)byte;
	}
}

static struct boot_info guest(void)
{
	struct boot_info b = { .has_app_id = true, .has_compose_hash = true, .has_os_image_hash = true };

	strcpy(b.anchor, "intel");
	strcpy(b.tcb_status, "UpToDate");
	unhex(b.app_id, ID);
	unhex(b.compose_hash, H1);
	unhex(b.os_image_hash, H2);
	unhex(b.device_id, H3);
	unhex(b.mr_aggregated, H3);
	return b;
}

static const char good[] = "os_images = [\"0x" H2 "\"]\n"
			   "gateway_app_id = \"" ID2 "\"\n"
			   "[kms]\nmr_aggregated = [\"" H3 "\"]\nallow_any_device = true\n"
			   "[[app]]\nid = \"0x00112233445566778899AABBCCDDEEFF00112233\"\n"
			   "compose_hashes = [\"" H1 "\"]\ndevices = [\"" H3 "\"]\n";

static void expect(struct policy *p, const struct boot_info *b, enum policy_kind kind, const char *code)
{
	struct err e = { 0 };
	int rc = policy_allow(p, b, kind, &e);

	if (code ? !rc || strcmp(e.code, code) : rc)
		fail_msg("wanted %s, got %d %s %s", code ? code : "allowed", rc, e.code, e.text);
}

static void decisions(void **state)
{
	struct err e = { 0 };
	struct boot_info b = guest();
	struct policy_info info;

	(void)state;
	put(good);
	struct policy *p = policy_file_new(path, &e);
	assert_non_null(p);
	expect(p, &b, POLICY_APP, NULL);
	expect(p, &b, POLICY_KMS, NULL);
	policy_info(p, &info);
	assert_string_equal(info.gateway, ID2);
	strcpy(b.anchor, "development"), expect(p, &b, POLICY_APP, "policy.development"), b = guest();
	b.anchor[0] = 0, expect(p, &b, POLICY_APP, "policy.development"), b = guest();
	strcpy(b.tcb_status, "OutOfDate"), expect(p, &b, POLICY_APP, "policy.tcb_not_allowed"), b = guest();
	b.n_advisory_ids = 1, strcpy(b.advisory_ids[0], "INTEL-SA-1");
	expect(p, &b, POLICY_APP, "policy.advisory_not_allowed"), b = guest();
	b.os_image_hash[0] ^= 1, expect(p, &b, POLICY_APP, "policy.image_not_allowed"), b = guest();
	b.has_os_image_hash = false, expect(p, &b, POLICY_APP, "policy.image_not_allowed"), b = guest();
	b.app_id[0] ^= 1, expect(p, &b, POLICY_APP, "policy.app_not_allowed"), b = guest();
	b.compose_hash[31] ^= 1, expect(p, &b, POLICY_APP, "policy.compose_not_allowed"), b = guest();
	b.device_id[0] ^= 1, expect(p, &b, POLICY_APP, "policy.device_not_allowed"), b = guest();
	b.has_app_id = false, expect(p, &b, POLICY_APP, "policy.boot_info"), b = guest();
	b.mr_aggregated[0] ^= 1, expect(p, &b, POLICY_KMS, "policy.kms_not_allowed");
	policy_free(p);
}

static void empty_denies(void **state)
{
	static const char *const texts[] = {
		"",
		"# nothing\n",
		"os_images = []\n",
		"os_images = [\"" H2 "\"]\n[kms]\nallow_any_device = true\n",
	};
	struct err e = { 0 };
	struct boot_info b = guest();

	(void)state;
	unlink(path);
	struct policy *p = policy_file_new(path, &e); // a missing file
	assert_non_null(p);
	expect(p, &b, POLICY_APP, "policy.empty");
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		put(texts[i]);
		expect(p, &b, POLICY_APP, "policy.empty");
		expect(p, &b, POLICY_KMS, "policy.empty");
	}
	put("[[app]]\nid = \"" ID "\"\n");
	expect(p, &b, POLICY_APP, "policy.image_not_allowed");
	put("os_images = [\"" H2 "\"]\n[[app]]\nid = \"" ID "\"\n");
	expect(p, &b, POLICY_APP, "policy.compose_not_allowed");
	put("os_images = [\"" H2 "\"]\n[[app]]\nid = \"" ID "\"\ncompose_hashes = [\"" H1 "\"]\n");
	expect(p, &b, POLICY_APP, "policy.device_not_allowed"); // no list of devices is not "any"
	policy_free(p);
}

static void changes_are_seen(void **state)
{
	struct err e = { 0 };
	struct boot_info b = guest();

	(void)state;
	put(good);
	struct policy *p = policy_file_new(path, &e);
	assert_non_null(p);
	expect(p, &b, POLICY_APP, NULL);
	put("os_images = [\n"); // half written: nothing of the old file counts any more
	expect(p, &b, POLICY_APP, "policy.unavailable");
	put(good);
	expect(p, &b, POLICY_APP, NULL);
	unlink(path);
	expect(p, &b, POLICY_APP, "policy.empty");
	put(good);
	expect(p, &b, POLICY_APP, NULL);
	policy_free(p);
}

static void malformed_refused(void **state)
{
	static const char *const texts[] = {
		"os_images = [\"zz\"]\n",
		"os_images = [\"" ID "\"]\n",
		"unknown = true\n",
		"gateway_app_id = \"any\"\n",
		"[[app]]\ncompose_hashes = []\n",
		"[[app]]\nid = \"" H1 "\"\n",
		"[[app]]\nid = \"" ID "\"\n[[app]]\nid = \"0x" ID "\"\n",
		"[[app]]\nid = \"" ID "\"\n[[app]]\nid = \"00112233445566778899AABBCCDDEEFF00112233\"\n",
		"[[app]]\nid = \"" ID "\"\nallow_any_device = \"yes\"\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct err e = { 0 };
		put(texts[i]);
		if (policy_file_new(path, &e))
			fail_msg("accepted: %s", texts[i]);
		assert_string_equal(e.code, "policy.unavailable");
	}
}

static void writing(void **state)
{
	struct err e = { 0 };
	struct boot_info b = guest();
	struct stat st;

	(void)state;
	unlink(path);
	assert_int_equal(policy_file_allow(path, ID, H1, &e), 0);
	assert_int_equal(policy_file_allow_image(path, H2, &e), 0);
	struct policy *p = policy_file_new(path, &e);
	assert_non_null(p);
	expect(p, &b, POLICY_APP, NULL);
	assert_int_equal(policy_file_allow(path, "0x" ID, H3, &e), 0); // a second version of the same app
	assert_int_equal(policy_file_allow_image(path, H3, &e), 0);
	expect(p, &b, POLICY_APP, NULL);
	unhex(b.compose_hash, H3);
	unhex(b.os_image_hash, H3);
	expect(p, &b, POLICY_APP, NULL);
	unhex(b.app_id, ID2);
	expect(p, &b, POLICY_APP, "policy.app_not_allowed");
	assert_int_equal(policy_file_allow(path, ID2, H3, &e), 0);
	expect(p, &b, POLICY_APP, NULL);
	assert_int_equal(stat(path, &st), 0);
	off_t size = st.st_size;
	assert_int_equal(policy_file_allow(path, ID2, H3, &e), 0); // already there
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, size);
	assert_int_equal(policy_file_allow(path, "12", H3, &e), -1);
	assert_int_equal(policy_file_allow(path, ID2, "zz", &e), -1);
	policy_free(p);
}

static void writing_keeps_the_rest(void **state)
{
	static const char text[] =
		"# ours\nos_images = [ # images\n  \"" H2 "\",\n]\n"
		"[[app]]\n# id = \"" ID "\"\nid = '" ID2 "' # other\ncompose_hashes = []\n"
		"[[app]]\n  compose_hashes   = [\n\"" H2 "\" ]\n  id=\"" ID "\"\nallow_any_device = true";
	struct err e = { 0 };
	struct boot_info b = guest();
	char got[4096];

	(void)state;
	put(text);
	struct policy *p = policy_file_new(path, &e);
	assert_non_null(p);
	expect(p, &b, POLICY_APP, "policy.compose_not_allowed");
	assert_int_equal(policy_file_allow(path, ID, H1, &e), 0);
	expect(p, &b, POLICY_APP, NULL);
	assert_int_equal(policy_file_allow(path, H3, H1, &e), -1);
	unhex(b.app_id, ID2);
	expect(p, &b, POLICY_APP, "policy.compose_not_allowed"); // the other app got nothing
	FILE *f = fopen(path, "r");
	size_t n = fread(got, 1, sizeof got - 1, f);
	fclose(f);
	got[n] = 0;
	assert_non_null(strstr(got, "# ours"));
	assert_non_null(strstr(got, "# other"));
	assert_int_equal(n, sizeof text - 1 + strlen("\"" H1 "\", "));
	put("[[app]]\nid = \"" ID "\"\n"); // no array to write to: said, and nothing written
	assert_int_equal(policy_file_allow(path, ID, H1, &e), -1);
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decisions),        cmocka_unit_test(empty_denies),
		cmocka_unit_test(changes_are_seen), cmocka_unit_test(malformed_refused),
		cmocka_unit_test(writing),          cmocka_unit_test(writing_keeps_the_rest),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
