#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../launch.h"
#include "../share.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "state.h"

static void put(char *out, size_t cap, const char *v)
{
	snprintf(out, cap, "%s", v);
}
#define PUT(field, v) put(field, sizeof(field), v)

// A program named without a slash is looked for in PATH when it is started; one with a slash is found from
// the runner's own folder, so it has to be absolute.
static void put_path(char *out, size_t cap, const char *v)
{
	auto_free char *full = strchr(v, '/') ? realpath(v, NULL) : NULL;

	put(out, cap, full ? full : v);
}
#define PUT_PATH(field, v) put_path(field, sizeof(field), v)

// Our own programs lie beside each other, wherever that is.
static void put_own(char *out, size_t cap, const char *v, const char *self)
{
	const char *slash = strrchr(self, '/');
	auto_free char *near = slash ? str_format("%.*s/%s", (int)(slash - self), self, v) : NULL;

	if (near && !strchr(v, '/') && !access(near, X_OK))
		put(out, cap, near);
	else
		put_path(out, cap, v);
}

// MRCONFIGID V1 (spec 50 section 7.4): the compose hash, bound by who launches the VM.
static void bind_compose(struct launch *l, const struct compose *app)
{
	memset(l->mr_config, 0, sizeof l->mr_config);
	l->mr_config[0] = 1;
	memcpy(l->mr_config + 1, app->hash, sizeof app->hash);
	l->has_mr_config = true;
}

static int fill(struct launch *l, struct vm *v, const struct image *im, struct err *e)
{
	const struct daemon *d = v->owner;
	const struct config *c = d->config.raw;
	const struct manifest *m = &v->m;

	*l = (struct launch){ .platform = d->facts.platform, .accel = d->facts.accel };
	PUT(l->id, m->id);
	PUT(l->name, m->name);
	PUT(l->qemu, d->facts.qemu);
	PUT(l->bios, im->bios);
	PUT(l->kernel, im->kernel);
	PUT(l->initrd, im->initrd);
	PUT(l->rootfs, im->rootfs);
	PUT(l->cmdline, im->cmdline);
	l->vcpus = m->vcpu;
	l->memory_mib = m->memory;
	l->disk_gib = m->disk_size;
	PUT(l->net, config_str(c, "cvm.networking.net"));
	PUT(l->dhcp_start, config_str(c, "cvm.networking.dhcp_start"));
	memcpy(l->port, m->port, m->n_port * sizeof *m->port);
	l->n_port = m->n_port;
	memcpy(l->forward, d->config.forward, sizeof l->forward);
	l->n_forward = d->config.n_forward;
	l->hotplug_off = config_bool(c, "cvm.qemu_hotplug_off");
	l->pci_hole64_size = d->config.pci_hole64_size;
	l->vsock_kernel = d->facts.vsock_kernel;
	l->cid = m->cid;
	if (config_bool(c, "cvm.use_mrconfigid"))
		bind_compose(l, &v->app);
	l->qgs_port = (unsigned)config_int(c, "cvm.qgs_port");
	put_own(l->softtee, sizeof l->softtee, config_str(c, "softtee.command"), d->program);
	PUT_PATH(l->pki, config_str(c, "softtee.pki"));
	PUT(l->key_provider, config_str(c, "key_provider.address"));
	PUT_PATH(l->swtpm, config_str(c, "softtee.swtpm"));
	PUT_PATH(l->swtpm_setup, config_str(c, "softtee.swtpm_setup"));
	l->log_max = d->config.log_max;
	l->log_backups = (unsigned)config_int(c, "cvm.log.max_backups");
	l->shutdown_grace = (unsigned)config_int(c, "cvm.shutdown_grace");
	l->events_max = (unsigned)config_int(c, "event_buffer_size");
	// After an automatic restart people still see why the last attempt failed.
	if (v->attempts)
		PUT(l->previous_error, v->now.boot_error);
	if (l->platform == PLATFORM_SOFT && image_mrtd(l->mrtd, im, d->images, e))
		return -1;
	return qemu_mac(l->mac, m->id, config_str(c, "cvm.networking.mac_prefix"), e);
}

// Who restarts a VM wants today's compose file, image and configuration, all checked again.
static int read_compose(struct vm *v, struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	if (share_read(v->dir, "app-compose.json", COMPOSE_MAX, &text, &n, e))
		return -1;
	return compose_read(&v->app, text, n, e);
}

int vm_plan_launch(struct vm *v, struct launch *l, struct err *e)
{
	auto_image im = { 0 };

	return image_load(&im, v->owner->config.image_path, v->m.image, e) || fill(l, v, &im, e) ? -1 : 0;
}

int vm_prepare_launch(struct vm *v, struct err *e)
{
	const struct daemon *d = v->owner;
	auto_free char *path = str_format("%s/launch.json", v->dir);
	auto_image im = { 0 };
	struct launch l;

	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (read_compose(v, e) || image_load(&im, d->config.image_path, v->m.image, e) ||
	    image_verify(&im, d->images, d->config.image_path, e) || fill(&l, v, &im, e) ||
	    share_write_config(v->dir, &d->config, &v->m, &im, &v->app, &d->facts, e))
		return -1;
	return launch_write(&l, path, e);
}
