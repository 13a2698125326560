// params - what the kernel command line and the block devices' uevents tell dstack-init.
//
// The command line is measured, so it is trusted once the measurement was checked by others; a parameter
// given twice is refused so that no reader can see another value than we do. uevent texts come from the
// host's disks and choose only where to look: the content is checked by dm-verity. Spec 60 sections 1, 3.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { PARAMS_HASH_HEX = 64, PARAMS_DEVICE_MAX = 127 };

struct params {
	char root_hash[PARAMS_HASH_HEX + 1];    // dstack.rootfs_hash, lower case hex of a SHA-256
	uint64_t root_size;                     // dstack.rootfs_size, bytes of the data part
	char root_label[PARAMS_DEVICE_MAX + 1]; // GPT partition name, "" when root_path is given
	char root_path[PARAMS_DEVICE_MAX + 1];  // /dev/..., "" when root_label is used
};

// Read /proc/cmdline's text. The device defaults to PARTLABEL=dstack-rootfs.
int params_parse(struct params *out, const char *text, size_t n, struct err *e);

// The text of /sys/class/block/*/uevent: does it name the partition `label`? `dev` gets its DEVNAME.
bool uevent_has_label(const char *text, size_t n, const char *label, char *dev, size_t cap);
