#include "vms.h"

#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "progress.h"

enum { BOOT_SECONDS_MAX = 600, POLL_MS = 250 };

static struct rpc_client *client_at(struct vms *v, const char *mount, struct err *e)
{
	char url[PATH_MAX + 16];
	const char *vmm = context_get(&v->ctx, "vmm");

	snprintf(url, sizeof url, strncmp(vmm, "unix:", 5) == 0 ? "%s:/%s" : "%s/%s", vmm, mount);
	return rpc_client_new(url, NULL, e);
}

int vms_open(struct vms *v, struct err *e)
{
	*v = (struct vms){ 0 };
	if (context_open(&v->ctx, NULL, e))
		return -1;
	v->arena = arena_new(0);
	v->rpc = v->arena ? client_at(v, "prpc", e) : NULL;
	return v->rpc ? 0 : -1;
}

void vms_close(struct vms *v)
{
	rpc_client_free(v->rpc);
	arena_free(v->arena);
	context_close(&v->ctx);
}

int vms_list(struct vms *v, bool whole, Vmm__StatusResponse **out, struct err *e)
{
	Vmm__StatusRequest in;

	vmm__status_request__init(&in);
	in.brief = !whole;
	if (rpc_client_call(v->rpc, "Status", &in.base, &vmm__status_response__descriptor, v->arena,
			    (void **)out, e))
		return err_wrap(e, "ask the VMM for its VMs");
	return 0;
}

static bool has_prefix(const char *id, const char *what)
{
	return id && strlen(what) >= 4 && strncmp(id, what, strlen(what)) == 0;
}

int vms_find(struct vms *v, const char *what, Vmm__VmInfo **out, struct err *e)
{
	Vmm__StatusResponse *all;
	size_t found = 0;

	if (vms_list(v, false, &all, e))
		return -1;
	for (size_t i = 0; i < all->n_vms; i++) {
		Vmm__VmInfo *vm = all->vms[i];
		const char *instance = vm->opt_instance_id_case ? vm->instance_id : NULL;
		if (strcmp(vm->id, what) == 0) {
			*out = vm;
			return 0;
		}
		if (strcmp(vm->name, what) != 0 && !has_prefix(vm->id, what) &&
		    !has_prefix(vm->app_id, what) && !has_prefix(instance, what))
			continue;
		*out = vm;
		found++;
	}
	if (found == 0)
		return err_code(e, ERR_ABSENT, "cli.no_such_vm", "no VM '%s'; see dstack ls", what);
	if (found > 1)
		return err_code(e, ERR_INPUT, "cli.ambiguous",
				"%zu VMs match '%s': use the id that dstack ls shows", found, what);
	return 0;
}

int vms_info(struct vms *v, const char *id, Vmm__VmInfo **out, struct err *e)
{
	Vmm__Id in;
	Vmm__GetInfoResponse *answer;

	vmm__id__init(&in);
	in.id = arena_str(v->arena, id);
	if (rpc_client_call(v->rpc, "GetInfo", &in.base, &vmm__get_info_response__descriptor, v->arena,
			    (void **)&answer, e))
		return -1;
	if (!answer->found || !answer->info)
		return err_code(e, ERR_ABSENT, "cli.no_such_vm", "VM %s is gone", id);
	*out = answer->info;
	return 0;
}

int vms_state(struct vms *v, const char *id, Vmm__VmInfo **out, struct err *e)
{
	Vmm__StatusRequest in;
	Vmm__StatusResponse *answer;
	char *ids[] = { (char *)(uintptr_t)id };

	vmm__status_request__init(&in);
	in.ids = ids;
	in.n_ids = 1;
	in.brief = true;
	if (rpc_client_call(v->rpc, "Status", &in.base, &vmm__status_response__descriptor, v->arena,
			    (void **)&answer, e))
		return -1;
	if (answer->n_vms != 1)
		return err_code(e, ERR_ABSENT, "cli.no_such_vm", "VM %s is gone", id);
	*out = answer->vms[0];
	return 0;
}

int vms_do(struct vms *v, const char *method, const char *id, struct err *e)
{
	Vmm__Id in;

	vmm__id__init(&in);
	in.id = arena_str(v->arena, id);
	return rpc_client_call(v->rpc, method, &in.base, NULL, v->arena, NULL, e);
}

int vms_ask_guest(struct vms *v, const char *method, const char *id, const ProtobufCMessageDescriptor *d,
		  void **out, struct err *e)
{
	auto_rpc_client *guest = client_at(v, "guest", e);
	Vmm__Id in;

	vmm__id__init(&in);
	in.id = arena_str(v->arena, id);
	return guest ? rpc_client_call(guest, method, &in.base, d, v->arena, out, e) : -1;
}

static bool is_over(const Vmm__VmInfo *vm)
{
	return strcmp(vm->status, "exited") == 0 || strcmp(vm->status, "stopped") == 0;
}

int vms_wait(struct vms *v, const char *id, bool quiet, struct err *e)
{
	struct progress p;
	char last[160] = "";
	uint64_t end = time_mono_ms() + BOOT_SECONDS_MAX * 1000ULL;
	Vmm__VmInfo *vm;

	progress_init(&p, quiet);
	while (time_mono_ms() < end) {
		if (vms_state(v, id, &vm, e)) {
			progress_end(&p, false);
			return -1;
		}
		if (is_over(vm)) {
			progress_end(&p, false);
			return err_code(
				e, ERR_DENIED, "cli.boot_failed", "the guest stopped while '%s': %s", last,
				*vm->boot_error ? vm->boot_error : "no reason given; see dstack logs");
		}
		if (strcmp(vm->boot_progress, "done") == 0) {
			progress_end(&p, true);
			if (*vm->boot_error && !quiet)
				fprintf(stderr, "the guest also reported: %s\n", vm->boot_error);
			return 0;
		}
		if (strcmp(last, vm->boot_progress) != 0) {
			snprintf(last, sizeof last, "%s", vm->boot_progress);
			progress_stage(&p, "guest: %s", last);
		}
		progress_tick(&p);
		time_sleep_ms(POLL_MS);
	}
	progress_end(&p, false);
	return err_code(e, ERR_AGAIN, "cli.boot_timeout",
			"after %d s the guest is still at '%s'; see dstack logs", BOOT_SECONDS_MAX, last);
}
