// Any bytes as the words of the dashboard: its markup is its own.
#include <stdlib.h>
#include <string.h>
#include "base/html.h"
#include "containers.h"
#include "dashboard.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

// Escaped text has no character that begins or ends markup, and every & is one of ours.
static void check_text(const char *text)
{
	static const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };
	auto_sb b = { 0 };

	html_text(&b, text);
	if (b.bad || strpbrk(b.p ? b.p : "", "<>\"'\r"))
		abort();
	for (const char *p = b.p; p && (p = strchr(p, '&')); p++) {
		size_t i = 0;
		while (i < 5 && strncmp(p, known[i], strlen(known[i])))
			i++;
		if (i == 5)
			abort();
	}
}

static size_t count(const struct sb *b, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += b->p[i] == c;
	return n;
}

// The same page with the words' markup taken out must have the same markup.
static void page(struct dashboard_view v, char *words, Host__ListContainersResponse *list, struct sb *b)
{
	Guest__AppInfo i = GUEST__APP_INFO__INIT;
	Host__SystemInfo s = HOST__SYSTEM_INFO__INIT;
	Host__DiskInfo disk = HOST__DISK_INFO__INIT, *disks[] = { &disk };

	i.app_name = i.cloud_vendor = i.cloud_product = i.tcb_info = words;
	s.os_name = s.os_version = s.kernel_version = s.cpu_model = disk.name = disk.mount_point = words;
	s.disks = disks;
	s.n_disks = 1;
	v.info = &i;
	v.system = v.system ? &s : NULL;
	v.containers = list;
	dashboard_write(b, &v);
	if (b->bad)
		abort();
	i.key_provider_info = words; // JSON or not
	auto_sb other = { 0 };
	dashboard_write(&other, &v);
	if (other.bad || strstr(other.p, "<script") || strstr(other.p, "<img"))
		abort();
}

static void tame(char *s)
{
	for (; *s; s++)
		if (strchr("<>\"'&", *s))
			*s = '+';
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	static const Host__SystemInfo some;
	Host__ListContainersResponse list = HOST__LIST_CONTAINERS_RESPONSE__INIT;
	auto_arena *a = arena_new(32 << 20);
	auto_sb wild = { 0 }, calm = { 0 };
	struct err e = { 0 };

	if (!a || n < 2 || n > 65536)
		return 0;
	struct dashboard_view v = { .system = d[0] & 1 ? &some : NULL, .logs = d[0] & 2, .tcb = d[0] & 4 };
	char *words = arena_dup(a, d + 1, n - 1);
	check_text(words);
	if (containers_parse(span_of(d + 1, n - 1), a, &list, &e))
		host__list_containers_response__init(&list);
	page(v, words, &list, &wild);
	tame(words);
	for (size_t i = 0; i < list.n_containers; i++) {
		Host__Container *c = list.containers[i];
		tame(c->id);
		tame(c->status);
		tame(c->state);
		for (size_t k = 0; k < c->n_names; k++)
			tame(c->names[k]);
	}
	page(v, words, &list, &calm);
	for (const char *c = "<>\"'"; *c; c++)
		if (count(&wild, *c) != count(&calm, *c))
			abort();
	return 0;
}
