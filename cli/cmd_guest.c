// info, ps - what the agent inside a VM tells through the VMM. The guest's and the host's word, no evidence:
// that is what `verify` is for.
#include "command.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sb.h"
#include "host.pb-c.h"
#include "out.h"
#include "rpc/pbjson.h"
#include "vms.h"

struct asked {
	bool json;
	struct vms v;
	Vmm__VmInfo *vm;
};

static int ask_open(struct asked *q, int argc, char **argv, struct err *e)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };

	*q = (struct asked){ 0 };
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c != 'j')
			return err_set(e, ERR_INPUT, "see dstack %s --help", argv[0]);
		q->json = true;
	}
	if (optind + 1 != argc)
		return err_set(e, ERR_INPUT, "dstack %s wants one VM; see dstack ls", argv[0]);
	return vms_open(&q->v, e) || vms_find(&q->v, argv[optind], &q->vm, e) ? -1 : 0;
}

static int ask(struct asked *q, const char *method, const ProtobufCMessageDescriptor *d, void **out,
	       struct err *e)
{
	return vms_ask_guest(&q->v, method, q->vm->id, d, out, e);
}

// Text of a guest on a terminal: without what a terminal would obey.
static const char *safe(struct arena *a, const char *s)
{
	char *copy = arena_str(a, s);

	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	return copy ? copy : "";
}

static const char *joined(struct arena *a, char *const *list, size_t n)
{
	auto_sb b = { 0 };

	for (size_t i = 0; i < n; i++) {
		sb_str(&b, i ? ", " : "");
		sb_str(&b, list[i]);
	}
	return n && !b.bad ? safe(a, b.p) : "none";
}

static const char *size_text(struct arena *a, uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	double v = (double)bytes;
	int u = -1;

	for (; v >= 1024 && units[u + 1]; u++)
		v /= 1024;
	return u < 0 ? arena_fmt(a, "%" PRIu64 " B", bytes) : arena_fmt(a, "%.1f %ciB", v, units[u]);
}

static void line(const char *what, const char *text)
{
	printf("%-12s %s\n", what, text);
}

static void print_system(struct arena *a, const Host__SystemInfo *s)
{
	line("system",
	     safe(a, arena_fmt(a, "%s %s, kernel %s", s->os_name, s->os_version, s->kernel_version)));
	line("processors",
	     safe(a, arena_fmt(a, "%u x %s, load %u.%02u %u.%02u %u.%02u", s->num_cpus, s->cpu_model,
			       s->loadavg_one / 100, s->loadavg_one % 100, s->loadavg_five / 100,
			       s->loadavg_five % 100, s->loadavg_fifteen / 100, s->loadavg_fifteen % 100)));
	line("memory", arena_fmt(a, "%s, %s available", size_text(a, s->total_memory),
				 size_text(a, s->available_memory)));
	for (size_t i = 0; i < s->n_disks; i++)
		line("disk", safe(a, arena_fmt(a, "%s, %s, %s free", s->disks[i]->mount_point,
					       size_text(a, s->disks[i]->total_size),
					       size_text(a, s->disks[i]->free_size))));
	line("up",
	     arena_fmt(a, "%" PRIu64 "d %02u:%02u:%02u", s->uptime / 86400, (unsigned)(s->uptime / 3600 % 24),
		       (unsigned)(s->uptime / 60 % 60), (unsigned)(s->uptime % 60)));
}

static void print_network(struct arena *a, const Host__NetworkInformation *n)
{
	for (size_t i = 0; i < n->n_interfaces; i++) {
		const Host__Interface *f = n->interfaces[i];
		auto_sb b = { 0 };

		for (size_t k = 0; k < f->n_addresses; k++)
			sb_fmt(&b, " %s/%u", f->addresses[k]->address, f->addresses[k]->prefix);
		line("interface",
		     safe(a, arena_fmt(a, "%s%s, received %s, sent %s", f->name, b.n && !b.bad ? b.p : "",
				       size_text(a, f->rx_bytes), size_text(a, f->tx_bytes))));
	}
	line("dns", joined(a, n->dns_servers, n->n_dns_servers));
}

static void print_json(const char *const *name, const ProtobufCMessage *const *m, size_t n)
{
	auto_sb b = { 0 };

	sb_chr(&b, '{');
	for (size_t i = 0; i < n; i++) {
		sb_json_key(&b, name[i]);
		pbjson_write(&b, m[i]);
	}
	sb_chr(&b, '}');
	printf("%s\n", b.bad ? "null" : b.p);
}

int cmd_info(int argc, char **argv)
{
	static const char *const names[] = { "guest", "system", "network" };
	struct asked q;
	struct err e;
	Host__GuestInfo *g = NULL;
	Host__SystemInfo *s = NULL;
	Host__NetworkInformation *n = NULL;
	int status = ask_open(&q, argc, argv, &e) ||
		     ask(&q, "Info", &host__guest_info__descriptor, (void **)&g, &e) ||
		     ask(&q, "SysInfo", &host__system_info__descriptor, (void **)&s, &e) ||
		     ask(&q, "NetworkInfo", &host__network_information__descriptor, (void **)&n, &e);
	struct arena *a = q.v.arena;

	if (!status && q.json) {
		const ProtobufCMessage *const all[] = { &g->base, &s->base, &n->base };
		print_json(names, all, 3);
	} else if (!status) {
		line("vm", arena_fmt(a, "%s %s", q.vm->name, q.vm->id));
		line("app", arena_hex(a, g->app_id.data, g->app_id.len));
		line("instance", arena_hex(a, g->instance_id.data, g->instance_id.len));
		line("agent", safe(a, g->version));
		print_system(a, s);
		print_network(a, n);
	}
	vms_close(&q.v);
	return status ? command_fail(&e, q.json) : 0;
}

static void print_containers(struct arena *a, const Host__ListContainersResponse *r)
{
	static const char *const head[] = { "NAME", "IMAGE", "STATE", "STATUS", NULL };
	const char *const **rows = arena_array(a, r->n_containers + 1, sizeof *rows);
	const char *(*cells)[5] = arena_array(a, r->n_containers + 1, sizeof *cells);

	if (!rows || !cells)
		abort();
	rows[0] = head;
	for (size_t i = 0; i < r->n_containers; i++) {
		const Host__Container *c = r->containers[i];
		const char *name = c->n_names ? c->names[0] : c->id;
		const char *row[] = { safe(a, *name == '/' ? name + 1 : name), safe(a, c->image),
				      safe(a, c->state), safe(a, c->status), NULL };
		memcpy(cells[i], row, sizeof row);
		rows[i + 1] = cells[i];
	}
	out_table(stdout, rows, r->n_containers + 1);
}

int cmd_ps(int argc, char **argv)
{
	struct asked q;
	struct err e;
	Host__ListContainersResponse *r = NULL;
	int status = ask_open(&q, argc, argv, &e) ||
		     ask(&q, "ListContainers", &host__list_containers_response__descriptor, (void **)&r, &e);

	if (!status && q.json) {
		auto_sb b = { 0 };
		pbjson_write(&b, &r->base);
		printf("%s\n", b.bad ? "null" : b.p);
	} else if (!status) {
		print_containers(q.v.arena, r);
	}
	vms_close(&q.v);
	return status ? command_fail(&e, q.json) : 0;
}
