#include "files.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/codec/json.h"
#include "crypto/k256.h"
#include "key_cache.h"

// The member as an owned string; *out stays NULL when it is absent and `need` is false.
static int text(struct json obj, const char *name, bool need, const char *code, char **out, struct err *e)
{
	struct json v;

	if (!json_get(obj, name, &v) || json_kind(v) == JSON_NULL)
		return need ? err_code(e, ERR_INPUT, code, "%s is missing", name) : 0;
	size_t n = json_string_size(v) + 1;
	auto_free char *s = malloc(n);
	if (!s)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (json_kind(v) != JSON_STRING || json_cstr(v, s, n))
		return err_code(e, ERR_INPUT, code, "%s must be text", name);
	*out = TAKE(s);
	return 0;
}

static int object(const char *path, const char *bytes, size_t n, const char *code, struct json *out,
		  struct err *e)
{
	struct json_fault f = { 0 };

	if (json_parse(out, span_of(bytes, n), &f))
		return err_code(e, ERR_INPUT, code, "%s is not JSON: %s at byte %zu", path,
				f.what ? f.what : "malformed", f.at);
	if (json_kind(*out) != JSON_OBJECT)
		return err_code(e, ERR_INPUT, code, "%s is not a JSON object", path);
	return 0;
}

static int flag(struct json root, const char *name, bool *out, struct err *e)
{
	struct json v;

	if (json_get(root, name, &v) && json_kind(v) != JSON_NULL && json_bool(v, out))
		return err_code(e, ERR_INPUT, "agent.compose", "%s must be true or false", name);
	return 0;
}

static int read_compose(const char *path, struct app_files *out, struct err *e)
{
	struct json root;
	size_t n;

	if (file_read(path, COMPOSE_MAX, &out->compose, &n, e))
		return -1;
	if (object(path, out->compose, n, "agent.compose", &root, e) ||
	    text(root, "name", true, "agent.compose", &out->name, e))
		return -1;
	out->public_tcbinfo = true;
	return flag(root, "public_tcbinfo", &out->public_tcbinfo, e) ||
			       flag(root, "public_sysinfo", &out->public_sysinfo, e) ||
			       flag(root, "public_logs", &out->public_logs, e)
		       ? -1
		       : 0;
}

// Absent, or nothing the client could call from here (a unix socket of the guest, say): the usual one.
static int host_url(struct json root, char **out, struct err *e)
{
	if (text(root, "host_api_url", false, "agent.sys_config", out, e))
		return -1;
	if (*out &&
	    (str_starts(*out, "vsock://") || str_starts(*out, "http://") || str_starts(*out, "https://")))
		return 0;
	free(*out);
	*out = strdup("vsock://2:10000/api");
	return *out ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

int app_files_read(const char *compose, const char *sys_config, struct app_files *out, struct err *e)
{
	auto_free char *sys = NULL;
	struct json root;
	size_t n;

	*out = (struct app_files){ 0 };
	if (read_compose(compose, out, e) || file_read(sys_config, SYS_CONFIG_MAX, &sys, &n, e) ||
	    object(sys_config, sys, n, "agent.sys_config", &root, e) ||
	    text(root, "vm_config", true, "agent.sys_config", &out->vm_config, e) ||
	    host_url(root, &out->host_api_url, e)) {
		app_files_free(out);
		return err_wrap(e, "read the app's files");
	}
	return 0;
}

void app_files_free(struct app_files *f)
{
	free(f->compose);
	free(f->name);
	free(f->vm_config);
	free(f->host_api_url);
	*f = (struct app_files){ 0 };
}

// A member into a secret, without a copy elsewhere: decoded from hex, or text as it is.
static int secret_member(struct json obj, const char *name, bool hex, struct secret **out, struct err *e)
{
	struct json v;
	struct span raw;
	size_t n;

	if (!json_get(obj, name, &v) || json_kind(v) != JSON_STRING)
		return err_code(e, ERR_INPUT, "agent.keys", "%s is missing", name);
	if (hex) {
		if (json_plain(v, &raw) || !(*out = secret_from_hex((const char *)raw.p, raw.n)))
			return err_code(e, ERR_INPUT, "agent.keys", "%s must be hex", name);
		return 0;
	}
	*out = secret_new(json_string_size(v));
	if (!*out || json_string(v, (*out)->b, (*out)->n, &n))
		return err_code(e, ERR_INPUT, "agent.keys", "%s must be text", name);
	return 0;
}

static int read_kms(struct json v, struct key_file *k, struct err *e)
{
	return text(v, "url", true, "agent.keys", &k->kms_url, e) ||
			       text(v, "tmp_ca_cert", false, "agent.keys", &k->tmp_ca_cert, e) ||
			       text(v, "tmp_ca_key", false, "agent.keys", &k->tmp_ca_key, e)
		       ? -1
		       : 0;
}

// {"Kms":{...}} and so on: exactly one member.
static int read_provider(struct json root, struct key_file *k, struct err *e)
{
	static const char *const names[] = { "None", "Local", "Tpm", "Kms" };
	struct json provider, name, v, more;

	if (!json_get(root, "key_provider", &provider) || json_kind(provider) != JSON_OBJECT)
		return err_code(e, ERR_INPUT, "agent.keys", "key_provider is missing");
	struct json_iter it = json_iter(provider);
	if (!json_next(&it, &name, &v) || json_next(&it, NULL, &more) || json_kind(v) != JSON_OBJECT)
		return err_code(e, ERR_INPUT, "agent.keys", "key_provider must have one member");
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		if (!json_is(name, names[i]))
			continue;
		k->provider = (enum key_provider)i;
		return k->provider == PROVIDER_KMS ? read_kms(v, k, e)
						   : secret_member(v, "key", false, &k->ca_key, e);
	}
	return err_code(e, ERR_INPUT, "agent.keys", "unknown key provider %s",
			STR_Q(name.text.p, name.text.n));
}

static int read_keys(struct json root, struct key_file *k, struct err *e)
{
	struct json sig;
	struct span raw;

	if (secret_member(root, "k256_key", true, &k->k256, e))
		return -1;
	if (k->k256->n != K256_SCALAR || k256_check(k->k256->b, e))
		return err_code(e, ERR_INPUT, "agent.keys", "k256_key is no secp256k1 key");
	if (json_get(root, "k256_signature", &sig) && json_kind(sig) != JSON_NULL &&
	    (json_plain(sig, &raw) || hex_read(k->k256_signature, sizeof k->k256_signature,
					       (const char *)raw.p, raw.n, &k->k256_signature_n)))
		return err_code(e, ERR_INPUT, "agent.keys", "k256_signature must be hex of at most %d bytes",
				K256_SIGNATURE);
	if (text(root, "ca_cert", true, "agent.keys", &k->ca_cert, e))
		return -1;
	return read_provider(root, k, e);
}

int key_file_parse(const char *name, const char *bytes, size_t n, struct key_file *out, struct err *e)
{
	struct json root;

	*out = (struct key_file){ 0 };
	if (object(name, bytes, n, "agent.keys", &root, e) || read_keys(root, out, e)) {
		key_file_free(out);
		return err_wrap(e, "read the app's keys");
	}
	out->cache = key_cache_new();
	if (!out->cache) {
		key_file_free(out);
		return err_set(e, ERR_SYSTEM, "read the app's keys: out of memory");
	}
	return 0;
}

int key_file_read(const char *path, struct key_file *out, struct err *e)
{
	auto_secret *bytes = NULL;

	if (file_read_secret(path, KEYS_MAX, &bytes, e))
		return err_wrap(e, "read the app's keys");
	return key_file_parse(path, (const char *)bytes->b, bytes->n, out, e);
}

void key_file_free(struct key_file *k)
{
	key_cache_free(k->cache);
	secret_free(k->k256);
	secret_free(k->ca_key);
	free(k->ca_cert);
	free(k->kms_url);
	free(k->tmp_ca_cert);
	free(k->tmp_ca_key);
	*k = (struct key_file){ 0 };
}
