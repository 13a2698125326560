// The dashboard's page: what each switch shows, upstream's number forms, and names that stay text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "dashboard.h"

#define EVIL                                                                                                 \
	"</textarea></title></style><script>alert(1)</script><img src=x onerror='alert(2)' \"&\r\n\x01\xFF"

static Guest__AppInfo info;
static Host__SystemInfo host;
static Host__DiskInfo disk, *disks[] = { &disk };
static Host__Container web, odd, *both[] = { &web, &odd };
static Host__ListContainersResponse list;
static char *web_names[1], *odd_names[1];

static int setup(void **state)
{
	static uint8_t id[20] = { 0xab, 0xcd };
	static char name[] = "shop";

	(void)state;
	guest__app_info__init(&info);
	host__system_info__init(&host);
	host__disk_info__init(&disk);
	host__container__init(&web);
	host__container__init(&odd);
	host__list_containers_response__init(&list);
	info.app_name = name;
	info.app_id = (ProtobufCBinaryData){ 20, id };
	info.instance_id = (ProtobufCBinaryData){ 20, id };
	info.compose_hash = (ProtobufCBinaryData){ 20, id };
	return 0;
}

static struct dashboard_view view(void)
{
	static char vendor[] = "QEMU", product[] = "Standard PC",
		    provider[] = "{\"name\":\"kms\",\"id\":\"aa55\"}",
		    tcb[] = "{\"mrtd\":\"00\",\"event_log\":[{\"a\":\"x,:{\\\"[\"},{}],\"n\":[]}",
		    os[] = "dstack", version[] = "0.6", kernel[] = "6.12", cpu[] = "Xeon",
		    device[] = "/dev/mapper/d", at[] = "/data", name[] = "/web-1", status[] = "Up 2 seconds",
		    state[] = "running", odd_name[] = "/a b", exited[] = "exited", id[] = "f00d";

	info.cloud_vendor = vendor;
	info.cloud_product = product;
	info.key_provider_info = provider;
	info.tcb_info = tcb;
	host.os_name = os;
	host.os_version = version;
	host.kernel_version = kernel;
	host.cpu_model = cpu;
	host.num_cpus = 4;
	host.total_memory = 8ull << 30;
	host.used_memory = 3ull << 30;
	host.available_memory = 5ull << 30;
	host.total_swap = 1536;
	host.used_swap = 512;
	host.free_swap = 1024;
	host.uptime = 93784;
	host.loadavg_one = 20;
	host.loadavg_five = 105;
	host.loadavg_fifteen = 1299;
	disk.name = device;
	disk.mount_point = at;
	disk.total_size = 1000;
	disk.free_size = 90;
	host.disks = disks;
	host.n_disks = 1;
	web_names[0] = name;
	web.names = web_names;
	web.n_names = 1;
	web.status = status;
	web.state = state;
	web.id = id;
	odd_names[0] = odd_name;
	odd.names = odd_names;
	odd.n_names = 1;
	odd.state = exited;
	odd.id = id;
	list.containers = both;
	list.n_containers = 2;
	return (struct dashboard_view){ &info, &host, &list, true, true, { NULL, NULL } };
}

static char *page(const struct dashboard_view *v)
{
	struct sb b = { 0 };

	dashboard_write(&b, v);
	assert_false(b.bad);
	return sb_take(&b);
}

static void has(const char *text, const char *want)
{
	if (!strstr(text, want))
		fail_msg("no %s in %s", want, strstr(text, "<body>"));
}

static void hasnt(const char *text, const char *word)
{
	if (strstr(strstr(text, "<body>"), word))
		fail_msg("%s in %s", word, strstr(text, "<body>"));
}

static void test_everything(void **state)
{
	struct dashboard_view v = view();
	char *p = page(&v);

	(void)state;
	has(p, "<title>shop · dstack</title>");
	has(p, "<dt>App ID</dt><dd><code>abcd000000000000000000000000000000000000</code>");
	has(p, "<dt>Device ID</dt><dd class=\"soft\">none</dd>");
	has(p, "<dt>Key Provider</dt><dd><bdi>kms</bdi>");
	has(p, "<code>aa55</code>");
	has(p, "<dt>Machine Provider</dt><dd><bdi>QEMU (Standard PC)</bdi>");
	has(p, "3.00 GB <small>of 8.00 GB</small></p><svg class=\"bar \" ");
	has(p, "aria-valuenow=\"37\"><rect width=\"37\" height=\"1\"/>");
	has(p, "512.00 B <small>of 1.50 KB</small>");
	has(p, "910.00 B <small>of 1000.00 B</small>");
	has(p, "<h3>Disk /data</h3>");
	has(p, "class=\"bar full\"");
	has(p, "aria-valuenow=\"91\"");
	has(p, "/dev/mapper/d");
	has(p, ">0.20</p><p class=\"soft\">5 min 1.05, 15 min 12.99</p>");
	has(p, ">1 d 2 h</p>");
	has(p, "4 cores");
	has(p, "dstack 0.6");
	has(p, "<bdi>web-1</bdi></td><td><span class=\"dot up\"></span><bdi>Up 2 seconds</bdi>");
	has(p, "href=\"/logs/web-1?text&amp;bare&amp;timestamps&amp;follow&amp;tail=20\"");
	has(p, "<bdi>a b</bdi></td><td><span class=\"dot down\"></span><bdi>exited</bdi></td><td "
	       "class=\"links soft\">none");
	has(p,
	    "{\n  &quot;mrtd&quot;: &quot;00&quot;,\n  &quot;event_log&quot;: [\n    {\n      &quot;a&quot;: "
	    "&quot;x,:{\\&quot;[&quot;\n    },\n    {}\n  ],\n  &quot;n&quot;: []\n}</textarea>");
	has(p, "href=\"/metrics\"");
	hasnt(p, "class=\"notice\"");
	free(p);
}

// Each switch hides its part and nothing of that is left anywhere in the page.
static void ga_03_dashboard_switches(void **state)
{
	struct dashboard_view v = view();

	(void)state;
	v.system = NULL;
	char *p = page(&v);
	hasnt(p, "GB");
	hasnt(p, "Xeon");
	hasnt(p, "6.12");
	hasnt(p, "/data");
	hasnt(p, "/metrics");
	has(p, "web-1");
	free(p);
	v = view();
	v.logs = false;
	p = page(&v);
	hasnt(p, "/logs");
	hasnt(p, ">Logs<");
	has(p, "<bdi>web-1</bdi>");
	free(p);
	v = view();
	v.tcb = false;
	p = page(&v);
	hasnt(p, "mrtd");
	hasnt(p, "<textarea");
	hasnt(p, "Compose hash");
	has(p, "The TCB info of this app is not public.");
	free(p);
}

static unsigned count(const char *p, const char *what)
{
	unsigned n = 0;

	for (; (p = strstr(p, what)); p++)
		n++;
	return n;
}

// Every word that comes from outside is hostile: the page's markup is the same as with harmless ones.
static void ga_04_dashboard_markup(void **state)
{
	static char evil[] = EVIL, slash_evil[] = "/" EVIL;
	struct dashboard_view v = view();
	char *calm = page(&v);

	(void)state;
	info.app_name = info.cloud_vendor = info.cloud_product = info.tcb_info = evil;
	info.key_provider_info = (char[]){ "{\"name\":\"</dl><script>\",\"id\":\"<img src=x>\"}" };
	host.os_name = host.os_version = host.kernel_version = host.cpu_model = evil;
	disk.name = disk.mount_point = evil;
	web.status = web.state = evil;
	odd_names[0] = slash_evil;
	odd.state = odd.status = evil;
	char *p = page(&v);
	assert_int_equal(count(p, "<"), count(calm, "<"));
	assert_int_equal(count(p, ">"), count(calm, ">"));
	assert_int_equal(count(p, "\""), count(calm, "\""));
	assert_int_equal(count(p, "<script"), 0);
	assert_int_equal(count(p, "<img"), 0);
	assert_int_equal(count(p, "\r"), 0);
	free(p);
	web_names[0] = (char[]){ "/../../images/json?all=true" }; // no link: it is no name
	p = page(&v);
	assert_int_equal(count(p, "href=\"/logs/"), 0);
	free(p);
	free(calm);
	setup(NULL);
}

static void test_odd_values(void **state)
{
	struct dashboard_view v = view();
	auto_sb large = { 0 };

	(void)state;
	v.notice[0] = "Development.";
	v.notice[1] = "Not hardware.";
	list.n_containers = 0;
	info.app_name = (char[]){ "" };
	info.key_provider_info = (char[]){ "not JSON" };
	info.cloud_vendor = (char[]){ "" };
	host.total_swap = 0;
	host.num_cpus = 1;
	host.uptime = 59;
	host.total_memory = UINT64_MAX;
	host.used_memory = UINT64_MAX;
	while (large.n < 200000)
		sb_str(&large, "{\"a\":1}");
	info.tcb_info = large.p;
	char *p = page(&v);
	has(p, "<p class=\"notice\"><strong>Development.</strong> Not hardware.</p>");
	has(p, "No containers.");
	has(p, "<h1><bdi>Unnamed app</bdi></h1>");
	has(p, "<bdi>not JSON</bdi>");
	has(p, "<bdi>Standard PC</bdi>");
	has(p, "<h3>Swap</h3><p class=\"big\">none</p>");
	has(p, "1 core<");
	has(p, "0 min 59 s");
	has(p, "16.00 EB <small>of 16.00 EB</small>");
	has(p, "aria-valuenow=\"100\"");
	has(p, "too large for this page");
	hasnt(p, "<textarea");
	free(p);
	char name[1000];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = 0;
	memcpy(name + 199, "\xE2\x82\xAC", 3); // the cut would go through it
	info.app_name = name;
	info.key_provider_info = (char[]){ "" };
	p = page(&v);
	has(p, "nnn\xE2\x80\xA6</bdi></h1>");
	has(p, "<dt>Key Provider</dt><dd class=\"soft\">none</dd>");
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything),
		cmocka_unit_test(ga_03_dashboard_switches),
		cmocka_unit_test(ga_04_dashboard_markup),
		cmocka_unit_test(test_odd_values),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
