// qemu - the command line of a VM, built in one place from one table.
//
// The order of the arguments is measured: it decides the PCI slots, hence the ACPI tables, hence RTMR0. A
// change here changes what verifiers expect; tests/unit/vmm/qemu_test.c holds the lines that are agreed on.
// spec 40 section 10 (TDX), spec 61 section 12 (emulation).
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "args.h"
#include "base/err.h"

enum platform { PLATFORM_SOFT, PLATFORM_TDX };
enum accel { ACCEL_TCG, ACCEL_KVM, ACCEL_AUTO }; // AUTO: the runner probes
enum { QEMU_PORTS_MAX = 64, MR_CONFIG_SIZE = 48, MAC_TEXT = 18 };

struct port_map {
	bool udp;
	char address[46];  // of the host
	uint16_t from, to; // host port, guest port
};

struct qemu_plan {
	enum platform platform;
	enum accel accel;
	const char *qemu;
	const char *dir;                    // of the VM; sockets are named relative to it, QEMU runs there
	const char *bios, *kernel, *initrd; // bios may be NULL
	const char *rootfs, *cmdline;       // NULL: none
	const char *data;                   // the data disk
	const char *share;                  // the share disk
	unsigned vcpus;
	uint64_t memory_mib;
	char mac[MAC_TEXT];
	const char *net, *dhcp_start; // of QEMU's user network
	const struct port_map *ports;
	size_t n_ports;
	const char *forward_address; // where QEMU listens for the mapped ports; NULL: the map's own
	bool hotplug_off;
	uint64_t pci_hole64_size;
	bool vsock_kernel; // vhost-vsock with `cid`, else our back end at vsock.sock
	uint32_t cid;
	bool tpm;                 // the software TEE's TPM at tpm.sock
	const uint8_t *mr_config; // MR_CONFIG_SIZE bytes for TDX, or NULL
	unsigned qgs_port;        // 0: none
};

// Add the command, program first. Fails on what QEMU could take for options of its own.
int qemu_command(struct args *a, const struct qemu_plan *p, struct err *e);
// The MAC address of NIC 0: stable for the VM, locally administered, starting with `prefix` (0 to 3 bytes).
int qemu_mac(char out[static MAC_TEXT], const char *vm_id, const char *prefix, struct err *e);
