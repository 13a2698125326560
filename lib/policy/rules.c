#include "policy/rules.h"

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/strings.h"
#include "policy/rules_impl.h"

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

void policy_rules_free(struct policy_rules *r)
{
	if (!r)
		return;
	config_free(r->config);
	arena_free(r->arena);
	free(r);
}

const char *policy_rules_gateway(const struct policy_rules *r)
{
	const char *g = r->gateway;

	return g[0] == '0' && (g[1] == 'x' || g[1] == 'X') ? g + 2 : g;
}

void policy_rules_info(const struct policy_rules *r, struct policy_info *out)
{
	snprintf(out->gateway, sizeof out->gateway, "%s", policy_rules_gateway(r));
	snprintf(out->contract, sizeof out->contract, "%s", r->contract);
	snprintf(out->app_implementation, sizeof out->app_implementation, "%s", r->app_implementation);
	out->chain_id = r->chain_id;
	out->has_chain = r->has_chain;
}

struct policy_rules *policy_rules_new(struct err *e)
{
	struct policy_rules *r = calloc(1, sizeof *r);

	if (r)
		*r = (struct policy_rules){
			.arena = arena_new(0), .gateway = "", .contract = "", .app_implementation = ""
		};
	if (r && r->arena)
		return r;
	policy_rules_free(r);
	err_set(e, ERR_SYSTEM, "out of memory");
	return NULL;
}

int policy_rules_add_app(struct policy_rules *r, const char *id, size_t most, struct err *e)
{
	struct rules_app *a;

	if (!r->apps)
		r->apps = arena_array(r->arena, most, sizeof *r->apps);
	if (!r->apps)
		return err_set(e, ERR_SYSTEM, "out of memory");
	a = &r->apps[r->n_apps];
	a->text = id;
	if (policy_hex(id, a->id, APP))
		return err_code(e, ERR_INPUT, "policy.syntax", "app %zu: id is not 40 hex digits",
				r->n_apps + 1);
	for (size_t j = 0; j < r->n_apps; j++)
		if (!memcmp(r->apps[j].id, a->id, APP))
			return err_code(e, ERR_INPUT, "policy.syntax",
					"apps %zu (\"%s\") and %zu (\"%s\") are the same app", j + 1,
					r->apps[j].text, r->n_apps + 1, id);
	r->n_apps++;
	return 0;
}

struct policy_rules *policy_rules_parse(const char *text, size_t n, const char *name, struct err *e)
{
	struct policy_rules *r = policy_rules_new(e);

	if (!r)
		return NULL;
	if (str_ends(name, ".json") ? policy_rules_json(r, text, n, e)
				    : policy_rules_toml(r, text, n, name, e)) {
		err_wrap(e, "policy %s", name);
		policy_rules_free(r);
		return NULL;
	}
	return r;
}

static const struct rules_app *find_app(const struct policy_rules *r, const uint8_t id[static APP])
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
	const struct rules_app *a = find_app(r, app);

	return a && list_has(&a->compose, compose);
}

size_t policy_rules_count_compose(const struct policy_rules *r, const uint8_t app[static APP])
{
	const struct rules_app *a = find_app(r, app);

	return a ? a->compose.n : 0;
}

bool policy_rules_suspended(const struct policy_rules *r, const uint8_t app[static APP])
{
	const struct rules_app *a = find_app(r, app);

	return a && a->suspended;
}

bool policy_rules_has_image(const struct policy_rules *r, const uint8_t image[static HASH])
{
	return list_has(&r->images, image);
}

bool policy_rules_has_kms(const struct policy_rules *r, const uint8_t mr_aggregated[static HASH])
{
	return list_has(&r->kms_mrs, mr_aggregated);
}

static bool text_listed(const struct texts *t, const char *text)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->items[i], text))
			return true;
	return false;
}

static int judge_platform(const struct policy_rules *r, const struct boot_info *b, struct err *e)
{
	if (strcmp(b->anchor, "intel") && !r->development)
		return err_code(e, ERR_DENIED, "policy.development",
				"evidence is under a development root and the policy does not say "
				"development = true");
	if (!text_listed(&r->tcb, b->tcb_status))
		return err_code(e, ERR_DENIED, "policy.tcb_not_allowed",
				"TCB status is not allowed: %s; the allowed TCB statuses must list it",
				b->tcb_status);
	for (size_t i = 0; i < b->n_advisory_ids; i++)
		if (!text_listed(&r->advisories, b->advisory_ids[i]))
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
				"OS image is not allowed: %s; the OS images must list it",
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
	const struct rules_app *a = find_app(r, b->app_id);
	char app[2 * APP + 1], compose[2 * HASH + 1];

	str_hex(app, b->app_id, APP);
	str_hex(compose, b->compose_hash, HASH);
	if (!a)
		return err_code(e, ERR_DENIED, "policy.app_not_allowed",
				"app not registered: %s; no app has this id", app);
	if (a->suspended)
		return err_code(e, ERR_DENIED, "policy.app_suspended", "app is suspended: %s", app);
	if (!list_has(&a->compose, b->compose_hash))
		return err_code(e, ERR_DENIED, "policy.compose_not_allowed",
				"compose hash not allowed: %s of app %s; its compose hashes must list it",
				compose, app);
	return judge_place(&a->place, b, "app", e);
}

static int judge_kms(const struct policy_rules *r, const struct boot_info *b, struct err *e)
{
	char hex[2 * HASH + 1];

	str_hex(hex, b->mr_aggregated, HASH);
	if (!list_has(&r->kms_mrs, b->mr_aggregated))
		return err_code(e, ERR_DENIED, "policy.kms_not_allowed",
				"aggregated MR not allowed: %s; the KMS measurements must list it", hex);
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
				kind == POLICY_APP ? "an app" : "a KMS measurement");
	if (judge_platform(r, b, e) || judge_image(r, b, e))
		return -1;
	return kind == POLICY_APP ? judge_app(r, b, e) : judge_kms(r, b, e);
}
