// What the host may ask: the machine in numbers from a made-up /proc, containers from a made-up engine, and
// the way to power-off, all through the RPC server.
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "containers.h"
#include "guestapi.h"
#include "host.pb-c.h"
#include "metrics.h"
#include "power.h"
#include "prpc.pb-c.h"
#include "procfs.h"
#include "rpc/client.h"
#include "sysinfo.h"

#define MEMINFO                                                                                              \
	"MemTotal:       2000 kB\nMemFree:  500 kB\nMemAvailable: 1500 kB\nSwapTotal: 10 kB\nSwapFree: 4 "   \
	"kB\n"
#define MEMORY(total, available)                                                                             \
	"MemTotal: " total "\nMemFree: 1 kB\nMemAvailable: " available                                       \
	" kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
#define DEV                                                                                                  \
	"Inter-|   Receive                  |  Transmit\n face |bytes    packets errs drop|bytes\n"          \
	"    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n"                                                          \
	"  eth0: 18446744073709551615 2 3 0 0 0 0 0 77 5 6 0 0 0 0 0\n"                                      \
	"veth12: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"                                                          \
	"dstack-wg0:12 1 0 0 0 0 0 0 13 1 0 0 0 0 0 0\n"                                                     \
	"enp0s3: bad 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
#define CONTAINERS                                                                                           \
	"[{\"Id\":\"a1\",\"Names\":[\"/web\",\"/<b>\"],\"Image\":\"nginx\",\"ImageID\":\"sha256:b\","        \
	"\"Created\":1700000000,\"State\":\"running\",\"Status\":\"Up 2 seconds\",\"Labels\":{}},"           \
	"{\"Id\":\"b\",\"Names\":null}]"

static char dir[64] = "/tmp/guestapi-test.XXXXXX";
static char told[64]; // what the made-up host was told
static struct event_base *base;
static struct rpc_server *server;
static struct agent agent = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct guest_side side, shy;
static struct outside outside, shy_outside;
static struct process power;
static struct rpc_server *shy_server;
static struct metrics metrics, shy_metrics;
static struct agent shy_agent;
static pthread_t loop;
static int wake[2];

static struct span of(const char *s)
{
	return span_of(s, strlen(s));
}

static void put(const char *path, const char *text)
{
	char full[256], *slash;
	struct err e = { 0 };

	snprintf(full, sizeof full, "%s/root%s", dir, path);
	slash = strrchr(full, '/');
	*slash = 0;
	assert_int_equal(file_mkdirs(full, 0755, &e), 0);
	*slash = '/';
	assert_int_equal(file_write_str(full, 0644, text, &e), 0);
}

static void tree(void)
{
	put("/proc/meminfo", MEMINFO);
	put("/proc/loadavg", "0.20 1.05 12.99 1/80 11206\n");
	put("/proc/uptime", "3600.99 100.00\n");
	put("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Xeon \"x\"\nmodel name\t: other\n");
	put("/proc/sys/kernel/osrelease", "6.12.0-dstack\n");
	put("/proc/net/dev", DEV);
	put("/proc/net/route", "Iface\tDestination\tGateway\n"
			       "podman0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
			       "eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
			       "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
	put("/proc/net/ipv6_route",
	    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
	    "fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0\n");
	put("/sys/devices/system/cpu/online", "0-3,6\n");
	put("/etc/resolv.conf", "# a\nsearch b\nnameserver 10.0.2.3\nnameserver fd00::3 \n");
	put("/usr/lib/os-release", "PRETTY_NAME=\"x\"\nNAME=\"dstack\"\nVERSION_ID='0.9'\n");
	put("/proc/self/mounts", "rootfs /data tmpfs rw 0 0\n/dev/mapper/d /data ext4 rw 0 0\n"
				 "/dev/x /a\\040b ext4 rw 0 0\n/dev/y /not-asked ext4 rw 0 0\n");
	put("/data/x", "");
	put("/a b/x", "");
}

static void test_machine(void **state)
{
	static const char *const disks[] = { "/data", "/a b", "/data", "/absent" };
	Host__SystemInfo s = HOST__SYSTEM_INFO__INIT;
	struct err e = { 0 };
	auto_arena *a = arena_new(0);

	(void)state;
	assert_int_equal(sysinfo_fill(side.root, disks, 4, a, &s, &e), 0);
	assert_string_equal(s.os_name, "dstack");
	assert_string_equal(s.os_version, "0.9");
	assert_string_equal(s.kernel_version, "6.12.0-dstack");
	assert_string_equal(s.cpu_model, "Xeon \"x\"");
	assert_int_equal(s.num_cpus, 5);
	assert_int_equal(s.total_memory, 2000 * 1024);
	assert_int_equal(s.available_memory, 1500 * 1024);
	assert_int_equal(s.used_memory, 500 * 1024);
	assert_int_equal(s.free_memory, 500 * 1024);
	assert_int_equal(s.total_swap, 10240);
	assert_int_equal(s.used_swap, 6144);
	assert_int_equal(s.free_swap, 4096);
	assert_int_equal(s.uptime, 3600);
	assert_int_equal(s.loadavg_one, 20);
	assert_int_equal(s.loadavg_five, 105);
	assert_int_equal(s.loadavg_fifteen, 1299);
	assert_int_equal(s.n_disks, 2); // in order, each once, only what is mounted
	assert_string_equal(s.disks[0]->mount_point, "/a b");
	assert_string_equal(s.disks[0]->name, "/dev/x");
	assert_string_equal(s.disks[1]->name, "/dev/mapper/d");
	assert_true(s.disks[1]->total_size >= s.disks[1]->free_size && s.disks[1]->total_size);
	put("/proc/uptime", "3600\n");
	assert_int_equal(sysinfo_fill(side.root, disks, 4, a, &s, &e), -1);
	assert_string_equal(e.code, "agent.sysinfo");
	put("/proc/uptime", "3600.99 100.00\n");
}

static void test_networks(void **state)
{
	struct sockaddr_in ip = { .sin_family = AF_INET }, mask = { .sin_family = AF_INET };
	struct sockaddr_in6 ip6 = { .sin6_family = AF_INET6 }, mask6 = { .sin6_family = AF_INET6 };
	struct ifaddrs six = { .ifa_name = (char[]){ "eth0" },
			       .ifa_addr = (void *)&ip6,
			       .ifa_netmask = (void *)&mask6 };
	struct ifaddrs bridge = { .ifa_next = &six,
				  .ifa_name = (char[]){ "podman0" },
				  .ifa_addr = (void *)&ip };
	struct ifaddrs none = { .ifa_next = &bridge, .ifa_name = (char[]){ "eth0" } };
	struct ifaddrs four = { .ifa_next = &none,
				.ifa_name = (char[]){ "eth0" },
				.ifa_addr = (void *)&ip,
				.ifa_netmask = (void *)&mask };
	Host__NetworkInformation n = HOST__NETWORK_INFORMATION__INIT;
	struct err e = { 0 };
	auto_arena *a = arena_new(0);

	(void)state;
	inet_pton(AF_INET, "10.0.2.15", &ip.sin_addr);
	inet_pton(AF_INET, "255.255.254.0", &mask.sin_addr);
	inet_pton(AF_INET6, "fd00::15", &ip6.sin6_addr);
	memset(&mask6.sin6_addr, 0xFF, 8);
	assert_int_equal(netinfo_fill(side.root, &four, a, &n, &e), 0);
	assert_int_equal(n.n_dns_servers, 2);
	assert_string_equal(n.dns_servers[1], "fd00::3");
	assert_int_equal(n.n_gateways, 2); // not the bridge's
	assert_string_equal(n.gateways[0]->address, "10.0.2.2");
	assert_string_equal(n.gateways[1]->address, "fd00::1");
	assert_int_equal(n.n_interfaces, 2); // not lo, not veth, not the malformed one
	const Host__Interface *i = n.interfaces[0];
	assert_string_equal(i->name, "eth0");
	assert_true(i->rx_bytes == UINT64_MAX);
	assert_int_equal(i->rx_errors, 3);
	assert_int_equal(i->tx_bytes, 77);
	assert_int_equal(i->tx_errors, 6);
	assert_int_equal(i->n_addresses, 2);
	assert_string_equal(i->addresses[0]->address, "10.0.2.15");
	assert_int_equal(i->addresses[0]->prefix, 23);
	assert_string_equal(i->addresses[1]->address, "fd00::15");
	assert_int_equal(i->addresses[1]->prefix, 64);
	assert_string_equal(n.interfaces[1]->name, "dstack-wg0");
	assert_non_null(strstr(n.wg_info, "not available"));
}

static void test_malformed_files(void **state)
{
	static const char *const loads[] = { "",
					     "1 2 3 4 5",
					     "0.2 0.1 0.1 1/1 1",
					     "0.20 0.10",
					     "-0.20 0.10 0.10 1/1 1",
					     "99999999999.00 0.10 0.10 1/1 1" };
	static const char *const cpus[] = { "",    "\n",      "a",
					    "3-1", "0-",      "-3",
					    "0,",  "0-99999", "0-65535,0-65535" };
	static const char *const memories[] = {
		"",
		"MemTotal: 1 kB\n",
		MEMORY("1 kB", "2"),
		MEMORY("18446744073709551615 kB", "1"),
		MEMORY("1 MB", "1"),
		MEMORY("1", "1"),
	};
	struct proc_memory m;
	uint32_t load[3], n;
	char out[8];

	(void)state;
	for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
		assert_int_equal(proc_loadavg(of(loads[i]), load), -1);
	for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++)
		if (!proc_cpus(of(cpus[i]), &n))
			fail_msg("accepted: %s", cpus[i]);
	for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
		if (!proc_meminfo(of(memories[i]), &m))
			fail_msg("accepted: %s", memories[i]);
	assert_int_equal(proc_meminfo(of(MEMORY("1 kB", "1")), &m), 0);
	assert_int_equal(proc_meminfo(of(MEMINFO "MemFree: 1 kB\n"), &m), -1); // twice
	proc_value(of("NAME=12345678\n"), "NAME", '=', out, sizeof out);
	assert_string_equal(out, "");
	proc_value(of("NAME=\xff\n"), "NAME", '=', out, sizeof out);
	assert_string_equal(out, "");
	assert_false(proc_mount(of("/dev/x /a\\777 ext4\n/dev/x\n"), "/a", out, sizeof out));
	assert_true(proc_mount(of("a-long-device-name / ext4\n"), "/", out, sizeof out));
	assert_string_equal(out, "");
}

static void test_list_of_the_engine(void **state)
{
	static const char *const bad[] = {
		"", "{}", "[{}]", "[1]", "[{\"Id\":\"\"}]", "[{\"Id\":\"a\",\"Created\":1.5}]"
	};
	Host__ListContainersResponse r = HOST__LIST_CONTAINERS_RESPONSE__INIT;
	struct err e = { 0 };
	auto_arena *a = arena_new(0);

	(void)state;
	assert_int_equal(containers_parse(of(CONTAINERS), a, &r, &e), 0);
	assert_int_equal(r.n_containers, 2);
	assert_string_equal(r.containers[0]->id, "a1");
	assert_int_equal(r.containers[0]->n_names, 2);
	assert_string_equal(r.containers[0]->names[1], "/<b>");
	assert_string_equal(r.containers[0]->image_id, "sha256:b");
	assert_int_equal(r.containers[0]->created, 1700000000);
	assert_string_equal(r.containers[0]->state, "running");
	assert_string_equal(r.containers[1]->status, "");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		Host__ListContainersResponse none = HOST__LIST_CONTAINERS_RESPONSE__INIT;
		if (!containers_parse(of(bad[i]), a, &none, &e))
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(e.code, "agent.engine");
	}
}

static void *call(const char *method, const ProtobufCMessageDescriptor *d, struct arena *a, struct err *e)
{
	auto_free char *url = str_format("unix:%s/guest.sock:/api", dir);
	auto_rpc_client *c = rpc_client_new(url, NULL, e);
	void *out = NULL;

	return c && !rpc_client_call(c, method, NULL, d, a, &out, e) ? out : NULL;
}

static void test_over_the_socket(void **state)
{
	struct err e = { 0 };
	auto_arena *a = arena_new(0);

	(void)state;
	const Host__SystemInfo *s = call("SysInfo", &host__system_info__descriptor, a, &e);
	assert_non_null(s);
	assert_int_equal(s->num_cpus, 5);
	assert_int_equal(s->n_disks, 1);
	const Host__NetworkInformation *n =
		call("GuestApi.NetworkInfo", &host__network_information__descriptor, a, &e);
	assert_non_null(n);
	assert_int_equal(n->n_interfaces, 2);
	const Host__ListContainersResponse *l =
		call("ListContainers", &host__list_containers_response__descriptor, a, &e);
	assert_non_null(l);
	assert_int_equal(l->n_containers, 0);
	static const char *const others[] = { "GetKey", "Sign", "EmitEvent", "Version", "GetTlsKey" };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		assert_null(call(others[i], &prpc__empty__descriptor, a, &e));
		assert_string_equal(e.code, "rpc.unknown_method");
	}
}

// Answers at once, tells the host, and only then asks the init; once however often it is called.
static void test_shutdown(void **state)
{
	auto_free char *done = str_format("%s/off", dir), *text = NULL;
	struct err e = { 0 };
	auto_arena *a = arena_new(0);
	size_t n;

	(void)state;
	assert_non_null(call("Shutdown", &prpc__empty__descriptor, a, &e));
	assert_non_null(call("Shutdown", &prpc__empty__descriptor, a, &e));
	for (int i = 0; i < 500 && !file_exists(done); i++)
		usleep(10000);
	usleep(100000); // a second one would have written by now
	assert_int_equal(file_read(done, 100, &text, &n, &e), 0);
	assert_string_equal(text, "off\n");
	assert_string_equal(told, "shutdown.progress=powering off");
}

static int get(const char *socket, const char *path, struct arena *a, struct span *body, char version[32])
{
	auto_free char *url = str_format("unix:%s/%s", dir, socket);
	struct err e = { 0 };
	auto_rpc_client *c = rpc_client_new(url, NULL, &e);
	int status = 0;

	assert_non_null(c);
	assert_int_equal(rpc_client_get(c, path, a, &status, body, &e), 0);
	snprintf(version, 32, "%s", rpc_client_header(c, "X-App-Version"));
	return status;
}

static void has(struct span body, const char *want)
{
	if (!memmem(body.p, body.n, want, strlen(want)))
		fail_msg("no %s in %.*s", want, (int)body.n, (const char *)body.p);
}

static void test_metrics(void **state)
{
	struct span body, again;
	char version[32];
	auto_arena *a = arena_new(0);

	(void)state;
	assert_int_equal(get("guest.sock", "/metrics", a, &body, version), 200);
	assert_string_equal(version, "v1");
	has(body, "# TYPE system_os_name gauge\nsystem_os_name{os_name=\"dstack\"} 1\n");
	has(body, "system_os_version{os_version=\"0.9\"} 1\n");
	has(body, "system_kernel_version{kernel_version=\"6.12.0-dstack\"} 1\n");
	has(body, "\nsystem_num_cpus 5\n");
	has(body, "\nsystem_memory_used 512000\n");
	has(body, "\nsystem_uptime 3600\n");
	has(body, "\nsystem_load_average_1m 0.20\n");
	has(body, "\nsystem_load_average_15m 12.99\n");
	has(body, "\ndisk_total_size{name=\"/dev/mapper/d\",mount_point=\"/data\"} ");
	// What is asked within a second is not read again.
	put("/proc/uptime", "9000.00 100.00\n");
	assert_int_equal(get("guest.sock", "/metrics", a, &again, version), 200);
	assert_true(span_eq(body, again));
	put("/proc/uptime", "3600.99 100.00\n");
}

static void ga_03_no_metrics_unless_public(void **state)
{
	struct span body;
	char version[32];
	auto_arena *a = arena_new(0);

	(void)state;
	assert_int_equal(get("shy.sock", "/metrics", a, &body, version), 404);
	assert_null(memmem(body.p, body.n, "system_", 7));
	assert_string_equal(version, "v1"); // also on what is not found
}

// Whatever a disk or a processor is called, it stays one label of one line.
static void ga_04_metrics_labels(void **state)
{
	Host__DiskInfo d = HOST__DISK_INFO__INIT, *disks[] = { &d };
	Host__SystemInfo s = HOST__SYSTEM_INFO__INIT;
	auto_sb b = { 0 };

	(void)state;
	d.name = (char[]){ "a\"} 7\nevil{x=\"\\" };
	d.mount_point = (char[]){ "/" };
	d.total_size = 300;
	d.free_size = 200;
	s.cpu_model = (char[]){ "Xeon \"x\"\n" };
	s.disks = disks;
	s.n_disks = 1;
	metrics_write(&b, &s);
	assert_false(b.bad);
	has(span_of(b.p, b.n), "system_cpu_model{cpu_model=\"Xeon \\\"x\\\"\\n\"} 1\n");
	has(span_of(b.p, b.n), "disk_used_size{name=\"a\\\"} 7\\nevil{x=\\\"\\\\\",mount_point=\"/\"} 100\n");
	has(span_of(b.p, b.n), "} 33.33\n");
	assert_null(strstr(b.p, "\nevil"));
	d.total_size = 0;
	b.n = 0;
	metrics_write(&b, &s);
	has(span_of(b.p, b.n), "disk_usage_percentage{");
	has(span_of(b.p, b.n), "} 0.00\n");
}

// A container may open vsock sockets, too: as this guest's own CID, or the loopback's.
static void test_only_the_host(void **state)
{
	struct http_peer p = { .kind = HTTP_PEER_VSOCK, .cid = 2 };

	(void)state;
	assert_true(guest_peer_ok(&p));
	static const uint32_t others[] = { 0, 1, 3, 77, UINT32_MAX };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		p.cid = others[i];
		assert_false(guest_peer_ok(&p));
	}
	p.kind = HTTP_PEER_UNIX;
	assert_true(guest_peer_ok(&p));
}

static int notified(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Host__Notification *n = in;

	(void)c;
	(void)out;
	(void)e;
	snprintf(told, sizeof told, "%s=%s", n->event, n->payload);
	return 0;
}

static void *run(void *arg)
{
	event_base_dispatch(arg);
	return NULL;
}

static void stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static int shy_setup(struct err *e)
{
	static char address[96];

	snprintf(address, sizeof address, "unix:%s/shy.sock", dir);
	shy = side;
	shy.agent = &shy_agent;
	shy_outside = outside_here(base, &shy);
	shy_server = rpc_server_new(base);
	return rpc_server_header(shy_server, "X-App-Version: v1") ||
	       metrics_mount(shy_server, &shy_metrics, &shy_outside) ||
	       rpc_server_listen(shy_server, address, NULL, 0600, e);
}

static int setup(void **state)
{
	static const struct rpc_method host[] = { { "Notify", &host__notification__descriptor,
						    &prpc__empty__descriptor, notified } };
	static const char *const disks[] = { "/data" };
	static char root[96], poweroff[96], url[96], address[96], script[256];
	struct err e = { 0 };

	(void)state;
	if (!mkdtemp(dir) || rpc_client_setup() || pipe(wake))
		return -1;
	snprintf(root, sizeof root, "%s/root", dir);
	snprintf(poweroff, sizeof poweroff, "%s/poweroff", dir);
	snprintf(script, sizeof script, "#!/bin/sh\necho off >>%s/off\n", dir);
	snprintf(address, sizeof address, "unix:%s/guest.sock", dir);
	snprintf(url, sizeof url, "unix:%s/guest.sock:/host", dir);
	if (file_write_str(poweroff, 0755, script, &e) || power_start(&power, poweroff, &e))
		return -1;
	agent.app.host_api_url = url;
	agent.app.public_sysinfo = true;
	side = (struct guest_side){
		.agent = &agent, .root = root, .disks = disks, .n_disks = 1, .engine = "", .power = &power
	};
	tree();
	base = event_base_new();
	side.containers = containers_new(base, "", 1);
	outside = outside_here(base, &side);
	if (!side.containers)
		return -1;
	server = rpc_server_new(base);
	rpc_server_gate(server, guest_gate, NULL);
	if (rpc_server_mount(server, "/api", "GuestApi.", guest_methods, guest_methods_n, &side) ||
	    rpc_server_mount(server, "/host", NULL, host, 1, NULL) ||
	    rpc_server_listen(server, address, NULL, 0600, &e) ||
	    rpc_server_header(server, "X-App-Version: v1") || metrics_mount(server, &metrics, &outside) ||
	    shy_setup(&e) || event_base_once(base, wake[0], EV_READ, stop, base, NULL))
		return -1;
	return pthread_create(&loop, NULL, run, base);
}

static int teardown(void **state)
{
	struct err e = { 0 };

	(void)state;
	if (write(wake[1], "x", 1) != 1)
		return -1;
	pthread_join(loop, NULL);
	containers_free(side.containers);
	rpc_server_free(server);
	rpc_server_free(shy_server);
	metrics_free(&metrics);
	event_base_free(base);
	process_wait(&power);
	return file_remove_tree(dir, &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_malformed_files),
		cmocka_unit_test(test_list_of_the_engine),
		cmocka_unit_test(test_over_the_socket),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_only_the_host),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(ga_03_no_metrics_unless_public),
		cmocka_unit_test(ga_04_metrics_labels),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
