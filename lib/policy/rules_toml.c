#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "policy/rules_impl.h"

static const struct config_key keys[] = {
	{ "development", CONFIG_BOOL,
	  .doc = "allow evidence under a development root; never for real secrets" },
	{ "gateway_app_id", CONFIG_STRING, .doc = "app id of the gateway, 40 hex digits; handed to guests" },
	{ "os_images", CONFIG_STRINGS, .doc = "OS image hashes that may boot; empty: none" },
	{ "allowed_tcb_statuses", CONFIG_STRINGS,
	  .doc = "TCB statuses of the platform; absent: UpToDate only" },
	{ "allowed_advisory_ids", CONFIG_STRINGS,
	  .doc = "Intel advisories that may be open on the platform" },
	{ "kms.mr_aggregated", CONFIG_STRINGS, .doc = "measurements of KMSs that may receive the roots" },
	{ "kms.devices", CONFIG_STRINGS, .doc = "device ids those KMSs may run on" },
	{ "kms.allow_any_device", CONFIG_BOOL, .doc = "they may run on any device" },
	{ "app[].id", CONFIG_STRING, .required = true, .doc = "app id, 40 hex digits" },
	{ "app[].compose_hashes", CONFIG_STRINGS,
	  .doc = "versions of the app that may have its keys; empty: none" },
	{ "app[].devices", CONFIG_STRINGS, .doc = "device ids the app may run on; empty: none" },
	{ "app[].allow_any_device", CONFIG_BOOL, .doc = "the app may run on any device" },
	{ "app[].suspended", CONFIG_BOOL, .doc = "no keys for the app, for now" },
};

static int read_list(struct policy_rules *r, struct list *l, const char *path, struct err *e)
{
	size_t n = config_count(r->config, "%s", path);

	l->items = arena_array(r->arena, n, sizeof *l->items);
	if (!l->items)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (l->n = 0; l->n < n; l->n++) {
		const char *text = config_item(r->config, l->n, "%s", path);
		if (policy_hex(text, l->items[l->n], HASH))
			return err_code(e, ERR_INPUT, "policy.syntax", "%s: item %zu is not 64 hex digits",
					path, l->n + 1);
	}
	return 0;
}

static int read_texts(struct policy_rules *r, struct texts *t, const char *path, const char *def,
		      struct err *e)
{
	size_t n = config_count(r->config, "%s", path);

	t->items = arena_array(r->arena, n + 1, sizeof *t->items);
	if (!t->items)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (t->n = 0; t->n < n; t->n++)
		t->items[t->n] = config_item(r->config, t->n, "%s", path);
	if (def && !config_has(r->config, "%s", path))
		t->items[t->n++] = def;
	return 0;
}

static int read_app(struct policy_rules *r, size_t i, size_t n, struct err *e)
{
	char path[64];

	if (policy_rules_add_app(r, config_str(r->config, "app[%zu].id", i), n, e))
		return -1;
	struct rules_app *a = &r->apps[i];
	a->suspended = config_bool(r->config, "app[%zu].suspended", i);
	a->place.any_device = config_bool(r->config, "app[%zu].allow_any_device", i);
	snprintf(path, sizeof path, "app[%zu].compose_hashes", i);
	if (read_list(r, &a->compose, path, e))
		return -1;
	snprintf(path, sizeof path, "app[%zu].devices", i);
	return read_list(r, &a->place.devices, path, e);
}

int policy_rules_toml(struct policy_rules *r, const char *text, size_t n, const char *name, struct err *e)
{
	uint8_t gateway[APP];

	r->config = config_parse(text, n, name, keys, sizeof keys / sizeof *keys, e);
	if (!r->config)
		return -1;
	r->development = config_bool(r->config, "development");
	r->gateway = config_str(r->config, "gateway_app_id");
	if (*r->gateway && policy_hex(r->gateway, gateway, APP))
		return err_code(e, ERR_INPUT, "policy.syntax", "gateway_app_id is not 40 hex digits");
	r->kms_place.any_device = config_bool(r->config, "kms.allow_any_device");
	if (read_texts(r, &r->tcb, "allowed_tcb_statuses", "UpToDate", e) ||
	    read_texts(r, &r->advisories, "allowed_advisory_ids", NULL, e) ||
	    read_list(r, &r->images, "os_images", e) || read_list(r, &r->kms_mrs, "kms.mr_aggregated", e) ||
	    read_list(r, &r->kms_place.devices, "kms.devices", e))
		return -1;
	size_t apps = config_count(r->config, "app");
	for (size_t i = 0; i < apps; i++)
		if (read_app(r, i, apps, e))
			return -1;
	return 0;
}
