// sysconf - .sys-config.json and .instance_info: what the host says about itself and remembers of the guest.
//
// Neither is measured. URLs are transport, trusted for nothing; vm_config is checked by whoever verifies the
// quote; the instance seed only makes ids differ (spec 60 section 6).
#pragma once
#include "fields.h"

enum { ID_SIZE = 20, URLS_MAX = 16, URL_MAX = 512 };

struct sysconf {
	struct texts kms_urls, gateway_urls;
	const char *host_api_url, *docker_registry, *pccs_url, *vm_config, *mr_config; // "" when absent
};

struct instance {
	bool has_app_id, has_seed, has_instance_id;
	uint8_t app_id[ID_SIZE], seed[ID_SIZE], instance_id[ID_SIZE];
};

#define HOST_API_DEFAULT "vsock://2:10000/api"

int sysconf_parse(struct span text, struct arena *a, struct sysconf *out, struct err *e);
int instance_parse(struct span text, struct arena *a, struct instance *out, struct err *e);
bool vm_config_is_lite(const char *vm_config);
