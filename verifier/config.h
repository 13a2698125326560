// config - what the verifier is told: compiled-in defaults, then the file, then DSTACK_VERIFIER_* variables.
//
// Upstream's keys keep their names and rules. Every trust anchor that is not compiled in needs a flag, and
// what rests on one says `development` in every answer.
#pragma once
#include "base/config.h"

enum { VERIFIER_ALLOWED_MAX = 64, VERIFIER_POLICY_MAX = 8192 };

struct verifier_config {
	struct config *file; // owns the texts
	char address[128];   // for rpc_socket
	const char *image_dir, *image_url;
	int64_t image_seconds;
	size_t n_allowed;
	uint8_t allowed[VERIFIER_ALLOWED_MAX][32]; // images accepted by the measurement that evidence brings
	char policy[VERIFIER_POLICY_MAX];          // expectations: allowed launch measurements of SEV-SNP
	const char *pccs_url, *cache_dir;          // "" when not set
	bool allow_older_collateral, intel_components;
	const char *root; // a development root, "" when not set
	int64_t workers, queue;
};

extern const struct config_key verifier_config_keys[];
extern const size_t verifier_config_n_keys;

// NULL path: defaults. `env`: as environ. Codes: config.*, among them config.development_root,
// config.root_ca, config.image_url.
int verifier_config_read(struct verifier_config *c, const char *path, char **env, struct err *e);
void verifier_config_free(struct verifier_config *c);
