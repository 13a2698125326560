// Images and what guests are given.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "compose.h"
#include "core/codec/json.h"
#include "core/measure/measure.h"
#include "image.h"
#include "platform.h"
#include "share.h"

static char dir[] = "/tmp/vmm-share-XXXXXX";

static void put(const char *path, const char *text)
{
	struct err e = { 0 };

	if (file_write_str(path, 0600, text, &e))
		fail_msg("%s", e.text);
}

static const char metadata[] =
	"{\"bios\":\"ovmf.fd\",\"kernel\":\"bzImage\",\"initrd\":\"ir\",\"cmdline\":\"a=b\",\"rootfs\":null,"
	"\"version\":\"0.1.0\",\"is_dev\":true,\"ovmf_variant\":\"pre202505\",\"git_revision\":\"x\"}";

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chdir(dir) || mkdir("im", 0700) || mkdir("im/one", 0700) || mkdir("vm", 0700))
		return -1;
	put("im/one/ovmf.fd", "firmware");
	put("im/one/bzImage", "kernel");
	put("im/one/ir", "initrd");
	put("im/one/measurement.tdx.cbor", "cbor");
	put("im/one/metadata.json", metadata);
	return system("cd im/one && sha256sum ovmf.fd bzImage ir metadata.json measurement.tdx.cbor "
		      ">sha256sum.txt &&"
		      "sha256sum sha256sum.txt | cut -c1-64 >digest.txt");
}

static int tear_down(void **state)
{
	struct err e = { 0 };

	(void)state;
	return chdir("/") || file_remove_tree(dir, &e);
}

static void image_loads(void **state)
{
	struct image_memory *memory = image_memory_new();
	struct err e = { 0 };
	auto_image im = { 0 };

	(void)state;
	if (image_load(&im, "im", "one", &e) || image_verify(&im, memory, "im", &e))
		fail_msg("%s", e.text);
	assert_string_equal(im.kernel, "im/one/bzImage");
	assert_string_equal(im.rootfs, "");
	assert_string_equal(im.version, "0.1.0");
	assert_true(im.is_dev);
	assert_int_equal(strlen(im.digest), 64);
	// Same size and inode, other bytes: the time tells.
	put("im/one/bzImage", "KERNEL");
	assert_int_equal(image_verify(&im, memory, "im", &e), -1);
	assert_string_equal(e.code, "image.digest");
	put("im/one/bzImage", "kernel");
	assert_int_equal(image_verify(&im, memory, "im", &e), 0);
	unlink("im/one/ir");
	assert_int_equal(image_verify(&im, memory, "im", &e), -1);
	assert_string_equal(e.code, "image.absent");
	assert_int_equal(symlink("bzImage", "im/one/ir"), 0);
	assert_int_equal(image_verify(&im, memory, "im", &e), -1);
	unlink("im/one/ir");
	put("im/one/ir", "initrd");
	image_memory_free(memory);
}

static void image_refuses(void **state)
{
	static const char *const bad[] = { "[]",
					   "{}",
					   "{\"kernel\":\"bzImage\"}",
					   "{\"kernel\":\"../bzImage\",\"initrd\":\"ir\"}",
					   "{\"kernel\":\"bzImage\",\"initrd\":\"absent\"}",
					   "{\"kernel\":1,\"initrd\":\"ir\"}",
					   "not json" };
	struct err e = { 0 };
	auto_image im = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		put("im/one/metadata.json", bad[i]);
		assert_int_equal(image_load(&im, "im", "one", &e), -1);
	}
	put("im/one/metadata.json", metadata);
	assert_int_equal(image_load(&im, "im", "two", &e), -1);
	assert_string_equal(e.code, "image.absent");
	auto_free char *was = NULL;
	size_t n;
	assert_int_equal(file_read("im/one/digest.txt", 100, &was, &n, &e), 0);
	put("im/one/digest.txt", "00");
	assert_int_equal(image_load(&im, "im", "one", &e), -1);
	assert_string_equal(e.code, "image.digest");
	put("im/one/digest.txt", was);
}

static void compose_files(void **state)
{
	static const char *const bad[] = { "",
					   "[]",
					   "{",
					   "{\"a\":1,\"a\":2}",
					   "{\"name\":1}",
					   "{\"key_provider\":\"sgx\"}",
					   "{\"kms_enabled\":\"yes\"}" };
	static const char good[] =
		"{\"manifest_version\":2,\"gateway_enabled\":true,\"no_instance_id\":false}";
	struct compose c;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(compose_read(&c, bad[i], strlen(bad[i]), &e), -1);
		assert_string_equal(e.code, "vmm.compose");
	}
	assert_int_equal(compose_read(&c, good, strlen(good), &e), 0);
	assert_true(c.gateway);
	// sha256sum of the text, by coreutils
	put("c.json", good);
	assert_int_equal(system("sha256sum c.json | cut -c1-40 | tr -d '\\n' >c.sum"), 0);
	auto_free char *sum = NULL;
	size_t n;
	assert_int_equal(file_read("c.sum", 100, &sum, &n, &e), 0);
	assert_string_equal(c.app_id, sum);
}

// The configuration that a guest gets is what the verifiers' code reads from its evidence later.
static void config_for_the_guest(void **state)
{
	static const char conf[] =
		"[cvm]\nkms_urls = [\"https://10.0.2.2:8001\"]\ndocker_registry = \"http://10.0.2.2:5000\"\n";
	struct err e = { 0 };
	struct config *raw = config_parse(conf, strlen(conf), "test", vmm_keys, vmm_keys_n, &e);
	struct vmm_config c;
	struct platform_facts p = { .platform = PLATFORM_SOFT, .qemu_version = "7.2.22" };
	struct manifest m = { .id = "x", .vcpu = 1, .memory = 1024 };
	auto_image im = { 0 };
	struct compose app;
	auto_free char *text = NULL, *inner = calloc(1, 8192);
	size_t n;
	struct json o, v;

	(void)state;
	assert_int_equal(compose_read(&app, "{}", 2, &e), 0);
	memcpy(m.app_id, app.app_id, sizeof m.app_id);
	assert_int_equal(vmm_config_load(&c, raw, &e), 0);
	if (image_load(&im, "im", "one", &e) || share_create("vm", &m, "{}", 2, "env", 3, "user", &e) ||
	    share_write_config("vm", &c, &m, &im, &app, &p, &e))
		fail_msg("%s", e.text);
	assert_int_equal(file_read("vm/shared/.sys-config.json", 65536, &text, &n, &e), 0);
	assert_int_equal(json_parse(&o, span_of(text, n), NULL), 0);
	assert_true(json_get(o, "docker_registry", &v) && json_is(v, "http://10.0.2.2:5000"));
	assert_true(json_get(o, "host_api_url", &v) && json_is(v, "vsock://2:10000/api"));
	assert_true(json_get(o, "vm_config", &v));
	assert_int_equal(json_cstr(v, inner, 8192), 0);
	static uint8_t scratch[8192];
	struct wr w = wr_to(scratch, sizeof scratch);
	struct vm_config got;
	struct fault f = { 0 };
	if (vm_config_read(&got, &w, span_str(inner), &f))
		fail_msg("%s", f.text);
	assert_int_equal(got.profile, MEASURE_SOFT);
	assert_int_equal(got.memory_size, 1024ull << 20);
	assert_int_equal(got.qemu[0], 7);
	assert_int_equal(got.num_nics, 1);
	assert_true(got.has_image_hash);
	assert_true(span_is(got.tdx_measurement, "cbor"));
	config_free(raw);
}

static void instance_info(void **state)
{
	static const char *const bad[] = { "",
					   "{}",
					   "{\"app_id\":\"zz\"}",
					   "{\"app_id\":1}",
					   "[\"app_id\"]",
					   "{\"app_id\":\"00112233445566778899aabbccddeeff001122334\"}" };
	static const char good[] =
		"{\"instance_id_seed\":\"\",\"instance_id\":\"00112233445566778899aabbccddeeff00112233\","
		"\"app_id\":\"AA112233445566778899aabbccddeeff00112233\",\"more\":\"x\"}";
	char id[41];
	struct err e = { 0 };

	(void)state;
	share_instance_id("vm", id);
	assert_string_equal(id, "");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(share_write_instance("vm", bad[i], &e), -1);
	assert_int_equal(share_write_instance("vm", good, &e), 0);
	share_instance_id("vm", id);
	assert_string_equal(id, "00112233445566778899aabbccddeeff00112233");
}

static void disk_is_built(void **state)
{
	struct err e = { 0 };

	(void)state;
	if (share_build_disk("vm", &e))
		fail_msg("%s", e.text);
	assert_int_equal(system("mcopy -n -i vm/shared.img ::/.user-config got && [ \"$(cat got)\" = user ]"),
			 0);
	assert_int_equal(
		system("mcopy -n -i vm/shared.img ::/.encrypted-env got && [ \"$(cat got)\" = env ]"), 0);
	// A link in the share is not followed: the start fails, nothing of the host gets in.
	assert_int_equal(system("ln -sf /etc/hostname vm/shared/.user-config"), 0);
	assert_int_equal(share_build_disk("vm", &e), -1);
	assert_string_equal(e.code, "share.not_regular");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_loads),   cmocka_unit_test(image_refuses),
		cmocka_unit_test(compose_files), cmocka_unit_test(config_for_the_guest),
		cmocka_unit_test(instance_info), cmocka_unit_test(disk_is_built),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
