// ls, logs, start, stop, rm - the life of a VM after deploy.
#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sb.h"
#include "base/strings.h"
#include "base/time.h"
#include "out.h"
#include "rpc/pbjson.h"
#include "vms.h"

enum { STOP_SECONDS = 60, LINES_DEFAULT = 1000 };

struct flags {
	bool json, force, follow, wait;
	uint64_t lines;
	const char *what; // the VM named
};

static int flags_read(struct flags *f, int argc, char **argv, bool wants_vm, struct err *e)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },        { "force", no_argument, NULL, 'F' },
		{ "follow", no_argument, NULL, 'f' },      { "wait", no_argument, NULL, 'w' },
		{ "lines", required_argument, NULL, 'n' }, { 0 },
	};

	*f = (struct flags){ .lines = LINES_DEFAULT };
	for (int c; (c = getopt_long(argc, argv, "fn:", options, NULL)) != -1;) {
		switch (c) {
		case 'j':
			f->json = true;
			break;
		case 'F':
			f->force = true;
			break;
		case 'f':
			f->follow = true;
			break;
		case 'w':
			f->wait = true;
			break;
		case 'n':
			if (!str_u64(optarg, &f->lines))
				return err_set(e, ERR_INPUT, "--lines wants a number");
			break;
		default:
			return err_set(e, ERR_INPUT, "see dstack %s --help", argv[0]);
		}
	}
	if (wants_vm && optind + 1 != argc)
		return err_set(e, ERR_INPUT, "dstack %s wants one VM; see dstack ls", argv[0]);
	f->what = wants_vm ? argv[optind] : NULL;
	return 0;
}

static void print_json(const ProtobufCMessage *m)
{
	auto_sb b = { 0 };

	pbjson_write(&b, m);
	printf("%s\n", b.bad ? "null" : b.p);
}

static void print_vms(const Vmm__StatusResponse *all)
{
	static const char *const head[] = { "NAME", "APP", "VM", "STATE", "BOOT", "UP", NULL };
	const char *const **rows = calloc(all->n_vms + 1, sizeof *rows);
	char(*short_app)[13] = calloc(all->n_vms + 1, sizeof *short_app);
	const char *(*cells)[7] = calloc(all->n_vms + 1, sizeof *cells);

	if (!rows || !short_app || !cells)
		abort();
	rows[0] = head;
	for (size_t i = 0; i < all->n_vms; i++) {
		const Vmm__VmInfo *vm = all->vms[i];
		snprintf(short_app[i], sizeof short_app[i], "%.12s", vm->app_id);
		const char *row[7] = { vm->name,
				       short_app[i],
				       vm->id,
				       vm->status,
				       *vm->boot_error ? vm->boot_error : vm->boot_progress,
				       vm->uptime,
				       NULL };
		memcpy(cells[i], row, sizeof row);
		rows[i + 1] = cells[i];
	}
	out_table(stdout, rows, all->n_vms + 1);
	free(rows);
	free(short_app);
	free(cells);
}

int cmd_ls(int argc, char **argv)
{
	struct err e;
	struct flags f;
	struct vms v = { 0 };
	Vmm__StatusResponse *all;
	int status =
		flags_read(&f, argc, argv, false, &e) || vms_open(&v, &e) || vms_list(&v, true, &all, &e);

	if (!status && f.json)
		print_json(&all->base);
	else if (!status)
		print_vms(all);
	vms_close(&v);
	return status ? command_fail(&e, f.json) : 0;
}

struct log_out {
	bool json;
	struct sb line;
};

// Lines as they are, or one JSON object a line.
static int log_piece(void *arg, const char *p, size_t n)
{
	struct log_out *o = arg;

	if (!o->json) {
		fwrite(p, 1, n, stdout);
		return fflush(stdout);
	}
	for (size_t i = 0; i < n; i++) {
		if (p[i] != '\n') {
			sb_chr(&o->line, p[i]);
			continue;
		}
		auto_sb text = { 0 };
		sb_json_str_n(&text, o->line.p, o->line.n);
		printf("{\"line\":%s}\n", text.bad ? "null" : text.p);
		o->line.n = 0;
	}
	return fflush(stdout);
}

int cmd_logs(int argc, char **argv)
{
	struct err e;
	struct flags f;
	struct vms v = { 0 };
	Vmm__VmInfo *vm;
	int status =
		flags_read(&f, argc, argv, true, &e) || vms_open(&v, &e) || vms_find(&v, f.what, &vm, &e);

	if (!status) {
		const char *vmm = context_get(&v.ctx, "vmm");
		char path[256];
		auto_rpc_client *rpc = rpc_client_new(vmm, NULL, &e);
		struct log_out o = { .json = f.json };
		snprintf(path, sizeof path, "/logs?id=%s&follow=%s&ansi=false&lines=%llu", vm->id,
			 f.follow ? "true" : "false", (unsigned long long)f.lines);
		status = !rpc || rpc_client_stream(rpc, path, log_piece, &o, &e);
		sb_free(&o.line);
	}
	vms_close(&v);
	return status ? command_fail(&e, f.json) : 0;
}

static int done(const struct flags *f, const char *id, const char *what)
{
	if (f->json)
		printf("{\"ok\":true,\"id\":\"%s\",\"state\":\"%s\"}\n", id, what);
	else
		printf("%s %s\n", id, what);
	return 0;
}

int cmd_start(int argc, char **argv)
{
	struct err e;
	struct flags f;
	struct vms v = { 0 };
	Vmm__VmInfo *vm;
	int status = flags_read(&f, argc, argv, true, &e) || vms_open(&v, &e) ||
		     vms_find(&v, f.what, &vm, &e) || vms_do(&v, "StartVm", vm->id, &e) ||
		     (f.wait && vms_wait(&v, vm->id, f.json, &e));

	if (!status)
		done(&f, vm->id, f.wait ? "running" : "started");
	vms_close(&v);
	return status ? command_fail(&e, f.json) : 0;
}

// Until its process is gone: a disk is only consistent then.
static int wait_stopped(struct vms *v, const char *id, struct err *e)
{
	uint64_t end = time_mono_ms() + STOP_SECONDS * 1000ULL;

	while (time_mono_ms() < end) {
		Vmm__VmInfo *vm;
		if (vms_state(v, id, &vm, e))
			return -1;
		if (strcmp(vm->status, "stopped") == 0 || strcmp(vm->status, "exited") == 0)
			return 0;
		time_sleep_ms(250);
	}
	return err_code(e, ERR_AGAIN, "cli.stop_timeout",
			"still running after %d s; dstack stop --force ends it", STOP_SECONDS);
}

static int stop_vm(struct vms *v, const Vmm__VmInfo *vm, bool force, struct err *e)
{
	if (strcmp(vm->status, "stopped") == 0)
		return 0;
	if (vms_do(v, force || strcmp(vm->status, "exited") == 0 ? "StopVm" : "ShutdownVm", vm->id, e))
		return -1;
	return wait_stopped(v, vm->id, e);
}

int cmd_stop(int argc, char **argv)
{
	struct err e;
	struct flags f;
	struct vms v = { 0 };
	Vmm__VmInfo *vm;
	int status = flags_read(&f, argc, argv, true, &e) || vms_open(&v, &e) ||
		     vms_find(&v, f.what, &vm, &e) || stop_vm(&v, vm, f.force, &e);

	if (!status)
		done(&f, vm->id, "stopped");
	vms_close(&v);
	return status ? command_fail(&e, f.json) : 0;
}

static int remove_vm(struct vms *v, const Vmm__VmInfo *vm, bool force, struct err *e)
{
	bool runs = strcmp(vm->status, "running") == 0 || strcmp(vm->status, "stopping") == 0;

	if (runs && !force)
		return err_code(e, ERR_DENIED, "cli.running", "%s is running: stop it first, or rm --force",
				vm->id);
	if (runs && stop_vm(v, vm, true, e))
		return -1;
	return vms_do(v, "RemoveVm", vm->id, e);
}

int cmd_rm(int argc, char **argv)
{
	struct err e;
	struct flags f;
	struct vms v = { 0 };
	Vmm__VmInfo *vm;
	int status = flags_read(&f, argc, argv, true, &e) || vms_open(&v, &e) ||
		     vms_find(&v, f.what, &vm, &e) || remove_vm(&v, vm, f.force, &e);

	if (!status)
		done(&f, vm->id, "removed");
	vms_close(&v);
	return status ? command_fail(&e, f.json) : 0;
}
