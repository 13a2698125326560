#include <stdio.h>
#include <string.h>

#include "base/strings.h"
#include "core/codec/json.h"
#include "policy/rules_impl.h"

static int syntax(struct err *e, const char *what, const char *want)
{
	return err_code(e, ERR_INPUT, "policy.syntax", "%s is not %s", what, want);
}

// Every member of `obj` is one of `names`; val[i] is the i-th, JSON_NONE when it is absent.
static int pick(struct json obj, const char *where, const char *const *names, struct json *val, size_t n,
		struct err *e)
{
	struct json key, v;

	if (json_kind(obj) != JSON_OBJECT)
		return syntax(e, where, "an object");
	for (struct json_iter it = json_iter(obj); json_next(&it, &key, &v);) {
		size_t i = 0;
		while (i < n && !json_is(key, names[i]))
			i++;
		if (i == n)
			return err_code(e, ERR_INPUT, "policy.syntax", "%s: unknown member %s", where,
					STR_Q(key.text.p, key.text.n));
	}
	json_pick(obj, names, val, n);
	return 0;
}

static int get_text(struct policy_rules *r, struct json v, const char *what, const char **out, struct err *e)
{
	size_t n = json_string_size(v);

	if (json_kind(v) == JSON_NONE)
		return 0;
	char *p = arena_alloc(r->arena, n + 1);
	if (!p)
		return err_set(e, ERR_SYSTEM, "out of memory");
	*out = p;
	return json_cstr(v, p, n + 1) ? syntax(e, what, "a text") : 0;
}

static int get_bool(struct json v, const char *what, bool *out, struct err *e)
{
	return json_kind(v) == JSON_NONE || !json_bool(v, out) ? 0 : syntax(e, what, "true or false");
}

static int get_list(struct policy_rules *r, struct json v, const char *what, struct list *l, struct err *e)
{
	struct json key, item;
	char text[2 * HASH + 3];

	if (json_kind(v) == JSON_NONE)
		return 0;
	if (json_kind(v) != JSON_ARRAY)
		return syntax(e, what, "an array");
	l->items = arena_array(r->arena, json_count(v), sizeof *l->items);
	if (!l->items)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (struct json_iter it = json_iter(v); json_next(&it, &key, &item); l->n++)
		if (json_cstr(item, text, sizeof text) || policy_hex(text, l->items[l->n], HASH))
			return err_code(e, ERR_INPUT, "policy.syntax", "%s: item %zu is not 64 hex digits",
					what, l->n + 1);
	return 0;
}

static int get_texts(struct policy_rules *r, struct json v, const char *what, const char *def,
		     struct texts *t, struct err *e)
{
	struct json key, item;

	if (json_kind(v) != JSON_NONE && json_kind(v) != JSON_ARRAY)
		return syntax(e, what, "an array");
	t->items = arena_array(r->arena, json_count(v) + 1, sizeof *t->items);
	if (!t->items)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (struct json_iter it = json_iter(v); json_next(&it, &key, &item); t->n++)
		if (json_kind(item) != JSON_STRING || get_text(r, item, what, &t->items[t->n], e))
			return syntax(e, what, "an array of texts");
	if (def && json_kind(v) == JSON_NONE)
		t->items[t->n++] = def;
	return 0;
}

static int get_place(struct policy_rules *r, struct json devices, struct json any, bool empty_is_any,
		     const char *what, struct place *p, struct err *e)
{
	if (get_list(r, devices, what, &p->devices, e) || get_bool(any, what, &p->any_device, e))
		return -1;
	if (empty_is_any && !p->devices.n)
		p->any_device = true;
	return 0;
}

static int read_app(struct policy_rules *r, struct json key, struct json v, size_t n, bool empty_is_any,
		    struct err *e)
{
	static const char *const names[] = { "composeHashes", "devices", "allowAnyDevice", "suspended" };
	struct json m[4];
	const char *id = "";
	char what[64];

	if (get_text(r, key, "an app's id", &id, e) || policy_rules_add_app(r, id, n, e))
		return -1;
	struct rules_app *a = &r->apps[r->n_apps - 1];
	snprintf(what, sizeof what, "apps.%s", id);
	if (pick(v, what, names, m, 4, e))
		return -1;
	return get_list(r, m[0], what, &a->compose, e) || get_bool(m[3], what, &a->suspended, e)
		       ? -1
		       : get_place(r, m[1], m[2], empty_is_any, what, &a->place, e);
}

static int read_kms(struct policy_rules *r, struct json v, bool empty_is_any, struct err *e)
{
	static const char *const names[] = { "mrAggregated", "devices", "allowAnyDevice" };
	struct json m[3];

	if (json_kind(v) == JSON_NONE)
		return 0;
	if (pick(v, "kms", names, m, 3, e) || get_list(r, m[0], "kms.mrAggregated", &r->kms_mrs, e))
		return -1;
	return get_place(r, m[1], m[2], empty_is_any, "kms.devices", &r->kms_place, e);
}

static int read_apps(struct policy_rules *r, struct json v, bool empty_is_any, struct err *e)
{
	struct json key, app;
	size_t n = json_count(v);

	if (json_kind(v) == JSON_NONE)
		return 0;
	if (json_kind(v) != JSON_OBJECT)
		return syntax(e, "apps", "an object");
	for (struct json_iter it = json_iter(v); json_next(&it, &key, &app);)
		if (read_app(r, key, app, n, empty_is_any, e))
			return -1;
	return 0;
}

static int read_chain(struct policy_rules *r, struct json contract, struct json id, struct json app,
		      struct err *e)
{
	r->has_chain = json_kind(contract) != JSON_NONE || json_kind(id) != JSON_NONE;
	if (get_text(r, contract, "kmsContractAddr", &r->contract, e) ||
	    get_text(r, app, "appImplementation", &r->app_implementation, e))
		return -1;
	if (json_kind(id) != JSON_NONE && json_u64(id, UINT64_MAX, &r->chain_id))
		return syntax(e, "chainId", "a number");
	return 0;
}

int policy_rules_json(struct policy_rules *r, const char *text, size_t n, struct err *e)
{
	enum {
		GATEWAY,
		CONTRACT,
		CHAIN,
		IMPL,
		IMAGES,
		TCB,
		ADVISORIES,
		KMS,
		APPS,
		DEVELOPMENT,
		EMPTY_ANY,
		COUNT
	};
	static const char *const names[COUNT] = { "gatewayAppId",
						  "kmsContractAddr",
						  "chainId",
						  "appImplementation",
						  "osImages",
						  "allowedTcbStatuses",
						  "allowedAdvisoryIds",
						  "kms",
						  "apps",
						  "development",
						  "emptyDevicesMeanAny" };
	struct json doc, m[COUNT];
	struct json_fault f;
	uint8_t gateway[APP];
	bool empty_is_any = false;

	if (json_parse(&doc, span_of(text, n), &f))
		return err_code(e, ERR_INPUT, "policy.syntax", "byte %zu: %s", f.at, f.what);
	if (pick(doc, "the file", names, m, COUNT, e) ||
	    get_text(r, m[GATEWAY], "gatewayAppId", &r->gateway, e) ||
	    read_chain(r, m[CONTRACT], m[CHAIN], m[IMPL], e))
		return -1;
	if (*r->gateway && policy_hex(r->gateway, gateway, APP))
		return syntax(e, "gatewayAppId", "40 hex digits (\"any\" would let any gateway in)");
	if (get_bool(m[DEVELOPMENT], "development", &r->development, e) ||
	    get_bool(m[EMPTY_ANY], "emptyDevicesMeanAny", &empty_is_any, e) ||
	    get_list(r, m[IMAGES], "osImages", &r->images, e) ||
	    get_texts(r, m[TCB], "allowedTcbStatuses", "UpToDate", &r->tcb, e) ||
	    get_texts(r, m[ADVISORIES], "allowedAdvisoryIds", NULL, &r->advisories, e))
		return -1;
	return read_kms(r, m[KMS], empty_is_any, e) || read_apps(r, m[APPS], empty_is_any, e) ? -1 : 0;
}
