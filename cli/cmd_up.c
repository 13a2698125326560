// up, down - the local development stack: every service on this machine's loopback, everything under one
// folder.
#include "command.h"

#include <dirent.h>
#include <getopt.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "policy/policy.h"
#include "image_pack.h"
#include "progress.h"
#include "stack.h"
#include "stackconf.h"
#include "vms.h"
#include "../vmm/lock.h"

enum { IMAGES_MAX = 16, SHUTDOWN_SECONDS = 40, RUNNER_SECONDS = 30 };

struct up {
	struct stackconf conf;
	const char *images[IMAGES_MAX];
	size_t n_images;
	uint64_t port_base;
	const char *dir, *kms; // "cvm", "host", NULL: as it is
	bool json, kms_in_cvm;
};

static int read_options(struct up *u, int argc, char **argv, struct err *e)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "image", required_argument, NULL, 'i' },
		{ "port-base", required_argument, NULL, 'p' },
		{ "kms", required_argument, NULL, 'k' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};

	u->dir = getenv("DSTACK_HOME") ? getenv("DSTACK_HOME") : ".dstack";
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'd')
			u->dir = optarg;
		else if (c == 'j')
			u->json = true;
		else if (c == 'i' && u->n_images < IMAGES_MAX)
			u->images[u->n_images++] = optarg;
		else if (c == 'k' && (!strcmp(optarg, "cvm") || !strcmp(optarg, "host")))
			u->kms = optarg;
		else if (c == 'p' && str_uint(optarg, 1024, 65000, &u->port_base))
			continue;
		else
			return err_set(e, ERR_INPUT, "see dstack %s --help", argv[0]);
	}
	if (optind != argc)
		return err_set(e, ERR_INPUT, "dstack %s takes no '%s'", argv[0], argv[optind]);
	return 0;
}

// A stack that exists keeps its ports and its image unless others are asked for, and its KMS where it is:
// keys do not move.
static int keep_settings(struct up *u, struct err *e)
{
	struct context was = { 0 };
	struct err none;
	bool exists = false;
	int kms;

	if (context_open(&was, u->dir, &none) == 0) {
		if (u->port_base == 0 && context_port(&was) > PORT_GATEWAY)
			u->port_base = (uint64_t)context_port(&was) - PORT_GATEWAY;
		snprintf(u->conf.image, sizeof u->conf.image, "%s", context_get(&was, "image"));
		u->kms_in_cvm = *context_get(&was, "kms_app") != 0;
		kms = stackconf_kms_find(context_get(&was, "kms_app"));
		u->conf.kms = kms < 0 ? 0 : (unsigned)kms;
		exists = true;
	}
	context_close(&was);
	if (u->port_base == 0)
		u->port_base = STACK_PORT_BASE;
	bool wanted = u->kms ? !strcmp(u->kms, "cvm") : u->kms_in_cvm;
	if (exists && wanted != u->kms_in_cvm)
		return err_code(e, ERR_DENIED, "cli.kms_moved",
				"the KMS of this stack runs %s and its keys stay there: use another --dir",
				u->kms_in_cvm ? "in a CVM" : "on the host");
	u->kms_in_cvm = wanted;
	return 0;
}

static int make_folders(struct up *u, struct err *e)
{
	static const char *const folders[] = { "",          "/run",     "/log",       "/pki",
					       "/kms",      "/gateway", "/vmm",       "/images",
					       "/registry", "/apps",    "/kms/images" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		snprintf(path, sizeof path, "%s%s", u->dir, folders[i]);
		if (file_mkdirs(path, 0700, e))
			return -1;
	}
	char *real = realpath(u->dir, path), image[sizeof u->conf.image];
	if (!real)
		return err_errno(e, "state folder %s", u->dir);
	if (keep_settings(u, e))
		return -1;
	unsigned kms = u->conf.kms;
	memcpy(image, u->conf.image, sizeof image);
	int status = stackconf_init(&u->conf, real, (unsigned)u->port_base, u->kms_in_cvm, e);
	memcpy(u->conf.image, image, sizeof image);
	u->conf.kms = kms;
	return status;
}

// The operator's word that apps may run on this image: it is in the KMS's allow-list.
static int allow_image(struct up *u, char *digest, struct err *e)
{
	char path[PATH_MAX + 64];

	digest[strcspn(digest, "\r\n ")] = 0;
	snprintf(path, sizeof path, "%s/kms/policy.toml", u->conf.dir);
	return policy_file_allow_image(path, digest, e);
}

// An image is offered under a name that says which bytes it is: its version and the head of its digest.
static int offer_image(struct up *u, const char *image, struct err *e)
{
	char real[PATH_MAX], path[PATH_MAX + 128], link_path[PATH_MAX + 64];
	auto_free char *digest = NULL;
	size_t n;

	if (!realpath(image, real))
		return err_errno(e, "guest image %s", image);
	snprintf(path, sizeof path, "%s/digest.txt", real);
	if (file_read(path, 256, &digest, &n, e))
		return err_wrap(e, "guest image %s", image);
	if (n < 16)
		return err_code(e, ERR_INPUT, "image.digest", "%s holds no digest", path);
	snprintf(link_path, sizeof link_path, "%s/images/dstack-%.12s", u->conf.dir, digest);
	if (allow_image(u, digest, e))
		return -1;
	struct stat s;
	snprintf(u->conf.image, sizeof u->conf.image, "dstack-%.12s", digest);
	char packed[PATH_MAX];
	snprintf(packed, sizeof packed, "%s/kms/images", u->conf.dir);
	if (u->kms_in_cvm && image_pack(real, packed, e)) // from where the KMS downloads it
		return -1;
	if (stat(link_path, &s) == 0)
		return 0;
	// A copy, not a link: a VM that runs keeps its bytes when the image is built anew.
	struct stack_service copy = { .name = "image",
				      .argv = { "cp", "-a", "--reflink=auto", real, NULL, NULL } };
	snprintf(path, sizeof path, "%s.new", link_path);
	copy.argv[4] = path;
	if (file_remove_tree(path, e) || stack_run(u->conf.dir, &copy, e))
		return -1;
	return rename(path, link_path) ? err_errno(e, "keep image %s", link_path) : 0;
}

static int start_all(struct up *u, struct progress *p, struct err *e)
{
	for (size_t i = 0; i < u->conf.n; i++) {
		const struct stack_step *step = &u->conf.step[i];
		progress_stage(p, "%s", step->service.name);
		if (step->once && file_exists(step->once))
			continue;
		if (step->service.ready ? stack_start(u->conf.dir, &step->service, e)
					: stack_run(u->conf.dir, &step->service, e))
			return -1;
	}
	return 0;
}

int cmd_up(int argc, char **argv)
{
	struct err e;
	struct up u = { 0 };
	struct progress p;
	int status = read_options(&u, argc, argv, &e);

	progress_init(&p, u.json);
	status = status || make_folders(&u, &e) || stackconf_prepare(&u.conf, &e);
	for (size_t i = 0; !status && i < u.n_images; i++) {
		progress_stage(&p, "guest image %s", u.images[i]);
		status = offer_image(&u, u.images[i], &e);
	}
	status = status || start_all(&u, &p, &e) || stackconf_write_context(&u.conf, &e);
	progress_end(&p, !status);
	if (status)
		return command_fail(&e, u.json);
	if (u.json)
		printf("{\"ok\":true,\"dir\":\"%s\"}\n", u.conf.dir);
	else
		printf("stack in %s: dstack ls, deploy, doctor\n", u.conf.dir);
	return 0;
}

// VMs outlive their VMM: one that died is started again, takes its VMs over, and stops them.
static void revive_vmm(const char *dir)
{
	char config[PATH_MAX + 32], ready[PATH_MAX + 32];
	struct err e;

	snprintf(config, sizeof config, "%s/vmm/vmm.toml", dir);
	snprintf(ready, sizeof ready, "unix:%s/vmm/vmm.sock", dir);
	struct stack_service vmm = { "vmm", { "dstack-vmm", "-c", config }, ready };
	if (file_exists(config) && stack_start(dir, &vmm, &e))
		command_fail(&e, false);
}

static bool is_up(const Vmm__VmInfo *vm)
{
	return strcmp(vm->status, "running") == 0 || strcmp(vm->status, "stopping") == 0;
}

// Asked first, so that file systems are closed; told after SHUTDOWN_SECONDS.
static void wait_off(struct vms *v)
{
	uint64_t end = time_mono_ms() + SHUTDOWN_SECONDS * 1000ULL;
	Vmm__StatusResponse *all;
	struct err e;

	while (time_mono_ms() < end && vms_list(v, false, &all, &e) == 0) {
		size_t up = 0;
		for (size_t i = 0; i < all->n_vms; i++)
			up += is_up(all->vms[i]);
		if (up == 0)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 300000000L }, NULL);
	}
}

static void stop_vms(const char *dir, bool json)
{
	struct err e;
	struct vms v = { 0 };
	Vmm__StatusResponse *all;

	setenv("DSTACK_HOME", dir, 1);
	if (vms_open(&v, &e) == 0 && vms_list(&v, false, &all, &e) == 0) {
		for (size_t i = 0; i < all->n_vms; i++)
			if (is_up(all->vms[i]))
				(void)!vms_do(&v, "ShutdownVm", all->vms[i]->id, &e);
		wait_off(&v);
		for (size_t i = 0; i < all->n_vms; i++) {
			if (strcmp(all->vms[i]->status, "stopped") == 0)
				continue;
			bool stopped = vms_do(&v, "StopVm", all->vms[i]->id, &e) == 0;
			if (!json)
				fprintf(stderr, "%s VM %s%s%s\n", stopped ? "stopped" : "could not stop",
					all->vms[i]->name, stopped ? "" : ": ", stopped ? "" : e.text);
		}
	}
	vms_close(&v);
}

// A VM that was told to stop is gone when its runner is, which cleans up after it.
static int wait_runners(const char *dir, struct err *e)
{
	uint64_t end = time_mono_ms() + RUNNER_SECONDS * 1000ULL;
	char path[PATH_MAX + 32];
	glob_t found = { 0 };
	int rc = 0;

	snprintf(path, sizeof path, "%s/vmm/vm/*/runner.lock", dir);
	if (glob(path, 0, NULL, &found))
		found.gl_pathc = 0;
	for (size_t i = 0; i < found.gl_pathc && !rc; i++) {
		pid_t pid = 0;
		auto_close int fd = lock_owner(found.gl_pathv[i], &pid);
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = time_mono_ms();
		if (fd >= 0 && poll(&p, 1, now < end ? (int)(end - now) : 0) != 1)
			rc = err_set(e, ERR_AGAIN, "the runner of a VM (pid %d) has not ended", (int)pid);
	}
	globfree(&found);
	return rc;
}

int cmd_down(int argc, char **argv)
{
	struct err e;
	struct up u = { 0 };
	char dir[PATH_MAX];
	int status = read_options(&u, argc, argv, &e), failed = 0;

	if (status || !realpath(u.dir, dir)) {
		if (!status)
			err_code(&e, ERR_ABSENT, "cli.no_stack", "no stack in %s", u.dir);
		return command_fail(&e, u.json);
	}
	revive_vmm(dir);
	stop_vms(dir, u.json);
	if (wait_runners(dir, &e)) {
		failed = 1;
		command_fail(&e, false);
	}
	for (size_t i = stackconf_n_services; i-- > 0;) {
		bool was = false;
		if (stack_stop(dir, stackconf_services[i], &was, &e)) {
			failed = 1;
			command_fail(&e, false);
		} else if (was && !u.json) {
			fprintf(stderr, "stopped %s\n", stackconf_services[i]);
		}
	}
	if (u.json)
		printf("{\"ok\":%s}\n", failed ? "false" : "true");
	return failed;
}
