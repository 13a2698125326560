// kms_site - a KMS in a CVM of this stack, as the commands that make and replace one handle it.
//
// Each has a folder (stackconf_kms): compose.yaml, whose bytes are its identity, and admin.token (0600),
// which leaves it only as the header of a request. What the KMS says of itself is believed when its own
// evidence holds and its certificate is by the root it names.
#pragma once
#include "kms.pb-c.h"
#include "progress.h"
#include "ratls/trust.h"
#include "stackconf.h"
#include "vms.h"

enum { KMS_READY_MS = 180000, KMS_STEP_MS = 500 };

struct kms_site {
	struct vms vms;
	struct stackconf conf;
	struct trust *trust;
	struct progress progress;
	const struct stack_kms *kms; // the one that is made
	bool json, onboards;
	const char *image; // NULL: that of compose.yaml
	char memory[16], id[64], app[41];
	uint8_t compose_hash[32], mr[32];
};

int kms_site_open(struct kms_site *j, struct err *e); // cli.kms_moved: this stack has none
void kms_site_close(struct kms_site *j);
const struct stack_kms *kms_site_active(const struct kms_site *j); // which the stack asks
const struct stack_kms *kms_site_other(const struct kms_site *j);
void kms_site_path(const struct kms_site *j, const struct stack_kms *k, const char *name,
		   char out[static PATH_MAX]);
// "https://HOST:PORT" of its RPC, as seen from `host`: 127.0.0.1, or 10.0.2.2 in guests.
void kms_site_url(const struct kms_site *j, const struct stack_kms *k, const char *host, char out[static 64]);
// The image its compose.yaml names; "" when there is none.
int kms_site_image(const struct kms_site *j, const struct stack_kms *k, char out[static 512], struct err *e);
bool kms_site_has_vm(struct kms_site *j, const struct stack_kms *k, Vmm__VmInfo **out, struct err *e);
int kms_site_forget(struct kms_site *j, const struct stack_kms *k, struct err *e); // its files

// A method of its admin listener; `setup`: of its set-up.
int kms_site_ask(struct kms_site *j, const struct stack_kms *k, bool setup, const char *method,
		 const ProtobufCMessage *in, const ProtobufCMessageDescriptor *d, void **out, struct err *e);
// The admin listener of the KMS this stack asks, and the file with its token.
struct kms_own {
	char url[64], token[PATH_MAX];
};
int kms_site_own(struct kms_own *out, struct err *e);
// What it says once it gives keys at all. `ca_file`: only over a connection under this root.
int kms_site_meta(struct kms_site *j, const struct stack_kms *k, const char *ca_file,
		  Kms__GetMetaResponse **out, struct err *e);

// The stages of making one, in this order; each may be run again.
int kms_site_deploy(struct kms_site *j, struct err *e); // compose.yaml, VM; waits for its containers
int kms_site_allow(struct kms_site *j, struct err *e);  // its VM's evidence; its measurement into the policy
int kms_site_check(struct kms_site *j,
		   struct err *e); // serves, attested, under the stack's root (or makes it that)
