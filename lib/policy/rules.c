#include "policy/rules.h"

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/strings.h"

enum { APP = 20, HASH = 32 };

struct list {
	uint8_t (*items)[HASH];
	size_t n;
};

struct place { // where something may run
	struct list devices;
	bool any_device;
};

struct app {
	uint8_t id[APP];
	struct list compose;
	struct place place;
};

struct policy_rules {
	struct config *config; // texts live here
	bool development;
	const char *gateway;
	struct list images, kms_mrs;
	struct place kms_place;
	struct app *apps;
	size_t n_apps;
};

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
};

int policy_hex(const char *text, uint8_t *out, size_t n)
{
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	return hex_exact(out, n, text) ? 0 : -1;
}

static bool list_has(const struct list *l, const uint8_t item[static HASH])
{
	for (size_t i = 0; i < l->n; i++)
		if (!memcmp(l->items[i], item, HASH))
			return true;
	return false;
}

static int read_list(struct list *l, const struct config *c, const char *path, struct err *e)
{
	size_t n = config_count(c, "%s", path);

	l->items = calloc(n ? n : 1, sizeof *l->items);
	if (!l->items)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (l->n = 0; l->n < n; l->n++) {
		const char *text = config_item(c, l->n, "%s", path);
		if (policy_hex(text, l->items[l->n], HASH))
			return err_code(e, ERR_INPUT, "policy.syntax", "%s: item %zu is not 64 hex digits",
					path, l->n + 1);
	}
	return 0;
}

static int read_app(struct policy_rules *r, size_t i, struct err *e)
{
	struct app *a = &r->apps[i];
	char path[64];

	if (policy_hex(config_str(r->config, "app[%zu].id", i), a->id, APP))
		return err_code(e, ERR_INPUT, "policy.syntax", "app %zu: id is not 40 hex digits", i + 1);
	for (size_t j = 0; j < i; j++)
		if (!memcmp(r->apps[j].id, a->id, APP))
			return err_code(e, ERR_INPUT, "policy.syntax",
					"apps %zu (\"%s\") and %zu (\"%s\") are the same app", j + 1,
					config_str(r->config, "app[%zu].id", j), i + 1,
					config_str(r->config, "app[%zu].id", i));
	snprintf(path, sizeof path, "app[%zu].compose_hashes", i);
	if (read_list(&a->compose, r->config, path, e))
		return -1;
	snprintf(path, sizeof path, "app[%zu].devices", i);
	a->place.any_device = config_bool(r->config, "app[%zu].allow_any_device", i);
	return read_list(&a->place.devices, r->config, path, e);
}

static int read_rules(struct policy_rules *r, struct err *e)
{
	uint8_t gateway[APP];

	r->development = config_bool(r->config, "development");
	r->gateway = config_str(r->config, "gateway_app_id");
	if (*r->gateway && policy_hex(r->gateway, gateway, APP))
		return err_code(e, ERR_INPUT, "policy.syntax", "gateway_app_id is not 40 hex digits");
	r->kms_place.any_device = config_bool(r->config, "kms.allow_any_device");
	if (read_list(&r->images, r->config, "os_images", e) ||
	    read_list(&r->kms_mrs, r->config, "kms.mr_aggregated", e) ||
	    read_list(&r->kms_place.devices, r->config, "kms.devices", e))
		return -1;
	size_t n = config_count(r->config, "app");
	r->apps = calloc(n ? n : 1, sizeof *r->apps);
	if (!r->apps)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (; r->n_apps < n; r->n_apps++)
		if (read_app(r, r->n_apps, e)) {
			r->n_apps++; // its lists may be there already
			return -1;
		}
	return 0;
}

struct policy_rules *policy_rules_parse(const char *text, size_t n, const char *name, struct err *e)
{
	struct policy_rules *r = calloc(1, sizeof *r);

	if (!r) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	r->config = config_parse(text, n, name, keys, sizeof keys / sizeof *keys, e);
	if (!r->config || read_rules(r, e)) {
		err_wrap(e, "policy %s", name);
		policy_rules_free(r);
		return NULL;
	}
	return r;
}

void policy_rules_free(struct policy_rules *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_apps; i++) {
		free(r->apps[i].compose.items);
		free(r->apps[i].place.devices.items);
	}
	free(r->apps);
	free(r->images.items);
	free(r->kms_mrs.items);
	free(r->kms_place.devices.items);
	config_free(r->config);
	free(r);
}

const char *policy_rules_gateway(const struct policy_rules *r)
{
	const char *g = r->gateway;

	return g[0] == '0' && (g[1] == 'x' || g[1] == 'X') ? g + 2 : g;
}

static const struct app *find_app(const struct policy_rules *r, const uint8_t id[static APP])
{
	for (size_t i = 0; i < r->n_apps; i++)
		if (!memcmp(r->apps[i].id, id, APP))
			return &r->apps[i];
	return NULL;
}

bool policy_rules_has_app(const struct policy_rules *r, const uint8_t app[static APP])
{
	return find_app(r, app) != NULL;
}

bool policy_rules_has_compose(const struct policy_rules *r, const uint8_t app[static APP],
			      const uint8_t compose[static HASH])
{
	const struct app *a = find_app(r, app);

	return a && list_has(&a->compose, compose);
}

bool policy_rules_has_image(const struct policy_rules *r, const uint8_t image[static HASH])
{
	return list_has(&r->images, image);
}

static bool text_listed(const struct config *c, const char *path, const char *text)
{
	for (size_t i = 0; i < config_count(c, "%s", path); i++)
		if (!strcmp(config_item(c, i, "%s", path), text))
			return true;
	return false;
}

static int judge_platform(const struct policy_rules *r, const struct boot_info *b, struct err *e)
{
	bool tcb = config_has(r->config, "allowed_tcb_statuses")
			   ? text_listed(r->config, "allowed_tcb_statuses", b->tcb_status)
			   : !strcmp(b->tcb_status, "UpToDate");

	if (strcmp(b->anchor, "intel") && !r->development)
		return err_code(e, ERR_DENIED, "policy.development",
				"evidence is under a development root and the policy does not say "
				"development = true");
	if (!tcb)
		return err_code(e, ERR_DENIED, "policy.tcb_not_allowed",
				"TCB status is not allowed: %s; allowed_tcb_statuses must list it",
				b->tcb_status);
	for (size_t i = 0; i < b->n_advisory_ids; i++)
		if (!text_listed(r->config, "allowed_advisory_ids", b->advisory_ids[i]))
			return err_code(e, ERR_DENIED, "policy.advisory_not_allowed",
					"advisory ID is not allowed: %s", b->advisory_ids[i]);
	return 0;
}

static int judge_image(const struct policy_rules *r, const struct boot_info *b, struct err *e)
{
	char hex[2 * HASH + 1];

	str_hex(hex, b->os_image_hash, HASH);
	if (!b->has_os_image_hash || !list_has(&r->images, b->os_image_hash))
		return err_code(e, ERR_DENIED, "policy.image_not_allowed",
				"OS image is not allowed: %s; os_images must list it",
				b->has_os_image_hash ? hex : "none given");
	return 0;
}

static int judge_place(const struct place *p, const struct boot_info *b, const char *who, struct err *e)
{
	char hex[2 * HASH + 1];

	if (p->any_device || list_has(&p->devices, b->device_id))
		return 0;
	str_hex(hex, b->device_id, HASH);
	return err_code(e, ERR_DENIED, "policy.device_not_allowed",
			"%s is not allowed to boot on this device: %s", who, hex);
}

static int judge_app(const struct policy_rules *r, const struct boot_info *b, struct err *e)
{
	const struct app *a = find_app(r, b->app_id);
	char app[2 * APP + 1], compose[2 * HASH + 1];

	str_hex(app, b->app_id, APP);
	str_hex(compose, b->compose_hash, HASH);
	if (!a)
		return err_code(e, ERR_DENIED, "policy.app_not_allowed",
				"app not registered: %s; no [[app]] has this id", app);
	if (!list_has(&a->compose, b->compose_hash))
		return err_code(e, ERR_DENIED, "policy.compose_not_allowed",
				"compose hash not allowed: %s of app %s; its compose_hashes must list it",
				compose, app);
	return judge_place(&a->place, b, "app", e);
}

static int judge_kms(const struct policy_rules *r, const struct boot_info *b, struct err *e)
{
	char hex[2 * HASH + 1];

	str_hex(hex, b->mr_aggregated, HASH);
	if (!list_has(&r->kms_mrs, b->mr_aggregated))
		return err_code(e, ERR_DENIED, "policy.kms_not_allowed",
				"aggregated MR not allowed: %s; kms.mr_aggregated must list it", hex);
	return judge_place(&r->kms_place, b, "KMS", e);
}

int policy_rules_judge(const struct policy_rules *r, const struct boot_info *b, enum policy_kind kind,
		       struct err *e)
{
	if (kind == POLICY_APP && (!b->has_app_id || !b->has_compose_hash))
		return err_code(e, ERR_DENIED, "policy.boot_info",
				"the evidence names no app id or no compose hash");
	if (!(kind == POLICY_APP ? r->n_apps : r->kms_mrs.n))
		return err_code(e, ERR_DENIED, "policy.empty", "the allow-list is empty: it must list %s",
				kind == POLICY_APP ? "an [[app]]" : "kms.mr_aggregated");
	if (judge_platform(r, b, e) || judge_image(r, b, e))
		return -1;
	return kind == POLICY_APP ? judge_app(r, b, e) : judge_kms(r, b, e);
}
