#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../lock.h"
#include "../share.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/codec/json.h"
#include "private.h"

int vm_read_file(const struct vm *v, const char *name, size_t max, char **out, size_t *n, struct err *e)
{
	auto_free char *path = str_format("%s/%s", v->dir, name);

	return path ? file_read(path, max, out, n, e) : err_set(e, ERR_SYSTEM, "out of memory");
}

struct vm *vm_find(const struct daemon *d, const char *id)
{
	for (struct vm *v = d->vms; v; v = v->next)
		if (!strcmp(v->m.id, id))
			return v;
	return NULL;
}

void vm_refresh(struct vm *v)
{
	auto_free char *path = str_format("%s/vm-runtime.json", v->dir);
	struct runtime fresh;
	struct err e = { 0 };
	struct stat st;

	if (!path || stat(path, &st))
		return;
	long long ns = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec;
	if (v->read_ino == (long long)st.st_ino && v->read_ns == ns)
		return;
	if (runtime_read(&fresh, path, &e)) {
		log_warn("vmm", "%s", e.text);
		return;
	}
	runtime_free(&v->now);
	v->now = fresh;
	v->read_ino = (long long)st.st_ino;
	v->read_ns = ns;
}

int vm_save_state(const struct vm *v, struct err *e)
{
	auto_free char *path = str_format("%s/vm-state.json", v->dir);

	return path ? file_write_str(path, 0600, v->started ? "{\"started\":true}" : "{\"started\":false}", e)
		    : err_set(e, ERR_SYSTEM, "out of memory");
}

static bool read_started(const struct vm *v)
{
	auto_free char *text = NULL;
	struct err ignored = { 0 };
	struct json o, s;
	bool on = false;
	size_t n;

	return !vm_read_file(v, "vm-state.json", 4096, &text, &n, &ignored) &&
	       !json_parse(&o, span_of(text, n), NULL) && json_get(o, "started", &s) && !json_bool(s, &on) &&
	       on;
}

// Into the list, in the order of creation.
static void insert(struct daemon *d, struct vm *v)
{
	struct vm **at = &d->vms;

	while (*at && (*at)->m.created_at_ms <= v->m.created_at_ms)
		at = &(*at)->next;
	v->next = *at;
	*at = v;
}

void vm_forget(struct vm *v)
{
	for (struct vm **at = &v->owner->vms; *at; at = &(*at)->next)
		if (*at == v) {
			*at = v->next;
			break;
		}
	vm_free(v);
}

void vm_free(struct vm *v)
{
	vm_unwatch(v);
	if (v->retry)
		event_free(v->retry);
	if (v->stable)
		event_free(v->stable);
	runtime_free(&v->now);
	free(v);
}

static struct vm *vm_new(struct daemon *d, const char *id, struct err *e)
{
	struct vm *v = calloc(1, sizeof *v);

	if (v)
		v->owner = d;
	if (!v || snprintf(v->dir, sizeof v->dir, "%s/%s", d->config.run_path, id) >= (int)sizeof v->dir ||
	    vm_timers(v)) {
		err_set(e, ERR_SYSTEM, "out of memory");
		if (v)
			vm_free(v);
		return NULL;
	}
	return v;
}

static int new_cid(const struct daemon *d, uint32_t *out, struct err *e)
{
	uint32_t start = (uint32_t)config_int(d->config.raw, "cvm.cid_start");
	uint32_t count = (uint32_t)config_int(d->config.raw, "cvm.cid_pool_size");

	for (uint32_t cid = start; cid - start < count; cid++) {
		const struct vm *v = d->vms;

		while (v && v->m.cid != cid)
			v = v->next;
		if (!v) {
			*out = cid;
			return 0;
		}
	}
	return err_code(e, ERR_AGAIN, "vmm.full", "CID pool exhausted");
}

static int new_id(char out[static 65], struct err *e)
{
	uint8_t b[16];

	if (RAND_bytes(b, sizeof b) != 1)
		return err_set(e, ERR_SYSTEM, "no random bytes");
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, 65, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return 0;
}

// Ports that another VM has, running or not.
static int check_conflicts(const struct daemon *d, const struct manifest *m, struct err *e)
{
	for (size_t i = 0; i < m->n_port; i++) {
		const struct port_map *p = &m->port[i];
		const char *proto = p->udp ? "udp" : "tcp";

		for (size_t k = 0; k < i; k++)
			if (ports_conflict(p, &m->port[k]))
				return err_code(e, ERR_INPUT, "vmm.port_conflict",
						"duplicate host port mapping: %s %s:%u", proto, p->address,
						p->from);
		for (const struct vm *v = d->vms; v; v = v->next)
			for (size_t k = 0; k < v->m.n_port; k++)
				if (ports_conflict(p, &v->m.port[k]))
					return err_code(e, ERR_INPUT, "vmm.port_conflict",
							"host port mapping conflicts with VM %s: %s %s:%u",
							v->m.id, proto, p->address, p->from);
	}
	return 0;
}

// What all VMs that shall run may take together.
static int check_room(const struct daemon *d, const struct manifest *m, struct err *e)
{
	int64_t cpus = m->vcpu, memory = m->memory;

	for (const struct vm *v = d->vms; v; v = v->next)
		if (v->started && &v->m != m) {
			cpus += v->m.vcpu;
			memory += v->m.memory;
		}
	if (cpus > config_int(d->config.raw, "cvm.max_allocable_vcpu") ||
	    memory > config_int(d->config.raw, "cvm.max_allocable_memory_in_mb"))
		return err_code(e, ERR_AGAIN, "vmm.full",
				"no room: all VMs would take %lld vCPUs and %lld MiB", (long long)cpus,
				(long long)memory);
	return 0;
}

int vm_check_room(const struct vm *v, struct err *e)
{
	return check_room(v->owner, &v->m, e);
}

static int create_files(struct vm *v, const struct vm_request *q, struct err *e)
{
	auto_free char *path = str_format("%s/vm-manifest.json", v->dir);

	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (file_mkdirs(v->dir, 0700, e) ||
	    share_create(v->dir, &v->m, q->compose, q->compose_n, q->env, q->env_n, q->user_config, e) ||
	    vm_save_state(v, e))
		return -1;
	return manifest_write(&v->m, path, e); // last: a folder without it is no VM
}

struct vm *vm_create(struct daemon *d, struct vm_request *q, struct err *e)
{
	auto_image im = { 0 };
	struct compose app;
	struct err ignored = { 0 };

	if (compose_read(&app, q->compose, q->compose_n, e) || check_conflicts(d, &q->m, e) ||
	    image_load(&im, d->config.image_path, q->m.image, e) ||
	    (!q->stopped && check_room(d, &q->m, e)) || new_cid(d, &q->m.cid, e) || new_id(q->m.id, e))
		return NULL;
	struct vm *v = vm_new(d, q->m.id, e);
	if (!v)
		return NULL;
	q->m.created_at_ms = time_now_ms();
	if (!q->has_app_id)
		memcpy(q->m.app_id, app.app_id, sizeof q->m.app_id);
	v->m = q->m;
	v->app = app;
	insert(d, v);
	if (create_files(v, q, e) || (!q->stopped && vm_start(v, true, e))) {
		if (file_remove_tree(v->dir, &ignored))
			log_warn("vmm", "%s", ignored.text);
		vm_forget(v);
		return NULL;
	}
	log_info("vmm", "VM created id=%s name=%s app=%s", v->m.id, STR_QZ(v->m.name), v->m.app_id);
	return v;
}

// One folder found at start. What is not a VM of ours is left alone, with a word in the log.
static void load_one(struct daemon *d, const char *name)
{
	auto_free char *manifest = str_format("%s/%s/vm-manifest.json", d->config.run_path, name);
	auto_free char *mark = str_format("%s/%s/.removing", d->config.run_path, name);
	auto_free char *compose = NULL;
	struct err e = { 0 };
	size_t n;
	struct vm *v = manifest && mark ? vm_new(d, name, &e) : NULL;

	if (!v)
		return;
	v->removing = file_exists(mark);
	if (manifest_read(&v->m, manifest, &e) || strcmp(v->m.id, name) != 0) {
		if (v->removing && file_remove_tree(v->dir, &e))
			log_warn("vmm", "%s", e.text);
		else if (!v->removing)
			log_warn("vmm", "folder %s is no VM: %s", STR_QZ(name), e.text);
		vm_free(v);
		return;
	}
	if (share_read(v->dir, "app-compose.json", COMPOSE_MAX, &compose, &n, &e) ||
	    compose_read(&v->app, compose, n, &e))
		log_warn("vmm", "VM %s: %s", v->m.id, e.text);
	v->started = read_started(v);
	insert(d, v);
	vm_refresh(v);
	vm_adopt(v);
}

static int each_folder(struct daemon *d, struct err *e)
{
	DIR *dir = opendir(d->config.run_path);

	if (!dir)
		return err_errno(e, "open %s", d->config.run_path);
	for (struct dirent *at; (at = readdir(dir));) {
		struct err why = { 0 };

		if (at->d_name[0] != '.' && !check_vm_id(at->d_name, &why) && !vm_find(d, at->d_name))
			load_one(d, at->d_name);
	}
	closedir(dir);
	return 0;
}

int state_load(struct daemon *d, struct err *e)
{
	if (file_mkdirs(d->config.run_path, 0700, e) || each_folder(d, e))
		return -1;
	for (struct vm *v = d->vms, *next; v; v = next) {
		next = v->next;
		vm_resume(v);
	}
	return 0;
}

void state_free(struct daemon *d)
{
	while (d->vms)
		vm_forget(d->vms);
	image_memory_free(d->images);
}
