// config - what a KMS is told by its file; every value checked before anything is opened.
#pragma once
#include "base/config.h"
#include "keystore.h"

enum { KMS_NAMES_MAX = 32 };

struct kms_config {
	struct config *file; // owns the texts
	const char *address;
	const char *names[KMS_NAMES_MAX];
	struct keystore_config keys;
	const char *policy_file, *image_dir;
	const char *image_cache; // of downloaded images; "" when not set
	const char *admin_address, *admin_token_file, *admin_htpasswd_file; // "" when not set
	const char *pccs_url, *cache_dir, *development_root; // "" when not set
	bool insecure_development, allow_older_collateral, intel_components;
	int64_t leaf_days;
};

extern const struct config_key kms_config_keys[];
extern const size_t kms_config_n_keys;

// Takes `file`. Codes: config.development_root, config.names.
int kms_config_load(struct kms_config *c, struct config *file, struct err *e);
int kms_config_read(struct kms_config *c, const char *path, struct err *e);
void kms_config_free(struct kms_config *c);
bool kms_name_is_valid(const char *name); // a DNS name or an IP address
