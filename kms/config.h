// config - what a KMS is told by its file; every value checked before anything is opened.
#pragma once
#include "base/config.h"
#include "keys/keystore.h"
#include "certs/names.h"
#include "rpc/rate.h"

enum { KMS_NAMES_MAX = 32, KMS_PEERS_MAX = 16 };

struct kms_config {
	struct config *file; // owns the texts
	const char *address;
	const char *root_address[ROOT_SETS_MAX]; // of sets after the first; "": not served
	char *domain;                            // of rpc-domain, owned; NULL: not known yet
	const char *names[KMS_NAMES_MAX];
	struct keystore_config keys;
	char *state_dir;
	const char *image_dir;
	const char *image_cache, *image_url; // of downloaded images; "" when not set
	int64_t image_seconds, image_bytes;
	bool image_verify;
	const char *admin_address, *admin_token_file, *admin_htpasswd_file; // "" when not set
	const char *pccs_url, *cache_dir, *development_root;                // "" when not set
	const char *agent, *site_name; // the guest agent's address; "": none
	bool attest_rpc, self_authorize;
	int64_t self_check_s, rpc_cert_s;
	bool metrics;
	int64_t workers, judge_s, connections, waiting;
	struct rate_limits conn_rate, request_rate;
	bool bootstrap; // make the keys if there are none, for bootstrap_domain
	const char *onboard_address, *onboard_token_file, *bootstrap_domain; // "" when not set
	const char *onboard_htpasswd_file;                                   // the same
	bool handover_closed; // until an administrator opens it
	bool insecure_development, allow_older_collateral, intel_components;
	int64_t leaf_days, crl_valid_s;
	const char *crl_url; // "" when certificates name no list
	struct name_rules name_rules;
	int64_t audit_unproven; // records a minute that peers without evidence may cause
	size_t n_peers;         // whose logs are followed: audit.peer of the file
	int64_t peer_interval_s, peer_timeout_s;
};

extern const struct config_key kms_config_keys[];
extern const size_t kms_config_n_keys;

// Takes `file`. Codes: config.development_root, config.names, config.attestation_off,
// config.image, config.peer.
int kms_config_load(struct kms_config *c, struct config *file, struct err *e);
int kms_config_read(struct kms_config *c, const char *path, struct err *e);
void kms_config_free(struct kms_config *c);
int kms_domain_check(const char *domain, struct err *e); // code kms.domain
// The names of the RPC certificate, with that of the key folder once there is one: after the set-up.
int kms_config_names(struct kms_config *c, struct err *e);
