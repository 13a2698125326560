#include "launch.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "core/codec/json.h"
#include "volatile.h"

enum field_kind { TEXT, NUMBER32, NUMBER64, FLAG };

// Fields that are plain values, so that the two directions cannot drift apart.
#define F(kind_, member, max_)                                                                               \
	{                                                                                                    \
#member, kind_, offsetof(struct launch, member), sizeof(((struct launch *)NULL)->member),    \
			max_                                                                                 \
	}
static const struct field {
	const char *name;
	enum field_kind kind;
	size_t at, size;
	uint64_t max;
} fields[] = {
	F(TEXT, id, 0),
	F(TEXT, name, 0),
	F(TEXT, qemu, 0),
	F(TEXT, bios, 0),
	F(TEXT, kernel, 0),
	F(TEXT, initrd, 0),
	F(TEXT, rootfs, 0),
	F(TEXT, cmdline, 0),
	F(NUMBER32, vcpus, 4096),
	F(NUMBER64, memory_mib, 1ull << 32),
	F(NUMBER64, disk_gib, 1ull << 32),
	F(TEXT, mac, 0),
	F(TEXT, net, 0),
	F(TEXT, dhcp_start, 0),
	F(FLAG, hotplug_off, 0),
	F(FLAG, vsock_kernel, 0),
	F(NUMBER64, pci_hole64_size, UINT64_MAX),
	F(NUMBER32, cid, UINT32_MAX),
	F(NUMBER32, qgs_port, UINT32_MAX),
	F(TEXT, softtee, 0),
	F(TEXT, pki, 0),
	F(TEXT, swtpm, 0),
	F(TEXT, swtpm_setup, 0),
	F(TEXT, key_provider, 0),
	F(NUMBER64, log_max, UINT64_MAX),
	F(NUMBER32, log_backups, 1000),
	F(NUMBER32, shutdown_grace, 86400),
	F(NUMBER32, events_max, 64),
	F(TEXT, previous_error, 0),
};
enum { FIELDS = sizeof fields / sizeof *fields };

static void write_field(struct sb *b, const struct launch *l, const struct field *f)
{
	const char *at = (const char *)l + f->at;
	uint32_t v32;
	uint64_t v64;

	sb_json_key(b, f->name);
	switch (f->kind) {
	case TEXT:
		sb_json_str(b, at);
		break;
	case NUMBER32:
		memcpy(&v32, at, sizeof v32);
		sb_fmt(b, "%u", v32);
		break;
	case NUMBER64:
		memcpy(&v64, at, sizeof v64);
		sb_fmt(b, "%llu", (unsigned long long)v64);
		break;
	case FLAG:
		sb_str(b, *(const bool *)at ? "true" : "false");
		break;
	}
}

int launch_write(const struct launch *l, const char *path, struct err *e)
{
	auto_sb b = { 0 };

	sb_chr(&b, '{');
	for (size_t i = 0; i < FIELDS; i++)
		write_field(&b, l, &fields[i]);
	sb_json_key(&b, "platform");
	sb_json_str(&b, l->platform == PLATFORM_TDX ? "tdx" : "soft");
	sb_json_key(&b, "accel");
	sb_json_str(&b, l->accel == ACCEL_KVM ? "kvm" : l->accel == ACCEL_TCG ? "tcg" : "auto");
	sb_json_key(&b, "mr_config");
	sb_json_str(&b, l->has_mr_config ? STR_HEX(l->mr_config, MR_CONFIG_SIZE) : "");
	sb_json_key(&b, "mrtd");
	sb_json_str(&b, STR_HEX(l->mrtd, MEASURE_LEN));
	sb_json_key(&b, "ports");
	sb_chr(&b, '[');
	for (size_t i = 0; i < l->n_port; i++) {
		sb_json_next(&b);
		sb_fmt(&b, "{\"udp\":%s,\"address\":\"%s\",\"from\":%u,\"to\":%u}",
		       l->port[i].udp ? "true" : "false", l->port[i].address, l->port[i].from, l->port[i].to);
	}
	sb_chr(&b, ']');
	sb_json_key(&b, "forwards");
	sb_chr(&b, '[');
	for (size_t i = 0; i < l->n_forward; i++) {
		sb_json_next(&b);
		sb_fmt(&b, "{\"udp\":%s,\"listen\":%u,\"to\":\"%s\"}", l->forward[i].udp ? "true" : "false",
		       l->forward[i].listen, l->forward[i].to);
	}
	sb_str(&b, "]}\n");
	if (b.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return volatile_write(path, b.p, b.n, e);
}

static int bad(struct err *e, const char *name)
{
	return err_code(e, ERR_INPUT, "vmm.launch_file", "launch file has no valid \"%s\"", name);
}

static int read_number(struct json o, const char *name, uint64_t max, uint64_t *out)
{
	struct json v;

	return json_get(o, name, &v) ? json_u64(v, max, out) : -1;
}

static int read_text(struct json o, const char *name, char *out, size_t cap)
{
	struct json v;

	return json_get(o, name, &v) ? json_cstr(v, out, cap) : -1;
}

static int read_flag(struct json o, const char *name, bool *out)
{
	struct json v;

	return json_get(o, name, &v) ? json_bool(v, out) : -1;
}

static int read_field(struct launch *l, struct json o, const struct field *f)
{
	char *at = (char *)l + f->at;
	uint64_t v = 0;

	if (f->kind == TEXT)
		return read_text(o, f->name, at, f->size);
	if (f->kind == FLAG)
		return read_flag(o, f->name, (bool *)at);
	if (read_number(o, f->name, f->max, &v))
		return -1;
	if (f->kind == NUMBER64) {
		memcpy(at, &v, sizeof v);
	} else {
		uint32_t v32 = (uint32_t)v;

		memcpy(at, &v32, sizeof v32);
	}
	return 0;
}

static int read_ports(struct launch *l, struct json o, struct err *e)
{
	struct json list, item;
	uint64_t from, to;

	if (!json_get(o, "ports", &list))
		return bad(e, "ports");
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);) {
		struct port_map *p = &l->port[l->n_port];

		if (l->n_port == QEMU_PORTS_MAX || read_flag(item, "udp", &p->udp) ||
		    read_text(item, "address", p->address, sizeof p->address) ||
		    read_number(item, "from", 65535, &from) || read_number(item, "to", 65535, &to))
			return bad(e, "ports");
		p->from = (uint16_t)from;
		p->to = (uint16_t)to;
		l->n_port++;
	}
	return 0;
}

static int read_forwards(struct launch *l, struct json o, struct err *e)
{
	struct json list, item;
	uint64_t listen;

	if (!json_get(o, "forwards", &list))
		return bad(e, "forwards");
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);) {
		struct forward *f = &l->forward[l->n_forward];

		if (l->n_forward == FORWARDS_MAX || read_flag(item, "udp", &f->udp) ||
		    read_text(item, "to", f->to, sizeof f->to) || read_number(item, "listen", 65535, &listen))
			return bad(e, "forwards");
		f->listen = (uint16_t)listen;
		l->n_forward++;
	}
	return 0;
}

int launch_read(struct launch *l, const char *path, struct err *e)
{
	auto_free char *text = NULL;
	char word[2 * MR_CONFIG_SIZE + 1];
	struct json o;
	size_t n;

	*l = (struct launch){ 0 };
	if (file_read(path, 1 << 20, &text, &n, e))
		return -1;
	if (json_parse(&o, span_of(text, n), NULL))
		return err_code(e, ERR_INPUT, "vmm.launch_file", "%s is not JSON", path);
	for (size_t i = 0; i < FIELDS; i++)
		if (read_field(l, o, &fields[i]))
			return bad(e, fields[i].name);
	if (read_text(o, "platform", word, sizeof word))
		return bad(e, "platform");
	l->platform = !strcmp(word, "tdx") ? PLATFORM_TDX : PLATFORM_SOFT;
	if (read_text(o, "accel", word, sizeof word))
		return bad(e, "accel");
	l->accel = !strcmp(word, "kvm") ? ACCEL_KVM : !strcmp(word, "tcg") ? ACCEL_TCG : ACCEL_AUTO;
	if (read_text(o, "mr_config", word, sizeof word) ||
	    (*word && !hex_exact(l->mr_config, MR_CONFIG_SIZE, word)))
		return bad(e, "mr_config");
	l->has_mr_config = *word != 0;
	if (read_text(o, "mrtd", word, sizeof word) || !hex_exact(l->mrtd, MEASURE_LEN, word))
		return bad(e, "mrtd");
	return read_ports(l, o, e) || read_forwards(l, o, e) ? -1 : 0;
}

struct qemu_plan launch_plan(const struct launch *l, const char *dir, struct launch_scratch *scratch)
{
	snprintf(scratch->data, sizeof scratch->data, "%s/hda.img", dir);
	snprintf(scratch->share, sizeof scratch->share, "%s/shared.img", dir);
	struct qemu_plan p = {
		.platform = l->platform,
		.accel = l->accel,
		.qemu = l->qemu,
		.dir = dir,
		.bios = *l->bios ? l->bios : NULL,
		.kernel = l->kernel,
		.initrd = l->initrd,
		.rootfs = *l->rootfs ? l->rootfs : NULL,
		.cmdline = *l->cmdline ? l->cmdline : NULL,
		.data = scratch->data,
		.share = scratch->share,
		.vcpus = l->vcpus,
		.memory_mib = l->memory_mib,
		.net = l->net,
		.dhcp_start = l->dhcp_start,
		.ports = l->port,
		.n_ports = l->n_port,
		.forward_address = "127.0.0.2", // in the VM's namespace, where the forwards have 127.0.0.1
		.hotplug_off = l->hotplug_off,
		.pci_hole64_size = l->pci_hole64_size,
		.vsock_kernel = l->vsock_kernel,
		.cid = l->cid,
		.tpm = l->platform == PLATFORM_SOFT,
		.mr_config = l->has_mr_config ? l->mr_config : NULL,
		.qgs_port = l->qgs_port,
	};
	memcpy(p.mac, l->mac, sizeof p.mac);
	return p;
}
