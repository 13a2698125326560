// settings - the gateway's configuration file as plain values, checked as a whole.
#pragma once
#include "base/config.h"
#include "registry.h"

struct settings {
	struct config *file; // owns the strings
	const char *state;
	const char *rpc_listen, *rpc_cert, *rpc_key, *kms_ca, *rpc_url;
	const char *admin_listen;
	const char *kms_urls[REVOCATION_URLS_MAX];
	size_t n_kms_urls;
	uint64_t revocation_s;
	const char *interface, *wg_key_file, *wg_endpoint, *wg_ip;
	enum wg_backend backend;
	uint16_t wg_port;
	bool keep_interface;
	struct registry_config registry;
	struct sockaddr_in listen;
	const char *domain, *cert, *key, *prefix;
	uint32_t external_port, agent_port, workers, max_connections;
	struct reactor_config reactor;
	const char *pccs_url, *cache_dir, *image_dir, *development_root;
	bool allow_older_collateral, intel_components;
	bool attestation, attestation_required, insecure_development;
};

extern const struct config_key settings_keys[];
extern const size_t settings_keys_n;

int settings_read(struct settings *s, struct config *file, struct err *e);
