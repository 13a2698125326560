// compose - what the VMM needs to know of an app-compose.json. The exact bytes are the app's identity.
//
// The text comes from whoever may create VMs. Members that are there must have the right type; the rest is
// for the guest to judge.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { COMPOSE_MAX = 50 << 20, APP_ID_SIZE = 20 };

struct compose {
	uint8_t hash[32];                 // SHA-256 of the text
	char app_id[2 * APP_ID_SIZE + 1]; // its first 20 bytes in hex: the default
	bool gateway, no_instance_id, has_key_provider_id;
	int measure_acpi; // requirements.tdx_measure_acpi_tables: -1 not said
};

// Code: vmm.compose.
int compose_read(struct compose *out, const void *text, size_t n, struct err *e);
