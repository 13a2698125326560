// stackconf - what the local stack consists of: the services in the order of their start, their
// configurations and the context that the commands read. The one place that knows every port.
//
// All listen on the loopback. The configurations say insecure_development = true, because everything here
// rests on the development root in pki/.
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/sb.h"
#include "stack.h"

enum {
	STACK_PORT_BASE = 17500,
	STACK_STEPS_MAX = 16,
	// offsets from the base
	PORT_REGISTRY = 0,
	PORT_COLLATERAL = 1,
	PORT_KMS = 2,
	PORT_GATEWAY_RPC = 3,
	PORT_WIREGUARD = 4,
	PORT_VMM = 5,
	PORT_GATEWAY = 6,
	PORT_KEY_PROVIDER = 7,
	PORT_AUTH = 8, // these three only where the KMS runs in a CVM
	PORT_IMAGES = 9,
	PORT_KMS_ADMIN = 10,
	PORT_KMS_SETUP = 11,
	PORT_KMS2 = 12, // the second KMS in a CVM: a replica, or what an upgrade makes
	PORT_KMS2_ADMIN = 13,
	PORT_KMS2_SETUP = 14,
	PORT_APPS = 20, // to 99: what apps may ask for with --port
	PORT_APPS_END = 99,
};

struct stack_step {
	struct stack_service service; // ready: kept running; else run to its end
	const char *once;             // skipped when this file exists
};

struct stackconf {
	char dir[PATH_MAX - 256], bin[PATH_MAX]; // the state folder; where our programs are
	unsigned port;
	bool kms_in_cvm; // no KMS on the host, but what one in a CVM needs
	unsigned kms;    // then: which of stackconf_kms the commands ask, and guests first
	char image[64];  // what `deploy` takes by default: the last one offered
	struct stack_step step[STACK_STEPS_MAX];
	size_t n;
	char text[16384]; // the arguments above point in here
	size_t used;
};

int stackconf_init(struct stackconf *c, const char *dir, unsigned port_base, bool kms_in_cvm, struct err *e);

// A KMS in a CVM: the name of its VM and of its folder, and its ports, as offsets.
struct stack_kms {
	const char *name;
	unsigned rpc, admin, setup;
};
enum { STACK_KMS_MAX = 2 };
extern const struct stack_kms stackconf_kms[STACK_KMS_MAX];
int stackconf_kms_find(const char *name); // its index, or -1

struct stack_kms_spec {
	const char *image, *bcrypt; // with a digest; of the administrator's password
	bool onboards;              // takes its roots over in a set-up, instead of making some
};
// compose.yaml of a KMS that runs in a CVM: its image, its configuration, its administrator. Its bytes are
// the KMS's identity.
int stackconf_kms_compose(struct stackconf *c, const struct stack_kms_spec *s, struct sb *out, struct err *e);
int stackconf_prepare(struct stackconf *c, struct err *e); // writes the configurations that are not there yet
int stackconf_write_context(struct stackconf *c, struct err *e); // config.toml

extern const char *const stackconf_services[]; // names of those kept running, in the order of their start
extern const size_t stackconf_n_services;
