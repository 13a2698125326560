#include "oneshot.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "daemon/request.h"
#include "daemon/state.h"
#include "launch.h"
#include "rpc/pbjson.h"
#include "runner/runner.h"
#include "share.h"

static const char usage[] =
	"usage: dstack-vmm run vm.json [-c FILE] [--workdir D] [--dry-run]\n"
	"Run the VM that a VmConfiguration in JSON describes, in the foreground.\n\n"
	"  -c, --config FILE   configuration of the VMM (default: all defaults)\n"
	"      --workdir D     folder for its files (default: dstack-oneshot-<name>-<time>)\n"
	"      --dry-run       print QEMU's command line, run nothing\n";

struct options {
	const char *vm, *config, *workdir;
	bool dry_run;
};

static int parse(struct options *o, int argc, char **argv, int *status)
{
	static const struct option table[] = { { "config", required_argument, NULL, 'c' },
					       { "workdir", required_argument, NULL, 'w' },
					       { "dry-run", no_argument, NULL, 'n' },
					       { "help", no_argument, NULL, 'h' },
					       { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "c:h", table, NULL)) != -1) {
		if (c == 'c')
			o->config = optarg;
		else if (c == 'w')
			o->workdir = optarg;
		else if (c == 'n')
			o->dry_run = true;
		else {
			fputs(usage, c == 'h' ? stdout : stderr);
			*status = c == 'h' ? 0 : 2;
			return -1;
		}
	}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		*status = 2;
		return -1;
	}
	o->vm = argv[optind];
	return 0;
}

static struct config *read_config(const char *path, struct err *e)
{
	return path ? config_read(path, vmm_keys, vmm_keys_n, e)
		    : config_parse("", 0, "defaults", vmm_keys, vmm_keys_n, e);
}

// Without a compose file: one that starts nothing.
static const char no_compose[] = "{\"manifest_version\":1,\"name\":\"oneshot\",\"runner\":\"none\"}";

static int read_vm(struct vm_request *q, const struct options *o, const struct daemon *d, struct arena *a,
		   struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	if (file_read(o->vm, 64 << 20, &text, &n, e))
		return -1;
	Vmm__VmConfiguration *in = pbjson_read(&vmm__vm_configuration__descriptor, span_of(text, n), a, e);
	if (!in)
		return err_wrap(e, "%s", o->vm);
	if (!*in->compose_file)
		in->compose_file = arena_str(a, no_compose);
	return in->compose_file ? request_read(q, in, d, e) : err_set(e, ERR_SYSTEM, "out of memory");
}

// The folder as an absolute path, made if it is not there.
static int make_workdir(char out[static 512], const struct options *o, const char *name, struct err *e)
{
	auto_free char *made = str_format("dstack-oneshot-%s-%llu", name, (unsigned long long)time_now());
	const char *path = o->workdir ? o->workdir : made;
	char cwd[512] = "";

	if (!path || (path[0] != '/' && !getcwd(cwd, sizeof cwd)))
		return err_errno(e, "find the current folder");
	if (snprintf(out, 512, "%s%s%s", cwd, path[0] == '/' ? "" : "/", path) >= 512)
		return err_set(e, ERR_INPUT, "path of the work folder is too long");
	return o->dry_run ? 0 : file_mkdirs(out, 0700, e);
}

static int dry_run(struct vm *v, struct err *e)
{
	struct launch_scratch scratch;
	auto_free struct launch *l = malloc(sizeof *l);
	auto_args a = { 0 };

	if (!l || vm_plan_launch(v, l, e))
		return l ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	if (l->accel == ACCEL_AUTO) // the probe belongs to a real start
		l->accel = ACCEL_TCG;
	struct qemu_plan plan = launch_plan(l, v->dir, &scratch);
	if (qemu_command(&a, &plan, e))
		return -1;
	args_print(stdout, &a, true);
	return 0;
}

static int run(const struct options *o, struct daemon *d, struct arena *a, struct err *e)
{
	auto_free struct vm_request *q = calloc(1, sizeof *q);
	auto_free struct vm *v = calloc(1, sizeof *v);

	if (!q || !v)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (read_vm(q, o, d, a, e) || platform_find(&d->facts, &d->config, o->dry_run, e) ||
	    make_workdir(d->config.run_path, o, q->m.name, e))
		return -1;
	v->owner = d;
	v->m = q->m;
	snprintf(v->dir, sizeof v->dir, "%s", d->config.run_path);
	snprintf(v->m.id, sizeof v->m.id, "oneshot");
	v->m.cid = (uint32_t)config_int(d->config.raw, "cvm.cid_start");
	v->m.created_at_ms = time_now_ms();
	if (compose_read(&v->app, q->compose, q->compose_n, e))
		return -1;
	if (!q->has_app_id)
		memcpy(v->m.app_id, v->app.app_id, sizeof v->m.app_id);
	if (o->dry_run)
		return dry_run(v, e);
	if (share_create(v->dir, &v->m, q->compose, q->compose_n, q->env, q->env_n, q->user_config, e) ||
	    vm_prepare_launch(v, e))
		return -1;
	log_info("vmm", "console: %s/serial.log", v->dir);
	return runner_run(v->dir, e);
}

int oneshot_main(int argc, char **argv)
{
	struct options o = { 0 };
	char program[4096] = "";
	struct daemon d = { .program = program };
	struct err e = { 0 };
	auto_arena *a = arena_new(0);
	int status = 0;

	if (parse(&o, argc, argv, &status))
		return status;
	if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
		program[0] = 0;
	struct config *raw = read_config(o.config, &e);
	d.images = image_memory_new();
	// What `e` holds after a success may be of an optional file that was not there.
	if (raw && a && d.images && !vmm_config_load(&d.config, raw, &e))
		status = run(&o, &d, a, &e);
	else
		status = -1;
	image_memory_free(d.images);
	config_free(raw);
	if (status == 0)
		return 0;
	if (!e.class)
		err_set(&e, ERR_SYSTEM, "out of memory");
	log_error("vmm", "%s%s%s", e.text, *e.code ? " code=" : "", e.code);
	return err_exit(&e);
}
