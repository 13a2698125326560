// The policy file: who is allowed, every refusal with its code, changes on disk, and writing to it.
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"
#include "policy/rules.h"

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

static const char good[] = "os_images = [\"0x" H2 "\"]\n"
			   "gateway_app_id = \"" ID2 "\"\n"
			   "[kms]\nmr_aggregated = [\"" H3 "\"]\nallow_any_device = true\n"
			   "[[app]]\nid = \"0x00112233445566778899AABBCCDDEEFF00112233\"\n"
			   "compose_hashes = [\"" H1 "\"]\ndevices = [\"" H3 "\"]\n";

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
	expect(p, &b, POLICY_KMS, "policy.empty");
	assert_int_equal(policy_file_allow_kms(path, H2, &e), 0);
	expect(p, &b, POLICY_KMS, "policy.kms_not_allowed");
	assert_int_equal(policy_file_allow_kms(path, H3, &e), 0); // into the table that is there
	expect(p, &b, POLICY_KMS, NULL);
	assert_int_equal(policy_file_allow(path, ID2, H2, &e), 0); // the apps are still found
	expect(p, &b, POLICY_APP, NULL);
	assert_int_equal(policy_file_allow_kms(path, "zz", &e), -1);
	assert_int_equal(policy_file_deny_kms(path, H3, &e), 0); // one of two
	expect(p, &b, POLICY_KMS, "policy.kms_not_allowed");
	assert_int_equal(policy_file_deny_kms(path, H3, &e), 0); // not there
	assert_int_equal(policy_file_allow_kms(path, H3, &e), 0);
	assert_int_equal(policy_file_deny_kms(path, H2, &e), 0);
	expect(p, &b, POLICY_KMS, NULL);
	assert_int_equal(policy_file_deny_kms(path, H3, &e), 0); // the last one
	expect(p, &b, POLICY_KMS, "policy.empty");
	assert_int_equal(policy_file_deny_kms(path, "zz", &e), -1);
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

// Spec 70 GV-05, GV-06 of our file: upgraded in one step, suspended and resumed; what else stands there
// stays.
static void gv_05_upgrade_in_a_file(void **state)
{
	static const char text[] =
		"os_images = [\"" H2 "\"]\n[[app]]\nid = \"" ID2 "\"\ncompose_hashes = [\"" H1
		"\"]\nallow_any_device = true\n"
		"[[app]] # ours\n  id = \"" ID "\"\ncompose_hashes = [ # ] not the end\n  \"" H1
		"\", # \"\n  \"" H2 "\"\n]\nallow_any_device = true\n[kms]\nmr_aggregated = []\n";
	struct boot_info v1 = guest(), v2 = guest(), other = guest();
	struct err e = { 0 };

	(void)state;
	unhex(v2.compose_hash, H3);
	unhex(other.app_id, ID2);
	put(text);
	struct policy *p = policy_file_new(path, &e);
	assert_non_null(p);
	expect(p, &v1, POLICY_APP, NULL);
	assert_int_equal(policy_file_replace(path, ID, H3, &e), 0);
	expect(p, &v1, POLICY_APP, "policy.compose_not_allowed");
	expect(p, &v2, POLICY_APP, NULL);
	expect(p, &other, POLICY_APP, NULL);
	assert_int_equal(policy_file_replace(path, ID, H3, &e), 0);
	assert_int_equal(policy_file_suspend(path, ID, true, &e), 0);
	expect(p, &v2, POLICY_APP, "policy.app_suspended");
	expect(p, &other, POLICY_APP, NULL);
	assert_int_equal(policy_file_suspend(path, "0x" ID2, true, &e), 0);
	assert_int_equal(policy_file_suspend(path, ID, false, &e), 0);
	expect(p, &v2, POLICY_APP, NULL);
	expect(p, &other, POLICY_APP, "policy.app_suspended");
	assert_int_equal(policy_file_suspend(path, "ff" H1, true, &e), -1);
	assert_int_equal(policy_file_suspend(path, "0000000000000000000000000000000000000000", true, &e), -1);
	assert_int_equal(e.class, ERR_ABSENT);
	policy_free(p);
}

static struct policy *json(const char *text, const char *code)
{
	static char file[128];
	struct err e = { 0 };

	snprintf(file, sizeof file, "%s.json", path);
	FILE *f = fopen(file, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	struct policy *p = policy_file_new(file, &e);
	unlink(file);
	if (!p != !!code)
		fail_msg("%s: %s", text, p ? "accepted" : e.text);
	if (code && !strstr(e.text, code))
		fail_msg("%s: %s", text, e.text);
	return p;
}

// The file is read at the start of policy_file_new; gone afterwards, so it may not be asked through it.
static void judge(const char *text, const struct boot_info *b, enum policy_kind kind, const char *code)
{
	struct err e = { 0 };
	struct policy_rules *r = policy_rules_parse(text, strlen(text), "auth-config.json", &e);

	if (!r)
		fail_msg("%s: %s", text, e.text);
	int rc = policy_rules_judge(r, b, kind, &e);
	if (code ? !rc || strcmp(e.code, code) : rc)
		fail_msg("%s: wanted %s, got %d %s %s", text, code ? code : "allowed", rc, e.code, e.text);
	policy_rules_free(r);
}

#define IMAGES "\"osImages\":[\"0x" H2 "\"]"

static void upstream_json(void **state)
{
	static const char good_json[] =
		"{\"gatewayAppId\":\"0x" ID2 "\",\"kmsContractAddr\":\"0x" ID
		"\",\"chainId\":1337,\"appImplementation\":\"\"," IMAGES ",\"kms\":{\"mrAggregated\":[\"0x" H3
		"\"],\"devices\":[\"" H3 "\"],\"allowAnyDevice\":false},"
		"\"apps\":{\"0x00112233445566778899AABBCCDDEEFF00112233\":{\"composeHashes\":[\"" H1
		"\"],\"devices\":[],\"allowAnyDevice\":true}}}";
	struct boot_info b = guest();
	struct policy_info info;

	(void)state;
	judge(good_json, &b, POLICY_APP, NULL);
	judge(good_json, &b, POLICY_KMS, NULL);
	b.n_advisory_ids = 1, strcpy(b.advisory_ids[0], "INTEL-SA-1");
	judge(good_json, &b, POLICY_APP, "policy.advisory_not_allowed");
	judge("{\"allowedAdvisoryIds\":[\"INTEL-SA-1\"],\"allowedTcbStatuses\":[]," IMAGES ",\"apps\":{\"" ID
	      "\":{}}}",
	      &b, POLICY_APP, "policy.tcb_not_allowed");
	b = guest(), strcpy(b.tcb_status, "OutOfDate");
	judge(good_json, &b, POLICY_APP, "policy.tcb_not_allowed");
	struct policy *p = json(good_json, NULL);
	(void)p;
	struct err e;
	struct policy_rules *r = policy_rules_parse(good_json, sizeof good_json - 1, "x.json", &e);
	memset(&info, 0, sizeof info);
	policy_rules_info(r, &info);
	assert_true(info.has_chain);
	assert_int_equal(info.chain_id, 1337);
	assert_string_equal(info.gateway, ID2);
	policy_rules_free(r);
	policy_free(p);
	json("{\"apps\":[]}", "apps is not an object");
	json("{\"app\":{}}", "unknown member");
	json("{\"apps\":{\"" ID "\":{\"composeHash\":[]}}}", "unknown member");
	json("{\"gatewayAppId\":\"any\"}", "gatewayAppId");
	json("{\"osImages\":[\"12\"]}", "osImages: item 1");
	json("{} x", "byte 3");
	json("", "byte 0");
}

// Spec 70 KM-01: nothing that is empty or absent allows; a wildcard is written out.
static void km_01_empty_lists(void **state)
{
	struct boot_info b = guest();

	(void)state;
	judge("{}", &b, POLICY_APP, "policy.empty");
	judge("{}", &b, POLICY_KMS, "policy.empty");
	judge("{" IMAGES ",\"kms\":{\"mrAggregated\":[],\"allowAnyDevice\":true}}", &b, POLICY_KMS,
	      "policy.empty");
	judge("{\"apps\":{\"" ID "\":{\"composeHashes\":[\"" H1 "\"],\"allowAnyDevice\":true}}}", &b,
	      POLICY_APP, "policy.image_not_allowed");
	judge("{" IMAGES ",\"apps\":{\"" ID "\":{\"allowAnyDevice\":true}}}", &b, POLICY_APP,
	      "policy.compose_not_allowed");
	// Upstream takes an empty list of devices for any device; here that must be said.
	judge("{" IMAGES ",\"apps\":{\"" ID "\":{\"composeHashes\":[\"" H1 "\"],\"devices\":[]}}}", &b,
	      POLICY_APP, "policy.device_not_allowed");
	judge("{" IMAGES ",\"kms\":{\"mrAggregated\":[\"" H3 "\"],\"devices\":[]}}", &b, POLICY_KMS,
	      "policy.device_not_allowed");
	judge("{\"emptyDevicesMeanAny\":true," IMAGES ",\"apps\":{\"" ID "\":{\"composeHashes\":[\"" H1
	      "\"],\"devices\":[]}}}",
	      &b, POLICY_APP, NULL);
	judge("{\"emptyDevicesMeanAny\":true," IMAGES ",\"apps\":{\"" ID "\":{\"composeHashes\":[\"" H1
	      "\"],\"devices\":[\"" H1 "\"]}}}",
	      &b, POLICY_APP, "policy.device_not_allowed");
}

// Spec 70 KM-03: one meaning for every spelling of the 32 bytes, none for other lengths.
static void km_03_device_ids(void **state)
{
	static const char *const same[] = {
		"00aa33bb000000000000000000000000000000000000000000000000000000ff",
		"00AA33BB000000000000000000000000000000000000000000000000000000FF",
		"0x00aa33bb000000000000000000000000000000000000000000000000000000ff",
		"0X00aa33BB000000000000000000000000000000000000000000000000000000fF",
	}, *const none[] = {
		"aa33bb000000000000000000000000000000000000000000000000000000ff",
		("00aa33bb000000000000000000000000000000000000000000000000000000ff0000000000000000000000000000000000000000"
		 "000000000000000000000000"),
		" 00aa33bb000000000000000000000000000000000000000000000000000000ff",
		"0x0x00aa33bb0000000000000000000000000000000000000000000000000000ff", "",
	};
	struct boot_info b = guest();
	char text[1024];

	(void)state;
	unhex(b.device_id, same[0]);
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		snprintf(text, sizeof text,
			 "{" IMAGES ",\"apps\":{\"" ID "\":{\"composeHashes\":[\"" H1
			 "\"],\"devices\":[\"%s\"]}}}",
			 same[i]);
		judge(text, &b, POLICY_APP, NULL);
		snprintf(text, sizeof text,
			 "os_images = [\"" H2 "\"]\n[[app]]\nid = \"" ID "\"\ncompose_hashes = [\"" H1
			 "\"]\ndevices = [\"%s\"]\n",
			 same[i]);
		put(text);
		struct err e;
		struct policy *p = policy_file_new(path, &e);
		assert_non_null(p);
		expect(p, &b, POLICY_APP, NULL);
		policy_free(p);
	}
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		snprintf(text, sizeof text, "{\"kms\":{\"devices\":[\"%s\"]}}", none[i]);
		json(text, "kms.devices: item 1");
	}
}

// Spec 70 KM-04: two entries for one app, spelled differently.
static void km_04_same_app_twice(void **state)
{
	(void)state;
	json("{\"apps\":{\"0xaa112233445566778899aabbccddeeff00112233\":{},"
	     "\"0xAA112233445566778899aabbccddeeff00112233\":{}}}",
	     "apps 1 (\"0xaa112233445566778899aabbccddeeff00112233\") and 2 (\"0xAA11");
	json("{\"apps\":{\"" ID "\":{},\"0x" ID "\":{}}}", "are the same app");
	json("{\"apps\":{\"" ID "\":{},\"" ID "\":{}}}", "policy");
}

// Spec 70 CH-08: no policy hands out "any" as the gateway, nor a part of an id. (Webhook and chain: theirs.)
static void ch_08_any_gateway(void **state)
{
	static const char *const bad[] = { "any", "ANY", "0x", "*", "aa", ID2 "00", ID2 "," ID, ID2 " " };
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = { 0 };
		snprintf(text, sizeof text, "gateway_app_id = \"%s\"\n", bad[i]);
		put(text);
		assert_null(policy_file_new(path, &e));
		assert_string_equal(e.code, "policy.unavailable");
		snprintf(text, sizeof text, "{\"gatewayAppId\":\"%s\"}", bad[i]);
		json(text, "gatewayAppId");
	}
}

// Spec 70 HB-13: it is the pair of app and compose file that is allowed, not each for itself.
static void hb_13_pair_of_app_and_compose(void **state)
{
	static const char text[] = "{" IMAGES ",\"apps\":{\"" ID "\":{\"composeHashes\":[\"" H1
				   "\"],\"allowAnyDevice\":true},\"" ID2 "\":{\"composeHashes\":[\"" H3
				   "\"],\"allowAnyDevice\":true}}}";
	struct boot_info b = guest();

	(void)state;
	judge(text, &b, POLICY_APP, NULL);
	unhex(b.app_id, ID2);
	judge(text, &b, POLICY_APP, "policy.compose_not_allowed");
	unhex(b.compose_hash, H3);
	judge(text, &b, POLICY_APP, NULL);
	unhex(b.app_id, ID);
	judge(text, &b, POLICY_APP, "policy.compose_not_allowed");
	b.has_app_id = false;
	judge(text, &b, POLICY_APP, "policy.boot_info");
}

// Spec 70 GV-06, of a file: one app is stopped, the other is not.
static void gv_06_suspended_in_a_file(void **state)
{
	static const char text[] = "{" IMAGES ",\"apps\":{\"" ID "\":{\"composeHashes\":[\"" H1
				   "\"],\"allowAnyDevice\":true,\"suspended\":true},\"" ID2
				   "\":{\"composeHashes\":[\"" H1 "\"],\"allowAnyDevice\":true}}}";
	struct boot_info b = guest();

	(void)state;
	judge(text, &b, POLICY_APP, "policy.app_suspended");
	unhex(b.app_id, ID2);
	judge(text, &b, POLICY_APP, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decisions),
		cmocka_unit_test(empty_denies),
		cmocka_unit_test(changes_are_seen),
		cmocka_unit_test(malformed_refused),
		cmocka_unit_test(writing),
		cmocka_unit_test(writing_keeps_the_rest),
		cmocka_unit_test(upstream_json),
		cmocka_unit_test(km_01_empty_lists),
		cmocka_unit_test(km_03_device_ids),
		cmocka_unit_test(km_04_same_app_twice),
		cmocka_unit_test(hb_13_pair_of_app_and_compose),
		cmocka_unit_test(ch_08_any_gateway),
		cmocka_unit_test(gv_06_suspended_in_a_file),
		cmocka_unit_test(gv_05_upgrade_in_a_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
