#include "metrics.h"

#include <inttypes.h>
#include <string.h>
#include "base/log.h"
#include "base/time.h"
#include "sysinfo.h"

enum { FRESH_MS = 1000 };

static void head(struct sb *b, const char *name, const char *help)
{
	sb_fmt(b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void label(struct sb *b, const char *s)
{
	sb_chr(b, '"');
	for (; *s; s++) {
		if (*s == '\n') {
			sb_str(b, "\\n");
			continue;
		}
		if (*s == '"' || *s == '\\')
			sb_chr(b, '\\');
		sb_chr(b, *s);
	}
	sb_chr(b, '"');
}

static void text(struct sb *b, const char *name, const char *help, const char *key, const char *value)
{
	head(b, name, help);
	sb_fmt(b, "%s{%s=", name, key);
	label(b, value);
	sb_str(b, "} 1\n");
}

static void number(struct sb *b, const char *name, const char *help, uint64_t v)
{
	head(b, name, help);
	sb_fmt(b, "%s %" PRIu64 "\n", name, v);
}

// The load itself, with its two decimals, as the name says: upstream prints it times 100.
static void load(struct sb *b, const char *name, const char *help, uint32_t hundredths)
{
	head(b, name, help);
	sb_fmt(b, "%s %u.%02u\n", name, hundredths / 100, hundredths % 100);
}

static void disk(struct sb *b, const char *name, const Host__DiskInfo *d)
{
	sb_fmt(b, "%s{name=", name);
	label(b, d->name);
	sb_str(b, ",mount_point=");
	label(b, d->mount_point);
	sb_str(b, "} ");
}

static void disks(struct sb *b, const Host__SystemInfo *s)
{
	static const struct {
		const char *name, *help;
	} all[] = {
		{ "disk_total_size", "Size of the file system in bytes" },
		{ "disk_free_size", "Bytes free for users" },
		{ "disk_used_size", "Bytes that are not" },
		{ "disk_usage_percentage", "Used part of the file system in percent" },
	};

	for (unsigned k = 0; k < sizeof all / sizeof *all && s->n_disks; k++) {
		head(b, all[k].name, all[k].help);
		for (size_t i = 0; i < s->n_disks; i++) {
			const Host__DiskInfo *d = s->disks[i];
			uint64_t used = d->total_size > d->free_size ? d->total_size - d->free_size : 0;
			const uint64_t bytes[] = { d->total_size, d->free_size, used };

			disk(b, all[k].name, d);
			if (k < 3)
				sb_fmt(b, "%" PRIu64 "\n", bytes[k]);
			else
				sb_fmt(b, "%.2f\n",
				       d->total_size ? (double)used * 100 / (double)d->total_size : 0.0);
		}
	}
}

void metrics_write(struct sb *b, const Host__SystemInfo *s)
{
	text(b, "system_os_name", "Name of the operating system", "os_name", s->os_name);
	text(b, "system_os_version", "Version of the operating system", "os_version", s->os_version);
	text(b, "system_kernel_version", "Version of the kernel", "kernel_version", s->kernel_version);
	text(b, "system_cpu_model", "Model of the processor", "cpu_model", s->cpu_model);
	number(b, "system_num_cpus", "Number of processors", s->num_cpus);
	number(b, "system_memory_total", "Memory in bytes", s->total_memory);
	number(b, "system_memory_available", "Memory that can be had without swapping, in bytes",
	       s->available_memory);
	number(b, "system_memory_used", "Memory that is not available, in bytes", s->used_memory);
	number(b, "system_memory_free", "Memory that nothing uses, in bytes", s->free_memory);
	number(b, "system_swap_total", "Swap in bytes", s->total_swap);
	number(b, "system_swap_used", "Used swap in bytes", s->used_swap);
	number(b, "system_swap_free", "Free swap in bytes", s->free_swap);
	number(b, "system_uptime", "Seconds since the start", s->uptime);
	load(b, "system_load_average_1m", "Load average over 1 minute", s->loadavg_one);
	load(b, "system_load_average_5m", "Load average over 5 minutes", s->loadavg_five);
	load(b, "system_load_average_15m", "Load average over 15 minutes", s->loadavg_fifteen);
	disks(b, s);
}

static int refresh(struct metrics *m, struct err *e)
{
	Host__SystemInfo s = HOST__SYSTEM_INFO__INIT;
	auto_arena *a = arena_new(8 << 20);
	auto_sb b = { .max = 1 << 20 };

	if (!a || m->outside->sysinfo(m->outside, a, &s, e))
		return a ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	metrics_write(&b, &s);
	size_t n = b.n;
	char *text = sb_take(&b);
	if (!text)
		return err_set(e, ERR_SYSTEM, "out of memory");
	free(m->text);
	m->text = text;
	m->n = n;
	m->until_ms = time_mono_ms() + FRESH_MS;
	return 0;
}

static void answer(struct http_conn *c, void *arg)
{
	static const char failed[] = "the machine's state cannot be read\n",
			  type[] = "text/plain; charset=utf-8";
	struct metrics *m = arg;
	struct err e = { 0 };

	if ((!m->text || time_mono_ms() >= m->until_ms) && refresh(m, &e)) {
		log_error("agent", "metrics: %s", e.text);
		http_reply(c, 500, type, failed, sizeof failed - 1);
		return;
	}
	http_reply(c, 200, type, m->text, m->n);
}

int metrics_mount(struct rpc_server *s, struct metrics *m, const struct outside *outside)
{
	m->outside = outside;
	return outside->app->public_sysinfo ? rpc_server_raw(s, "/metrics", answer, m) : 0;
}

void metrics_free(struct metrics *m)
{
	free(m->text);
	*m = (struct metrics){ 0 };
}
