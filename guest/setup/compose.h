// compose - app-compose.json: what the app's author fixed by its hash, and whether this guest can honour it.
//
// The file comes from the host but its hash is the app's identity, so what it asks for is binding: a request
// that cannot be kept refuses the boot (spec 60 section 6c). Checks need no key, no time and no network.
#pragma once
#include "crypto/ed25519.h"
#include "fields.h"

enum provider { PROVIDER_NONE, PROVIDER_KMS, PROVIDER_LOCAL, PROVIDER_TPM };

enum {
	COMPOSE_SCRIPTS_MAX = 5,
	COMPOSE_ENVS_MAX = 1024,
	COMPOSE_PORTS_MAX = 1024,
	COMPOSE_SEED_MAX = 64,
	COMPOSE_SIGNERS_MAX = 16
};

struct port_attrs {
	uint32_t port;
	bool pp;
};

struct compose {
	uint8_t hash[32];
	int manifest_version, event_log_version;
	enum provider provider;
	const char *provider_id; // hex, "" when not pinned
	bool gateway, no_instance_id, secure_time, emit_event;
	const char *runner, *storage_fs; // storage_fs "" when not said
	uint64_t swap_size;
	uint8_t deployment_seed[COMPOSE_SEED_MAX]; // makes this deployment's keys its own
	size_t deployment_seed_n;
	struct texts allowed_envs, init_scripts;
	uint8_t gpu_policy_hash[32];
	bool attest_gpu;
	struct port_attrs ports[COMPOSE_PORTS_MAX];
	size_t n_ports;
	bool restrict_ports;
	// requirements
	bool has_platforms, has_acpi, acpi_tables, has_launch_hash;
	struct texts platforms;
	const char *os_version; // "" when not required
	uint8_t launch_hash[32];
	uint8_t env_signers[COMPOSE_SIGNERS_MAX][ED25519_PUB]; // who may send the environment
	size_t n_env_signers;                                  // 0: anybody
};

// What the machine offers, against which the requirements are held.
struct compose_machine {
	const char *platform;    // "dstack-tdx" or "dstack-soft"
	const char *os_version;  // VERSION_ID, "" when unknown
	bool lite;               // vm_config: tdx_attestation_variant is "lite"
	struct span user_config; // .user-config, may be empty
};

const char *provider_name(enum provider p); // "none", "kms", "local-sgx", "tpm"

// Codes: compose.type, compose.manifest_version, compose.feature, compose.requirement, ...
int compose_parse(struct span text, struct arena *a, struct compose *out, struct err *e);
int compose_check(const struct compose *c, const struct compose_machine *m, struct err *e);
