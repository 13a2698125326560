// agent - what dstack-guest-agent holds while it runs: the app's files, its keys, the TEE and the last Info.
//
// The agent serves the containers of one app; whoever reaches its socket may use the app's keys. It trusts
// the files that dstack-setup wrote into the guest's private folder, and the TEE driver; nothing a client
// sends.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "base/arena.h"
#include "base/config.h"
#include "base/secret.h"
#include "crypto/issue.h"
#include "demo.h"
#include "custody.h"
#include "files.h"
#include "gate.h"
#include "rpc/server.h"
#include "tee/tee.h"

struct snapshot;  // info.c
struct app_quote; // app_quote.c
struct kms_link;  // kms_link.h

// Evidence from elsewhere than this machine's TEE. Only dstack-simulator has one; what such an agent says
// proves nothing.
struct evidence_source {
	// A quote over `report_data`, which is changed to what the quote really carries; all events, the
	// runtime ones from *runtime_at. Called by several threads.
	int (*get)(const struct evidence_source *s, uint8_t report_data[static TEE_REPORT_DATA],
		   struct tee_quote *quote, struct tee_log *log, size_t *runtime_at, struct err *e);
	const char *config;    // of the envelopes
	const char *vm_config; // in it: of the machine that made the evidence
};

// What certificates of the app's own CA have for readers from before the attestation extension.
enum legacy_form { LEGACY_PLAIN, LEGACY_PACKED, LEGACY_NONE };

struct agent {
	struct app_files app;
	struct custody *custody; // holds the keys
	struct app_public keys;  // what of them is no secret
	struct tee *tee;
	const struct evidence_source *source; // instead of the TEE, which then is NULL
	const char *gpu_file;                 // NULL: no GPU
	bool emit_event;                      // whether apps may
	const char *cloud_vendor, *cloud_product;
	struct gate gate;      // before the TEE
	struct cert_issuer ca; // the app's own CA; no certificate when a KMS signs
	struct kms_link *kms;  // when it does
	enum legacy_form legacy;
	struct demo demo;
	pthread_mutex_t lock; // guards the two below
	struct snapshot *info;
	struct app_quote *app_quotes[2]; // ed25519, secp256k1
	atomic_bool powering_off;        // a thread sees to it
};

extern const struct config_key agent_config_keys[];
extern const size_t agent_config_n;

struct outside; // outside.h

// Method tables; the mount's argument is the agent, of the Worker's methods the outside.
extern const struct rpc_method dstack_methods[], emit_methods[], tappd_methods[], worker_methods[];
extern const size_t dstack_methods_n, emit_methods_n, tappd_methods_n, worker_methods_n;

// All that dstack.sock, tappd.sock (which knows DstackGuest too) and the external listener serve.
int mount_internal(struct rpc_server *s, struct agent *g);
int mount_tappd(struct rpc_server *s, struct agent *g);
int mount_external(struct rpc_server *s, const struct outside *o);
