// dstack-init - PID 1 of the initramfs: from a measured command line to a verified root.
//
// Mounts the kernel's file systems, loads the modules that lie beside it, finds the root partition, puts
// dm-verity on it with the measured root hash, mounts it read-only and hands over to /sbin/init of the root.
// Nothing here asks the host for anything but blocks, and a block that does not match stops the kernel.
// Any failure prints one line "dstack-init: code: text" and powers the machine off.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "params.h"
#include "verity.h"

enum { TEXT_MAX = 4096, FIND_TRIES = 250, FIND_WAIT_MS = 20 }; // five seconds for a slow disk

static const char MODULES[] = "/lib/modules", ROOT[] = "/root";

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say(const char *what)
{
	printf("dstack-init: [%.2f] %s\n", now(), what);
}

// At most cap - 1 bytes of a small file, always terminated.
static ssize_t read_text(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got;

	if (fd < 0)
		return -1;
	while (n + 1 < cap && (got = read(fd, out + n, cap - 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	out[n] = 0;
	return (ssize_t)n;
}

static int mount_one(const char *type, const char *at, unsigned long flags, const char *data, struct err *e)
{
	mkdir(at, 0755);
	if (mount(type, at, type, flags, data) < 0 && errno != EBUSY) {
		err_errno(e, "mount %s", at);
		snprintf(e->code, sizeof e->code, "init.mount");
		return -1;
	}
	return 0;
}

static int mount_kernel(struct err *e)
{
	if (mount_one("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, e) < 0 ||
	    mount_one("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, e) < 0 ||
	    mount_one("devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=0755", e) < 0 ||
	    mount_one("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755", e) < 0)
		return -1;
	int console = open("/dev/console", O_RDWR | O_NOCTTY);
	for (int fd = 0; console >= 0 && fd < 3; fd++)
		dup2(console, fd);
	if (console > 2)
		close(console);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return 0;
}

static int load_module(const char *name, struct err *e)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s.ko", MODULES, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long rc = fd < 0 ? -1 : syscall(SYS_finit_module, fd, "", 0);
	int reason = errno;
	if (fd >= 0)
		close(fd);
	if (rc == 0 || (fd >= 0 && reason == EEXIST))
		return 0;
	return err_code(e, ERR_SYSTEM, "init.module", "load %s: %s", name, strerror(reason));
}

// The list is in load order, one a line: "name", or "name flag" for one that is only of use on processors
// with that flag (hash instructions: emulation makes them slower than plain code).
static int load_modules(struct err *e)
{
	char list[TEXT_MAX], cpu[TEXT_MAX], path[64], *rest = list, *line;

	snprintf(path, sizeof path, "%s/order", MODULES);
	if (read_text(path, list, sizeof list) < 0)
		return err_code(e, ERR_SYSTEM, "init.module", "%s is missing", path);
	if (read_text("/proc/cpuinfo", cpu, sizeof cpu) < 0)
		cpu[0] = 0;
	while ((line = strsep(&rest, "\n")) && *line) {
		char *flag = strchr(line, ' ');

		if (flag) {
			*flag++ = 0;
			if (!strstr(cpu, flag))
				continue;
		}
		if (load_module(line, e) < 0)
			return -1;
	}
	return 0;
}

static bool find_label(const char *label, char *dev, size_t cap)
{
	DIR *dir = opendir("/sys/class/block");
	bool found = false;

	for (struct dirent *d; dir && !found && (d = readdir(dir));) {
		char path[320], text[TEXT_MAX], name[PARAMS_DEVICE_MAX + 1];

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/sys/class/block/%s/uevent", d->d_name);
		ssize_t n = read_text(path, text, sizeof text);
		found = n > 0 && uevent_has_label(text, (size_t)n, label, name, sizeof name);
		if (found)
			snprintf(dev, cap, "/dev/%s", name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static int find_root(const struct params *p, char *dev, size_t cap, struct err *e)
{
	struct timespec wait = { 0, FIND_WAIT_MS * 1000000L };

	for (int i = 0; i < FIND_TRIES; i++) {
		if (!p->root_path[0] && find_label(p->root_label, dev, cap))
			return 0;
		if (p->root_path[0] && access(p->root_path, F_OK) == 0) {
			snprintf(dev, cap, "%s", p->root_path);
			return 0;
		}
		nanosleep(&wait, NULL);
	}
	return err_code(e, ERR_ABSENT, "init.root", "no disk has the partition %s",
			p->root_path[0] ? p->root_path : p->root_label);
}

static int mount_root(const char *node, struct err *e)
{
	static const char *const types[] = { "erofs", "squashfs" };

	mkdir(ROOT, 0755);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (mount(node, ROOT, types[i], MS_RDONLY, NULL) == 0)
			return 0;
	err_errno(e, "mount %s", node);
	snprintf(e->code, sizeof e->code, "init.mount");
	return -1;
}

// Give the initramfs' memory back. Only our own file system: what is mounted on it has another device number.
static void remove_tree(int dirfd, dev_t own)
{
	DIR *dir = fdopendir(dirfd);

	for (struct dirent *d; dir && (d = readdir(dir));) {
		struct stat st;
		int fd = dirfd;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		    fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != own)
			continue;
		if (S_ISDIR(st.st_mode)) {
			int sub = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (sub >= 0)
				remove_tree(sub, own);
			unlinkat(fd, d->d_name, AT_REMOVEDIR);
		} else {
			unlinkat(fd, d->d_name, 0);
		}
	}
	if (dir)
		closedir(dir);
}

static int switch_root(struct err *e)
{
	static const char *const moved[] = { "/dev", "/proc", "/sys", "/run" };
	char to[64];
	struct stat st;
	int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
		snprintf(to, sizeof to, "%s%s", ROOT, moved[i]);
		if (mount(moved[i], to, NULL, MS_MOVE, NULL) < 0)
			return err_code(e, ERR_SYSTEM, "init.switch", "move %s: %s", moved[i],
					strerror(errno));
	}
	if (old < 0 || fstat(old, &st) < 0 || chdir(ROOT) < 0)
		return err_code(e, ERR_SYSTEM, "init.switch", "enter the root: %s", strerror(errno));
	remove_tree(old, st.st_dev);
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_code(e, ERR_SYSTEM, "init.switch", "change the root: %s", strerror(errno));
	execl("/sbin/init", "init", (char *)NULL);
	return err_code(e, ERR_SYSTEM, "init.switch", "start /sbin/init: %s", strerror(errno));
}

static int boot(struct err *e)
{
	char text[TEXT_MAX], dev[PARAMS_DEVICE_MAX + 8], node[32];
	struct params p;

	if (mount_kernel(e) < 0)
		return -1;
	ssize_t n = read_text("/proc/cmdline", text, sizeof text);
	if (n < 0)
		return err_code(e, ERR_SYSTEM, "init.cmdline", "cannot read /proc/cmdline");
	if (params_parse(&p, text, (size_t)n, e) < 0 || load_modules(e) < 0 ||
	    find_root(&p, dev, sizeof dev, e) < 0)
		return -1;
	if (verity_open(node, sizeof node, "rootfs", dev, p.root_hash, p.root_size, e) < 0) {
		if (!e->code[0])
			snprintf(e->code, sizeof e->code, "init.verity");
		return -1;
	}
	snprintf(text, sizeof text, "root verity active on %s, hash %.16s…", dev, p.root_hash);
	say(text);
	if (mount_root(node, e) < 0)
		return -1;
	say("root mounted");
	return switch_root(e);
}

int main(void)
{
	struct err e = { 0 };

	if (getpid() != 1) {
		fputs("dstack-init: this is the guest's first process; it does nothing elsewhere\n", stderr);
		return 1;
	}
	boot(&e);
	printf("dstack-init: %s: %s\n", e.code, e.text);
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
