// service - the KMS's methods: evidence in, keys out. Denies at the first no.
//
// Holds no root key: what needs one is asked of the key process, which records it first. Every refusal is
// recorded before it is answered. Methods run on the pool of lib/rpc;
// everything here is read-only after service_init but the counters. spec 20 sections 1.4 and 2.6.
#pragma once
#include <stdatomic.h>

#include "../log/audit.h"
#include "../config.h"
#include "../certs/crl.h"
#include "crypto/issue.h"
#include "faces.h"
#include "handover_gate.h"
#include "../judge/judges.h"
#include "../keys/keyproc.h"
#include "keyrules.h"
#include "metrics.h"
#include "../log/peers.h"
#include "policy/policy.h"
#include "ratls/download.h"
#include "ratls/trust.h"
#include "rpc/server.h"
#include "self.h"

struct service {
	const struct kms_config *config;
	struct keyproc *keys;
	struct judges *judges;
	struct trust *trust;
	struct policy *policy;
	struct self self;
	struct faces faces; // of the root sets
	char *temp_ca_pem;
	struct secret *temp_ca_key; // PEM; given to anyone who asks, so secret in name only
	X509 *temp_ca;
	struct kms_audit audit;
	struct kms_peers *peers; // NULL: none configured
	struct keyrules rules;
	struct crls crls;
	struct handover_gate gate;
	struct metrics metrics;
	bool kept_cert;              // the RPC certificate is that of an earlier start
	struct gate deciding;        // cases from the question to policy till their answer is out
	atomic_int policy_state;     // enum policy_state
	struct downloads *downloads; // NULL: none configured
	atomic_ulong images_fetched, images_failed;
	struct pool *pool;
	struct rpc_server *server; // the main listener's, for its counts
};

// How policy answered last: what /ready goes by.
enum policy_state { POLICY_STATE_UNKNOWN, POLICY_STATE_ANSWERS, POLICY_STATE_UNAVAILABLE };
enum { LANE_KEYS, LANE_PUBLIC, LANE_IMAGES, SERVICE_LANES }; // of the pool

struct downloads *service_downloads(const struct kms_config *c, struct err *e);
// `judges` NULL: evidence is judged in this process, as the set-up does.
struct trust *service_trust(const struct kms_config *c, struct judges *judges, struct err *e);
struct engine *service_engine(const struct kms_config *c, struct err *e); // of a judge
int service_init(struct service *s, const struct kms_config *c, struct keyproc *keys, struct judges *judges,
		 struct err *e);
void service_free(struct service *s);
// The TLS context of a face's address, with the RPC key and this certificate.
SSL_CTX *service_tls(const struct service *s, struct face *f, X509 *cert, struct err *e);
int service_mount(struct service *s, struct rpc_server *server, struct err *e);

// Shared by the methods. A case is one guest that asks, in the call's arena: its evidence (the caller's to
// check first), then what policy says. Policy may take seconds, so a method ends its first stage with
// `return service_ask(...)`; `next` finds the case with rpc_state.
struct service_case {
	struct rpc_call *call;
	rpc_fn *next;
	struct trust_result r;
	struct policy_answer answer;
	enum policy_kind kind;
	uint64_t asked_us;
	bool only_self, is_self; // asked about this KMS only; refused because of this KMS
	bool fetched;            // a download of the image was tried
	struct err fetch_error;
	bool proved; // r is ok: what it says of the guest is true
	void *more;  // the method's own
	struct gate_pass pass;
	struct keyrules_case rules; // under which it is answered
	struct key_job job;         // what is asked of the key process
};

struct service_case *service_case_new(struct rpc_call *call, struct err *e);
int service_ask(struct service *s, struct service_case *c, enum policy_kind kind, rpc_fn *next);
// Waits till every answer is out that was decided before now, so that a change of the policy can be
// confirmed.
int service_settled(struct service *s, struct err *e);
int service_ask_self(struct service *s, struct service_case *c, rpc_fn *next); // about this KMS only
// Asks about this KMS for the sake of /ready; waits.
void service_probe_policy(struct service *s);
// 0: allowed. `who` stands before the refusal ("App not allowed: ", or "").
int service_verdict(const struct service_case *c, const char *who, struct err *e);
// What the policy said of the app's epochs, when it allowed: in force from now on.
int service_learn(struct service *s, const struct service_case *c, struct err *e);
// For methods that need no evidence: what the client certificate shows must hold all the same.
int service_check_shown(struct service *s, struct rpc_call *call, struct err *e);
// Shared by the methods. The evidence in the client certificate, verified; then the policy's word on it.
int service_check_cert(struct service *s, struct rpc_call *call, const char *vm_config,
		       struct trust_result *r, struct err *e);
// The last stage of GetKmsKey, when all is allowed; *recorded: the key process has recorded the outcome.
int service_kms_key(struct rpc_call *call, void *out, bool *recorded, struct err *e);
// The record of this case so far, as the log will have it.
void service_entry(struct rpc_call *call, const struct service_case *c, struct audit_entry *x);
int service_sign_cert(struct rpc_call *call, const void *in, void *out, struct err *e);
// Before a certificate is signed by the app's CA of a root set: it gets a serial number of its own, `x` that
// and its end, and it is counted among those that may be revoked. Code: crl.full.
int service_count_cert(struct service *s, uint32_t root, struct audit_entry *x, struct cert_spec *spec,
		       struct err *e);
// Where the app's certificates say that their list is; NULL: nowhere.
const char *service_crl_url(const struct service *s, struct arena *a, const uint8_t app[static APP_ID],
			    uint32_t root);
// Logs and, when refused, records what became of it. The record's event is an enum audit_event.
int service_ended(struct rpc_call *call, struct audit_entry *x, int rc, struct err *e);

rpc_fn kms_admin_key_policy, kms_admin_rotate, kms_admin_revoke; // admin_keys.c
rpc_fn kms_admin_rotate_roots;                                   // admin_roots.c
rpc_fn kms_admin_dev_cert;                                       // dev_cert.c
rpc_fn kms_admin_open_handover;                                  // handover_gate.c
