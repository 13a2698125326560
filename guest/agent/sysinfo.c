#include "sysinfo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/strings.h"
#include "procfs.h"

enum {
	SMALL = 16 << 10, // of cpuinfo, the first processor
	TABLE = 1 << 20,  // routes, interfaces, mounts: they grow with the number of containers
	LIST_MAX = 64,    // entries of each list
};

static const char wireguard[] = "dstack-wg0";

// At most `max` bytes of a file, from its begin. Links are followed: os-release and resolv.conf are such.
static struct span read_head(const char *root, const char *path, size_t max, struct arena *a)
{
	char *full = arena_fmt(a, "%s%s", root, path), *buf;
	auto_close int fd = full ? open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	struct stat st;
	size_t n = 0;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || !(buf = arena_alloc(a, max)))
		return (struct span){ 0 };
	while (n < max && ((got = read(fd, buf + n, max - n)) > 0 || (got < 0 && errno == EINTR)))
		n += got > 0 ? (size_t)got : 0;
	return span_of(buf, n);
}

static char *value(struct span text, const char *name, char sep, struct arena *a)
{
	char out[PROC_TEXT];

	proc_value(text, name, sep, out, sizeof out);
	return arena_str(a, out);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int disks_fill(const char *root, const char *const *disks, size_t n, struct arena *a,
		      Host__SystemInfo *out)
{
	struct span mounts = read_head(root, "/proc/self/mounts", TABLE, a);
	const char **sorted = arena_array(a, n + 1, sizeof *sorted);

	out->disks = arena_array(a, n + 1, sizeof *out->disks);
	if (!sorted || !out->disks)
		return -1;
	if (n)
		memcpy(sorted, disks, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, by_name);
	for (size_t i = 0; i < n; i++) {
		char device[PROC_TEXT];
		struct statvfs st;
		const char *path = arena_fmt(a, "%s%s", root, sorted[i]);

		if (!path || (i && !strcmp(sorted[i], sorted[i - 1])) ||
		    !proc_mount(mounts, sorted[i], device, sizeof device) || statvfs(path, &st))
			continue;
		Host__DiskInfo *d = arena_alloc(a, sizeof *d);
		if (!d)
			return -1;
		host__disk_info__init(d);
		d->name = arena_str(a, device);
		d->mount_point = arena_str(a, sorted[i]);
		d->total_size = (uint64_t)st.f_blocks * st.f_frsize;
		d->free_size = (uint64_t)st.f_bavail * st.f_frsize;
		out->disks[out->n_disks++] = d;
	}
	return 0;
}

static int numbers_fill(const char *root, struct arena *a, Host__SystemInfo *out, struct err *e)
{
	struct proc_memory m;
	uint32_t load[3];

	if (proc_meminfo(read_head(root, "/proc/meminfo", SMALL, a), &m))
		return err_code(e, ERR_SYSTEM, "agent.sysinfo", "cannot read /proc/meminfo");
	if (proc_loadavg(read_head(root, "/proc/loadavg", SMALL, a), load))
		return err_code(e, ERR_SYSTEM, "agent.sysinfo", "cannot read /proc/loadavg");
	if (proc_uptime(read_head(root, "/proc/uptime", SMALL, a), &out->uptime))
		return err_code(e, ERR_SYSTEM, "agent.sysinfo", "cannot read /proc/uptime");
	if (proc_cpus(read_head(root, "/sys/devices/system/cpu/online", SMALL, a), &out->num_cpus))
		return err_code(e, ERR_SYSTEM, "agent.sysinfo", "cannot read /sys/devices/system/cpu/online");
	out->total_memory = m.total;
	out->available_memory = m.available;
	out->used_memory = m.total - m.available;
	out->free_memory = m.free;
	out->total_swap = m.swap_total;
	out->used_swap = m.swap_total - m.swap_free;
	out->free_swap = m.swap_free;
	out->loadavg_one = load[0];
	out->loadavg_five = load[1];
	out->loadavg_fifteen = load[2];
	return 0;
}

int sysinfo_fill(const char *root, const char *const *disks, size_t n_disks, struct arena *a,
		 Host__SystemInfo *out, struct err *e)
{
	struct span os = read_head(root, "/etc/os-release", SMALL, a);

	if (!os.n)
		os = read_head(root, "/usr/lib/os-release", SMALL, a);
	struct span release = read_head(root, "/proc/sys/kernel/osrelease", SMALL, a);
	if (numbers_fill(root, a, out, e))
		return -1;
	out->os_name = value(os, "NAME", '=', a);
	out->os_version = value(os, "VERSION_ID", '=', a);
	while (release.n && release.p[release.n - 1] == '\n')
		release.n--;
	bool text = release.n < PROC_TEXT && str_is_utf8(release.p, release.n);
	out->kernel_version =
		arena_dup(a, text && release.n ? (const void *)release.p : "", text ? release.n : 0);
	out->cpu_model = value(read_head(root, "/proc/cpuinfo", SMALL, a), "model name", ':', a);
	if (disks_fill(root, disks, n_disks, a, out) || arena_bad(a))
		return err_set(e, ERR_SYSTEM, "out of memory");
	return 0;
}

static bool is_shown(const char *name)
{
	return !strcmp(name, wireguard) || str_starts(name, "enp") || str_starts(name, "eth");
}

// The length of the prefix of a netmask.
static uint32_t prefix_of(const uint8_t *mask, size_t n)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < n; i++)
		bits += (uint32_t)__builtin_popcount(mask[i]);
	return bits;
}

static int address_add(const struct ifaddrs *i, struct arena *a, Host__Interface *out)
{
	char text[INET6_ADDRSTRLEN];
	int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
	size_t at = family == AF_INET ? offsetof(struct sockaddr_in, sin_addr)
				      : offsetof(struct sockaddr_in6, sin6_addr);

	if ((family != AF_INET && family != AF_INET6) || out->n_addresses == LIST_MAX ||
	    !inet_ntop(family, (const char *)i->ifa_addr + at, text, sizeof text))
		return 0;
	Host__IpAddress *ip = arena_alloc(a, sizeof *ip);
	if (!ip)
		return -1;
	host__ip_address__init(ip);
	ip->address = arena_str(a, text);
	if (i->ifa_netmask)
		ip->prefix = prefix_of((const uint8_t *)i->ifa_netmask + at, family == AF_INET ? 4 : 16);
	out->addresses[out->n_addresses++] = ip;
	return 0;
}

static int interfaces_fill(struct span text, const struct ifaddrs *addresses, struct arena *a,
			   Host__NetworkInformation *out)
{
	struct proc_interface in;

	while (out->n_interfaces < LIST_MAX && proc_next_interface(&text, &in)) {
		if (!is_shown(in.name))
			continue;
		Host__Interface *i = arena_alloc(a, sizeof *i);
		if (!i)
			return -1;
		host__interface__init(i);
		i->name = arena_str(a, in.name);
		i->addresses = arena_array(a, LIST_MAX, sizeof *i->addresses);
		i->rx_bytes = in.rx_bytes;
		i->tx_bytes = in.tx_bytes;
		i->rx_errors = in.rx_errors;
		i->tx_errors = in.tx_errors;
		for (const struct ifaddrs *p = addresses; p && i->addresses; p = p->ifa_next)
			if (!strcmp(p->ifa_name, in.name) && address_add(p, a, i))
				return -1;
		out->interfaces[out->n_interfaces++] = i;
		// `wg` needs CAP_NET_ADMIN, which the agent has given up.
		if (!strcmp(in.name, wireguard))
			out->wg_info = arena_str(a, "not available: the agent keeps no capability");
	}
	return 0;
}

static int gateways_fill(struct span text, bool (*next)(struct span *, char *, char *), struct arena *a,
			 Host__NetworkInformation *out)
{
	char name[PROC_NAME], address[46];

	while (out->n_gateways < LIST_MAX && next(&text, name, address)) {
		if (!is_shown(name))
			continue;
		Host__Gateway *g = arena_alloc(a, sizeof *g);
		if (!g)
			return -1;
		host__gateway__init(g);
		g->address = arena_str(a, address);
		out->gateways[out->n_gateways++] = g;
	}
	return 0;
}

int netinfo_fill(const char *root, const struct ifaddrs *addresses, struct arena *a,
		 Host__NetworkInformation *out, struct err *e)
{
	struct span resolv = read_head(root, "/etc/resolv.conf", SMALL, a);
	char server[64];

	out->dns_servers = arena_array(a, LIST_MAX, sizeof *out->dns_servers);
	out->gateways = arena_array(a, LIST_MAX, sizeof *out->gateways);
	out->interfaces = arena_array(a, LIST_MAX, sizeof *out->interfaces);
	if (arena_bad(a))
		return err_set(e, ERR_SYSTEM, "out of memory");
	while (out->n_dns_servers < LIST_MAX && proc_next_nameserver(&resolv, server))
		out->dns_servers[out->n_dns_servers++] = arena_str(a, server);
	struct span devices = read_head(root, "/proc/net/dev", TABLE, a);
	if (!devices.n)
		return err_code(e, ERR_SYSTEM, "agent.sysinfo", "cannot read /proc/net/dev");
	if (interfaces_fill(devices, addresses, a, out) ||
	    gateways_fill(read_head(root, "/proc/net/route", TABLE, a), proc_next_gateway, a, out) ||
	    gateways_fill(read_head(root, "/proc/net/ipv6_route", TABLE, a), proc_next_gateway6, a, out) ||
	    arena_bad(a))
		return err_set(e, ERR_SYSTEM, "out of memory");
	return 0;
}
