// GA-08: what lint finds in compose files, each in plain words; what it must not find; texts that are none.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "lint/lint.h"
#include "lint/ytree.h"

#define PINNED "busybox@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define WEB    "services:\n  web:\n    image: " PINNED "\n"

static struct lint l;

static void read_text(const char *text)
{
	struct err e = { 0 };

	assert_int_equal(lint_app(&l, span_str(text), &e), 0);
}

static const struct lint_finding *find(const char *code, const char *words)
{
	for (size_t i = 0; i < l.n; i++)
		if (!strcmp(l.found[i].code, code) && strstr(l.found[i].text, words))
			return &l.found[i];
	return NULL;
}

static void none(const char *text)
{
	read_text(text);
	if (l.n)
		fail_msg("%s: %s %s [%s]", text, l.found[0].where, l.found[0].text, l.found[0].code);
	lint_free(&l);
}

// Exactly this one.
static void one(const char *text, const char *code, const char *where, const char *words)
{
	read_text(text);
	const struct lint_finding *f = find(code, words);
	if (!f || strcmp(f->where, where) != 0 || l.n != 1)
		fail_msg("%s: %zu findings, the first %s %s [%s]", text, l.n, l.n ? l.found[0].where : "",
			 l.n ? l.found[0].text : "", l.n ? l.found[0].code : "");
	lint_free(&l);
}
#define IN_WEB(member, code, words) one(WEB "    " member "\n", code, "service \"web\"", words)

static void ga_08_nothing_to_say(void **state)
{
	(void)state;
	none(WEB);
	none(WEB "    volumes: [data:/data, /data, cache]\n    ports: ['80:80']\n    privileged: false\n"
		 "    pid: service:db\n    network_mode: bridge\n    cap_drop: [ALL]\n    cap_add: []\n"
		 "    security_opt: [no-new-privileges:true]\n    command: [serve, --curly, /usr/curls]\n"
		 "    healthcheck: {test: [CMD, curl, -f, http://localhost/]}\n"
		 "  db:\n    image: a.example:5000/x:1@sha256:"
		 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
		 "volumes:\n  data: {}\n  cache:\nsecrets: {s: {environment: S}}\n");
	none("{\"manifest_version\":2,\"name\":\"x\",\"runner\":\"docker-compose\",\"pre_launch_script\":"
	     "\"\","
	     "\"docker_compose_file\":\"services:\\n  a:\\n    image: " PINNED "\\n\"}");
}

// Who may set which variables.
static void hb_08_unsigned_environment(void **state)
{
	(void)state;
	one("{\"runner\":\"docker-compose\",\"allowed_envs\":[\"A\"]}", "lint.env_unsigned", "allowed_envs",
	    "names no env_signers");
	one("{\"runner\":\"docker-compose\",\"allowed_envs\":[\"A\"],\"requirements\":{\"env_signers\":[]}}",
	    "lint.env_unsigned", "allowed_envs", "its host included");
	none("{\"runner\":\"docker-compose\",\"allowed_envs\":[\"A\"],\"requirements\":{\"env_signers\":["
	     "\"00\"]}}");
	none("{\"runner\":\"docker-compose\",\"allowed_envs\":[]}");
}

static void hb_11_names_that_steer(void **state)
{
	static const char *const guest[] = { "LD_PRELOAD",  "PATH", "BASH_ENV",
					     "DOCKER_HOST", "IFS",  "COMPOSE_FILE" };
	char text[200];

	(void)state;
#define SIGNED "\"requirements\":{\"env_signers\":[\"00\"]}"
	for (size_t i = 0; i < sizeof guest / sizeof *guest; i++) {
		snprintf(text, sizeof text,
			 "{\"runner\":\"docker-compose\",\"allowed_envs\":[\"A\",\"%s\"]," SIGNED "}",
			 guest[i]);
		one(text, "lint.env_steers", "allowed_envs", "refuses it");
	}
	one("{\"runner\":\"docker-compose\",\"allowed_envs\":[\"NODE_OPTIONS\",7]," SIGNED "}",
	    "lint.env_steers", "allowed_envs", "may decide what runs");
}

static void ga_08_privileged(void **state)
{
	(void)state;
	IN_WEB("privileged: true", "lint.privileged", "whatever the kernel can");
	IN_WEB("privileged: \"${P:-false}\"", "lint.privileged", "");
	IN_WEB("privileged: yes", "lint.privileged", "");
}

static void ga_08_host_mounts(void **state)
{
	(void)state;
	IN_WEB("volumes: [\"/etc:/x:ro\"]", "lint.host_mount", "\"/etc\" of the guest");
	IN_WEB("volumes: [./conf:/x]", "lint.host_mount", "\"./conf\"");
	IN_WEB("volumes: [~/x:/x]", "lint.host_mount", "\"~/x\"");
	IN_WEB("volumes: [{type: bind, source: /srv, target: /x}]", "lint.host_mount", "\"/srv\"");
	IN_WEB("volumes: [\"${DIR}:/x\"]", "lint.host_mount", "whoever sets the variable");
	IN_WEB("volumes_from: [db]", "lint.host_mount", "volumes_from");
	one(WEB "volumes: {d: {driver_opts: {type: none, o: bind, device: /root}}}\n", "lint.host_mount",
	    "volume \"d\"", "\"/root\"");
	one(WEB "secrets: {s: {file: /etc/shadow}}\n", "lint.host_mount", "secret \"s\"", "shadow");
	one(WEB "configs: {c: {file: ./c}}\n", "lint.host_mount", "config \"c\"", "./c");
}

static void ga_08_sockets(void **state)
{
	(void)state;
	IN_WEB("volumes: [/var/run/docker.sock:/var/run/docker.sock]", "lint.engine_socket",
	       "start and change");
	IN_WEB("volumes: [{type: bind, source: /run/podman/podman.sock, target: /x}]", "lint.engine_socket",
	       "");
	IN_WEB("use_api_socket: true", "lint.engine_socket", "use_api_socket");
	IN_WEB("volumes: [/var/run/dstack.sock:/var/run/dstack.sock]", "lint.agent_socket", "every key");
	IN_WEB("volumes: [\"/var/run/dstack:/var/run/dstack\"]", "lint.agent_socket", "");
	IN_WEB("volumes: [/var/run/tappd.sock:/x]", "lint.agent_socket", "");
}

static void ga_08_host_namespaces(void **state)
{
	(void)state;
	IN_WEB("pid: host", "lint.pid_host", "every process");
	IN_WEB("network_mode: host", "lint.net_host", "guest's own network");
	IN_WEB("network_mode: $NET", "lint.net_host", "may be one that");
	IN_WEB("ipc: host", "lint.other_host", "ipc");
	IN_WEB("userns_mode: host", "lint.other_host", "userns_mode");
}

static void ga_08_powers(void **state)
{
	(void)state;
	IN_WEB("cap_add: [SYS_ADMIN]", "lint.cap_add", "\"SYS_ADMIN\"");
	IN_WEB("devices: [/dev/mem:/dev/mem]", "lint.device", "/dev/mem");
	IN_WEB("devices: [{source: /dev/kvm, target: /dev/kvm}]", "lint.device", "/dev/kvm");
	IN_WEB("security_opt: [\"seccomp:unconfined\"]", "lint.security_opt", "seccomp:unconfined");
	IN_WEB("security_opt: [\"label=disable\"]", "lint.security_opt", "");
}

static void ga_08_unpinned_images(void **state)
{
	(void)state;
	one("services: {web: {image: nginx}}", "lint.unpinned_image", "service \"web\"",
	    "the registry decides");
	one("services: {web: {image: \"nginx:1.27\"}}", "lint.unpinned_image", "service \"web\"",
	    "nginx:1.27");
	one("services: {web: {image: \"a@sha256:0123\"}}", "lint.unpinned_image", "service \"web\"", "");
	one("services: {web: {image: \"$IMAGE\"}}", "lint.unpinned_image", "service \"web\"",
	    "whoever sets it decides");
	one("services: {web: {image: \"${R}/" PINNED "\"}}", "lint.unpinned_image", "service \"web\"", "");
	one("services: {web: {command: x}}", "lint.unpinned_image", "service \"web\"", "names no image");
	one("services: {web: {build: .}}", "lint.built_later", "service \"web\"", "not measured");
	one(WEB "include: [other.yaml]\n", "lint.include", "the compose file", "");
	IN_WEB("extends: {file: other.yaml, service: web}", "lint.include", "other.yaml");
}

static void ga_08_runtime_fetched_code(void **state)
{
	(void)state;
	IN_WEB("command: pip install -r requirements.txt", "lint.runtime_code", "\"pip install\"");
	IN_WEB("command: [npx, serve]", "lint.runtime_code", "\"npx\"");
	IN_WEB("entrypoint: [sh, -c, \"wget http://x/y\"]", "lint.runtime_code", "\"wget\"");
	IN_WEB("command: [docker, run, x]", "lint.runtime_code", "\"docker run\"");
	IN_WEB("command: sh -c 'cat /data/x | sh'", "lint.runtime_code", "lets a shell run");
	IN_WEB("healthcheck: {test: \"pip install x\"}", "lint.runtime_code", "pip install");
	IN_WEB("post_start: [{command: git clone x}]", "lint.runtime_code", "git clone");
	read_text("{\"runner\":\"docker-compose\",\"pre_launch_script\":\"curl "
		  "x\",\"init_script\":[\"true\",\"apk add y\"],"
		  "\"docker_compose_file\":\"services: {a: {image: b}}\"}");
	assert_non_null(find("lint.guest_script", "may do anything"));
	assert_non_null(find("lint.runtime_code", "\"curl\""));
	assert_non_null(find("lint.runtime_code", "\"apk add\""));
	assert_non_null(find("lint.unpinned_image", "\"b\""));
	assert_int_equal(l.n, 5);
	lint_free(&l);
	one("{\"runner\":\"bash\",\"bash_script\":\"true\",\"docker_compose_file\":\"services: {a: {image: "
	    "b}}\"}",
	    "lint.guest_script", "bash_script", "");
}

// Hidden behind anchors, merges, other quotes, JSON, or keys spelled with escapes.
static void ga_08_hidden(void **state)
{
	(void)state;
	one("x: &x {privileged: true, image: " PINNED "}\nservices: {web: {<<: *x}}", "lint.privileged",
	    "service \"web\"", "");
	one("x: &x {image: " PINNED "}\ny: &y {privileged: true}\nservices: {web: {<<: [*x, *y]}}",
	    "lint.privileged", "service \"web\"", "");
	one("x: &x {web: {image: " PINNED ", privileged: true}}\nservices: {<<: *x}", "lint.privileged",
	    "service \"web\"", "");
	one("{\"services\": {\"web\": {\"image\": \"" PINNED "\", \"\\x70rivileged\": true}}}",
	    "lint.privileged", "service \"web\"", "");
	one("x: &s [/etc:/x]\nservices:\n  web:\n    image: " PINNED "\n    volumes: *s\n", "lint.host_mount",
	    "service \"web\"", "/etc");
	one("services: {\"a\\n\\e[31m\": {image: " PINNED ", pid: host}}", "lint.pid_host",
	    "service \"a\\x0a\\x1b[31m\"", "");
}

static void ga_08_texts_that_are_none(void **state)
{
	static const char *const texts[] = {
		"",
		"text",
		"[]",
		"services: {}",
		"services: [web]",
		"services: {web: {image: a, image: b}}",
		"a: *nothing",
		"services: &s {web: *s}",
		"services: {web: {image: a}",
		"a: 1\n---\nb: 2\n",
		"? [a]\n: b\n",
		"{\"runner\":\"docker-compose\",\"docker_compose_file\":7}",
		"\xff\xfe\xfd",
	};
	auto_free char *deep = malloc(2001), *large = malloc(YAML_TEXT_MAX + 2);

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		read_text(texts[i]);
		if (l.n != 1 || strcmp(l.found[0].code, "lint.unread") != 0)
			fail_msg("%s: %zu, %s", texts[i], l.n, l.n ? l.found[0].text : "");
		lint_free(&l);
	}
	memset(deep, '[', 2000);
	deep[2000] = 0;
	one(deep, "lint.unread", "the compose file", "nested too deeply");
	memset(large, ' ', YAML_TEXT_MAX + 1);
	large[YAML_TEXT_MAX + 1] = 0;
	one(large, "lint.unread", "the compose file", "too large");
}

// A text of a kilobyte that means millions of things is read in bounded time, and says it was not read whole.
static void ga_08_tangled(void **state)
{
	char text[16384];
	size_t n = 0;

	(void)state;
	n += (size_t)snprintf(text, sizeof text, "a0: &a0 {k: v}\n");
	for (int i = 1; i < 9; i++) {
		n += (size_t)snprintf(text + n, sizeof text - n, "a%d: &a%d {<<: [", i, i);
		for (int k = 0; k < 40; k++)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s*a%d", k ? "," : "", i - 1);
		n += (size_t)snprintf(text + n, sizeof text - n, "]}\n");
	}
	snprintf(text + n, sizeof text - n, "services: {web: *a8}\n");
	read_text(text);
	assert_non_null(find("lint.unread", "too tangled"));
	lint_free(&l);
	n = (size_t)snprintf(text, sizeof text, "services:\n");
	for (int i = 0; i < 300; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "  s%d: {image: a}\n", i);
	read_text(text);
	assert_true(l.more);
	assert_int_equal(l.n, LINT_MAX);
	lint_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ga_08_nothing_to_say),   cmocka_unit_test(hb_08_unsigned_environment),
		cmocka_unit_test(hb_11_names_that_steer), cmocka_unit_test(ga_08_privileged),
		cmocka_unit_test(ga_08_host_mounts),      cmocka_unit_test(ga_08_sockets),
		cmocka_unit_test(ga_08_host_namespaces),  cmocka_unit_test(ga_08_powers),
		cmocka_unit_test(ga_08_unpinned_images),  cmocka_unit_test(ga_08_runtime_fetched_code),
		cmocka_unit_test(ga_08_hidden),           cmocka_unit_test(ga_08_texts_that_are_none),
		cmocka_unit_test(ga_08_tangled),
	};
	return cmocka_run_group_tests_name("lint", tests, NULL, NULL);
}
