// files - what dstack-setup left for the agent: app-compose.json, .sys-config.json, .appkeys.json.
//
// Spec 10 sections 9.3, 9.4, 10; spec 60 section 6. Read once, bounded, links refused. Unknown members are
// ignored, as upstream's files grow.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/secret.h"

enum { COMPOSE_MAX = 50 << 20, SYS_CONFIG_MAX = 32 << 10, KEYS_MAX = 1 << 20, K256_SIGNATURE = 65 };

struct app_files {
	char *compose; // the exact text, UTF-8
	char *name;
	bool public_tcbinfo, public_sysinfo, public_logs;
	char *vm_config;    // the JSON text of sys-config, verbatim
	char *host_api_url; // where the host is told of things; transport, trusted for nothing
};

enum key_provider { PROVIDER_NONE, PROVIDER_LOCAL, PROVIDER_TPM, PROVIDER_KMS };

struct key_cache; // key_cache.h

struct key_file {
	struct secret *k256; // the app's root key, 32 bytes
	uint8_t k256_signature[K256_SIGNATURE];
	size_t k256_signature_n; // 0 when no KMS signed
	char *ca_cert;           // PEM
	enum key_provider provider;
	struct secret *ca_key;          // PEM, unless the provider is a KMS
	char *kms_url;                  // when it is
	char *tmp_ca_cert, *tmp_ca_key; // of the KMS, PEM, no secret; NULL or "": not known
	struct key_cache *cache;        // of what is derived from k256
};

// Codes: agent.compose, agent.sys_config, agent.keys, and those of base/file.
int app_files_read(const char *compose, const char *sys_config, struct app_files *out, struct err *e);
void app_files_free(struct app_files *f);
int key_file_read(const char *path, struct key_file *out, struct err *e);
// The same from bytes; `name` is for errors.
int key_file_parse(const char *name, const char *bytes, size_t n, struct key_file *out, struct err *e);
void key_file_free(struct key_file *k);
