#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"

const struct config_key vmm_keys[] = {
	{ "address", CONFIG_STRING, .def = "unix:./vmm.sock", .doc = "where the API is served (mode 0600)" },
	{ "tcp_address", CONFIG_STRING, .def = "",
	  .doc = "a second listener, loopback only, as tcp:127.0.0.1:PORT; there is no login on it" },
	{ "run_path", CONFIG_STRING, .def = "./vm", .doc = "a folder per VM" },
	{ "node_name", CONFIG_STRING, .def = "", .doc = "name of this machine, for people" },
	{ "event_buffer_size", CONFIG_INT, .def = "20", .min = 1, .max = 64,
	  .doc = "guest events kept per VM" },
	{ "image.path", CONFIG_STRING, .def = "./images", .doc = "a folder per guest image" },
	{ "cvm.platform", CONFIG_STRING, .def = "auto",
	  .doc = "auto, tdx or soft; auto takes tdx where it works, tdx never becomes soft" },
	{ "cvm.accel", CONFIG_STRING, .def = "auto",
	  .doc = "auto, kvm or tcg, for soft VMs; auto probes KVM by a short boot" },
	{ "cvm.qemu_path", CONFIG_STRING, .def = "", .doc = "QEMU; default qemu-system-x86_64 of the PATH" },
	{ "cvm.kms_urls", CONFIG_STRINGS, .doc = "given to guests that have no list of their own" },
	{ "cvm.gateway_urls", CONFIG_STRINGS, .doc = "the same for gateways" },
	{ "cvm.pccs_url", CONFIG_STRING, .def = "", .doc = "collateral service, as guests reach it" },
	{ "cvm.docker_registry", CONFIG_STRING, .def = "", .doc = "mirror of docker.io, as guests reach it" },
	{ "cvm.cid_start", CONFIG_INT, .def = "1000", .min = 3, .max = 4000000000,
	  .doc = "first vsock CID to give out" },
	{ "cvm.cid_pool_size", CONFIG_INT, .def = "1000", .min = 1, .max = 100000,
	  .doc = "how many, hence VMs" },
	{ "cvm.max_allocable_vcpu", CONFIG_INT, .def = "20", .min = 1, .max = 4096,
	  .doc = "of all VMs together" },
	{ "cvm.max_allocable_memory_in_mb", CONFIG_INT, .def = "100000", .min = 256, .max = 100000000,
	  .doc = "of all VMs together" },
	{ "cvm.max_disk_size", CONFIG_INT, .def = "1024", .min = 1, .max = 1000000, .doc = "GiB, of one VM" },
	{ "cvm.use_mrconfigid", CONFIG_BOOL, .def = "true", .doc = "bind the compose hash into MRCONFIGID" },
	{ "cvm.qgs_port", CONFIG_INT, .def = "4050", .max = 65535,
	  .doc = "vsock port of the host's quote generation service for TDX, 0: none" },
	{ "cvm.qemu_version", CONFIG_STRING, .def = "", .doc = "told to guests; default: what QEMU says" },
	{ "cvm.qemu_hotplug_off", CONFIG_BOOL, .def = "false", .doc = "no ACPI PCI hot-plug (measured)" },
	{ "cvm.qemu_pci_hole64_size", CONFIG_STRING, .def = "0",
	  .doc = "64-bit PCI hole, e.g. 2T (measured)" },
	{ "cvm.shutdown_grace", CONFIG_INT, .def = "60", .min = 1, .max = 3600,
	  .doc = "seconds a guest has to power off before it is stopped" },
	{ "cvm.networking.mac_prefix", CONFIG_STRING, .def = "",
	  .doc = "first 0 to 3 bytes of MAC addresses" },
	{ "cvm.networking.net", CONFIG_STRING, .def = "10.0.2.0/24", .doc = "network inside each VM" },
	{ "cvm.networking.dhcp_start", CONFIG_STRING, .def = "10.0.2.10",
	  .doc = "first address given there" },
	{ "cvm.port_mapping.enabled", CONFIG_BOOL, .def = "false", .doc = "allow host ports for VMs" },
	{ "cvm.port_mapping.address", CONFIG_STRING, .def = "127.0.0.1",
	  .doc = "host address when none is given" },
	{ "cvm.port_mapping.range[].protocol", CONFIG_STRING, .def = "tcp", .doc = "tcp or udp" },
	{ "cvm.port_mapping.range[].from", CONFIG_INT, .def = "1", .min = 1, .max = 65535,
	  .doc = "first host port allowed" },
	{ "cvm.port_mapping.range[].to", CONFIG_INT, .def = "20000", .min = 1, .max = 65535,
	  .doc = "last one" },
	{ "cvm.auto_restart.enabled", CONFIG_BOOL, .def = "true",
	  .doc = "start VMs again that ended by themselves" },
	{ "cvm.auto_restart.max_retries", CONFIG_INT, .def = "5", .max = 1000, .doc = "attempts in a row" },
	{ "cvm.auto_restart.initial_backoff", CONFIG_INT, .def = "5", .min = 1, .max = 86400,
	  .doc = "seconds, doubled each time" },
	{ "cvm.auto_restart.max_backoff", CONFIG_INT, .def = "300", .min = 1, .max = 86400,
	  .doc = "seconds" },
	{ "cvm.auto_restart.reset_window", CONFIG_INT, .def = "300", .min = 1, .max = 86400,
	  .doc = "seconds of running after which the attempts count anew" },
	{ "cvm.log.max_bytes", CONFIG_STRING, .def = "4M", .doc = "size at which a VM's log is rotated" },
	{ "cvm.log.max_backups", CONFIG_INT, .def = "3", .max = 100, .doc = "rotated files kept" },
	{ "key_provider.address", CONFIG_STRING, .def = "",
	  .doc = "ADDRESS:PORT of the local key provider, for apps with key_provider local; empty: none" },
	{ "network.forward[].listen", CONFIG_INT, .required = true, .min = 1, .max = 65535,
	  .doc = "guests reach it as 10.0.2.2:PORT" },
	{ "network.forward[].to", CONFIG_STRING, .required = true, .doc = "ADDRESS:PORT on the host" },
	{ "network.forward[].proto", CONFIG_STRING, .def = "tcp", .doc = "tcp or udp" },
	{ "softtee.command", CONFIG_STRING, .def = "dstack-softtee",
	  .doc = "the software TEE, for soft VMs" },
	{ "softtee.pki", CONFIG_STRING, .def = "./pki", .doc = "folder of its development PKI" },
	{ "softtee.swtpm", CONFIG_STRING, .def = "swtpm", .doc = "the TPM behind it" },
	{ "softtee.swtpm_setup", CONFIG_STRING, .def = "swtpm_setup", .doc = "prepares a new VM's TPM" },
	{ "gateway.base_domain", CONFIG_STRING, .def = "localhost", .doc = "for app URLs" },
	{ "gateway.port", CONFIG_INT, .def = "8082", .min = 1, .max = 65535, .doc = "for app URLs" },
	{ "gateway.agent_port", CONFIG_INT, .def = "8090", .min = 1, .max = 65535, .doc = "for app URLs" },
};
const size_t vmm_keys_n = sizeof vmm_keys / sizeof *vmm_keys;

static int bad(struct err *e, const char *key, const char *why)
{
	return err_code(e, ERR_INPUT, "config.value", "%s %s", key, why);
}

static int one_of(const struct config *c, const char *key, const char *a, const char *b, const char *d,
		  struct err *e)
{
	const char *v = config_str(c, "%s", key);

	if (!strcmp(v, a) || !strcmp(v, b) || !strcmp(v, d))
		return 0;
	return err_code(e, ERR_INPUT, "config.value", "%s is %s, not %s, %s or %s", key, STR_QZ(v), a, b, d);
}

static int absolute(char out[static 512], const char *path, const char *key, struct err *e)
{
	char cwd[PATH_MAX] = "";

	if (!*path)
		return bad(e, key, "is empty");
	if (path[0] != '/' && !getcwd(cwd, sizeof cwd))
		return err_errno(e, "find the current folder");
	if (path[0] == '.' && path[1] == '/')
		path += 2;
	if (snprintf(out, 512, "%s%s%s", cwd, path[0] == '/' ? "" : "/", path) >= 512 || strchr(out, ','))
		return bad(e, key, "is too long or has a comma, which QEMU would misread");
	return 0;
}

static int protocol(bool *udp, const char *v, const char *key, struct err *e)
{
	if (strcmp(v, "tcp") && strcmp(v, "udp"))
		return bad(e, key, "is not tcp or udp");
	*udp = v[0] == 'u';
	return 0;
}

static int load_forwards(struct vmm_config *out, const struct config *c, struct err *e)
{
	struct address check;

	out->n_forward = config_count(c, "network.forward");
	if (out->n_forward > FORWARDS_MAX)
		return bad(e, "network.forward", "has more than 32 entries");
	for (size_t i = 0; i < out->n_forward; i++) {
		struct forward *f = &out->forward[i];
		const char *to = config_str(c, "network.forward[%zu].to", i);

		f->listen = (uint16_t)config_int(c, "network.forward[%zu].listen", i);
		if (protocol(&f->udp, config_str(c, "network.forward[%zu].proto", i), "network.forward.proto",
			     e) ||
		    address_parse(&check, to, e))
			return -1;
		if (snprintf(f->to, sizeof f->to, "%s", to) >= (int)sizeof f->to)
			return bad(e, "network.forward.to", "is too long");
		for (size_t k = 0; k < i; k++)
			if (out->forward[k].listen == f->listen && out->forward[k].udp == f->udp)
				return bad(e, "network.forward", "has the same port twice");
	}
	return 0;
}

static int load_ranges(struct vmm_config *out, const struct config *c, struct err *e)
{
	out->n_range = config_count(c, "cvm.port_mapping.range");
	if (out->n_range > RANGES_MAX)
		return bad(e, "cvm.port_mapping.range", "has more than 16 entries");
	for (size_t i = 0; i < out->n_range; i++) {
		struct port_range *r = &out->range[i];

		r->from = (uint16_t)config_int(c, "cvm.port_mapping.range[%zu].from", i);
		r->to = (uint16_t)config_int(c, "cvm.port_mapping.range[%zu].to", i);
		if (protocol(&r->udp, config_str(c, "cvm.port_mapping.range[%zu].protocol", i),
			     "cvm.port_mapping.range.protocol", e))
			return -1;
	}
	if (out->n_range == 0)
		out->range[out->n_range++] = (struct port_range){ .from = 1, .to = 20000 };
	return 0;
}

int vmm_config_load(struct vmm_config *out, struct config *raw, struct err *e)
{
	const struct config *c = raw;

	*out = (struct vmm_config){ .raw = raw };
	if (one_of(c, "cvm.platform", "auto", "tdx", "soft", e) ||
	    one_of(c, "cvm.accel", "auto", "kvm", "tcg", e) ||
	    absolute(out->run_path, config_str(c, "run_path"), "run_path", e) ||
	    absolute(out->image_path, config_str(c, "image.path"), "image.path", e) ||
	    load_forwards(out, c, e) || load_ranges(out, c, e))
		return -1;
	if (!str_bytes(config_str(c, "cvm.log.max_bytes"), &out->log_max) || out->log_max < 4096)
		return bad(e, "cvm.log.max_bytes", "is not a size of at least 4K");
	if (!str_bytes(config_str(c, "cvm.qemu_pci_hole64_size"), &out->pci_hole64_size))
		return bad(e, "cvm.qemu_pci_hole64_size", "is not a size");
	const char *sealing = config_str(c, "key_provider.address");
	struct address check;
	if (*sealing && (strlen(sealing) >= ADDRESS_TEXT || address_parse(&check, sealing, e)))
		return bad(e, "key_provider.address", "is not ADDRESS:PORT with an address in numbers");
	const char *tcp = config_str(c, "tcp_address");
	if (*tcp && !str_starts(tcp, "tcp:127.") && !str_starts(tcp, "tcp:[::1]:"))
		return bad(e, "tcp_address", "is not on the loopback, where alone it may be without login");
	if (config_int(c, "cvm.auto_restart.initial_backoff") > config_int(c, "cvm.auto_restart.max_backoff"))
		return bad(e, "cvm.auto_restart.initial_backoff", "is more than max_backoff");
	return 0;
}
