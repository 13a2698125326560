// launch - all a runner needs to start its VM, resolved: launch.json in the VM's folder.
//
// The daemon writes it at each start, the runner reads it and nothing else of the configuration, so that a
// VM runs on unchanged whatever happens to the daemon and its files. Written and read by us only, still
// checked: a field out of range is refused, not clipped.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "core/measure/measure.h"
#include "qemu.h"

enum { LAUNCH_PATH = 1024, LAUNCH_CMDLINE = 4096 };

struct launch {
	char id[65], name[129];
	enum platform platform;
	enum accel accel;
	char qemu[LAUNCH_PATH], bios[LAUNCH_PATH], kernel[LAUNCH_PATH], initrd[LAUNCH_PATH],
		rootfs[LAUNCH_PATH];
	char cmdline[LAUNCH_CMDLINE];
	unsigned vcpus;
	uint64_t memory_mib, disk_gib;
	char mac[MAC_TEXT], net[40], dhcp_start[46];
	struct port_map port[QEMU_PORTS_MAX];
	size_t n_port;
	struct forward forward[FORWARDS_MAX];
	size_t n_forward;
	bool hotplug_off, vsock_kernel;
	uint64_t pci_hole64_size;
	uint32_t cid;
	bool has_mr_config;
	uint8_t mr_config[MR_CONFIG_SIZE];
	uint8_t mrtd[MEASURE_LEN]; // of the firmware, for the software TEE
	unsigned qgs_port;
	char softtee[LAUNCH_PATH], pki[LAUNCH_PATH], swtpm[LAUNCH_PATH], swtpm_setup[LAUNCH_PATH];
	char key_provider[ADDRESS_TEXT]; // ADDRESS:PORT of the local key provider, "" for none
	uint64_t log_max;
	unsigned log_backups, shutdown_grace, events_max;
	char previous_error[512]; // why an earlier start failed, shown until this one succeeds
};

int launch_write(const struct launch *l, const char *path, struct err *e);
int launch_read(struct launch *l, const char *path, struct err *e);
// The plan of QEMU's command line for a VM in `dir`; borrows from `l` and `scratch`.
struct launch_scratch {
	char data[LAUNCH_PATH], share[LAUNCH_PATH];
};
struct qemu_plan launch_plan(const struct launch *l, const char *dir, struct launch_scratch *scratch);
