#include "compose.h"

#include <openssl/sha.h>
#include <string.h>

#include "base/strings.h"
#include "core/codec/json.h"

static const struct {
	const char *name;
	enum json_kind kind;
} known[] = {
	{ "name", JSON_STRING },
	{ "runner", JSON_STRING },
	{ "docker_compose_file", JSON_STRING },
	{ "kms_enabled", JSON_BOOL },
	{ "gateway_enabled", JSON_BOOL },
	{ "tproxy_enabled", JSON_BOOL },
	{ "local_key_provider_enabled", JSON_BOOL },
	{ "public_logs", JSON_BOOL },
	{ "public_sysinfo", JSON_BOOL },
	{ "public_tcbinfo", JSON_BOOL },
	{ "no_instance_id", JSON_BOOL },
	{ "secure_time", JSON_BOOL },
	{ "key_provider_id", JSON_STRING },
	{ "allowed_envs", JSON_ARRAY },
	{ "requirements", JSON_OBJECT },
};

static int check_types(struct json o, struct err *e)
{
	struct json v;

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (json_get(o, known[i].name, &v) && json_kind(v) != JSON_NULL &&
		    json_kind(v) != known[i].kind)
			return err_code(e, ERR_INPUT, "vmm.compose",
					"Invalid compose file: \"%s\" has the wrong type", known[i].name);
	if (json_get(o, "key_provider", &v) && json_kind(v) != JSON_NULL && !json_is(v, "none") &&
	    !json_is(v, "kms") && !json_is(v, "local") && !json_is(v, "tpm"))
		return err_code(e, ERR_INPUT, "vmm.compose",
				"Invalid compose file: key_provider is not none, kms, local or tpm");
	return 0;
}

static bool flag(struct json o, const char *name)
{
	struct json v;
	bool on = false;

	return json_get(o, name, &v) && json_bool(v, &on) == 0 && on;
}

int compose_read(struct compose *out, const void *text, size_t n, struct err *e)
{
	struct json o, v, w;
	struct json_fault f = { 0 };
	bool on;

	*out = (struct compose){ .measure_acpi = -1 };
	if (n > COMPOSE_MAX)
		return err_code(e, ERR_INPUT, "vmm.compose", "compose file is larger than %d MiB",
				COMPOSE_MAX >> 20);
	if (json_parse(&o, span_of(text, n), &f))
		return err_code(e, ERR_INPUT, "vmm.compose", "Invalid compose file: %s at byte %zu", f.what,
				f.at);
	if (json_kind(o) != JSON_OBJECT)
		return err_code(e, ERR_INPUT, "vmm.compose", "Invalid compose file: not an object");
	if (check_types(o, e))
		return -1;
	SHA256(text, n, out->hash);
	hex_encode(out->app_id, out->hash, APP_ID_SIZE);
	out->gateway = flag(o, "gateway_enabled") || flag(o, "tproxy_enabled");
	out->no_instance_id = flag(o, "no_instance_id");
	out->has_key_provider_id = json_get(o, "key_provider_id", &v) && json_string_size(v) > 0;
	if (json_get(o, "requirements", &v) && json_get(v, "tdx_measure_acpi_tables", &w) &&
	    !json_bool(w, &on))
		out->measure_acpi = on;
	return 0;
}
