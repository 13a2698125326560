// config - dstack-vmm's configuration: the table of keys and what is checked beyond their types.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "net/address.h"

extern const struct config_key vmm_keys[];
extern const size_t vmm_keys_n;

enum { FORWARDS_MAX = 32, RANGES_MAX = 16, ADDRESS_TEXT = 72 };

// A host address the guests may reach, as 10.0.2.2:listen.
struct forward {
	bool udp;
	uint16_t listen;
	char to[ADDRESS_TEXT];
};

struct port_range {
	bool udp;
	uint16_t from, to;
};

// What the file says, checked; strings are borrowed from `raw`.
struct vmm_config {
	struct config *raw;
	char run_path[512], image_path[512];
	struct forward forward[FORWARDS_MAX];
	size_t n_forward;
	struct port_range range[RANGES_MAX];
	size_t n_range;
	uint64_t log_max, pci_hole64_size;
};

// Makes the two paths absolute. Codes: config.value.
int vmm_config_load(struct vmm_config *out, struct config *raw, struct err *e);
