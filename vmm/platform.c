#include "platform.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "child.h"

static bool runnable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

static int find_qemu(char out[static 512], const char *configured, struct err *e)
{
	const char *path = getenv("PATH");

	if (*configured) {
		if (snprintf(out, 512, "%s", configured) >= 512 || !runnable(out))
			return err_code(e, ERR_ABSENT, "platform.qemu", "cvm.qemu_path: %s cannot be run",
					STR_QZ(configured));
		return 0;
	}
	for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
		size_t n = strcspn(p, ":");

		if (snprintf(out, 512, "%.*s/qemu-system-x86_64", (int)n, p) < 512 && runnable(out))
			return 0;
		p += n + (p[n] == ':');
	}
	return err_code(e, ERR_ABSENT, "platform.qemu", "qemu-system-x86_64 is not installed");
}

// "QEMU emulator version 7.2.22 (Debian ...)": the word after `version`, without what follows a plus sign.
static int qemu_version(char out[static 32], char *qemu, struct err *e)
{
	char *argv[] = { qemu, (char[]){ "--version" }, NULL };
	char text[512];
	int status = child_run(argv, 10, text, sizeof text, e);
	const char *v = status == 0 ? strstr(text, "version ") : NULL;

	if (status < 0)
		return -1;
	if (!v)
		return err_code(e, ERR_SYSTEM, "platform.qemu", "%s does not tell its version", qemu);
	v += strlen("version ");
	snprintf(out, 32, "%.*s", (int)strspn(v, "0123456789."), v);
	return 0;
}

bool platform_tdx_here(char why[static 128])
{
	static const char path[] = "/sys/module/kvm_intel/parameters/tdx";
	char v = 0;
	auto_file FILE *f = fopen(path, "re");

	if (!f || fread(&v, 1, 1, f) != 1)
		snprintf(why, 128, "%s is not there", path);
	else if (v != 'Y' && v != '1')
		snprintf(why, 128, "TDX is switched off in the kernel (%s)", path);
	else if (access("/dev/kvm", R_OK | W_OK))
		snprintf(why, 128, "/dev/kvm cannot be used");
	else
		return true;
	return false;
}

static int decide(struct platform_facts *out, const char *want, bool plan_only, struct err *e)
{
	char why[128] = "";

	out->platform = PLATFORM_SOFT;
	if (!strcmp(want, "soft"))
		return 0;
	if (plan_only ? !strcmp(want, "tdx") : platform_tdx_here(why))
		out->platform = PLATFORM_TDX;
	else if (!strcmp(want, "tdx"))
		return err_code(e, ERR_ABSENT, "platform.tdx_unavailable",
				"cvm.platform is tdx but this machine cannot run TDX guests: %s", why);
	return 0;
}

int platform_find(struct platform_facts *out, const struct vmm_config *c, bool plan_only, struct err *e)
{
	const char *accel = config_str(c->raw, "cvm.accel"),
		   *version = config_str(c->raw, "cvm.qemu_version");

	*out = (struct platform_facts){ 0 };
	if (decide(out, config_str(c->raw, "cvm.platform"), plan_only, e))
		return -1;
	if (find_qemu(out->qemu, config_str(c->raw, "cvm.qemu_path"), e))
		return -1;
	if (*version)
		snprintf(out->qemu_version, sizeof out->qemu_version, "%s", version);
	else if (qemu_version(out->qemu_version, out->qemu, e))
		return -1;
	out->vsock_kernel = out->platform == PLATFORM_TDX || !access("/dev/vhost-vsock", R_OK | W_OK);
	if (out->platform == PLATFORM_TDX || !strcmp(accel, "kvm"))
		out->accel = ACCEL_KVM;
	else
		out->accel = !strcmp(accel, "tcg") ? ACCEL_TCG : ACCEL_AUTO;
	return 0;
}

// What the answer depends on: this boot of the host, and the QEMU.
static int probe_key(char out[static 256], const char *qemu)
{
	auto_file FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	char boot[40] = "";
	struct stat st;

	if (!f || !fgets(boot, sizeof boot, f) || stat(qemu, &st))
		return -1;
	boot[strcspn(boot, "\n")] = 0;
	snprintf(out, 256, "%s %llu %lld", boot, (unsigned long long)st.st_ino, (long long)st.st_mtime);
	return 0;
}

static bool probe_boot(const char *qemu, const char *kernel)
{
	auto_free char *q = strdup(qemu), *k = strdup(kernel);
	auto_free char *text = malloc(1 << 18);
	char *argv[] = { q,
			 (char[]){ "-accel" },
			 (char[]){ "kvm" },
			 (char[]){ "-cpu" },
			 (char[]){ "host" },
			 (char[]){ "-machine" },
			 (char[]){ "q35" },
			 (char[]){ "-m" },
			 (char[]){ "256M" },
			 (char[]){ "-nodefaults" },
			 (char[]){ "-nographic" },
			 (char[]){ "-no-reboot" },
			 (char[]){ "-serial" },
			 (char[]){ "stdio" },
			 (char[]){ "-kernel" },
			 k,
			 (char[]){ "-append" },
			 (char[]){ "console=ttyS0 panic=-1" },
			 NULL };
	struct err ignored = { 0 };

	if (!q || !k || !text)
		return false;
	// Without a root file system the kernel gives up soon; its first words are what counts.
	child_run(argv, 5, text, 1 << 18, &ignored);
	return strstr(text, "Linux version") != NULL;
}

bool platform_kvm_works(const char *qemu, const char *kernel, const char *memory_path, char why[static 128])
{
	auto_free char *known = NULL;
	char key[256], line[300];
	struct err ignored = { 0 };
	size_t n;

	snprintf(why, 128, "works");
	if (access("/dev/kvm", R_OK | W_OK)) {
		snprintf(why, 128, "/dev/kvm cannot be used");
		return false;
	}
	if (!access("/sys/module/kvm_pvm", F_OK)) {
		snprintf(why, 128, "kvm_pvm cannot run a stock kernel");
		return false;
	}
	bool keyed = !probe_key(key, qemu);
	if (keyed && !file_read(memory_path, 512, &known, &n, &ignored) && str_starts(known, key)) {
		snprintf(why, 128, "found out earlier in this boot");
		return str_ends(known, " yes\n");
	}
	bool works = probe_boot(qemu, kernel);
	if (!works)
		snprintf(why, 128, "a probe boot showed no kernel within 5 seconds");
	snprintf(line, sizeof line, "%s %s\n", key, works ? "yes" : "no");
	if (keyed && file_write_str(memory_path, 0600, line, &ignored))
		log_warn("vmm", "cannot remember the KVM probe: %s", ignored.text);
	return works;
}
