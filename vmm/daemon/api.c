#include "api.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "base/version.h"
#include "info.h"
#include "prpc.pb-c.h"
#include "request.h"
#include "share.h"

static int out_of_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, "out of memory");
}

// Upstream's shape of an error: what failed, then why.
static int wrapped(struct err *e, const char *what)
{
	return err_wrap(e, "%s", what);
}

static struct vm *known(struct daemon *d, const char *id, struct err *e)
{
	struct vm *v = check_vm_id(id, e) ? NULL : vm_find(d, id);

	if (!v && !*e->text)
		err_code(e, ERR_ABSENT, "vmm.no_vm", "VM not found");
	return v;
}

static int create_vm(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct daemon *d = rpc_arg(call);
	auto_free struct vm_request *q = calloc(1, sizeof *q);
	Vmm__Id *id = out;

	if (!q)
		return out_of_memory(e);
	struct vm *v = request_read(q, in, d, e) ? NULL : vm_create(d, q, e);
	if (!v)
		return wrapped(e, "Failed to create VM");
	id->id = arena_str(rpc_arena(call), v->m.id);
	return 0;
}

static int start_vm(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct vm *v = known(rpc_arg(call), ((const Vmm__Id *)in)->id, e);

	(void)out;
	return v && !vm_start(v, true, e) ? 0 : wrapped(e, "Failed to start VM");
}

static int stop_vm(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct vm *v = known(rpc_arg(call), ((const Vmm__Id *)in)->id, e);

	(void)out;
	return v && !vm_stop(v, e) ? 0 : wrapped(e, "Failed to stop VM");
}

static int shutdown_vm(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct vm *v = known(rpc_arg(call), ((const Vmm__Id *)in)->id, e);

	(void)out;
	return v && !vm_shutdown(v, e) ? 0 : wrapped(e, "Failed to shut down VM");
}

static int remove_vm(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct vm *v = known(rpc_arg(call), ((const Vmm__Id *)in)->id, e);

	(void)out;
	return v && !vm_remove(v, e) ? 0 : wrapped(e, "Failed to remove VM");
}

// What changes is there at the next start. The id of the answer is for a new compose file, which this VMM
// does not take.
static int update_vm(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	const Vmm__UpdateVmRequest *q = in;
	struct vm *v = known(rpc_arg(call), q->id, e);

	(void)out;
	return v && !request_check_update(q, e) &&
			       !share_update(v->dir, q->encrypted_env.data, q->encrypted_env.len,
					     q->user_config, e)
		       ? 0
		       : wrapped(e, "Failed to update VM");
}

static int get_compose_hash(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	const Vmm__VmConfiguration *c = in;
	Vmm__ComposeHash *hash = out;
	struct compose app;

	if (check_name(c->name, e) || compose_read(&app, c->compose_file, strlen(c->compose_file), e))
		return -1;
	hash->hash = arena_hex(rpc_arena(call), app.hash, sizeof app.hash);
	return 0;
}

static bool matches(const struct vm *v, const Vmm__StatusRequest *q)
{
	bool listed = q->n_ids == 0;

	for (size_t i = 0; i < q->n_ids && !listed; i++)
		listed = !strcmp(q->ids[i], v->m.id);
	return listed && (!*q->keyword || strstr(v->m.name, q->keyword) || strstr(v->m.id, q->keyword) ||
			  strstr(v->m.app_id, q->keyword) || strstr(v->m.image, q->keyword));
}

static int status(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	const Vmm__StatusRequest *q = in;
	Vmm__StatusResponse *r = out;
	struct daemon *d = rpc_arg(call);
	size_t all = 0;
	uint64_t first = 0, last = UINT64_MAX;

	for (const struct vm *v = d->vms; v; v = v->next)
		all += matches(v, q);
	if (q->page && q->page_size) {
		first = (uint64_t)(q->page - 1) * q->page_size;
		last = first + q->page_size;
	}
	r->total = (uint32_t)all;
	r->port_mapping_enabled = config_bool(d->config.raw, "cvm.port_mapping.enabled");
	r->vms = arena_array(rpc_arena(call), all ? all : 1, sizeof *r->vms);
	uint64_t at = 0;
	for (struct vm *v = d->vms; r->vms && v; v = v->next) {
		if (!matches(v, q) || at++ < first || at > last)
			continue;
		r->vms[r->n_vms] = info_of(v, q->brief, rpc_arena(call));
		if (!r->vms[r->n_vms++])
			return out_of_memory(e);
	}
	return r->vms ? 0 : out_of_memory(e);
}

static int get_info(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	Vmm__GetInfoResponse *r = out;
	struct err ignored = { 0 };
	struct vm *v = known(rpc_arg(call), ((const Vmm__Id *)in)->id, &ignored);

	if (!v)
		return 0;
	r->found = true;
	r->info = info_of(v, false, rpc_arena(call));
	return r->info ? 0 : out_of_memory(e);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(Vmm__ImageInfo *const *)a)->name, (*(Vmm__ImageInfo *const *)b)->name);
}

static Vmm__ImageInfo *image_info(const struct daemon *d, const char *name, struct arena *a)
{
	auto_image im = { 0 };
	struct err ignored = { 0 };

	if (check_image_name(name, &ignored) || image_load(&im, d->config.image_path, name, &ignored))
		return NULL;
	Vmm__ImageInfo *i = pb_new(&vmm__image_info__descriptor, a);
	if (i) {
		i->name = arena_str(a, name);
		i->description = arena_str(a, im.description);
		i->version = arena_str(a, im.version);
		i->is_dev = im.is_dev;
	}
	return i;
}

static int list_images(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	enum { IMAGES_MAX = 256 };
	Vmm__ImageListResponse *r = out;
	struct daemon *d = rpc_arg(call);
	DIR *dir = opendir(d->config.image_path);

	(void)in;
	r->images = arena_array(rpc_arena(call), IMAGES_MAX, sizeof *r->images);
	for (struct dirent *at; r->images && dir && r->n_images < IMAGES_MAX && (at = readdir(dir));) {
		r->images[r->n_images] = image_info(d, at->d_name, rpc_arena(call));
		r->n_images += r->images[r->n_images] != NULL;
	}
	if (dir)
		closedir(dir);
	if (!r->images)
		return out_of_memory(e);
	qsort(r->images, r->n_images, sizeof *r->images, by_name);
	return 0;
}

static int version(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	Vmm__VersionResponse *r = out;

	(void)in, (void)e;
	r->version = arena_str(rpc_arena(call), version_text);
	r->rev = arena_str(rpc_arena(call), version_rev);
	return 0;
}

static char **config_urls(const struct config *c, const char *key, struct arena *a, size_t *n)
{
	size_t count = config_count(c, "%s", key);
	char **out = arena_array(a, count ? count : 1, sizeof *out);

	for (size_t i = 0; out && i < count; i++)
		out[i] = arena_str(a, config_item(c, i, "%s", key));
	*n = out ? count : 0;
	return out;
}

static int get_meta(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	Vmm__GetMetaResponse *r = out;
	const struct config *c = ((struct daemon *)rpc_arg(call))->config.raw;
	struct arena *a = rpc_arena(call);

	(void)in;
	r->kms = pb_new(&vmm__kms_settings__descriptor, a);
	r->gateway = pb_new(&vmm__gateway_settings__descriptor, a);
	r->resources = pb_new(&vmm__resources_settings__descriptor, a);
	r->networking = pb_new(&vmm__networking_capabilities__descriptor, a);
	if (!r->kms || !r->gateway || !r->resources || !r->networking)
		return out_of_memory(e);
	r->kms->urls = config_urls(c, "cvm.kms_urls", a, &r->kms->n_urls);
	r->kms->url = arena_str(a, r->kms->n_urls ? r->kms->urls[0] : "");
	r->gateway->urls = config_urls(c, "cvm.gateway_urls", a, &r->gateway->n_urls);
	r->gateway->url = arena_str(a, r->gateway->n_urls ? r->gateway->urls[0] : "");
	r->gateway->base_domain = arena_str(a, config_str(c, "gateway.base_domain"));
	r->gateway->port = (uint32_t)config_int(c, "gateway.port");
	r->gateway->agent_port = (uint32_t)config_int(c, "gateway.agent_port");
	r->resources->max_cvm_number = (uint32_t)config_int(c, "cvm.cid_pool_size");
	r->resources->max_allocable_vcpu = (uint32_t)config_int(c, "cvm.max_allocable_vcpu");
	r->resources->max_allocable_memory_in_mb = (uint32_t)config_int(c, "cvm.max_allocable_memory_in_mb");
	r->networking->supported_modes = arena_array(a, 1, sizeof *r->networking->supported_modes);
	if (!r->networking->supported_modes)
		return out_of_memory(e);
	r->networking->supported_modes[0] = arena_str(a, "user");
	r->networking->n_supported_modes = 1;
	r->networking->default_mode = arena_str(a, "user");
	return 0;
}

#define M(name, in, out, fn)                                                                                 \
	{                                                                                                    \
		name, &in##__descriptor, &out##__descriptor, fn, false, 0                                    \
	}
static const struct rpc_method methods[] = {
	{ "CreateVm", &vmm__vm_configuration__descriptor, &vmm__id__descriptor, create_vm, false, 64 << 20 },
	M("StartVm", vmm__id, prpc__empty, start_vm),
	M("StopVm", vmm__id, prpc__empty, stop_vm),
	M("ShutdownVm", vmm__id, prpc__empty, shutdown_vm),
	M("RemoveVm", vmm__id, prpc__empty, remove_vm),
	{ "UpdateVm", &vmm__update_vm_request__descriptor, &vmm__id__descriptor, update_vm, false, 64 << 20 },
	{ "UpgradeApp", &vmm__update_vm_request__descriptor, &vmm__id__descriptor, update_vm, false,
	  64 << 20 },
	M("GetComposeHash", vmm__vm_configuration, vmm__compose_hash, get_compose_hash),
	M("Status", vmm__status_request, vmm__status_response, status),
	M("GetInfo", vmm__id, vmm__get_info_response, get_info),
	M("ListImages", prpc__empty, vmm__image_list_response, list_images),
	M("Version", prpc__empty, vmm__version_response, version),
	M("GetMeta", prpc__empty, vmm__get_meta_response, get_meta),
};

int api_mount(struct rpc_server *s, struct daemon *d)
{
	return rpc_server_mount(s, "/prpc", "Vmm.", methods, sizeof methods / sizeof *methods, d) ||
	       rpc_server_mount(s, "/prpc", "Teepod.", methods, sizeof methods / sizeof *methods, d);
}
