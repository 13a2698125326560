// vms - the VMM as the CLI uses it: one connection, its VMs found by whatever name the user has for them.
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "context.h"
#include "rpc/client.h"
#include "vmm.pb-c.h"

struct vms {
	struct context ctx;
	struct rpc_client *rpc;
	struct arena *arena; // holds every answer until vms_close
};

int vms_open(struct vms *v, struct err *e);
void vms_close(struct vms *v);

// `whole`: with their configurations, which a waiting loop would add up in the arena.
int vms_list(struct vms *v, bool whole, Vmm__StatusResponse **out, struct err *e);
// By VM id, app id, instance id or name; a prefix of an id will do when only one VM has it.
int vms_find(struct vms *v, const char *what, Vmm__VmInfo **out, struct err *e); // without configuration
int vms_info(struct vms *v, const char *id, Vmm__VmInfo **out, struct err *e);
// The same without its configuration.
int vms_state(struct vms *v, const char *id, Vmm__VmInfo **out, struct err *e);
int vms_do(struct vms *v, const char *method, const char *id, struct err *e); // StartVm, StopVm, ...
// The guest's agent, through the VMM: Info, SysInfo, NetworkInfo, ListContainers, Shutdown.
int vms_ask_guest(struct vms *v, const char *method, const char *id, const ProtobufCMessageDescriptor *d,
		  void **out, struct err *e);

// Show boot progress until the app's containers run. Fails with the guest's own reason when it stops first.
int vms_wait(struct vms *v, const char *id, bool quiet, struct err *e);
