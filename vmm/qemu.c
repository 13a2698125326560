#include "qemu.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/strings.h"

typedef void part(struct args *a, const struct qemu_plan *p);

static bool emulated(const struct qemu_plan *p)
{
	return p->platform == PLATFORM_SOFT;
}

static void add_accel(struct args *a, const struct qemu_plan *p)
{
	if (p->accel == ACCEL_KVM)
		args_pair(a, "-accel", "kvm");
	else // QEMU 7.2 loses guest kernels to races between translation threads (spec 61 section 13)
		args_pair(a, "-accel", p->vcpus > 1 ? "tcg,thread=single" : "tcg");
	args_pair(a, "-cpu", p->accel == ACCEL_KVM ? "host" : "max");
}

static void add_console(struct args *a, const struct qemu_plan *p)
{
	args_add(a, "-nographic");
	args_add(a, "-nodefaults");
	if (emulated(p))
		args_add(a, "-no-reboot");
	args_pair(a, "-chardev", "pty,id=com0,path=%s/serial.pty,logfile=%s/serial.log,logappend=on", p->dir,
		  p->dir);
	args_pair(a, "-serial", "chardev:com0");
	args_pair(a, "-qmp", "unix:qmp.sock,server,wait=off");
}

// Not measured. QEMU parses what guests send it: should one break in, there is nothing to execute from there.
static void add_sandbox(struct args *a, const struct qemu_plan *p)
{
	(void)p;
	args_pair(a, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

static void add_boot(struct args *a, const struct qemu_plan *p)
{
	if (p->bios)
		args_pair(a, "-bios", "%s", p->bios);
	args_pair(a, "-kernel", "%s", p->kernel);
	args_pair(a, "-initrd", "%s", p->initrd);
}

static void add_chipset(struct args *a, const struct qemu_plan *p)
{
	if (p->hotplug_off)
		args_pair(a, "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off");
	if (p->pci_hole64_size)
		args_pair(a, "-global", "q35-pcihost.pci-hole64-size=0x%llx",
			  (unsigned long long)p->pci_hole64_size);
}

static void add_disks(struct args *a, const struct qemu_plan *p)
{
	if (p->rootfs) {
		args_pair(a, "-drive", "file=%s,if=none,id=hd0,format=raw,readonly=on", p->rootfs);
		args_pair(a, "-device", "virtio-blk-pci,drive=hd0");
	}
	args_pair(a, "-drive", "file=%s,if=none,id=hd1,format=raw", p->data);
	args_pair(a, "-device", "virtio-blk-pci,drive=hd1");
}

static void add_network(struct args *a, const struct qemu_plan *p)
{
	char fwd[QEMU_PORTS_MAX * 96] = "";
	size_t n = 0;

	for (size_t i = 0; i < p->n_ports && n < sizeof fwd; i++)
		n += (size_t)snprintf(fwd + n, sizeof fwd - n, ",hostfwd=%s:%s:%u-:%u",
				      p->ports[i].udp ? "udp" : "tcp",
				      p->forward_address ? p->forward_address : p->ports[i].address,
				      p->ports[i].from, p->ports[i].to);
	args_pair(a, "-netdev", "user,id=net0,net=%s,dhcpstart=%s,restrict=no%s", p->net, p->dhcp_start, fwd);
	// Without `romfile=` the firmware would load and measure a driver that only emulation brings along.
	args_pair(a, "-device", "virtio-net-pci,netdev=net0,mac=%s%s", p->mac,
		  emulated(p) ? ",romfile=" : "");
}

static void add_identity(struct args *a, const struct qemu_plan *p)
{
	(void)p;
	args_pair(a, "-smbios", "type=1,manufacturer=dstack,product=dstack");
}

static void add_tpm(struct args *a, const struct qemu_plan *p)
{
	if (!p->tpm)
		return;
	args_pair(a, "-chardev", "socket,id=chrtpm,path=tpm.sock");
	args_pair(a, "-tpmdev", "emulator,id=tpm0,chardev=chrtpm");
	args_pair(a, "-device", "tpm-crb,tpmdev=tpm0");
}

static void add_vsock(struct args *a, const struct qemu_plan *p)
{
	if (p->vsock_kernel) {
		args_pair(a, "-device", "vhost-vsock-pci,guest-cid=%u", p->cid);
		return;
	}
	args_pair(a, "-chardev", "socket,id=vsock0,path=vsock.sock");
	args_pair(a, "-device", "vhost-user-vsock-pci,chardev=vsock0");
}

static void add_share(struct args *a, const struct qemu_plan *p)
{
	args_pair(a, "-drive", "file=%s,if=none,id=hd2,format=raw,readonly=on", p->share);
	args_pair(a, "-device", "virtio-blk-pci,drive=hd2");
}

static void add_tdx_object(struct args *a, const struct qemu_plan *p)
{
	char config[96] = "", quotes[112] = "";
	uint8_t b64[MR_CONFIG_SIZE / 3 * 4 + 1];

	if (p->mr_config) {
		EVP_EncodeBlock(b64, p->mr_config, MR_CONFIG_SIZE);
		snprintf(config, sizeof config, ",\"mrconfigid\":\"%.64s\"", (char *)b64);
	}
	if (p->qgs_port)
		snprintf(quotes, sizeof quotes,
			 ",\"quote-generation-socket\":{\"type\":\"vsock\",\"cid\":\"2\",\"port\":\"%u\"}",
			 p->qgs_port);
	args_pair(a, "-object", "{\"qom-type\":\"tdx-guest\",\"id\":\"tdx\"%s%s}", config, quotes);
}

static void add_machine(struct args *a, const struct qemu_plan *p)
{
	if (p->platform == PLATFORM_TDX) {
		args_pair(a, "-machine", "q35,kernel-irqchip=split,confidential-guest-support=tdx,hpet=off");
		add_tdx_object(a, p);
	} else if (p->vsock_kernel) {
		args_pair(a, "-machine", "q35,kernel-irqchip=split,hpet=off");
	} else { // our vsock back end needs to see the guest's memory
		args_pair(a, "-object", "memory-backend-memfd,id=mem,size=%lluM,share=on",
			  (unsigned long long)p->memory_mib);
		args_pair(a, "-machine", "q35,kernel-irqchip=split,hpet=off,memory-backend=mem");
	}
}

static void add_size(struct args *a, const struct qemu_plan *p)
{
	args_pair(a, "-smp", "%u", p->vcpus);
	args_pair(a, "-m", "%lluM", (unsigned long long)p->memory_mib);
}

static void add_cmdline(struct args *a, const struct qemu_plan *p)
{
	if (p->cmdline)
		args_pair(a, "-append", "%s", p->cmdline);
}

static part *const order[] = { add_accel, add_sandbox, add_console,  add_boot,   add_chipset,
			       add_disks, add_network, add_identity, add_tpm,    add_vsock,
			       add_share, add_machine, add_size,     add_cmdline };

// QEMU splits option values at commas; a path with one would start an option of its own.
static int check_path(const char *what, const char *path, struct err *e)
{
	if (!path)
		return 0;
	if (!*path || strchr(path, ',') || strchr(path, '\n') || strlen(path) > 3000)
		return err_code(e, ERR_INPUT, "vmm.path", "%s has a path that QEMU cannot be given: %s", what,
				STR_QZ(path));
	return 0;
}

int qemu_command(struct args *a, const struct qemu_plan *p, struct err *e)
{
	const struct {
		const char *what, *path;
	} paths[] = { { "VM folder", p->dir },   { "firmware", p->bios },     { "kernel", p->kernel },
		      { "initrd", p->initrd },   { "root image", p->rootfs }, { "data disk", p->data },
		      { "share disk", p->share } };

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (check_path(paths[i].what, paths[i].path, e))
			return -1;
	if (p->n_ports > QEMU_PORTS_MAX)
		return err_code(e, ERR_INPUT, "vmm.ports", "%zu port mappings, at most %d", p->n_ports,
				QEMU_PORTS_MAX);
	if (p->platform == PLATFORM_TDX && (p->accel != ACCEL_KVM || !p->vsock_kernel))
		return err_set(e, ERR_BUG, "a TDX guest needs KVM and the kernel's vsock");
	args_add(a, "%s", p->qemu);
	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		order[i](a, p);
	return a->bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

int qemu_mac(char out[static MAC_TEXT], const char *vm_id, const char *prefix, struct err *e)
{
	uint8_t hash[SHA256_DIGEST_LENGTH], mac[6];
	size_t given = 0;
	char hex[7] = "";

	for (const char *s = prefix; *s; s++)
		if (*s != ':') {
			if (given == 6)
				return err_set(e, ERR_INPUT, "MAC prefix %s is longer than three bytes",
					       STR_QZ(prefix));
			hex[given++] = *s;
		}
	if (given && !hex_exact(mac, given / 2, hex))
		return err_set(e, ERR_INPUT, "MAC prefix %s is not hexadecimal bytes", STR_QZ(prefix));
	given /= 2;
	SHA256((const uint8_t *)vm_id, strlen(vm_id), hash);
	memcpy(mac + given, hash, sizeof mac - given);
	mac[0] = (uint8_t)((mac[0] & 0xfe) | 0x02);
	snprintf(out, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
	return 0;
}
