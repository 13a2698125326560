#include "compose.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/envname.h"
#include "base/strings.h"
#include "jcs.h"
#include "semver.h"

enum { LAUNCH_TOKEN_MIN = 32 };

const char *provider_name(enum provider p)
{
	static const char *const names[] = { "none", "kms", "local-sgx", "tpm" };

	return names[p];
}

static int refuse(struct fields *f, const char *code, const char *text)
{
	f->bad = true;
	return err_code(f->e, ERR_DENIED, code, "app-compose.json: %s", text);
}

// Numbers 1 and 2, or a text of one digit up to 3 (spec 60 section 6c).
static void read_manifest_version(struct fields *f, struct compose *c)
{
	struct json v;
	uint64_t n;

	c->manifest_version = 1;
	if (!field_has(f, "manifest_version", &v))
		return;
	if (!json_u64(v, 2, &n) && n >= 1)
		c->manifest_version = (int)n;
	else if (json_is(v, "1") || json_is(v, "2") || json_is(v, "3"))
		c->manifest_version = v.text.p[1] - '0';
	else
		refuse(f, "compose.manifest_version", "manifest_version is not one that this guest knows");
}

static void read_provider(struct fields *f, struct compose *c)
{
	static const struct {
		const char *name;
		enum provider provider;
	} names[] = { { "none", PROVIDER_NONE },
		      { "kms", PROVIDER_KMS },
		      { "local", PROVIDER_LOCAL },
		      { "tpm", PROVIDER_TPM } };
	const char *name = field_text(f, "key_provider", NULL);
	bool kms = field_bool(f, "kms_enabled", false),
	     local = field_bool(f, "local_key_provider_enabled", false);

	c->provider = kms ? PROVIDER_KMS : local ? PROVIDER_LOCAL : PROVIDER_NONE;
	if (!name)
		return;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!strcmp(name, names[i].name)) {
			c->provider = names[i].provider;
			return;
		}
	refuse(f, "compose.key_provider", "key_provider is not none, kms, local or tpm");
}

static bool listed(const struct texts *list, const char *what)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->v[i], what))
			return true;
	return false;
}

static void read_gateway(struct fields *f, struct compose *c)
{
	struct texts features = field_texts(f, "features", 64);
	bool gateway = field_bool(f, "gateway_enabled", false),
	     tproxy = field_bool(f, "tproxy_enabled", false);
	struct json policy, list, item, port;
	uint64_t number;

	c->gateway = gateway || tproxy || listed(&features, "tproxy-net");
	if (!field_has(f, "port_policy", &policy))
		return;
	struct fields sub = fields_of(policy, f);
	c->restrict_ports = field_bool(&sub, "restrict_mode", false);
	if (field_has(&sub, "ports", &list))
		for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);) {
			struct fields one = fields_of(item, f);

			if (c->n_ports == COMPOSE_PORTS_MAX || !json_get(item, "port", &port) ||
			    json_u64(port, 65535, &number) || !number) {
				refuse(f, "compose.port_policy", "port_policy has no proper ports");
				return;
			}
			c->ports[c->n_ports++] =
				(struct port_attrs){ (uint32_t)number, field_bool(&one, "pp", false) };
			f->bad |= one.bad;
		}
	f->bad |= sub.bad;
}

// One script or a list of them; more than one needs manifest version 3.
static void read_init_scripts(struct fields *f, struct compose *c)
{
	struct json v;

	if (!field_has(f, "init_script", &v))
		return;
	if (json_kind(v) == JSON_ARRAY) {
		c->init_scripts = field_texts(f, "init_script", COMPOSE_SCRIPTS_MAX);
	} else {
		const char **one = arena_array(f->arena, 1, sizeof *one);
		const char *text = field_text(f, "init_script", "");

		if (one && *text) {
			one[0] = text;
			c->init_scripts = (struct texts){ one, 1 };
		}
	}
	if (c->init_scripts.n > 1 && c->manifest_version < 3)
		refuse(f, "compose.feature", "several init scripts need manifest_version 3");
}

static void read_swap(struct fields *f, struct compose *c)
{
	struct json v;
	const char *text;

	if (!field_has(f, "swap_size", &v) || !json_u64(v, UINT64_MAX, &c->swap_size))
		return;
	text = field_text(f, "swap_size", "");
	if (!f->bad && !str_bytes(text, &c->swap_size))
		refuse(f, "compose.type", "swap_size is no size");
}

static void hash_gpu_policy(struct fields *f, struct json policy, struct compose *c)
{
	auto_sb text = { 0 };

	if (jcs_write(policy, &text) || json_kind(policy) != JSON_OBJECT) {
		refuse(f, "compose.requirement", "gpu_policy is not an object with a canonical form");
		return;
	}
	SHA256((const uint8_t *)text.p, text.n, c->gpu_policy_hash);
	struct fields sub = fields_of(policy, f);
	c->attest_gpu = field_bool(&sub, "attest_gpu", true);
	struct json rego;
	if (field_has(&sub, "rego", &rego))
		refuse(f, "compose.requirement", "gpu_policy.rego cannot be evaluated by this guest");
	f->bad |= sub.bad;
}

// Ours. Here and not beside allowed_envs, so that a guest which does not know it refuses the boot, as with
// every requirement, and does not take an environment from anybody.
static void read_signers(struct fields *f, struct compose *c)
{
	struct texts list = field_texts(f, "env_signers", COMPOSE_SIGNERS_MAX);
	struct json v;

	if (f->bad || !field_has(f, "env_signers", &v))
		return;
	for (size_t i = 0; i < list.n; i++)
		if (!hex_exact(c->env_signers[i], ED25519_PUB, list.v[i]) ||
		    !ed25519_is_key(c->env_signers[i])) {
			refuse(f, "compose.env_signers",
			       "env_signers has what is no Ed25519 public key in hex");
			return;
		}
	c->n_env_signers = list.n;
	if (!list.n)
		refuse(f, "compose.env_signers", "env_signers is an empty list");
}

static void read_requirements(struct fields *f, struct compose *c)
{
	static const char *const known[] = { "os_version",        "platforms",  "tdx_measure_acpi_tables",
					     "launch_token_hash", "gpu_policy", "env_signers" };
	struct json req, key, v;

	if (!field_has(f, "requirements", &req))
		return;
	if (c->manifest_version < 3) {
		refuse(f, "compose.feature", "requirements need manifest_version 3");
		return;
	}
	struct fields sub = fields_of(req, f);
	for (struct json_iter it = json_iter(req); json_next(&it, &key, &v);) {
		bool found = false;

		for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
			found |= json_is(key, known[i]);
		if (!found)
			refuse(f, "compose.requirement",
			       "requirements has a member that this guest does not know");
	}
	c->os_version = field_text(&sub, "os_version", "");
	c->has_platforms = field_has(&sub, "platforms", &v);
	c->platforms = field_texts(&sub, "platforms", 64);
	c->has_acpi = field_has(&sub, "tdx_measure_acpi_tables", &v);
	c->acpi_tables = field_bool(&sub, "tdx_measure_acpi_tables", false);
	c->has_launch_hash = field_hex(&sub, "launch_token_hash", c->launch_hash, sizeof c->launch_hash);
	read_signers(&sub, c);
	f->bad |= sub.bad;
	if (field_has(&sub, "gpu_policy", &v))
		hash_gpu_policy(f, v, c);
}

static void read_rest(struct fields *f, struct compose *c)
{
	struct json v;
	uint64_t n;

	c->provider_id = field_text(f, "key_provider_id", "");
	c->no_instance_id = field_bool(f, "no_instance_id", false);
	c->secure_time = field_bool(f, "secure_time", true);
	c->emit_event = field_bool(f, "emit_event", false);
	c->runner = field_text(f, "runner", "docker-compose");
	c->storage_fs = field_text(f, "storage_fs", "");
	const char *seed = field_text(f, "deployment_seed", "");
	if (hex_read(c->deployment_seed, sizeof c->deployment_seed, seed, strlen(seed),
		     &c->deployment_seed_n))
		refuse(f, "compose.type", "deployment_seed is not hex of at most 64 bytes");
	c->allowed_envs = field_texts(f, "allowed_envs", COMPOSE_ENVS_MAX);
	c->event_log_version = 1;
	if (field_has(f, "event_log_version", &v)) {
		if (json_u64(v, 2, &n) || n < 1)
			refuse(f, "compose.type", "event_log_version must be 1 or 2");
		else
			c->event_log_version = (int)n;
	}
	for (size_t i = 0; i < c->allowed_envs.n && !f->bad; i++)
		if (envname_kind(c->allowed_envs.v[i]) == ENVNAME_GUEST) {
			f->bad = true;
			err_code(f->e, ERR_DENIED, "compose.allowed_envs",
				 "app-compose.json: allowed_envs has %s, which steers the guest's own "
				 "programs",
				 STR_QZ(c->allowed_envs.v[i]));
		}
}

int compose_parse(struct span text, struct arena *a, struct compose *out, struct err *e)
{
	struct fields f = fields_begin(text, "app-compose.json", "compose.type", a, e);
	struct json v;

	*out = (struct compose){ .attest_gpu = true, .os_version = "" };
	if (f.bad)
		return -1;
	SHA256(text.p, text.n, out->hash);
	SHA256((const uint8_t *)"{}", 2, out->gpu_policy_hash);
	read_manifest_version(&f, out);
	read_provider(&f, out);
	read_gateway(&f, out);
	read_init_scripts(&f, out);
	read_swap(&f, out);
	read_rest(&f, out);
	if (!f.bad)
		read_requirements(&f, out);
	if (!f.bad && !strcmp(out->runner, "nerdctl-compose"))
		refuse(&f, "compose.runner", "this guest has no nerdctl-compose; use docker-compose");
	if (!f.bad && field_has(&f, "snapshotter", &v))
		refuse(&f, "compose.feature", "snapshotter is for runner nerdctl-compose only");
	if (!f.bad && field_has(&f, "verity_volumes", &v) && json_count(v))
		refuse(&f, "compose.feature", "this guest has no verity_volumes");
	if (!f.bad && *out->storage_fs && strcmp(out->storage_fs, "ext4"))
		refuse(&f, "compose.storage_fs", "this guest has the file system ext4 only");
	return f.bad ? -1 : 0;
}

static int check_launch_token(const struct compose *c, struct span user_config, struct err *e)
{
	static const char tag[] = "dstack-launch-token/v1:";
	uint8_t hash[32];
	char token[1024];
	struct json doc, part, v;
	size_t n;

	if (json_parse(&doc, user_config, NULL) || !json_get(doc, "dstack", &part) ||
	    !json_get(part, "launch_token", &v) || json_string(v, token, sizeof token, &n) ||
	    n < LAUNCH_TOKEN_MIN)
		return err_code(e, ERR_DENIED, "compose.launch_token",
				"launch token: .user-config has none of at least %d bytes", LAUNCH_TOKEN_MIN);
	auto_sb text = { 0 };
	sb_str(&text, tag);
	sb_put(&text, token, n);
	SHA256((const uint8_t *)text.p, text.n, hash);
	OPENSSL_cleanse(token, sizeof token);
	if (text.bad || CRYPTO_memcmp(hash, c->launch_hash, sizeof hash))
		return err_code(e, ERR_DENIED, "compose.launch_token",
				"launch token: not the one the app expects");
	return 0;
}

int compose_check(const struct compose *c, const struct compose_machine *m, struct err *e)
{
	bool ok;

	if (*c->os_version) {
		if (semver_match(c->os_version, m->os_version, &ok))
			return err_code(
				e, ERR_DENIED, "compose.os_version",
				"requirements.os_version \"%s\" cannot be held against version \"%s\"",
				c->os_version, m->os_version);
		if (!ok)
			return err_code(e, ERR_DENIED, "compose.os_version",
					"the app requires OS version %s, this is %s", c->os_version,
					m->os_version);
	}
	if (c->has_platforms && !listed(&c->platforms, m->platform))
		return err_code(e, ERR_DENIED, "compose.platform", "the app does not allow platform %s",
				m->platform);
	if (c->has_acpi && !strcmp(m->platform, "dstack-tdx") && c->acpi_tables == m->lite)
		return err_code(e, ERR_DENIED, "compose.acpi_tables",
				"the app requires the %s TDX attestation variant",
				c->acpi_tables ? "legacy" : "lite");
	return c->has_launch_hash ? check_launch_token(c, m->user_config, e) : 0;
}
