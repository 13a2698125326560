// deploy - from a compose file to a running confidential VM: measured description, policy, sealed
// environment, VM.
#include "command.h"

#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "compose.h"
#include "lint.h"
#include "policy/policy.h"
#include "sealenv.h"
#include "vms.h"

enum { PORTS_MAX = 16 };

struct deploy {
	struct vms vms;
	struct compose compose;
	struct env_list envs;
	struct signer signer;
	const char *file, *image, *signer_file;
	char name[64];
	uint64_t vcpus, memory, disk;
	enum compose_keys keys;
	struct port {
		char protocol[4], address[46];
		uint64_t host, guest;
	} port[PORTS_MAX];
	size_t n_port;
	bool json, wait, no_allow, no_instance_id, no_start, replace, if_absent, emit_event;
};

// [tcp:|udp:][ADDRESS:]HOST:GUEST, ADDRESS an IPv4 address.
static bool add_port(struct deploy *d, const char *text)
{
	struct port *p = &d->port[d->n_port];
	const char *udp = str_starts(text, "udp:") ? text + 4 : NULL;
	const char *rest = udp                        ? udp
			   : str_starts(text, "tcp:") ? text + 4
						      : text,
		   *guest = strrchr(rest, ':');
	char host[64];

	if (d->n_port == PORTS_MAX || !guest || (size_t)(guest - rest) >= sizeof host)
		return false;
	*p = (struct port){ .protocol = "tcp" };
	if (udp)
		memcpy(p->protocol, "udp", 4);
	snprintf(host, sizeof host, "%.*s", (int)(guest - rest), rest);
	char *colon = strrchr(host, ':');
	if (colon) {
		*colon = 0;
		if (strlen(host) >= sizeof p->address)
			return false;
		memcpy(p->address, host, strlen(host) + 1);
	}
	d->n_port++;
	return str_uint(colon ? colon + 1 : host, 1, 65535, &p->host) &&
	       str_uint(guest + 1, 1, 65535, &p->guest);
}

static int read_options(struct deploy *d, int argc, char **argv, struct err *e)
{
	static const struct option options[] = {
		{ "env", required_argument, NULL, 'e' },
		{ "env-file", required_argument, NULL, 'E' },
		{ "env-signer", required_argument, NULL, 's' },
		{ "name", required_argument, NULL, 'N' },
		{ "image", required_argument, NULL, 'I' },
		{ "vcpus", required_argument, NULL, 'C' },
		{ "memory", required_argument, NULL, 'M' },
		{ "disk", required_argument, NULL, 'D' },
		{ "no-allow", no_argument, NULL, 'A' },
		{ "no-start", no_argument, NULL, 'S' },
		{ "replace", no_argument, NULL, 'R' },
		{ "if-absent", no_argument, NULL, 'P' },
		{ "wait", no_argument, NULL, 'w' },
		{ "json", no_argument, NULL, 'j' },
		{ "key-provider", required_argument, NULL, 'K' },
		{ "port", required_argument, NULL, 'p' },
		{ "emit-event", no_argument, NULL, 'V' },
		{ "no-instance-id", no_argument, NULL, 'n' },
		{ 0 },
	};

	d->vcpus = 1, d->memory = 1024, d->disk = 2;
	for (int c; (c = getopt_long(argc, argv, "e:p:", options, NULL)) != -1;) {
		bool good = true;
		switch (c) {
		case 'e':
			good = env_add(&d->envs, optarg, e) == 0;
			break;
		case 'E':
			good = env_add_file(&d->envs, optarg, e) == 0;
			break;
		case 's':
			d->signer_file = optarg;
			break;
		case 'N':
			snprintf(d->name, sizeof d->name, "%s", optarg);
			break;
		case 'I':
			d->image = optarg;
			break;
		case 'C':
			good = str_uint(optarg, 1, 512, &d->vcpus);
			break;
		case 'M':
			good = str_uint(optarg, 256, 1 << 22, &d->memory);
			break;
		case 'D':
			good = str_uint(optarg, 1, 1 << 16, &d->disk);
			break;
		case 'K':
			good = compose_keys_read(&d->keys, optarg) == 0;
			break;
		case 'p':
			good = add_port(d, optarg);
			break;
		case 'V':
			d->emit_event = true;
			break;
		case 'n':
			d->no_instance_id = true;
			break;
		case 'A':
			d->no_allow = true;
			break;
		case 'S':
			d->no_start = true;
			break;
		case 'R':
			d->replace = true;
			break;
		case 'P':
			d->if_absent = true;
			break;
		case 'w':
			d->wait = true;
			break;
		case 'j':
			d->json = true;
			break;
		default:
			return err_set(e, ERR_INPUT, "see dstack deploy --help");
		}
		if (!good && c != 'e' && c != 'E')
			return err_set(e, ERR_INPUT,
				       "'%s' is no possible value here; see dstack deploy --help", optarg);
		if (!good)
			return -1;
	}
	if (optind + 1 != argc)
		return err_set(e, ERR_INPUT, "dstack deploy wants one compose file");
	d->file = argv[optind];
	return 0;
}

// As docker compose does: the folder's name.
static void default_name(struct deploy *d)
{
	auto_free char *path = realpath(d->file, NULL);

	if (!*d->name && path)
		snprintf(d->name, sizeof d->name, "%s", basename(dirname(path)));
}

static int load_compose(struct deploy *d, struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	if (file_read(d->file, COMPOSE_FILE_MAX, &text, &n, e))
		return err_wrap(e, "compose file");
	default_name(d);
	if (d->envs.n && d->keys == COMPOSE_KMS && signer_open(&d->signer, d->vms.ctx.dir, d->signer_file, e))
		return -1;
	return compose_make(&d->compose,
			    &(struct compose_spec){ .name = d->name,
						    .docker_compose = span_of(text, n),
						    .envs = &d->envs,
						    .env_signer = d->signer.on ? d->signer.pub : NULL,
						    .keys = d->keys,
						    .emit_event = d->emit_event,
						    .no_instance_id = d->no_instance_id },
			    e);
}

static int allow(struct deploy *d, struct err *e)
{
	const char *policy = context_get(&d->vms.ctx, "policy");

	if (d->no_allow || !*policy || d->keys != COMPOSE_KMS)
		return 0;
	if (policy_file_allow(policy, STR_HEX(d->compose.hash, APP_ID), STR_HEX(d->compose.hash, 32), e))
		return err_wrap(e, "allow the app in %s", policy);
	return 0;
}

// The one named, else the stack's own, else the last that the VMM offers by version order of the names.
static int pick_image(struct deploy *d, struct err *e)
{
	Vmm__ImageListResponse *list;

	if (!d->image && *context_get(&d->vms.ctx, "image"))
		d->image = context_get(&d->vms.ctx, "image");
	if (d->image)
		return 0;
	if (rpc_client_call(d->vms.rpc, "ListImages", NULL, &vmm__image_list_response__descriptor,
			    d->vms.arena, (void **)&list, e))
		return -1;
	for (size_t i = 0; i < list->n_images; i++)
		if (!d->image || strverscmp(list->images[i]->name, d->image) > 0)
			d->image = list->images[i]->name;
	return d->image ? 0
			: err_code(e, ERR_ABSENT, "cli.no_image",
				   "the VMM has no guest image; see dstack up --image");
}

static int put_ports(struct deploy *d, Vmm__VmConfiguration *in, struct err *e)
{
	Vmm__PortMapping **list = arena_array(d->vms.arena, PORTS_MAX, sizeof *list);
	Vmm__PortMapping *each = arena_array(d->vms.arena, PORTS_MAX, sizeof *each);

	if (!list || !each)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (size_t i = 0; i < d->n_port; i++) {
		vmm__port_mapping__init(&each[i]);
		each[i].protocol = d->port[i].protocol;
		each[i].host_address = d->port[i].address;
		each[i].host_port = (uint32_t)d->port[i].host;
		each[i].vm_port = (uint32_t)d->port[i].guest;
		list[i] = &each[i];
	}
	in->ports = list;
	in->n_ports = d->n_port;
	return 0;
}

static int create(struct deploy *d, char **id, struct err *e)
{
	Vmm__VmConfiguration in;
	Vmm__Id *answer;

	vmm__vm_configuration__init(&in);
	if (pick_image(d, e) ||
	    (d->envs.n && sealenv(&d->vms, &(struct sealenv){ .app = d->compose.hash, .signer = &d->signer },
				  &d->envs, &in.encrypted_env, NULL, e)))
		return -1;
	in.name = d->name;
	in.image = arena_str(d->vms.arena, d->image);
	in.compose_file = d->compose.text;
	in.vcpu = (uint32_t)d->vcpus;
	in.memory = (uint32_t)d->memory;
	in.disk_size = (uint32_t)d->disk;
	in.stopped = d->no_start;
	in.user_config = arena_str(d->vms.arena, "");
	if (put_ports(d, &in, e))
		return -1;
	if (rpc_client_call(d->vms.rpc, "CreateVm", &in.base, &vmm__id__descriptor, d->vms.arena,
			    (void **)&answer, e))
		return err_wrap(e, "create the VM");
	*id = answer->id;
	return 0;
}

// A VM of this name: NULL when there is none.
static int existing(struct deploy *d, Vmm__VmInfo **out, struct err *e)
{
	Vmm__StatusResponse *all;

	*out = NULL;
	if (vms_list(&d->vms, true, &all, e))
		return -1;
	for (size_t i = 0; i < all->n_vms; i++)
		if (strcmp(all->vms[i]->name, d->name) == 0 && strcmp(all->vms[i]->status, "removing") != 0)
			*out = all->vms[i];
	return 0;
}

// What to do with a VM of the same name. *id is set when it is to stay.
static int settle_name(struct deploy *d, char **id, struct err *e)
{
	Vmm__VmInfo *old;

	if (existing(d, &old, e))
		return -1;
	if (!old)
		return 0;
	bool same = old->configuration && strcmp(old->configuration->compose_file, d->compose.text) == 0;
	if (d->if_absent && same) {
		*id = old->id;
		return strcmp(old->status, "running") == 0 ? 0 : vms_do(&d->vms, "StartVm", old->id, e);
	}
	if (!d->replace)
		return err_code(
			e, ERR_DENIED, "cli.name_taken",
			"a VM named '%s' exists (%s): choose --name, or --replace to remove it and its disk",
			d->name, old->id);
	if (strcmp(old->status, "stopped") != 0 && vms_do(&d->vms, "StopVm", old->id, e))
		return -1;
	return vms_do(&d->vms, "RemoveVm", old->id, e);
}

// Kept for `verify --compose`: the exact bytes whose hash is the app's identity.
static int keep_compose(struct deploy *d, struct err *e)
{
	char path[PATH_MAX + 128];

	snprintf(path, sizeof path, "%s/apps", d->vms.ctx.dir);
	if (file_mkdirs(path, 0700, e))
		return -1;
	snprintf(path, sizeof path, "%s/apps/%s.json", d->vms.ctx.dir, d->name);
	return file_write(path, 0600, d->compose.text, d->compose.n, e);
}

static void report(struct deploy *d, const char *id)
{
	const char *app = STR_HEX(d->compose.hash, APP_ID), *domain = context_get(&d->vms.ctx, "domain");
	int port = context_port(&d->vms.ctx);

	if (d->json) {
		printf("{\"ok\":true,\"id\":\"%s\",\"app_id\":\"%s\",\"compose_hash\":\"%s\",\"name\":\"%s\"}"
		       "\n",
		       id, app, STR_HEX(d->compose.hash, 32), d->name);
		return;
	}
	printf("%s  app %s\n", id, app);
	if (*domain && d->keys == COMPOSE_KMS)
		printf("port P of the app: https://%s-P.%s:%d/ (TLS ends in the gateway), "
		       "https://%s-Ps.%s:%d/ (in the CVM)\n",
		       app, domain, port, app, domain, port);
}

static int work(struct deploy *d, int argc, char **argv, char **id, struct err *e)
{
	optind = 1;
	return read_options(d, argc, argv, e) || vms_open(&d->vms, e) || load_compose(d, e) ||
			       lint_print(stderr, "note: ", span_of(d->compose.text, d->compose.n), e) < 0 ||
			       settle_name(d, id, e) || keep_compose(d, e) || allow(d, e) ||
			       (!*id && create(d, id, e)) || (d->wait && vms_wait(&d->vms, *id, d->json, e))
		       ? -1
		       : 0;
}

static void end(struct deploy *d)
{
	signer_wipe(&d->signer);
	vms_close(&d->vms);
	compose_free(&d->compose);
	env_free(&d->envs);
}

int deploy_vm(int argc, char **argv, struct deployed *out, struct err *e)
{
	struct deploy d = { 0 };
	char *id = NULL;
	int rc = work(&d, argc, argv, &id, e);

	if (!rc) {
		snprintf(out->id, sizeof out->id, "%s", id);
		snprintf(out->app_id, sizeof out->app_id, "%s", STR_HEX(d.compose.hash, APP_ID));
	}
	end(&d);
	return rc;
}

int cmd_deploy(int argc, char **argv)
{
	struct err e;
	struct deploy d = { 0 };
	char *id = NULL;
	int status = work(&d, argc, argv, &id, &e);

	if (!status)
		report(&d, id);
	end(&d);
	return status ? command_fail(&e, d.json) : 0;
}
