#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/html.h"
#include "base/strings.h"
#include "base/version.h"
#include "core/codec/json.h"
#include "dashboard.h"
#include "logline.h"

enum { SIZE_TEXT = 32, NAME_SHOWN = 200, VALUE_SHOWN = 4096, TCB_SHOWN = 128 << 10 };

#define PART(name)         html_part(b, dashboard_html, name, NULL, 0)
#define PART_OF(name, ...) HTML_PART(b, dashboard_html, name, __VA_ARGS__)

// Upstream's form: steps of 1024, two decimals.
static const char *size(char out[static SIZE_TEXT], uint64_t n)
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB", "PB", "EB" };
	double v = (double)n;
	unsigned k = 0;

	while (v >= 1024 && k + 1 < sizeof units / sizeof *units) {
		v /= 1024;
		k++;
	}
	snprintf(out, SIZE_TEXT, "%.2f %s", v, units[k]);
	return out;
}

// The begin of `s`, whole characters; an ellipsis stands for the rest.
static const char *clip(struct sb *b, const char *s, size_t max)
{
	size_t n = strlen(s), at = 0, len;

	for (; at < n; at += len) {
		len = str_utf8_next(s + at, n - at);
		len = len ? len : 1;
		if (at + len > max)
			break;
	}
	sb_put(b, s, at);
	if (at < n)
		sb_str(b, "\xE2\x80\xA6");
	return b->bad ? "" : b->p;
}

static void fact(struct sb *b, const char *name, const char *value)
{
	auto_sb shown = { 0 };

	if (*value)
		PART_OF("fact", name, clip(&shown, value, VALUE_SHOWN));
}

static void hex(struct sb *b, const char *name, ProtobufCBinaryData v)
{
	auto_sb t = { 0 };

	sb_hex(&t, v.data, v.len);
	if (v.len && v.len <= VALUE_SHOWN)
		PART_OF("hex", name, t.bad ? "" : t.p);
	else
		PART_OF("none", name, "none");
}

// {"name":"kms","id":"<hex>"} in two rows; anything else as it is.
static void key_provider(struct sb *b, const char *text)
{
	static const char *const names[] = { "name", "id" };
	char name[NAME_SHOWN + 1], id[VALUE_SHOWN + 1] = "";
	struct json root, v[2];

	if (json_parse(&root, span_str(text), NULL) || json_kind(root) != JSON_OBJECT ||
	    !json_pick(root, names, v, 2) || json_kind(v[0]) != JSON_STRING ||
	    json_cstr(v[0], name, sizeof name) ||
	    (json_kind(v[1]) == JSON_STRING && json_cstr(v[1], id, sizeof id))) {
		if (*text)
			fact(b, "Key Provider", text);
		else
			PART_OF("none", "Key Provider", "none");
		return;
	}
	fact(b, "Key Provider", name);
	if (*id)
		PART_OF("hex", "Key Provider ID", id);
}

static void machine_provider(struct sb *b, const char *vendor, const char *product)
{
	auto_sb t = { 0 };

	if (*vendor && *product)
		sb_fmt(&t, "%s (%s)", vendor, product);
	else
		sb_fmt(&t, "%s%s", vendor, product);
	fact(b, "Machine Provider", t.bad ? "" : t.p);
}

static void app(struct sb *b, const Guest__AppInfo *i)
{
	fact(b, "Name", i->app_name);
	hex(b, "App ID", i->app_id);
	hex(b, "Instance ID", i->instance_id);
	hex(b, "Device ID", i->device_id);
	key_provider(b, i->key_provider_info);
	machine_provider(b, i->cloud_vendor, i->cloud_product);
	PART("facts-end");
}

static void gauge(struct sb *b, const char *name, uint64_t used, uint64_t total, const char *note)
{
	char u[SIZE_TEXT], t[SIZE_TEXT], percent[8];

	const unsigned share =
		(unsigned)(total ? (double)(used < total ? used : total) * 100 / (double)total : 0.0);
	snprintf(percent, sizeof percent, "%u", share);
	PART_OF("gauge", name, size(u, used), size(t, total), percent, note, share >= 90 ? "full" : "");
}

static void load(struct sb *b, const Host__SystemInfo *s)
{
	char now[16], rest[64];

	snprintf(now, sizeof now, "%u.%02u", s->loadavg_one / 100, s->loadavg_one % 100);
	snprintf(rest, sizeof rest, "5 min %u.%02u, 15 min %u.%02u", s->loadavg_five / 100,
		 s->loadavg_five % 100, s->loadavg_fifteen / 100, s->loadavg_fifteen % 100);
	PART_OF("tile", "Load", now, rest);
}

static void uptime(struct sb *b, uint64_t s)
{
	const unsigned d = (unsigned)(s / 86400), h = (unsigned)(s / 3600 % 24), m = (unsigned)(s / 60 % 60);
	char t[48], exact[32];

	if (d)
		snprintf(t, sizeof t, "%u d %u h", d, h);
	else if (h)
		snprintf(t, sizeof t, "%u h %u min", h, m);
	else
		snprintf(t, sizeof t, "%u min %u s", m, (unsigned)(s % 60));
	snprintf(exact, sizeof exact, "%" PRIu64 " seconds", s);
	PART_OF("tile", "Uptime", t, exact);
}

static void machine(struct sb *b, const Host__SystemInfo *s)
{
	char text[SIZE_TEXT], note[64];
	auto_sb os = { 0 }, cpu = { 0 };

	PART("machine");
	snprintf(note, sizeof note, "%s free", size(text, s->available_memory));
	gauge(b, "Memory", s->used_memory, s->total_memory, note);
	if (s->total_swap) {
		snprintf(note, sizeof note, "%s free", size(text, s->free_swap));
		gauge(b, "Swap", s->used_swap, s->total_swap, note);
	} else
		PART_OF("tile", "Swap", "none", "");
	for (size_t i = 0; i < s->n_disks; i++) {
		const Host__DiskInfo *d = s->disks[i];
		uint64_t used = d->total_size > d->free_size ? d->total_size - d->free_size : 0;
		auto_sb name = { 0 };
		sb_fmt(&name, "Disk %s", d->mount_point);
		gauge(b, name.bad ? "Disk" : name.p, used, d->total_size, d->name);
	}
	load(b, s);
	uptime(b, s->uptime);
	snprintf(note, sizeof note, s->num_cpus == 1 ? "%u core" : "%u cores", s->num_cpus);
	PART_OF("tile", "Processor", note, clip(&cpu, s->cpu_model, NAME_SHOWN));
	PART("tiles-end");
	sb_fmt(&os, *s->os_version ? "%s %s" : "%s", s->os_name, s->os_version);
	fact(b, "Operating system", os.bad ? "" : os.p);
	fact(b, "Kernel", s->kernel_version);
	PART("facts-end");
}

static const char *dot(const char *state)
{
	return !strcmp(state, "running") ? "up"
	       : !strcmp(state, "created") || !strcmp(state, "restarting") || !strcmp(state, "paused")
		       ? "wait"
		       : "down";
}

static void container(struct sb *b, const Host__Container *c, bool logs)
{
	auto_sb name_text = { 0 }, status_text = { 0 };
	const char *name = c->n_names ? c->names[0] : "";

	name += *name == '/';
	name = *name ? name : c->id;
	const char *shown = clip(&name_text, name, NAME_SHOWN),
		   *status = clip(&status_text, *c->status ? c->status : c->state, NAME_SHOWN);
	if (logs && log_name_ok(span_str(name)))
		PART_OF("row-logs", shown, status, dot(c->state), name);
	else
		PART_OF(logs ? "row-no-logs" : "row", shown, status, dot(c->state));
}

static void containers(struct sb *b, const Host__ListContainersResponse *l, bool logs)
{
	PART("containers");
	if (!l->n_containers) {
		PART("containers-none");
		return;
	}
	PART(logs ? "table-logs" : "table");
	for (size_t i = 0; i < l->n_containers; i++)
		container(b, l->containers[i], logs);
	PART("table-end");
}

// One member or item a line. The text is JSON already; what is in strings stays as it is.
static void indented(struct sb *b, const char *json)
{
	unsigned depth = 0;
	bool string = false;

	for (const char *p = json; *p && !b->bad; p++) {
		const bool opens = !string && (*p == '{' || *p == '['),
			   closes = !string && (*p == '}' || *p == ']');
		if (string || !strchr(" \n\t\r", *p)) {
			if (closes && p > json && p[-1] != '{' && p[-1] != '[')
				sb_fmt(b, "\n%*s", (int)(depth ? 2 * (depth - 1) : 0), "");
			sb_chr(b, *p);
		}
		depth += opens;
		depth -= closes && depth;
		if ((opens && p[1] != '}' && p[1] != ']') || (!string && *p == ','))
			sb_fmt(b, "\n%*s", (int)(2 * depth), "");
		else if (!string && *p == ':')
			sb_chr(b, ' ');
		if (string && *p == '\\' && p[1])
			sb_chr(b, *++p);
		else if (*p == '"')
			string = !string;
	}
}

static void measurements(struct sb *b, const struct dashboard_view *v)
{
	const Guest__AppInfo *i = v->info;
	auto_sb tcb = { .max = 1 << 20 };

	if (!v->tcb) {
		PART("tcb-hidden");
		return;
	}
	PART("evidence");
	hex(b, "Compose hash", i->compose_hash);
	hex(b, "OS image hash", i->os_image_hash);
	hex(b, "Aggregated registers", i->mr_aggregated);
	if (strlen(i->tcb_info) > TCB_SHOWN) {
		PART("tcb-large");
		return;
	}
	indented(&tcb, i->tcb_info);
	PART_OF("tcb", tcb.bad || !tcb.p ? i->tcb_info : tcb.p);
}

void dashboard_write(struct sb *b, const struct dashboard_view *v)
{
	auto_sb text = { 0 };
	const char *name = clip(&text, *v->info->app_name ? v->info->app_name : "Unnamed app", NAME_SHOWN);

	PART_OF("top", name);
	sb_fmt(b, "<style>%s</style>\n", dashboard_css);
	PART_OF("head", name);
	if (v->notice[0])
		PART_OF("notice", v->notice[0], v->notice[1]);
	PART("main");
	app(b, v->info);
	if (v->system)
		machine(b, v->system);
	containers(b, v->containers, v->logs);
	measurements(b, v);
	PART_OF(v->system ? "foot-metrics" : "foot", version_text, version_rev);
}
