// Golden command lines: their order is measured, so a change here changes what verifiers expect.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "qemu.h"

static const uint8_t mr_config[MR_CONFIG_SIZE] = { 1, 0xaa, 0xbb };
static const struct port_map ports[] = { { false, "127.0.0.1", 8080, 80 }, { true, "0.0.0.0", 53, 53 } };

static struct qemu_plan plan(void)
{
	return (struct qemu_plan){ .platform = PLATFORM_SOFT,
				   .accel = ACCEL_TCG,
				   .qemu = "qemu-system-x86_64",
				   .dir = "/r/ID",
				   .bios = "/i/ovmf.fd",
				   .kernel = "/i/bzImage",
				   .initrd = "/i/initramfs.cpio.gz",
				   .rootfs = "/i/rootfs.img.parted.verity",
				   .cmdline = "console=ttyS0 init=/init",
				   .data = "/r/ID/hda.img",
				   .share = "/r/ID/shared.img",
				   .vcpus = 1,
				   .memory_mib = 1024,
				   .mac = "96:b1:d8:b9:08:e6",
				   .net = "10.0.2.0/24",
				   .dhcp_start = "10.0.2.10",
				   .ports = ports,
				   .n_ports = 1,
				   .cid = 1000,
				   .tpm = true };
}

static void check_line(const struct qemu_plan *p, const char *const *want)
{
	auto_args a = { 0 };
	struct err e = { 0 };
	size_t i = 0;

	assert_int_equal(qemu_command(&a, p, &e), 0);
	for (; i < a.n && want[i]; i++)
		assert_string_equal(a.v[i], want[i]);
	assert_int_equal(i, a.n);
	assert_null(want[i]);
}

// spec 40 section 10: upstream's line for a TD with the share as a disk, ours with raw data disks and QMP.
static void tdx_line(void **state)
{
	static const char *const want[] = {
		"qemu-system-x86_64",
		"-accel",
		"kvm",
		"-cpu",
		"host",
		"-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-nographic",
		"-nodefaults",
		"-chardev",
		"pty,id=com0,path=/r/ID/serial.pty,logfile=/r/ID/serial.log,logappend=on",
		"-serial",
		"chardev:com0",
		"-qmp",
		"unix:qmp.sock,server,wait=off",
		"-bios",
		"/i/ovmf.fd",
		"-kernel",
		"/i/bzImage",
		"-initrd",
		"/i/initramfs.cpio.gz",
		"-global",
		"ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
		"-global",
		"q35-pcihost.pci-hole64-size=0x20000000000",
		"-drive",
		"file=/i/rootfs.img.parted.verity,if=none,id=hd0,format=raw,readonly=on",
		"-device",
		"virtio-blk-pci,drive=hd0",
		"-drive",
		"file=/r/ID/hda.img,if=none,id=hd1,format=raw",
		"-device",
		"virtio-blk-pci,drive=hd1",
		"-netdev",
		"user,id=net0,net=10.0.2.0/24,dhcpstart=10.0.2.10,restrict=no,hostfwd=tcp:127.0.0.1:8080-:80,"
		"hostfwd=udp:0.0.0.0:53-:53",
		"-device",
		"virtio-net-pci,netdev=net0,mac=96:b1:d8:b9:08:e6",
		"-smbios",
		"type=1,manufacturer=dstack,product=dstack",
		"-device",
		"vhost-vsock-pci,guest-cid=1000",
		"-drive",
		"file=/r/ID/shared.img,if=none,id=hd2,format=raw,readonly=on",
		"-device",
		"virtio-blk-pci,drive=hd2",
		"-machine",
		"q35,kernel-irqchip=split,confidential-guest-support=tdx,hpet=off",
		"-object",
		"{\"qom-type\":\"tdx-guest\",\"id\":\"tdx\",\"mrconfigid\":"
		"\"Aaq7AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
		"\"quote-generation-socket\":{\"type\":\"vsock\",\"cid\":\"2\",\"port\":\"4050\"}}",
		"-smp",
		"2",
		"-m",
		"2048M",
		"-append",
		"console=ttyS0 init=/init",
		NULL
	};
	struct qemu_plan p = plan();

	(void)state;
	p.platform = PLATFORM_TDX;
	p.accel = ACCEL_KVM;
	p.vsock_kernel = true;
	p.tpm = false;
	p.n_ports = 2;
	p.vcpus = 2;
	p.memory_mib = 2048;
	p.hotplug_off = true;
	p.pci_hole64_size = 1ull << 41;
	p.mr_config = mr_config;
	p.qgs_port = 4050;
	check_line(&p, want);
}

static void tdx_object_without_extras(void **state)
{
	struct qemu_plan p = plan();
	auto_args a = { 0 };
	struct err e = { 0 };

	(void)state;
	p.platform = PLATFORM_TDX;
	p.accel = ACCEL_KVM;
	p.vsock_kernel = true;
	p.tpm = false;
	assert_int_equal(qemu_command(&a, &p, &e), 0);
	for (size_t i = 0; i < a.n; i++)
		if (!strcmp(a.v[i], "-object"))
			assert_string_equal(a.v[i + 1], "{\"qom-type\":\"tdx-guest\",\"id\":\"tdx\"}");
}

static void emulation_line(void **state)
{
	static const char *const want[] = {
		"qemu-system-x86_64",
		"-accel",
		"tcg",
		"-cpu",
		"max",
		"-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-nographic",
		"-nodefaults",
		"-no-reboot",
		"-chardev",
		"pty,id=com0,path=/r/ID/serial.pty,logfile=/r/ID/serial.log,logappend=on",
		"-serial",
		"chardev:com0",
		"-qmp",
		"unix:qmp.sock,server,wait=off",
		"-bios",
		"/i/ovmf.fd",
		"-kernel",
		"/i/bzImage",
		"-initrd",
		"/i/initramfs.cpio.gz",
		"-drive",
		"file=/i/rootfs.img.parted.verity,if=none,id=hd0,format=raw,readonly=on",
		"-device",
		"virtio-blk-pci,drive=hd0",
		"-drive",
		"file=/r/ID/hda.img,if=none,id=hd1,format=raw",
		"-device",
		"virtio-blk-pci,drive=hd1",
		"-netdev",
		"user,id=net0,net=10.0.2.0/24,dhcpstart=10.0.2.10,restrict=no,hostfwd=tcp:127.0.0.2:8080-:80",
		"-device",
		"virtio-net-pci,netdev=net0,mac=96:b1:d8:b9:08:e6,romfile=",
		"-smbios",
		"type=1,manufacturer=dstack,product=dstack",
		"-chardev",
		"socket,id=chrtpm,path=tpm.sock",
		"-tpmdev",
		"emulator,id=tpm0,chardev=chrtpm",
		"-device",
		"tpm-crb,tpmdev=tpm0",
		"-chardev",
		"socket,id=vsock0,path=vsock.sock",
		"-device",
		"vhost-user-vsock-pci,chardev=vsock0",
		"-drive",
		"file=/r/ID/shared.img,if=none,id=hd2,format=raw,readonly=on",
		"-device",
		"virtio-blk-pci,drive=hd2",
		"-object",
		"memory-backend-memfd,id=mem,size=1024M,share=on",
		"-machine",
		"q35,kernel-irqchip=split,hpet=off,memory-backend=mem",
		"-smp",
		"1",
		"-m",
		"1024M",
		"-append",
		"console=ttyS0 init=/init",
		NULL
	};
	struct qemu_plan p = plan();

	(void)state;
	p.forward_address = "127.0.0.2";
	check_line(&p, want);
}

static void several_cpus_share_a_thread(void **state)
{
	struct qemu_plan p = plan();
	auto_args a = { 0 };
	struct err e = { 0 };

	(void)state;
	p.vcpus = 2;
	assert_int_equal(qemu_command(&a, &p, &e), 0);
	assert_string_equal(a.v[2], "tcg,thread=single");
}

static void refuses(void **state)
{
	struct qemu_plan p = plan();
	struct err e = { 0 };
	auto_args a = { 0 };

	(void)state;
	p.data = "/r/ID/hda.img,readonly=on"; // would be an option of its own
	assert_int_equal(qemu_command(&a, &p, &e), -1);
	assert_string_equal(e.code, "vmm.path");
	p = plan();
	p.platform = PLATFORM_TDX; // never without KVM
	assert_int_equal(qemu_command(&a, &p, &e), -1);
}

// spec 40 section 11
static void mac_vectors(void **state)
{
	char mac[MAC_TEXT];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(qemu_mac(mac, "vm-123", "", &e), 0);
	assert_string_equal(mac, "96:b1:d8:b9:08:e6");
	assert_int_equal(qemu_mac(mac, "vm-123:1", "", &e), 0);
	assert_string_equal(mac, "c6:74:2c:65:14:b9");
	assert_int_equal(qemu_mac(mac, "vm-123", "02:aa", &e), 0);
	assert_memory_equal(mac, "02:aa:", 6);
	assert_int_equal(qemu_mac(mac, "vm-123", "02:aa:bb:cc", &e), -1);
	assert_int_equal(qemu_mac(mac, "vm-123", "zz", &e), -1);
	assert_int_equal(qemu_mac(mac, "vm-123", "0", &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tdx_line),       cmocka_unit_test(tdx_object_without_extras),
		cmocka_unit_test(emulation_line), cmocka_unit_test(several_cpus_share_a_thread),
		cmocka_unit_test(refuses),        cmocka_unit_test(mac_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
