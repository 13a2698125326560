// bootinfo - what a verified guest is, in plain values: the input of every authorisation policy.
//
// Filled by lib/ratls/trust from verified evidence only. JSON is the boot_info of the auth webhook:
// camelCase, bytes as lower-case hex.
#pragma once
#include "core/codec/buf.h"

enum { BOOT_ADVISORIES_MAX = 32, BOOT_KEY_PROVIDER_MAX = 1024 };

struct boot_info {
	char tee_variant[32]; // "dstack-tdx"
	char anchor[16];      // "intel", "amd" or "development"; not on the wire
	uint8_t mr_td[48], rtmr[4][48], mr_config_id[48], report_data[64];
	uint8_t mr_system[32], mr_aggregated[32];
	uint8_t os_image_hash[32], compose_hash[32], device_id[32];
	uint8_t app_id[20], instance_id[20];
	bool has_os_image_hash, has_app_id, has_compose_hash,
		has_instance_id;                          // absent ones are "" on the wire
	uint8_t key_provider_info[BOOT_KEY_PROVIDER_MAX]; // JSON text of the event, as measured
	size_t key_provider_info_n;
	bool has_deployment_seed;    // ours, not on the wire of the webhook
	uint8_t deployment_seed[32]; // its SHA-256, as measured
	char tcb_status[48];
	char advisory_ids[BOOT_ADVISORIES_MAX][32];
	size_t n_advisory_ids;
};

void boot_info_write_json(struct wr *out, const struct boot_info *b);
