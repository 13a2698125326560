#include "compose.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec/json.h"

static bool is_name(const char *s, size_t n)
{
	if (n == 0 || n > COMPOSE_KEY_MAX || isdigit((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return false;
	return true;
}

int env_add(struct env_list *envs, const char *text, struct err *e)
{
	size_t n = strcspn(text, "=");
	char *key = strndup(text, n);
	const char *value = text[n] ? text + n + 1 : key ? getenv(key) : NULL;

	if (!key || !is_name(key, n))
		err_set(e, ERR_INPUT, "'%.*s' is not a variable's name", (int)n, text);
	else if (!value)
		err_set(e, ERR_INPUT, "no value for %s: give %s=VALUE or set it in this shell", key, key);
	else if (envs->n == COMPOSE_ENVS_MAX)
		err_set(e, ERR_INPUT, "more than %d variables", COMPOSE_ENVS_MAX);
	else {
		for (size_t i = 0; i < envs->n; i++) {
			if (strcmp(envs->at[i].key, key) == 0) {
				free(key);
				return err_set(e, ERR_INPUT, "%s is given twice", envs->at[i].key);
			}
		}
		envs->at[envs->n++] = (struct env_var){ key, strdup(value) };
		return 0;
	}
	free(key);
	return -1;
}

int env_add_file(struct env_list *envs, const char *path, struct err *e)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	int status = 0;

	if (!f)
		return err_errno(e, "open %s", path);
	for (ssize_t n; status == 0 && (n = getline(&line, &cap, f)) >= 0;) {
		line[strcspn(line, "\r\n")] = 0;
		char *p = line + strspn(line, " \t");
		if (*p && *p != '#' && (status = env_add(envs, p, e)))
			err_wrap(e, "%s", path);
	}
	if (line)
		OPENSSL_cleanse(line, cap);
	free(line);
	fclose(f);
	return status;
}

void env_free(struct env_list *envs)
{
	for (size_t i = 0; i < envs->n; i++) {
		if (envs->at[i].value)
			OPENSSL_cleanse(envs->at[i].value, strlen(envs->at[i].value));
		free(envs->at[i].key);
		free(envs->at[i].value);
	}
	envs->n = 0;
}

static void write_env(struct wr *w, const struct env_list *envs)
{
	wr_str(w, "{\"env\":[");
	for (size_t i = 0; i < envs->n; i++) {
		wr_str(w, i ? ",{\"key\":" : "{\"key\":");
		wr_json(w, span_str(envs->at[i].key));
		wr_str(w, ",\"value\":");
		wr_json(w, span_str(envs->at[i].value));
		wr_str(w, "}");
	}
	wr_str(w, "]}");
}

int env_json(const struct env_list *envs, uint8_t **out, size_t *n, struct err *e)
{
	struct wr size = wr_to(NULL, 0);

	write_env(&size, envs);
	*n = size.n;
	if (!(*out = malloc(size.n)))
		return err_set(e, ERR_SYSTEM, "out of memory");
	struct wr w = wr_to(*out, size.n);
	write_env(&w, envs);
	return 0;
}

static const char *const providers[] = {
	[COMPOSE_KMS] = "kms", [COMPOSE_LOCAL] = "local", [COMPOSE_NONE] = "none"
};

int compose_keys_read(enum compose_keys *out, const char *name)
{
	for (*out = 0; *out <= COMPOSE_NONE; ++*out)
		if (!strcmp(name, providers[*out]))
			return 0;
	return -1;
}

static void write_flag(struct wr *w, const char *name, bool v)
{
	wr_str(w, ",\"");
	wr_str(w, name);
	wr_str(w, v ? "\":true" : "\":false");
}

static void write_compose(struct wr *w, const struct compose_spec *spec)
{
	bool signs = spec->env_signer && spec->envs->n;

	// A requirement: upstream's guests, which do not know it, refuse the boot.
	wr_str(w, signs ? "{\"manifest_version\":\"3\",\"name\":" : "{\"manifest_version\":2,\"name\":");
	wr_json(w, span_str(spec->name));
	wr_str(w, ",\"runner\":\"docker-compose\",\"docker_compose_file\":");
	wr_json(w, spec->docker_compose);
	write_flag(w, "kms_enabled", spec->keys == COMPOSE_KMS);
	write_flag(w, "gateway_enabled", spec->keys == COMPOSE_KMS);
	write_flag(w, "local_key_provider_enabled", spec->keys == COMPOSE_LOCAL);
	wr_str(w,
	       ",\"key_provider_id\":\"\",\"public_logs\":true,\"public_sysinfo\":true,\"allowed_envs\":[");
	for (size_t i = 0; i < spec->envs->n; i++) {
		wr_str(w, i ? "," : "");
		wr_json(w, span_str(spec->envs->at[i].key));
	}
	wr_str(w, "]");
	write_flag(w, "no_instance_id", spec->no_instance_id);
	write_flag(w, "secure_time", false);
	wr_str(w, ",\"storage_fs\":\"ext4\"");
	if (spec->keys == COMPOSE_NONE)
		wr_str(w, ",\"key_provider\":\"none\"");
	if (spec->emit_event) // said only when it is so: the hashes of all others stay
		write_flag(w, "emit_event", true);
	if (signs) {
		wr_str(w, ",\"requirements\":{\"env_signers\":[");
		wr_json_hex(w, spec->env_signer, 32);
		wr_str(w, "]}");
	}
	wr_str(w, "}");
}

int compose_make(struct compose *out, const struct compose_spec *spec, struct err *e)
{
	struct wr size = wr_to(NULL, 0);

	if (spec->envs->n && spec->keys != COMPOSE_KMS)
		return err_code(e, ERR_INPUT, "cli.env_without_kms",
				"variables are sealed to a key of the KMS: they need --key-provider kms");
	write_compose(&size, spec);
	out->n = size.n;
	if (!(out->text = malloc(size.n + 1)))
		return err_set(e, ERR_SYSTEM, "out of memory");
	struct wr w = wr_to(out->text, size.n);
	write_compose(&w, spec);
	out->text[out->n] = 0;
	SHA256((const uint8_t *)out->text, out->n, out->hash);
	return 0;
}

void compose_free(struct compose *c)
{
	free(c->text);
	c->text = NULL;
}
