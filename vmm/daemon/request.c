#include "request.h"

#include <string.h>

static int read_ports(struct vm_request *q, const Vmm__VmConfiguration *in, const struct vmm_config *c,
		      struct err *e)
{
	if (in->n_ports > QEMU_PORTS_MAX)
		return err_code(e, ERR_INPUT, "vmm.input", "more than %d port mappings", QEMU_PORTS_MAX);
	for (size_t i = 0; i < in->n_ports; i++)
		if (check_port(&q->m.port[q->m.n_port++], c, in->ports[i]->protocol, in->ports[i]->host_port,
			       in->ports[i]->vm_port, in->ports[i]->host_address, e))
			return -1;
	return 0;
}

// What exists upstream but not here is refused, never ignored: a VM must be what was asked for.
static int check_supported(const Vmm__VmConfiguration *in, struct err *e)
{
	const char *what = in->hugepages  ? "hugepages"
			   : in->pin_numa ? "pin_numa"
			   : in->gpus && (in->gpus->n_gpus || !strcmp(in->gpus->attach_mode, "all")) ? "gpus"
			   : in->no_tee                                       ? "no_tee"
			   : in->opt_simulated_tee_case && *in->simulated_tee ? "simulated_tee"
									      : NULL;

	for (size_t i = 0; i < in->n_networks; i++)
		if (strcmp(in->networks[i]->mode, "user") || *in->networks[i]->bridge_name || i)
			what = "networks other than one of mode user";
	if (in->networking && *in->networking->mode && strcmp(in->networking->mode, "user"))
		what = "networking other than mode user";
	return what ? err_code(e, ERR_INPUT, "vmm.unsupported", "%s is not supported by this VMM", what) : 0;
}

static int check_env(size_t n, struct err *e)
{
	return n > 4 << 20 ? err_code(e, ERR_INPUT, "vmm.input", "sealed environment is larger than 4 MiB")
			   : 0;
}

int request_check_update(const Vmm__UpdateVmRequest *in, struct err *e)
{
	const char *what = *in->compose_file                 ? "compose_file"
			   : in->update_ports || in->n_ports ? "ports"
			   : in->update_kms_urls             ? "kms_urls"
			   : in->update_gateway_urls         ? "gateway_urls"
			   : in->gpus                        ? "gpus"
			   : in->opt_vcpu_case               ? "vcpu"
			   : in->opt_memory_case             ? "memory"
			   : in->opt_disk_size_case          ? "disk_size"
			   : in->opt_image_case              ? "image"
			   : in->opt_no_tee_case             ? "no_tee"
			   : in->update_networking           ? "networks"
							     : NULL;

	return what ? err_code(e, ERR_INPUT, "vmm.unsupported",
			       "%s of a VM cannot be changed by this VMM: environment and user config can",
			       what)
		    : check_env(in->encrypted_env.len, e);
}

int request_read(struct vm_request *q, const Vmm__VmConfiguration *in, const struct daemon *d, struct err *e)
{
	if (check_name(in->name, e) || check_image_name(in->image, e) || check_supported(in, e) ||
	    check_size(&d->config, in->vcpu, in->memory, in->disk_size, e) ||
	    read_ports(q, in, &d->config, e))
		return -1;
	memcpy(q->m.name, in->name, strlen(in->name) + 1);
	memcpy(q->m.image, in->image, strlen(in->image) + 1);
	q->m.vcpu = in->vcpu;
	q->m.memory = in->memory;
	q->m.disk_size = in->disk_size;
	q->has_app_id = in->opt_app_id_case && *in->app_id;
	if (q->has_app_id && check_app_id(q->m.app_id, in->app_id, e))
		return -1;
	for (size_t i = 0; i < in->n_kms_urls; i++)
		if (urls_add(&q->m.kms, in->kms_urls[i], e))
			return -1;
	for (size_t i = 0; i < in->n_gateway_urls; i++)
		if (urls_add(&q->m.gateway, in->gateway_urls[i], e))
			return -1;
	if (check_env(in->encrypted_env.len, e))
		return -1;
	q->stopped = in->stopped;
	q->compose = in->compose_file;
	q->compose_n = strlen(in->compose_file);
	q->env = in->encrypted_env.data;
	q->env_n = in->encrypted_env.len;
	q->user_config = in->user_config;
	return 0;
}
