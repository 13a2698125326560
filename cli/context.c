#include "context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct config_key keys[] = {
	{ "vmm", CONFIG_STRING, .doc = "the VMM's RPC: unix:/path or http(s)://host:port" },
	{ "kms", CONFIG_STRING, .doc = "the KMS's RPC: https://host:port" },
	{ "kms_root", CONFIG_STRING,
	  .doc = "PEM file of the KMS root CA: pins the KMS and the key provider" },
	{ "kms_app", CONFIG_STRING, .doc = "the VM that is the KMS, when it runs in one here" },
	{ "kms_compose", CONFIG_STRING, .doc = "its app-compose.json: `verify` then verifies the KMS, too" },
	{ "kms_admin", CONFIG_STRING, .doc = "the KMS's admin listener" },
	{ "policy", CONFIG_STRING, .doc = "the KMS's policy file, when this machine has it" },
	{ "domain", CONFIG_STRING, .doc = "the gateway's base domain" },
	{ "gateway_port", CONFIG_INT, .def = "443", .doc = "the gateway's HTTPS port", .min = 1,
	  .max = 65535 },
	{ "gateway_address", CONFIG_STRING, .doc = "host:port to connect to instead of what DNS says" },
	{ "gateway_ca", CONFIG_STRING, .doc = "PEM file of the CA of the gateway's certificate" },
	{ "image", CONFIG_STRING, .doc = "the guest image that deploy takes by default" },
	{ "images", CONFIG_STRING, .doc = "folder of guest images that `verify` may compare with" },
	{ "pccs", CONFIG_STRING, .doc = "collateral server (default: Intel's)" },
	{ "development_root", CONFIG_STRING,
	  .doc = "root of the software TEE; claims that rest on it are marked" },
	{ "registry", CONFIG_STRING, .doc = "the local image registry, for examples" },
};
static const char *const files[] = { "kms_root",   "kms_compose", "policy",
				     "gateway_ca", "images",      "development_root" };

static bool has_config(const char *dir)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof path, "%s/config.toml", dir) < (int)sizeof path &&
	       access(path, R_OK) == 0;
}

// .dstack here or in the nearest folder above, as git finds its own.
static bool find_upwards(char out[PATH_MAX])
{
	char at[PATH_MAX - 16];

	if (!getcwd(at, sizeof at))
		return false;
	for (;;) {
		snprintf(out, PATH_MAX, "%s/.dstack", strcmp(at, "/") == 0 ? "" : at);
		if (has_config(out))
			return true;
		char *slash = strrchr(at, '/');
		if (!slash || !at[1])
			return false;
		slash[slash == at] = 0;
	}
}

int context_open(struct context *c, const char *dir, struct err *e)
{
	char path[PATH_MAX + 16];

	*c = (struct context){ 0 };
	if (!dir)
		dir = getenv("DSTACK_HOME");
	if (dir) {
		if (!realpath(dir, c->dir))
			return err_errno(e, "state folder %s", dir);
	} else if (!find_upwards(c->dir)) {
		snprintf(c->dir, sizeof c->dir, "/etc/dstack");
	}
	if (!has_config(c->dir))
		return err_code(e, ERR_ABSENT, "cli.no_stack",
				"no stack: %s has no config.toml; run `dstack up` (or `make run`), or set "
				"DSTACK_HOME",
				c->dir);
	snprintf(path, sizeof path, "%s/config.toml", c->dir);
	c->config = config_read(path, keys, sizeof keys / sizeof *keys, e);
	return c->config ? 0 : -1;
}

void context_close(struct context *c)
{
	config_free(c->config);
	c->config = NULL;
}

const char *context_get(struct context *c, const char *key)
{
	static char resolved[sizeof files / sizeof *files][PATH_MAX * 2];
	const char *value = config_str(c->config, "%s", key);

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		if (strcmp(files[i], key) != 0 || !*value || *value == '/')
			continue;
		snprintf(resolved[i], sizeof resolved[i], "%s/%s", c->dir, value);
		return resolved[i];
	}
	return value;
}

int context_port(struct context *c)
{
	return (int)config_int(c->config, "gateway_port");
}
