// What the VMM keeps on disk: written, read back, and refused when it is not what we wrote.
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "child.h"
#include "fat.h"
#include "launch.h"
#include "lock.h"
#include "manifest.h"
#include "runtime.h"

static char dir[] = "/tmp/vmm-files-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return !mkdtemp(dir) || chdir(dir) ? -1 : 0;
}

static int tear_down(void **state)
{
	struct err e = { 0 };

	(void)state;
	return chdir("/") || file_remove_tree(dir, &e);
}

// mtools and dosfstools judge the image: not our code, and what they accept Linux mounts.
static void fat_is_a_fat(void **state)
{
	static uint8_t big[300000];
	const struct fat_file files[] = { { "app-compose.json", "{\"a\":1}", 7 },
					  { ".sys-config.json", big, sizeof big },
					  { ".empty", "", 0 },
					  { "exactly13char", big, 1024 },
					  { "UPPER.TXT", "x", 1 } };
	char *fsck[] = { (char[]){ "fsck.fat" }, (char[]){ "-n" }, (char[]){ "t.img" }, NULL };
	char *list[] = { (char[]){ "mdir" },
			 (char[]){ "-b" },
			 (char[]){ "-a" },
			 (char[]){ "-i" },
			 (char[]){ "t.img" },
			 (char[]){ "::" },
			 NULL };
	char *label[] = { (char[]){ "mlabel" }, (char[]){ "-s" }, (char[]){ "-i" }, (char[]){ "t.img" },
			  NULL };
	char out[4096];
	struct err e = { 0 };
	struct stat st;

	(void)state;
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)(i * 7 + i / 1024);
	auto_close int fd = open("t.img", O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(fat_write(fd, "DSTACKSHR", files, 5, &e), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_blocks * 512 < 4 << 20); // sparse
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	assert_int_equal(child_run(fsck, 20, out, sizeof out, &e), 0);
	assert_int_equal(child_run(label, 20, out, sizeof out, &e), 0);
	assert_non_null(strstr(out, "DSTACKSHR"));
	assert_int_equal(child_run(list, 20, out, sizeof out, &e), 0);
	for (size_t i = 0; i < 5; i++) {
		char name[80], from[80];
		char *copy[] = { (char[]){ "mcopy" },
				 (char[]){ "-n" },
				 (char[]){ "-i" },
				 (char[]){ "t.img" },
				 from,
				 (char[]){ "got" },
				 NULL };
		auto_free char *got = NULL;
		size_t n;

		snprintf(name, sizeof name, "::/%s\n", files[i].name);
		assert_non_null(strstr(out, name));
		snprintf(from, sizeof from, "::/%s", files[i].name);
		unlink("got");
		char quiet[256];
		assert_int_equal(child_run(copy, 20, quiet, sizeof quiet, &e), 0);
		assert_int_equal(file_read("got", sizeof big, &got, &n, &e), 0);
		assert_int_equal(n, files[i].n);
		assert_memory_equal(got, files[i].p, n);
	}
}

static void fat_is_deterministic(void **state)
{
	const struct fat_file file = { "a", "b", 1 };
	auto_free char *one = malloc(1 << 20), *two = malloc(1 << 20);
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		auto_close int fd = open("d.img", O_RDWR | O_CREAT | O_TRUNC, 0600);
		assert_int_equal(fat_write(fd, "L", &file, 1, &e), 0);
		assert_int_equal(pread(fd, i ? two : one, 1 << 20, 0), 1 << 20);
	}
	assert_memory_equal(one, two, 1 << 20);
}

static void fat_refuses(void **state)
{
	static const char *const names[] = { "", "a/b", "a b", "a\\b", "dot.", "\xc3\xa4" };
	char name[80];
	struct err e = { 0 };
	auto_close int fd = open("r.img", O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct fat_file f = { name, "x", 1 };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(name, sizeof name, "%s", names[i]);
		assert_int_equal(fat_write(fd, "L", &f, 1, &e), -1);
	}
	memset(name, 'a', 65);
	name[65] = 0;
	assert_int_equal(fat_write(fd, "L", &f, 1, &e), -1);
	f = (struct fat_file){ "a", "x", (size_t)FAT_SPACE + 1 };
	assert_int_equal(fat_write(fd, "L", &f, 1, &e), -1);
	assert_string_equal(e.code, "share.too_large");
}

static void launch_round_trip(void **state)
{
	struct launch l = { .id = "x",
			    .name = "na\"me \\ \x7f",
			    .platform = PLATFORM_TDX,
			    .accel = ACCEL_AUTO,
			    .qemu = "/q",
			    .cmdline = "a=b c",
			    .vcpus = 3,
			    .memory_mib = 4096,
			    .disk_gib = 7,
			    .mac = "02:00:00:00:00:01",
			    .net = "10.0.2.0/24",
			    .dhcp_start = "10.0.2.10",
			    .port = { { true, "::1", 1, 65535 } },
			    .n_port = 1,
			    .forward = { { false, 9001, "127.0.0.1:9001" }, { true, 2, "[::1]:3" } },
			    .n_forward = 2,
			    .hotplug_off = true,
			    .pci_hole64_size = UINT64_MAX,
			    .cid = UINT32_MAX - 1,
			    .has_mr_config = true,
			    .mr_config = { 1, 2, 3 },
			    .log_max = 4096,
			    .events_max = 20 };
	struct launch got;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(launch_write(&l, "launch.json", &e), 0);
	if (launch_read(&got, "launch.json", &e))
		fail_msg("%s", e.text);
	assert_memory_equal(&l, &got, sizeof l);
	struct stat st;
	assert_int_equal(stat("launch.json", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void launch_refuses(void **state)
{
	struct launch l = { .vcpus = 1 }, got;
	struct err e = { 0 };
	auto_free char *text = NULL;
	size_t n;

	(void)state;
	assert_int_equal(launch_write(&l, "launch.json", &e), 0);
	assert_int_equal(file_read("launch.json", 1 << 20, &text, &n, &e), 0);
	char *at = strstr(text, "\"vcpus\":1");
	memcpy(at, "\"vcpus\":x", 9);
	assert_int_equal(file_write("bad.json", 0600, text, n, &e), 0);
	assert_int_equal(launch_read(&got, "bad.json", &e), -1);
	assert_string_equal(e.code, "vmm.launch_file");
	memcpy(at, "\"vcpu_\":1", 9);
	assert_int_equal(file_write("bad.json", 0600, text, n, &e), 0);
	assert_int_equal(launch_read(&got, "bad.json", &e), -1);
	assert_int_equal(launch_read(&got, "absent.json", &e), -1);
}

static void runtime_round_trip(void **state)
{
	struct runtime r = { .state = RUN_STOPPING,
			     .runner = 12,
			     .qemu = 13,
			     .started_at = 100,
			     .events_max = 3,
			     .boot_progress = "set-up",
			     .boot_error = "kms.denied: \"no\"\n" },
		       got;
	struct err e = { 0 };
	char name[8];

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "e%u", i);
		runtime_event(&r, name, i == 4 ? "\xff\xfe bytes that are no text" : "body", i);
	}
	assert_int_equal(r.n_events, 3); // the oldest two went
	assert_int_equal(runtime_write(&r, "rt.json", &e), 0);
	if (runtime_read(&got, "rt.json", &e))
		fail_msg("%s", e.text);
	assert_int_equal(got.state, RUN_STOPPING);
	assert_int_equal(got.qemu, 13);
	assert_string_equal(got.boot_error, r.boot_error);
	assert_int_equal(got.n_events, 3);
	assert_string_equal(got.event[0].name, "e2");
	assert_int_equal(got.event[2].ms, 4);
	runtime_free(&got);
	runtime_free(&r);
	assert_int_equal(file_write_str("rt.json", 0600, "{\"state\":\"running\"}", &e), 0);
	assert_int_equal(runtime_read(&got, "rt.json", &e), -1);
}

static void manifest_round_trip(void **state)
{
	struct manifest m = { .id = "vm-1",
			      .name = "my app (1)",
			      .image = "dstack-0.1.0",
			      .vcpu = 1,
			      .memory = 1024,
			      .disk_size = 4,
			      .cid = 1000,
			      .port = { { false, "127.0.0.1", 80, 8080 } },
			      .n_port = 1,
			      .created_at_ms = 1700000000123 },
			got;
	struct err e = { 0 };

	(void)state;
	memset(m.app_id, 'a', 40);
	assert_int_equal(urls_add(&m.kms, "https://10.0.2.2:8001", &e), 0);
	assert_int_equal(manifest_write(&m, "m.json", &e), 0);
	if (manifest_read(&got, "m.json", &e))
		fail_msg("%s", e.text);
	assert_memory_equal(&m, &got, sizeof m);
	snprintf(m.id, sizeof m.id, "../x");
	assert_int_equal(manifest_write(&m, "m.json", &e), 0);
	assert_int_equal(manifest_read(&got, "m.json", &e), -1);
}

static struct vmm_config config_from(const char *text)
{
	static struct vmm_config c;
	struct err e = { 0 };
	struct config *raw = config_parse(text, strlen(text), "test", vmm_keys, vmm_keys_n, &e);

	if (!raw || vmm_config_load(&c, raw, &e))
		fail_msg("%s", e.text);
	return c;
}

static void input_checks(void **state)
{
	struct vmm_config c = config_from("[cvm.port_mapping]\nenabled = true\n[[cvm.port_mapping.range]]\n"
					  "protocol = \"tcp\"\nfrom = 1000\nto = 2000\n");
	struct port_map p, q;
	struct urls u = { 0 };
	char app[41], long_name[140];
	struct err e = { 0 };

	(void)state;
	memset(long_name, 'a', 129);
	long_name[129] = 0;
	assert_int_equal(check_name("ok name-1_.~!$^()@", &e), 0);
	assert_int_equal(check_name("", &e), 0);
	assert_int_equal(check_name("no/slash", &e), -1);
	assert_int_equal(check_name("new\nline", &e), -1);
	assert_int_equal(check_name(long_name, &e), -1);
	assert_int_equal(check_vm_id("..", &e), -1);
	assert_int_equal(check_vm_id("", &e), -1);
	assert_int_equal(check_vm_id("a/b", &e), -1);
	assert_int_equal(check_image_name("dstack-0.1.0", &e), 0);
	assert_int_equal(check_image_name("a..b", &e), -1);
	assert_int_equal(check_image_name(".hidden", &e), -1);
	assert_int_equal(check_app_id(app, "0xAABBCCDDEEFF00112233AABBCCDDEEFF00112233", &e), 0);
	assert_string_equal(app, "aabbccddeeff00112233aabbccddeeff00112233");
	assert_int_equal(check_app_id(app, "0x0xAABBCCDDEEFF00112233AABBCCDDEEFF001122", &e), -1);
	assert_int_equal(check_app_id(app, "aabb", &e), -1);
	assert_int_equal(check_size(&c, 0, 1024, 1, &e), -1);
	assert_int_equal(check_size(&c, 1, 1, 1, &e), -1);
	assert_int_equal(check_size(&c, 1, 1024, UINT32_MAX, &e), -1);
	assert_int_equal(check_size(&c, 21, 1024, 1, &e), -1);
	assert_int_equal(check_size(&c, 1, 1024, 4, &e), 0);
	assert_int_equal(check_port(&p, &c, "tcp", 1500, 80, "", &e), 0);
	assert_string_equal(p.address, "127.0.0.1");
	assert_int_equal(check_port(&q, &c, "tcp", 1500, 81, "0.0.0.0", &e), 0);
	assert_true(ports_conflict(&p, &q));
	q.udp = true;
	assert_false(ports_conflict(&p, &q));
	assert_int_equal(check_port(&q, &c, "udp", 1500, 81, "", &e), -1);
	assert_int_equal(check_port(&q, &c, "tcp", 2001, 81, "", &e), -1);
	assert_int_equal(check_port(&q, &c, "tcp", 65537 + 1500, 81, "", &e), -1);
	assert_int_equal(check_port(&q, &c, "tcp", 1500, 0, "", &e), -1);
	assert_int_equal(check_port(&q, &c, "sctp", 1500, 80, "", &e), -1);
	assert_int_equal(check_port(&q, &c, "tcp", 1500, 80, "127.0.0.1,hostfwd=x", &e), -1);
	assert_int_equal(urls_add(&u, "https://a b", &e), -1);
	for (int i = 0; i < URLS_MAX; i++)
		assert_int_equal(urls_add(&u, "https://a", &e), 0);
	assert_int_equal(urls_add(&u, "https://a", &e), -1);
	config_free(c.raw);
	c = config_from("");
	assert_int_equal(check_port(&p, &c, "tcp", 1500, 80, "", &e), -1);
	assert_string_equal(e.code, "vmm.port_mapping");
	config_free(c.raw);
}

static const char same_port[] = "[[network.forward]]\nlisten = 1\nto = \"127.0.0.1:1\"\n"
				"[[network.forward]]\nlisten = 1\nto = \"127.0.0.1:2\"\n";

static void config_refuses(void **state)
{
	static const char *const bad[] = {
		"tcp_address = \"tcp:0.0.0.0:80\"\n",
		"run_path = \"/a,b\"\n",
		"run_path = \"\"\n",
		"[cvm]\nplatform = \"sgx\"\n",
		"[cvm]\naccel = \"hvf\"\n",
		"[cvm.log]\nmax_bytes = \"12\"\n",
		"[[network.forward]]\nlisten = 1\nto = \"example.org:1\"\n",
		"[[network.forward]]\nlisten = 1\nto = \"127.0.0.1:1\"\nproto = \"icmp\"\n",
		same_port,
		"[cvm.auto_restart]\ninitial_backoff = 400\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct vmm_config c;
		struct err e = { 0 };
		struct config *raw = config_parse(bad[i], strlen(bad[i]), "test", vmm_keys, vmm_keys_n, &e);

		assert_non_null(raw);
		if (vmm_config_load(&c, raw, &e) != -1)
			fail_msg("accepted: %s", bad[i]);
		config_free(raw);
	}
}

static void lock_tells_the_owner(void **state)
{
	struct err e = { 0 };
	int ready[2];
	char c;
	pid_t owner;

	(void)state;
	assert_int_equal(lock_owner("lock", &owner), -1);
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = lock_take("lock", &e);

		if (write(ready[1], "x", 1) == 1 && fd >= 0)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	auto_close int pidfd = lock_owner("lock", &owner);
	assert_true(pidfd >= 0);
	assert_int_equal(owner, pid);
	assert_int_equal(lock_take("lock", &e), -1);
	assert_string_equal(e.code, "vmm.locked");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(lock_owner("lock", &owner), -1); // the file stays, the lock does not
	close(ready[0]);
	close(ready[1]);
}

static void children(void **state)
{
	char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char[]){ "echo out; echo err >&2; exit 3" },
			 NULL };
	char *slow[] = { (char[]){ "sleep" }, (char[]){ "30" }, NULL };
	char *absent[] = { (char[]){ "/no/such/program" }, NULL };
	char out[6];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(child_run(argv, 10, out, sizeof out, &e), 3);
	assert_string_equal(out, "out\ne"); // cut to the buffer
	assert_int_equal(child_run(slow, 1, out, sizeof out, &e), -1);
	assert_int_equal(e.class, ERR_AGAIN);
	assert_int_equal(child_run(absent, 1, out, sizeof out, &e), -1);
	assert_int_equal(e.class, ERR_ABSENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fat_is_a_fat),
		cmocka_unit_test(fat_is_deterministic),
		cmocka_unit_test(fat_refuses),
		cmocka_unit_test(launch_round_trip),
		cmocka_unit_test(launch_refuses),
		cmocka_unit_test(runtime_round_trip),
		cmocka_unit_test(manifest_round_trip),
		cmocka_unit_test(input_checks),
		cmocka_unit_test(config_refuses),
		cmocka_unit_test(lock_tells_the_owner),
		cmocka_unit_test(children),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
