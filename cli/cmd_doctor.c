// doctor - what this host has for running CVMs, what is used instead of what it lacks, and how to fix that.
#include "command.h"

#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "context.h"
#include "out.h"

enum level { GOOD, INSTEAD, BAD }; // present; absent but there is another way; nothing will run

struct finding {
	enum level level;
	char found[160], instead[160], fix[200];
};

// First line that `argv` prints, without its newline; "" when it cannot be run.
static void first_line(char *out, size_t cap, char *const argv[])
{
	int p[2];

	out[0] = 0;
	if (pipe2(p, O_CLOEXEC))
		return;
	pid_t child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(p[1], 1);
		dup2(null, 2);
		dup2(null, 0);
		alarm(10);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(p[1]);
	FILE *f = fdopen(p[0], "r");
	if (f && fgets(out, (int)cap, f))
		out[strcspn(out, "\n")] = 0;
	if (f)
		fclose(f);
	if (child > 0)
		waitpid(child, NULL, 0);
}

static bool file_says(const char *path, char want)
{
	FILE *f = fopen(path, "r");
	int c = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	return c == want;
}

#define SAY(field, ...) snprintf(f->field, sizeof f->field, __VA_ARGS__)

static void check_kvm(struct finding *f)
{
	bool hardware =
		access("/sys/module/kvm_intel", F_OK) == 0 || access("/sys/module/kvm_amd", F_OK) == 0;

	if (access("/dev/kvm", R_OK | W_OK) == 0 && hardware) {
		SAY(found, "/dev/kvm with a hardware module; the VMM still makes a short probe boot");
		return;
	}
	f->level = INSTEAD;
	if (access("/dev/kvm", F_OK) != 0)
		SAY(found, "no /dev/kvm");
	else
		SAY(found, "/dev/kvm without kvm_intel or kvm_amd (%s): stock kernels do not run on it",
		    access("/sys/module/kvm_pvm", F_OK) == 0 ? "kvm_pvm" : "unknown module");
	SAY(instead, "QEMU's emulation (TCG), one vCPU: slow but complete");
	SAY(fix, "enable VT-x/AMD-V in the firmware and load kvm_intel or kvm_amd; in a cloud use a "
		 "bare-metal machine");
}

static void check_tdx(struct finding *f)
{
	if (file_says("/sys/module/kvm_intel/parameters/tdx", 'Y')) {
		SAY(found, "kvm_intel has TDX on");
		return;
	}
	f->level = INSTEAD;
	SAY(found, "kvm_intel does not offer TDX");
	SAY(instead, "software TEE: the same path with quotes under the development root, which nothing "
		     "accepts by accident");
	SAY(fix, "4th generation Xeon or later, TDX on in the BIOS, kernel 6.16+ with kvm_intel.tdx=1, QEMU "
		 "10.1+");
}

static void check_vsock(struct finding *f)
{
	if (access("/dev/vhost-vsock", R_OK | W_OK) == 0) {
		SAY(found, "/dev/vhost-vsock");
		return;
	}
	f->level = INSTEAD;
	SAY(found, "no /dev/vhost-vsock");
	SAY(instead, "the runner's own vhost-user-vsock back end (guests see the same device)");
	SAY(fix, "modprobe vhost_vsock");
}

static void check_wireguard(struct finding *f)
{
	char line[160];

	if (access("/sys/module/wireguard", F_OK) == 0) {
		SAY(found, "kernel module");
		return;
	}
	first_line(line, sizeof line, (char *[]){ "wireguard-go", "--version", NULL });
	f->level = *line ? INSTEAD : BAD;
	SAY(found, "no kernel module");
	SAY(instead, "%s", *line ? line : "nothing: wireguard-go is not installed either");
	SAY(fix, *line ? "modprobe wireguard" : "modprobe wireguard, or apt-get install wireguard-go");
}

static void check_qemu(struct finding *f)
{
	first_line(f->found, sizeof f->found, (char *[]){ "qemu-system-x86_64", "--version", NULL });
	if (*f->found)
		return;
	f->level = BAD;
	SAY(found, "qemu-system-x86_64 not found");
	SAY(fix, "apt-get install qemu-system-x86");
}

static void check_swtpm(struct finding *f)
{
	first_line(f->found, sizeof f->found, (char *[]){ "swtpm", "--version", NULL });
	if (*f->found)
		return;
	f->level = BAD;
	SAY(found, "swtpm not found");
	SAY(fix, "apt-get install swtpm swtpm-tools");
}

// The firmware is part of the guest image; the host's own OVMF is not used.
static void check_firmware(struct finding *f)
{
	struct context c = { 0 };
	struct err e;
	char path[PATH_MAX + 128], version[64];
	auto_free char *lock = NULL;
	size_t n;

	SAY(found, "comes with the guest image (none is offered yet); the host's is not used");
	if (context_open(&c, NULL, &e) == 0 && *context_get(&c, "image")) {
		snprintf(path, sizeof path, "%s/%s/packages.lock", context_get(&c, "images"),
			 context_get(&c, "image"));
		if (file_read(path, 1 << 20, &lock, &n, &e) == 0) {
			const char *at = strncmp(lock, "ovmf ", 5) == 0 ? lock : strstr(lock, "\novmf ");
			if (at && sscanf(at, " ovmf %63s", version) == 1)
				SAY(found, "ovmf %s of Debian 13, in guest image %s", version,
				    context_get(&c, "image"));
		}
	}
	context_close(&c);
}

static void check_netns(struct finding *f)
{
	pid_t child = fork();
	int status = 1;

	if (child == 0)
		_exit(unshare(CLONE_NEWNET) != 0);
	if (child > 0)
		waitpid(child, &status, 0);
	if (status == 0) {
		SAY(found, "network namespaces can be made");
		return;
	}
	f->level = BAD;
	SAY(found, "network namespaces cannot be made");
	SAY(fix, "run as root, with CAP_SYS_ADMIN and CAP_NET_ADMIN");
}

static void check_tun(struct finding *f)
{
	if (access("/dev/net/tun", R_OK | W_OK) == 0) {
		SAY(found, "/dev/net/tun");
		return;
	}
	f->level = BAD;
	SAY(found, "no /dev/net/tun");
	SAY(fix, "modprobe tun; in a container: --device /dev/net/tun --cap-add NET_ADMIN");
}

static void check_memory(struct finding *f)
{
	struct sysinfo s;
	struct statvfs d;

	if (sysinfo(&s) || statvfs(".", &d)) {
		f->level = BAD;
		SAY(found, "cannot be read");
		return;
	}
	unsigned long mib = (unsigned long)(s.totalram * s.mem_unit >> 20),
		      disk = (unsigned long)(d.f_bavail * d.f_frsize >> 20);
	SAY(found, "%d CPUs, %lu MiB memory, %lu MiB disk free here", get_nprocs(), mib, disk);
	if (mib >= 3500 && disk >= 6000)
		return;
	f->level = BAD;
	SAY(fix, "4 GiB of memory and 6 GiB of disk are needed for the local stack with one VM");
}

static const struct {
	const char *name;
	void (*run)(struct finding *f);
} checks[] = {
	{ "KVM", check_kvm },           { "TDX", check_tdx },
	{ "vhost-vsock", check_vsock }, { "WireGuard", check_wireguard },
	{ "QEMU", check_qemu },         { "swtpm", check_swtpm },
	{ "OVMF", check_firmware },     { "namespaces", check_netns },
	{ "tun", check_tun },           { "resources", check_memory },
};

static const char *const level_name[] = { [GOOD] = "ok", [INSTEAD] = "instead", [BAD] = "missing" };

static void print_json(const char *name, const struct finding *f, bool first)
{
	printf("%s{\"check\":", first ? "" : ",");
	out_json_text(stdout, name);
	printf(",\"state\":\"%s\",\"found\":", level_name[f->level]);
	out_json_text(stdout, f->found);
	fputs(",\"instead\":", stdout);
	out_json_text(stdout, f->instead);
	fputs(",\"fix\":", stdout);
	out_json_text(stdout, f->fix);
	putchar('}');
}

static void print_text(const char *name, const struct finding *f)
{
	printf("%-8s %-12s %s\n", level_name[f->level], name, f->found);
	if (*f->instead)
		printf("%22s used instead: %s\n", "", f->instead);
	if (*f->fix)
		printf("%22s to fix: %s\n", "", f->fix);
}

int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
	bool json = false, ready = true;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c != 'j')
			return command_usage("doctor");
		json = true;
	}
	if (optind != argc)
		return command_usage("doctor");
	if (json)
		fputs("{\"checks\":[", stdout);
	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
		struct finding f = { 0 };
		checks[i].run(&f);
		ready &= f.level != BAD;
		if (json)
			print_json(checks[i].name, &f, i == 0);
		else
			print_text(checks[i].name, &f);
	}
	if (json)
		printf("],\"ok\":%s}\n", ready ? "true" : "false");
	return ready ? 0 : 1;
}
