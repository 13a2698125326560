#include "rpc/client_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "core/hash/sha2.h"

enum { CGROUP_MAX = 8192 };

// NULL: cannot be read.
static char *cgroup_of(const char *process)
{
	char path[48], *text = NULL;
	struct err none;
	size_t n;

	snprintf(path, sizeof path, "/proc/%s/cgroup", process);
	return file_read(path, CGROUP_MAX, &text, &n, &none) ? NULL : text;
}

static void digest(uint8_t kind, const void *a, size_t an, const void *b, size_t bn,
		   uint8_t out[static CLIENT_KEY])
{
	struct sha256 s;
	uint8_t h[32];

	sha256_init(&s);
	sha256_add(&s, &kind, 1);
	sha256_add(&s, a, an);
	sha256_add(&s, b, bn);
	sha256_end(&s, h);
	memcpy(out, h, CLIENT_KEY);
}

void client_key_unix(const struct http_peer *p, const char *cgroup, const char *own_cgroup,
		     uint8_t out[static CLIENT_KEY])
{
	bool tells = cgroup && *cgroup && (!own_cgroup || strcmp(cgroup, own_cgroup) != 0);

	if (tells)
		digest('g', &p->uid, sizeof p->uid, cgroup, strlen(cgroup), out);
	else
		digest('p', &p->uid, sizeof p->uid, &p->pid, sizeof p->pid, out);
}

void client_key_address(const struct http_peer *p, uint8_t out[static CLIENT_KEY])
{
	if (p->kind == HTTP_PEER_TCP)
		digest('a', p->address, p->six ? 8 : sizeof p->address, &p->six, sizeof p->six, out);
	else if (p->kind == HTTP_PEER_VSOCK)
		digest('v', &p->cid, sizeof p->cid, "", 0, out);
	else
		digest('u', &p->uid, sizeof p->uid, "", 0, out);
}

void client_key(const struct http_peer *p, uint8_t out[static CLIENT_KEY])
{
	char pid[16];

	if (p->kind != HTTP_PEER_UNIX) {
		client_key_address(p, out);
		return;
	}
	snprintf(pid, sizeof pid, "%u", p->pid);
	auto_free char *theirs = cgroup_of(pid), *ours = cgroup_of("self");
	client_key_unix(p, theirs, ours, out);
}
