// platform - what this machine can run: TDX, KVM, QEMU's version. Probed, never assumed.
#pragma once
#include <stdbool.h>

#include "config.h"
#include "qemu.h"

struct platform_facts {
	enum platform platform;
	enum accel accel;
	bool vsock_kernel; // the host has vhost-vsock
	char qemu[512];    // resolved path
	char qemu_version[32];
};

// Decide by configuration and machine. platform = tdx on a machine without it is an error, never a fall back.
// With `plan_only` (dry runs) nothing is probed: what the configuration asks for is taken as there.
// Codes: platform.tdx_unavailable, platform.kvm_unavailable, platform.qemu.
int platform_find(struct platform_facts *out, const struct vmm_config *c, bool plan_only, struct err *e);
// Whether a short boot of a stock kernel under KVM works: a /dev/kvm that cannot do that exists. Remembered
// in `memory_path` for this boot of the host and this QEMU. `why` says what was found.
bool platform_kvm_works(const char *qemu, const char *kernel, const char *memory_path, char why[static 128]);
bool platform_tdx_here(char why[static 128]);
