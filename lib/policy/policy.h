// policy - may this software have keys? Boot info in, allowed or a reason out.
//
// Back ends sit behind one interface; any doubt (no file, unreadable, empty list, no match) is a no. Policy
// trusts that boot info was proved by the verifier first. Semantics: spec 20 section 3.2, strict as its
// section 7.3 says. Codes: policy.unavailable, policy.empty, policy.development, policy.tcb_not_allowed,
// policy.advisory_not_allowed, policy.image_not_allowed, policy.app_not_allowed, policy.compose_not_allowed,
// policy.kms_not_allowed, policy.device_not_allowed, policy.boot_info; of a service: policy.denied, .timeout,
// .connect, .tls, .status, .reply, .seal, .reply_too_large, .busy, .stopping; of a chain: policy.chain_*.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct boot_info; // core/verify/bootinfo.h
struct policy;

enum policy_kind { POLICY_APP, POLICY_KMS };
enum { POLICY_GATEWAY_MAX = 64, POLICY_SOURCE_MAX = 96, POLICY_REVOKED_MAX = 16 };

// What a policy may say of an app's key epochs (spec 20 section 7.2); all 0 when it says nothing.
struct policy_epochs {
	bool given;
	uint64_t current, min, legacy;
	size_t n_revoked;
	struct {
		uint64_t epoch, at; // refused from then on, seconds since 1970
	} revoked[POLICY_REVOKED_MAX];
};

// Does it let this epoch be given out? epoch.not_served, epoch.revoked.
int policy_epochs_check(const struct policy_epochs *p, uint64_t epoch, uint64_t now, struct err *e)
	__attribute__((warn_unused_result));

struct policy_answer {
	int rc;                           // 0: allowed; -1: `err` says why not
	struct err err;                   // always with a code when denied
	char gateway[POLICY_GATEWAY_MAX]; // app id (hex) guests must find in their gateway's certificate, or
					  // ""
	char source[POLICY_SOURCE_MAX];   // who decided, for logs: "file /etc/kms/policy.toml"
	struct policy_epochs epochs;
};

typedef void policy_done(void *arg, const struct policy_answer *a);

// `done` is called once, by any thread, perhaps before this returns; `b` is not kept. Never blocks; safe to
// call from several threads. The answer comes within the back end's time (10 s unless configured).
void policy_ask(struct policy *p, const struct boot_info *b, enum policy_kind kind, policy_done *done,
		void *arg);
// The same for who can wait.
int policy_allow(struct policy *p, const struct boot_info *b, enum policy_kind kind, struct err *e)
	__attribute__((warn_unused_result));

// What the back end says of itself, for GetMeta; "" and 0 where nothing is known (yet). Never blocks.
struct policy_info {
	char gateway[POLICY_GATEWAY_MAX], contract[48], app_implementation[48], rpc_url[256];
	uint64_t chain_id;
	bool has_chain;  // contract, app_implementation and chain_id are known
	bool allows_all; // `dev`
	bool pending;    // it was asked and has not answered once
};
void policy_info(struct policy *p, struct policy_info *out);
// The same for who can wait for the first answer, as long as that.
void policy_info_wait(struct policy *p, struct policy_info *out, unsigned ms);

// What waits is answered now, and all that comes later: policy.stopping.
void policy_stop(struct policy *p);
void policy_free(struct policy *p); // nobody may be asking any more, but for what policy_stop has answered

// Back end `file`: TOML, read again when it has changed; a change that does not parse denies all until it
// does. A missing file denies all, a malformed one fails here.
//
//     development = false            # evidence under a development root may be allowed at all
//     gateway_app_id = "<40 hex>"
//     os_images = ["<64 hex>"]
//     allowed_tcb_statuses = ["UpToDate"]
//     allowed_advisory_ids = []
//     [kms]
//     mr_aggregated = []  devices = []  allow_any_device = false
//     [[app]]
//     id = "<40 hex>"  compose_hashes = ["<64 hex>"]  devices = []  allow_any_device = false
struct policy *policy_file_new(const char *path, struct err *e);

// Back end `webhook`: upstream's protocol (spec 20 section 3.2). POST <url>/bootAuth/app and /bootAuth/kms
// with the boot info; only a 2xx JSON {"isAllowed": true, "gatewayAppId": "...", "reason": "..."} allows.
// Nothing is cached. It trusts whoever answers at the url, so the way there must be closed to others: a unix
// socket, loopback, or https that names who may answer (ca_file) and who may ask (client_cert and client_key,
// or hmac_key_file).
struct policy_webhook_opts {
	const char *name, *url;                         // name: for logs; NULL: the url
	const char *ca_file, *client_cert, *client_key; // PEM files; "" or NULL: none
	const char
		*hmac_key_file; // questions and answers are sealed with it (policy/seal.h); "" or NULL: not
	long connect_ms, total_ms; // 0: 3 s and 10 s
	bool one_sided_tls;        // https without a client certificate will do
	bool insecure_http;        // so will http to another machine
};
struct policy *policy_webhook_new(const struct policy_webhook_opts *o, struct err *e);

// Back end `ethereum`: upstream's contracts (spec 20 section 3.3), asked over a node's JSON-RPC. It trusts
// the node's word and the contract's owners. Allowed is what the contract allows both in the block with
// `confirmations` on top and at the head: approvals wait, revocations do not. Denies: another chain id, no
// code at the address, a head older than `head_max_age`, a chain reorganised below what was confirmed.
struct policy_ethereum_opts {
	struct policy_webhook_opts node; // a public node asks for no certificate: https is enough here
	uint64_t chain_id;
	const char *contract; // DstackKms, 40 hex digits, 0x allowed
	uint64_t confirmations, head_max_age;
};
struct policy *policy_ethereum_new(const struct policy_ethereum_opts *o, struct err *e);

// Back end `dev`: allows everything under a development root, and nothing else (policy.dev_only). For
// development.
struct policy *policy_dev_new(const char *gateway, struct err *e);

// Back end `quorum`: all `n` others are asked at once; `need` of them must allow, and name the same gateway.
// Takes the others, also when it fails.
struct policy *policy_quorum_new(struct policy **p, size_t n, size_t need, struct err *e);

// Back end `failover`: servers of one and the same policy, asked in order until one decides; a no is a
// decision. None does: denied. Takes the others, also when it fails.
struct policy *policy_failover_new(struct policy **p, size_t n, struct err *e);

// For `dstack deploy`: write an app's compose hash, or an image hash (hex), into a policy file unless it is
// there; a new app's entry gets allow_any_device = true, spelled out. The file is made if absent. Under
// flock, by temp + fsync + rename; comments and layout stay.
int policy_file_allow(const char *path, const char *app_id, const char *compose_hash, struct err *e)
	__attribute__((warn_unused_result));
// The same in the place of every other compose hash of the app: an upgrade in one step (spec 70 GV-05).
int policy_file_replace(const char *path, const char *app_id, const char *compose_hash, struct err *e)
	__attribute__((warn_unused_result));
// No keys for an app of the file, or keys again; others are not touched (spec 70 GV-06).
int policy_file_suspend(const char *path, const char *app_id, bool suspended, struct err *e)
	__attribute__((warn_unused_result));
int policy_file_allow_image(const char *path, const char *os_image_hash, struct err *e)
	__attribute__((warn_unused_result));
// The same for a KMS by its aggregated measurement; a new [kms] table gets allow_any_device = true, too.
int policy_file_allow_kms(const char *path, const char *mr_aggregated, struct err *e)
	__attribute__((warn_unused_result));
int policy_file_deny_kms(const char *path, const char *mr_aggregated, struct err *e)
	__attribute__((warn_unused_result));
