#include "manifest.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "core/codec/json.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

int check_name(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n > 128 || strspn(name, LETTERS "-_. @~!$^()") != n)
		return err_code(e, ERR_INPUT, "vmm.input", "Invalid name: %s", STR_QZ(name));
	return 0;
}

int check_vm_id(const char *id, struct err *e)
{
	size_t n = strlen(id);

	if (n == 0 || n > 64 || strspn(id, LETTERS "_-") != n)
		return err_code(e, ERR_INPUT, "vmm.input", "invalid VM id");
	return 0;
}

int check_image_name(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0 || n > 64 || strspn(name, LETTERS "_-.") != n || strstr(name, "..") || name[0] == '.')
		return err_code(e, ERR_INPUT, "vmm.input", "Invalid image name");
	return 0;
}

int check_app_id(char out[static 41], const char *text, struct err *e)
{
	uint8_t bytes[20];

	if (str_starts(text, "0x"))
		text += 2;
	if (!hex_exact(bytes, sizeof bytes, text))
		return err_code(e, ERR_INPUT, "vmm.input", "app id is not 40 hexadecimal digits");
	hex_encode(out, bytes, sizeof bytes);
	return 0;
}

int check_size(const struct vmm_config *c, uint32_t vcpu, uint32_t memory, uint32_t disk, struct err *e)
{
	int64_t most_cpu = config_int(c->raw, "cvm.max_allocable_vcpu");
	int64_t most_mem = config_int(c->raw, "cvm.max_allocable_memory_in_mb");
	int64_t most_disk = config_int(c->raw, "cvm.max_disk_size");

	if (vcpu == 0 || vcpu > most_cpu)
		return err_code(e, ERR_INPUT, "vmm.input", "vcpu must be from 1 to %lld",
				(long long)most_cpu);
	if (memory < 128 || memory > most_mem)
		return err_code(e, ERR_INPUT, "vmm.input", "memory must be from 128 to %lld MiB",
				(long long)most_mem);
	if (disk == 0 || disk > most_disk)
		return err_code(e, ERR_INPUT, "vmm.input", "disk_size must be from 1 to %lld GiB",
				(long long)most_disk);
	return 0;
}

static bool in_range(const struct vmm_config *c, bool udp, uint32_t port)
{
	for (size_t i = 0; i < c->n_range; i++)
		if (c->range[i].udp == udp && port >= c->range[i].from && port <= c->range[i].to)
			return true;
	return false;
}

int check_port(struct port_map *out, const struct vmm_config *c, const char *protocol, uint32_t host_port,
	       uint32_t vm_port, const char *address, struct err *e)
{
	struct address parsed;

	if (!config_bool(c->raw, "cvm.port_mapping.enabled"))
		return err_code(e, ERR_DENIED, "vmm.port_mapping", "Port mapping is disabled");
	if (strcmp(protocol, "tcp") && strcmp(protocol, "udp"))
		return err_code(e, ERR_INPUT, "vmm.input", "Invalid protocol");
	if (host_port == 0 || host_port > 65535)
		return err_code(e, ERR_INPUT, "vmm.input", "Invalid host port");
	if (vm_port == 0 || vm_port > 65535)
		return err_code(e, ERR_INPUT, "vmm.input", "Invalid vm port");
	*out = (struct port_map){ .udp = protocol[0] == 'u',
				  .from = (uint16_t)host_port,
				  .to = (uint16_t)vm_port };
	if (!in_range(c, out->udp, host_port))
		return err_code(e, ERR_DENIED, "vmm.port_mapping", "Port mapping is not allowed for %s:%u",
				protocol, host_port);
	if (!*address)
		address = config_str(c->raw, "cvm.port_mapping.address");
	struct err why = { 0 };
	if (strlen(address) >= sizeof out->address || address_of(&parsed, address, 1, &why))
		return err_code(e, ERR_INPUT, "vmm.input", "Invalid host address");
	memcpy(out->address, address, strlen(address) + 1);
	return 0;
}

static bool unspecified(const char *a)
{
	return !strcmp(a, "0.0.0.0") || !strcmp(a, "::");
}

bool ports_conflict(const struct port_map *a, const struct port_map *b)
{
	return a->udp == b->udp && a->from == b->from &&
	       (!strcmp(a->address, b->address) || unspecified(a->address) || unspecified(b->address));
}

int urls_add(struct urls *u, const char *url, struct err *e)
{
	size_t n = strlen(url);

	if (u->n == URLS_MAX || n >= URL_MAX)
		return err_code(e, ERR_INPUT, "vmm.input", "more than %d URLs, or one longer than %d",
				URLS_MAX, URL_MAX - 1);
	for (size_t i = 0; i < n; i++)
		if (url[i] <= ' ' || url[i] > '~')
			return err_code(e, ERR_INPUT, "vmm.input",
					"URL %s has characters that do not belong there", STR_QZ(url));
	memcpy(u->v[u->n++], url, n + 1);
	return 0;
}

static void write_urls(struct sb *b, const char *key, const struct urls *u)
{
	sb_json_key(b, key);
	sb_chr(b, '[');
	for (size_t i = 0; i < u->n; i++) {
		sb_json_next(b);
		sb_json_str(b, u->v[i]);
	}
	sb_chr(b, ']');
}

static void write_str(struct sb *b, const char *key, const char *v)
{
	sb_json_key(b, key);
	sb_json_str(b, v);
}

static void write_u64(struct sb *b, const char *key, uint64_t v)
{
	sb_json_key(b, key);
	sb_fmt(b, "%llu", (unsigned long long)v);
}

int manifest_write(const struct manifest *m, const char *path, struct err *e)
{
	auto_sb b = { 0 };

	sb_chr(&b, '{');
	write_str(&b, "id", m->id);
	write_str(&b, "name", m->name);
	write_str(&b, "app_id", m->app_id);
	write_u64(&b, "vcpu", m->vcpu);
	write_u64(&b, "memory", m->memory);
	write_u64(&b, "disk_size", m->disk_size);
	write_str(&b, "image", m->image);
	sb_json_key(&b, "port_map");
	sb_chr(&b, '[');
	for (size_t i = 0; i < m->n_port; i++) {
		sb_json_next(&b);
		sb_fmt(&b, "{\"address\":\"%s\",\"protocol\":\"%s\",\"from\":%u,\"to\":%u}",
		       m->port[i].address, m->port[i].udp ? "udp" : "tcp", m->port[i].from, m->port[i].to);
	}
	sb_chr(&b, ']');
	write_u64(&b, "created_at_ms", m->created_at_ms);
	sb_str(&b, ",\"hugepages\":false,\"pin_numa\":false");
	write_urls(&b, "kms_urls", &m->kms);
	write_urls(&b, "gateway_urls", &m->gateway);
	sb_fmt(&b, ",\"no_tee\":%s,\"swtpm\":false,\"volumes\":[]", m->no_tee ? "true" : "false");
	write_u64(&b, "cid", m->cid);
	sb_chr(&b, '}');
	if (b.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return file_write(path, 0600, b.p, b.n, e);
}

static int text(struct json o, const char *name, char *out, size_t cap)
{
	struct json v;

	return json_get(o, name, &v) ? json_cstr(v, out, cap) : -1;
}

static int number(struct json o, const char *name, uint32_t *out)
{
	struct json v;
	uint64_t n;

	if (!json_get(o, name, &v) || json_u64(v, UINT32_MAX, &n))
		return -1;
	*out = (uint32_t)n;
	return 0;
}

static int read_urls(struct json o, const char *name, struct urls *u, struct err *e)
{
	struct json list, item;
	char url[URL_MAX];

	if (!json_get(o, name, &list))
		return 0;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);)
		if (json_cstr(item, url, sizeof url) || urls_add(u, url, e))
			return -1;
	return 0;
}

static int read_ports(struct manifest *m, struct json o)
{
	struct json list, item, v;
	struct address check;
	struct err why;

	if (!json_get(o, "port_map", &list))
		return 0;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);) {
		struct port_map *p = &m->port[m->n_port];
		uint32_t from, to;

		if (m->n_port == QEMU_PORTS_MAX || text(item, "address", p->address, sizeof p->address) ||
		    address_of(&check, p->address, 1, &why) || number(item, "from", &from) ||
		    number(item, "to", &to) || from > 65535 || to > 65535 || !json_get(item, "protocol", &v))
			return -1;
		p->udp = json_is(v, "udp");
		p->from = (uint16_t)from;
		p->to = (uint16_t)to;
		m->n_port++;
	}
	return 0;
}

int manifest_read(struct manifest *m, const char *path, struct err *e)
{
	auto_free char *bytes = NULL;
	struct json o, v;
	size_t n;

	*m = (struct manifest){ 0 };
	if (file_read(path, 1 << 20, &bytes, &n, e))
		return -1;
	if (json_parse(&o, span_of(bytes, n), NULL) || text(o, "id", m->id, sizeof m->id) ||
	    text(o, "name", m->name, sizeof m->name) || text(o, "app_id", m->app_id, sizeof m->app_id) ||
	    text(o, "image", m->image, sizeof m->image) || number(o, "vcpu", &m->vcpu) ||
	    number(o, "memory", &m->memory) || number(o, "disk_size", &m->disk_size) || read_ports(m, o) ||
	    read_urls(o, "kms_urls", &m->kms, e) || read_urls(o, "gateway_urls", &m->gateway, e) ||
	    !json_get(o, "created_at_ms", &v) || json_u64(v, UINT64_MAX, &m->created_at_ms))
		return err_code(e, ERR_INPUT, "vmm.manifest", "%s is not a VM manifest", path);
	if (json_get(o, "no_tee", &v) && json_bool(v, &m->no_tee))
		return err_code(e, ERR_INPUT, "vmm.manifest", "%s: no_tee is not a boolean", path);
	if (json_get(o, "cid", &v) && number(o, "cid", &m->cid))
		return err_code(e, ERR_INPUT, "vmm.manifest", "%s: cid is not a number", path);
	return check_vm_id(m->id, e) || check_name(m->name, e) || check_image_name(m->image, e) ||
			       check_app_id(m->app_id, m->app_id, e)
		       ? -1
		       : 0;
}
