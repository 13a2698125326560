// manifest - what a VM is: vm-manifest.json in its folder, and the checks on what callers ask for.
//
// Member names are upstream's (spec 40 section 7), so that both VMMs can read a folder; `cid` is ours.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "config.h"
#include "qemu.h"

enum { URLS_MAX = 8, URL_MAX = 256 };

struct urls {
	size_t n;
	char v[URLS_MAX][URL_MAX];
};

struct manifest {
	char id[65], name[129], app_id[41], image[65];
	uint32_t vcpu, memory, disk_size, cid; // MiB, GiB
	struct port_map port[QEMU_PORTS_MAX];
	size_t n_port;
	uint64_t created_at_ms;
	bool no_tee;
	struct urls kms, gateway;
};

int manifest_write(const struct manifest *m, const char *path, struct err *e);
int manifest_read(struct manifest *m, const char *path, struct err *e);

// Checks on callers' input, with upstream's words. Code: vmm.input.
int check_name(const char *name, struct err *e);
int check_vm_id(const char *id, struct err *e);
int check_image_name(const char *name, struct err *e);
int check_app_id(char out[static 41], const char *text, struct err *e); // strips 0x, lower case
int check_size(const struct vmm_config *c, uint32_t vcpu, uint32_t memory, uint32_t disk, struct err *e);
// One port mapping as asked for; `address` may be empty.
int check_port(struct port_map *out, const struct vmm_config *c, const char *protocol, uint32_t host_port,
	       uint32_t vm_port, const char *address, struct err *e);
bool ports_conflict(const struct port_map *a, const struct port_map *b);
int urls_add(struct urls *u, const char *url, struct err *e);
