#include "share.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "core/codec/json.h"
#include "fat.h"
#include "platform.h"
#include "volatile.h"

static const char *const names[] = { "app-compose.json", ".sys-config.json", ".instance_info",
				     ".encrypted-env", ".user-config" };
enum { NAMES = sizeof names / sizeof *names };

static int write_shared(const char *vm_dir, const char *name, const void *p, size_t n, struct err *e)
{
	auto_free char *path = str_format("%s/shared/%s", vm_dir, name);

	return path ? file_write(path, 0600, p, n, e) : err_set(e, ERR_SYSTEM, "out of memory");
}

static void add_str(struct sb *b, const char *key, const char *v)
{
	sb_json_key(b, key);
	sb_json_str(b, v);
}

// The VM's own list, or the node's when it has none.
static void add_urls(struct sb *b, const char *key, const struct urls *own, const struct config *c,
		     const char *node_key)
{
	size_t n = own->n ? own->n : config_count(c, "%s", node_key);

	sb_json_key(b, key);
	sb_chr(b, '[');
	for (size_t i = 0; i < n; i++) {
		sb_json_next(b);
		sb_json_str(b, own->n ? own->v[i] : config_item(c, i, "%s", node_key));
	}
	sb_chr(b, ']');
}

// TDX: without ACPI tables of our own to compare with, verifiers take their digests from the log ("lite"),
// possible where the kernel's measurement does not depend on the memory size.
static bool lite(const struct manifest *m, const struct image *im, const struct compose *app)
{
	if (app->measure_acpi >= 0)
		return !app->measure_acpi;
	return im->measurement && (m->memory >= 3072 || m->memory == 2048);
}

static void add_measurement(struct sb *b, const struct image *im)
{
	if (!im->measurement)
		return;
	sb_str(b, ",\"tdx_measurement\":{\"checksum_file\":\"");
	sb_base64(b, im->checksums, im->checksums_n);
	sb_str(b, "\",\"measurement\":\"");
	sb_base64(b, im->measurement, im->measurement_n);
	sb_str(b, "\"}");
}

static void vm_config(struct sb *b, const struct vmm_config *c, const struct manifest *m,
		      const struct image *im, const struct compose *app, const struct platform_facts *p)
{
	bool soft = p->platform == PLATFORM_SOFT;

	sb_chr(b, '{');
	sb_fmt(b, "\"spec_version\":1,\"os_image_hash\":\"%s\",\"cpu_count\":%u,\"memory_size\":%llu",
	       im->digest, m->vcpu, (unsigned long long)m->memory << 20);
	if (*p->qemu_version)
		add_str(b, "qemu_version", p->qemu_version);
	sb_fmt(b, ",\"pci_hole64_size\":%llu,\"hugepages\":false,\"num_gpus\":0,\"num_nvswitches\":0",
	       (unsigned long long)c->pci_hole64_size);
	if (soft)
		sb_str(b, ",\"swtpm\":true,\"tee\":\"soft\"");
	sb_fmt(b, ",\"hotplug_off\":%s", config_bool(c->raw, "cvm.qemu_hotplug_off") ? "true" : "false");
	add_str(b, "image", im->name);
	add_str(b, "host_share_mode", "vhd");
	if (*im->ovmf_variant)
		add_str(b, "ovmf_variant", im->ovmf_variant);
	if (!soft && lite(m, im, app))
		add_str(b, "tdx_attestation_variant", "lite");
	add_measurement(b, im);
	sb_chr(b, '}');
}

int share_write_config(const char *vm_dir, const struct vmm_config *c, const struct manifest *m,
		       const struct image *im, const struct compose *app, const struct platform_facts *p,
		       struct err *e)
{
	auto_sb b = { 0 }, inner = { 0 };

	vm_config(&inner, c, m, im, app, p);
	sb_chr(&b, '{');
	add_urls(&b, "kms_urls", &m->kms, c->raw, "cvm.kms_urls");
	add_urls(&b, "gateway_urls", &m->gateway, c->raw, "cvm.gateway_urls");
	add_str(&b, "pccs_url", config_str(c->raw, "cvm.pccs_url"));
	sb_str(&b, ",\"collateral_urls\":{");
	add_str(&b, "pccs", config_str(c->raw, "cvm.pccs_url"));
	sb_str(&b, "},\"nvidia_attestation_proxy_url\":null");
	add_str(&b, "docker_registry", config_str(c->raw, "cvm.docker_registry"));
	add_str(&b, "host_api_url", "vsock://2:10000/api");
	if (!inner.bad)
		add_str(&b, "vm_config", inner.p);
	sb_chr(&b, '}');
	if (b.bad || inner.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	auto_free char *path = str_format("%s/shared/.sys-config.json", vm_dir);
	return path ? volatile_write(path, b.p, b.n, e) : err_set(e, ERR_SYSTEM, "out of memory");
}

int share_update(const char *vm_dir, const void *env, size_t env_n, const char *user_config, struct err *e)
{
	if (env_n && write_shared(vm_dir, ".encrypted-env", env, env_n, e))
		return -1;
	return *user_config ? write_shared(vm_dir, ".user-config", user_config, strlen(user_config), e) : 0;
}

int share_create(const char *vm_dir, const struct manifest *m, const void *compose, size_t compose_n,
		 const void *env, size_t env_n, const char *user_config, struct err *e)
{
	auto_free char *dir = str_format("%s/shared", vm_dir);
	auto_free char *instance = str_format("{\"app_id\":\"%s\"}", m->app_id);

	if (!dir || !instance)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (file_mkdirs(dir, 0700, e) || write_shared(vm_dir, "app-compose.json", compose, compose_n, e) ||
	    write_shared(vm_dir, ".instance_info", instance, strlen(instance), e))
		return -1;
	return share_update(vm_dir, env, env_n, user_config, e);
}

static int id_member(struct json o, const char *name, bool needed, char out[static 41])
{
	uint8_t bytes[20];
	struct json v;

	*out = 0;
	if (!json_get(o, name, &v) || json_is(v, ""))
		return needed ? -1 : 0;
	if (json_hex(v, bytes, sizeof bytes))
		return -1;
	hex_encode(out, bytes, sizeof bytes);
	return 0;
}

int share_write_instance(const char *vm_dir, const char *payload, struct err *e)
{
	char seed[41], instance[41], app[41];
	struct json o;

	if (json_parse(&o, span_str(payload), NULL) || id_member(o, "instance_id_seed", false, seed) ||
	    id_member(o, "instance_id", false, instance) || id_member(o, "app_id", true, app))
		return err_code(e, ERR_INPUT, "vmm.instance_info", "instance info has no valid 20-byte ids");
	auto_free char *text =
		str_format("{\"instance_id_seed\":\"%s\",\"instance_id\":\"%s\",\"app_id\":\"%s\"}", seed,
			   instance, app);
	if (!text)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return write_shared(vm_dir, ".instance_info", text, strlen(text), e);
}

void share_instance_id(const char *vm_dir, char out[static 41])
{
	auto_free char *path = str_format("%s/shared/.instance_info", vm_dir);
	auto_free char *text = NULL;
	struct err e = { 0 };
	struct json o;
	size_t n;

	*out = 0;
	if (path && !file_read(path, 4096, &text, &n, &e) && !json_parse(&o, span_of(text, n), NULL) &&
	    id_member(o, "instance_id", false, out))
		*out = 0;
}

int share_read(const char *vm_dir, const char *name, size_t max, char **out, size_t *n, struct err *e)
{
	auto_free char *path = str_format("%s/shared/%s", vm_dir, name);

	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (file_read(path, max, out, n, e) == 0)
		return 0;
	if (!strcmp(e->code, "file.not_regular") || !strcmp(e->code, "file.too_large"))
		snprintf(e->code, sizeof e->code, "share.%s",
			 e->code[5] == 'n' ? "not_regular" : "too_large");
	return -1;
}

static int build(const char *vm_dir, const char *tmp, struct err *e)
{
	struct fat_file files[NAMES];
	char *owned[NAMES] = { 0 };
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < NAMES && rc == 0; i++) {
		size_t size;

		rc = share_read(vm_dir, names[i], COMPOSE_MAX, &owned[i], &size, e);
		if (rc == 0)
			files[n++] = (struct fat_file){ names[i], owned[i], size };
		else if (e->class == ERR_ABSENT && i > 2)
			rc = 0;
	}
	auto_close int fd = rc ? -1 : open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (rc == 0)
		rc = fd < 0 ? err_errno(e, "create %s", tmp) : fat_write(fd, "DSTACKSHR", files, n, e);
	for (size_t i = 0; i < NAMES; i++)
		free(owned[i]);
	return rc;
}

int share_build_disk(const char *vm_dir, struct err *e)
{
	auto_free char *tmp = str_format("%s/shared.img.new", vm_dir),
		       *path = str_format("%s/shared.img", vm_dir);

	if (!tmp || !path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (build(vm_dir, tmp, e))
		return err_wrap(e, "build the share disk");
	return rename(tmp, path) ? err_errno(e, "rename the share disk") : 0;
}
