#include "lint/rules.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/strings.h"

enum { WHERE = 128, DIGEST_HEX = 64 };

static const struct ynode *get(struct lint *l, const struct ynode *map, const char *key)
{
	return ynode_get(map, key, &l->budget);
}

static const char *text(struct lint *l, const struct ynode *map, const char *key)
{
	return ynode_text(get(l, map, key));
}

static bool spend(struct lint *l)
{
	return l->budget && l->budget--;
}

static bool has_variable(const char *s)
{
	return strchr(s, '$') != NULL;
}

// A list's texts, or the one text that stands for a list of one.
static const char *item(const struct ynode *n, size_t i)
{
	if (!n || n->kind == YNODE_MAP)
		return NULL;
	if (n->kind == YNODE_TEXT)
		return i == 0 ? n->text : NULL;
	return i < n->n ? ynode_text(n->child[i]) : NULL;
}

// ---- images ----

static bool has_digest(const char *image)
{
	const char *at = strstr(image, "@sha256:");

	return at && !has_variable(image) && strlen(at + 8) == DIGEST_HEX &&
	       strspn(at + 8, "0123456789abcdef") == DIGEST_HEX;
}

static void image(struct lint *l, const struct ynode *service, const char *where)
{
	const struct ynode *build = get(l, service, "build");
	const char *name = text(l, service, "image");

	if (build)
		lint_add(l, "lint.built_later", where,
			 "builds its image when it starts: what it is made of is not measured");
	else if (!*name)
		lint_add(l, "lint.unpinned_image", where, "names no image: what it runs is not known");
	else if (has_variable(name))
		lint_add(l, "lint.unpinned_image", where,
			 "takes its image %s from a variable: whoever sets it decides what runs",
			 STR_QZ(name));
	else if (!has_digest(name))
		lint_add(l, "lint.unpinned_image", where,
			 "runs %s, which is not pinned by a digest: the registry decides what that is",
			 STR_QZ(name));
}

// ---- what it may do in the guest ----

static bool is_off(const char *s)
{
	static const char *const off[] = { "", "false", "no", "off", "n", "0", "null", "~" };

	for (size_t i = 0; i < sizeof off / sizeof *off; i++)
		if (!strcasecmp(s, off[i]))
			return true;
	return false;
}

static void namespaces(struct lint *l, const struct ynode *service, const char *where)
{
	static const struct {
		const char *key, *code, *text;
	} rules[] = {
		{ "pid", "lint.pid_host", "sees and may end every process of the guest" },
		{ "network_mode", "lint.net_host",
		  "uses the guest's own network, every port of it included" },
		{ "ipc", "lint.other_host", "shares the guest's memory segments and semaphores" },
		{ "uts", "lint.other_host", "may change the guest's name" },
		{ "userns_mode", "lint.other_host", "has no user namespace of its own" },
		{ "cgroup", "lint.other_host", "sees the guest's control groups" },
	};

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const char *v = text(l, service, rules[i].key);
		if (!strcmp(v, "host"))
			lint_add(l, rules[i].code, where, "%s (%s: host)", rules[i].text, rules[i].key);
		else if (has_variable(v))
			lint_add(l, rules[i].code, where, "may be one that %s (%s: %s)", rules[i].text,
				 rules[i].key, STR_QZ(v));
	}
}

static void powers(struct lint *l, const struct ynode *service, const char *where)
{
	const struct ynode *caps = get(l, service, "cap_add"), *options = get(l, service, "security_opt");
	const struct ynode *devices = get(l, service, "devices"), *privileged = get(l, service, "privileged");
	const char *s;

	if (privileged && !is_off(ynode_text(privileged)))
		lint_add(l, "lint.privileged", where,
			 "is privileged: it can do in the guest whatever the kernel can, and read what every "
			 "other container holds");
	for (size_t i = 0; spend(l) && (s = item(caps, i)); i++)
		lint_add(l, "lint.cap_add", where, "has the capability %s", STR_QZ(s));
	for (size_t i = 0; spend(l) && (s = item(options, i)); i++)
		if (strstr(s, "unconfined") || strstr(s, "disable") || strstr(s, "no-new-privileges:false") ||
		    strstr(s, "no-new-privileges=false") || has_variable(s))
			lint_add(l, "lint.security_opt", where, "turns a protection off: %s", STR_QZ(s));
	for (size_t i = 0; spend(l) && devices && devices->kind == YNODE_LIST && i < devices->n; i++) {
		const struct ynode *d = devices->child[i];
		s = d->kind == YNODE_MAP ? text(l, d, "source") : ynode_text(d);
		lint_add(l, "lint.device", where, "opens the device %s", STR_QZ(s));
	}
	if (get(l, service, "device_cgroup_rules"))
		lint_add(l, "lint.device", where, "may open devices by rule (device_cgroup_rules)");
	if (!is_off(text(l, service, "use_api_socket")))
		lint_add(l, "lint.engine_socket", where,
			 "has the container engine's socket (use_api_socket)");
}

// ---- mounts ----

static bool names_socket(const char *path, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(path, names[i]))
			return true;
	return false;
}

static void mount(struct lint *l, const char *where, const char *path)
{
	static const char *const engines[] = { "docker.sock", "podman.sock", "containerd", "crio.sock" };
	static const char *const agents[] = { "dstack.sock", "tappd.sock", "/run/dstack" };

	if (names_socket(path, engines, sizeof engines / sizeof *engines))
		lint_add(
			l, "lint.engine_socket", where,
			"has the container engine's socket (%s): it can start and change containers, so what "
			"runs need not be what is written here",
			STR_QZ(path));
	else if (names_socket(path, agents, sizeof agents / sizeof *agents))
		lint_add(l, "lint.agent_socket", where,
			 "has the agent's socket (%s): it can get every key and quote of the app",
			 STR_QZ(path));
	else if (has_variable(path))
		lint_add(l, "lint.host_mount", where,
			 "mounts %s: whoever sets the variable decides what of the guest that is",
			 STR_QZ(path));
	else
		lint_add(
			l, "lint.host_mount", where,
			"mounts %s of the guest: what lies there is not measured, and outlives the container",
			STR_QZ(path));
}

// "SOURCE:TARGET[:OPTIONS]"; a source that is no path is a volume's name, and without a colon there is none.
static void short_mount(struct lint *l, const char *where, const char *s)
{
	char path[96];
	size_t n = strcspn(s, ":");

	if (has_variable(s)) { // its own colons (${X:-y}) cannot be told from the mount's
		mount(l, where, s);
		return;
	}
	if (!s[n] || !(*s == '/' || *s == '.' || *s == '~'))
		return;
	n = n < sizeof path - 1 ? n : sizeof path - 1;
	memcpy(path, s, n);
	path[n] = 0;
	mount(l, where, path);
}

static void mounts(struct lint *l, const struct ynode *service, const char *where)
{
	const struct ynode *volumes = get(l, service, "volumes");

	for (size_t i = 0; volumes && volumes->kind == YNODE_LIST && i < volumes->n && spend(l); i++) {
		const struct ynode *v = volumes->child[i];
		if (v->kind == YNODE_TEXT)
			short_mount(l, where, v->text);
		else if (!strcmp(text(l, v, "type"), "bind") || has_variable(text(l, v, "type")))
			mount(l, where, text(l, v, "source"));
	}
	if (get(l, service, "volumes_from"))
		lint_add(l, "lint.host_mount", where, "takes over another container's mounts (volumes_from)");
}

// A named volume that is a folder of the guest after all.
static void volume(struct lint *l, const struct ynode *v, const char *where)
{
	const struct ynode *options = get(l, v, "driver_opts");
	const char *device = text(l, options, "device");

	if (*device)
		mount(l, where, device);
}

static void file_of(struct lint *l, const struct ynode *v, const char *where)
{
	const char *path = text(l, v, "file");

	if (*path)
		mount(l, where, path);
}

// ---- code that is not in the image ----

static bool has_word(const char *s, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = s; (at = strcasestr(at, word)); at++) {
		bool begins = at == s || !(isalnum((unsigned char)at[-1]) || strchr("_.-", at[-1]));
		if (begins && !isalnum((unsigned char)at[n]))
			return true;
	}
	return false;
}

void rules_code(struct lint *l, const char *where, const char *code, bool fetches)
{
	static const char *const fetch[] = { "curl", "wget", "git clone", "git pull", "aws s3", "gsutil" };
	static const char *const install[] = {
		"pip install", "pip3 install", "uv pip",         "uvx",
		"npm install", "npm ci",       "npm i",          "npx",
		"yarn add",    "yarn install", "pnpm",           "apt-get install",
		"apt install", "apk add",      "dnf install",    "yum install",
		"go install",  "go run",       "cargo install",  "gem install",
		"docker pull", "docker run",   "docker compose", "docker-compose",
		"docker load", "podman pull",  "podman run",     "nerdctl run",
		"ctr run",
	};

	for (size_t i = 0; i < sizeof install / sizeof *install; i++)
		if (has_word(code, install[i]))
			lint_add(l, "lint.runtime_code", where,
				 "brings code when it runs (\"%s\"): that is not measured", install[i]);
	for (size_t i = 0; fetches && i < sizeof fetch / sizeof *fetch; i++)
		if (has_word(code, fetch[i]))
			lint_add(l, "lint.runtime_code", where,
				 "fetches something when it runs (\"%s\"): if it is code, it is not measured",
				 fetch[i]);
	if (strstr(code, "| sh") || strstr(code, "|sh") || strstr(code, "| bash") || strstr(code, "|bash") ||
	    strstr(code, "bash <(") || strstr(code, "sh <("))
		lint_add(l, "lint.runtime_code", where, "lets a shell run what a command prints");
}

// Words of a list stand for one command line.
static void command(struct lint *l, const char *where, const struct ynode *n, bool fetches)
{
	auto_sb line = { .max = YAML_TEXT_MAX };
	const char *s;

	for (size_t i = 0; spend(l) && (s = item(n, i)); i++) {
		sb_str(&line, i ? " " : "");
		sb_str(&line, s);
	}
	if (line.n && !line.bad)
		rules_code(l, where, line.p, fetches);
}

static void hooks(struct lint *l, const struct ynode *list, const char *where)
{
	for (size_t i = 0; list && list->kind == YNODE_LIST && i < list->n && spend(l); i++)
		command(l, where, get(l, list->child[i], "command"), true);
}

static void code(struct lint *l, const struct ynode *service, const char *where)
{
	command(l, where, get(l, service, "entrypoint"), true);
	command(l, where, get(l, service, "command"), true);
	command(l, where, get(l, get(l, service, "healthcheck"), "test"), false);
	hooks(l, get(l, service, "post_start"), where);
	hooks(l, get(l, service, "pre_stop"), where);
	const struct ynode *from = get(l, service, "extends");
	if (from && from->kind == YNODE_MAP && get(l, from, "file"))
		lint_add(l, "lint.include", where, "is continued in another file, %s, which is not measured",
			 STR_QZ(text(l, from, "file")));
}

static void service(struct lint *l, const struct ynode *v, const char *where)
{
	if (v->kind != YNODE_MAP) {
		lint_add(l, "lint.unread", where, "is no description of a service");
		return;
	}
	image(l, v, where);
	powers(l, v, where);
	namespaces(l, v, where);
	mounts(l, v, where);
	code(l, v, where);
}

// Calls `rule` for each member of the section, those of merged maps too.
static void each(struct lint *l, const struct ynode *section, const char *what,
		 void (*rule)(struct lint *, const struct ynode *, const char *), int depth)
{
	char where[WHERE];

	for (size_t i = 0; section && section->kind == YNODE_MAP && i + 1 < section->n && spend(l); i += 2) {
		const char *name = section->child[i]->text;
		const struct ynode *v = section->child[i + 1];
		if (!strcmp(name, "<<")) {
			for (size_t k = 0; depth < 4 && v->kind == YNODE_LIST && k < v->n && spend(l); k++)
				each(l, v->child[k], what, rule, depth + 1);
			if (depth < 4 && v->kind == YNODE_MAP)
				each(l, v, what, rule, depth + 1);
			continue;
		}
		snprintf(where, sizeof where, "%s %s", what, STR_QZ(name));
		rule(l, v, where);
	}
}

void rules_compose(struct lint *l, const struct ynode *root)
{
	const struct ynode *services = get(l, root, "services");

	if (!services || services->kind != YNODE_MAP || !services->n)
		lint_add(l, "lint.unread", "the compose file", "describes no services");
	if (get(l, root, "include"))
		lint_add(l, "lint.include", "the compose file",
			 "takes parts from other files, which are not measured");
	each(l, services, "service", service, 0);
	each(l, get(l, root, "volumes"), "volume", volume, 0);
	each(l, get(l, root, "configs"), "config", file_of, 0);
	each(l, get(l, root, "secrets"), "secret", file_of, 0);
}
