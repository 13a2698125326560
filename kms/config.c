#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/strings.h"

const struct config_key kms_config_keys[] = {
	{ "insecure_development", CONFIG_BOOL,
	  .doc = "accept evidence under attestation.development_root; logged" },
	{ "core.cert_dir", CONFIG_STRING, .def = "/etc/kms/certs",
	  .doc = "folder of the keys, and of nothing else" },
	{ "core.bootstrap", CONFIG_BOOL,
	  .doc = "make root keys when the folder has none; also with insecure_development" },
	{ "core.admin.address", CONFIG_STRING,
	  .doc = "where to serve the admin methods, without TLS; empty: nowhere" },
	{ "core.admin.token_file", CONFIG_STRING,
	  .doc = "file with the admin token, readable by its owner only" },
	{ "core.admin.htpasswd_file", CONFIG_STRING, .doc = "names and passwords of admins, bcrypt only" },
	{ "rpc.address", CONFIG_STRING, .def = "tcp:0.0.0.0:8000", .doc = "where to serve, with TLS" },
	{ "rpc.sans", CONFIG_STRINGS, .required = true,
	  .doc = "DNS names and IP addresses clients use; the first is the certificate's subject" },
	{ "policy.file", CONFIG_STRING, .required = true, .doc = "who may have keys; see docs/kms.md" },
	{ "image.dir", CONFIG_STRING, .def = "/usr/share/dstack/images",
	  .doc = "OS images to measure guests against" },
	{ "image.cache_dir", CONFIG_STRING, .doc = "keeps downloaded OS images; empty: none" },
	{ "attestation.pccs_url", CONFIG_STRING, .doc = "collateral service; empty: Intel's" },
	{ "attestation.cache_dir", CONFIG_STRING,
	  .doc = "keeps collateral between starts; empty: memory only" },
	{ "attestation.allow_older_collateral", CONFIG_BOOL,
	  .doc = "accept, with a label, collateral older than seen before" },
	{ "attestation.intel_tdx_components", CONFIG_BOOL,
	  .doc = "judge a TDX module that has a version by its identity alone, as Intel does" },
	{ "attestation.development_root", CONFIG_STRING,
	  .doc = "certificate of a development root; needs insecure_development" },
	{ "certificates.max_days", CONFIG_INT, .def = "90", .min = 1, .max = 3650,
	  .doc = "longest life of an app's certificate" },
};
const size_t kms_config_n_keys = sizeof kms_config_keys / sizeof *kms_config_keys;

static bool is_label(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = p[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && !(c == '-' && i && i + 1 < n))
			return false;
	}
	return n >= 1 && n <= 63;
}

bool kms_name_is_valid(const char *name)
{
	uint8_t ip[16];
	size_t n = strlen(name);

	if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1)
		return true;
	if (!n || n > 253)
		return false;
	for (;;) {
		size_t label = strcspn(name, ".");
		if (!is_label(name, label))
			return false;
		if (!name[label])
			return true;
		name += label + 1;
	}
}

static int load_names(struct kms_config *c, struct err *e)
{
	c->keys.n_names = config_count(c->file, "rpc.sans");
	if (!c->keys.n_names || c->keys.n_names > KMS_NAMES_MAX)
		return err_code(e, ERR_INPUT, "config.names", "rpc.sans must have 1 to %d names",
				KMS_NAMES_MAX);
	for (size_t i = 0; i < c->keys.n_names; i++) {
		c->names[i] = config_item(c->file, i, "rpc.sans");
		if (!kms_name_is_valid(c->names[i]))
			return err_code(e, ERR_INPUT, "config.names",
					"rpc.sans: %s is no DNS name and no IP address", STR_QZ(c->names[i]));
	}
	c->keys.names = c->names;
	return 0;
}

int kms_config_load(struct kms_config *c, struct config *file, struct err *e)
{
	*c = (struct kms_config){
		.file = file,
		.address = config_str(file, "rpc.address"),
		.keys = { .dir = config_str(file, "core.cert_dir"),
			  .bootstrap = config_bool(file, "core.bootstrap") },
		.policy_file = config_str(file, "policy.file"),
		.image_dir = config_str(file, "image.dir"),
		.image_cache = config_str(file, "image.cache_dir"),
		.admin_address = config_str(file, "core.admin.address"),
		.admin_token_file = config_str(file, "core.admin.token_file"),
		.admin_htpasswd_file = config_str(file, "core.admin.htpasswd_file"),
		.pccs_url = config_str(file, "attestation.pccs_url"),
		.cache_dir = config_str(file, "attestation.cache_dir"),
		.allow_older_collateral = config_bool(file, "attestation.allow_older_collateral"),
		.intel_components = config_bool(file, "attestation.intel_tdx_components"),
		.development_root = config_str(file, "attestation.development_root"),
		.insecure_development = config_bool(file, "insecure_development"),
		.leaf_days = config_int(file, "certificates.max_days"),
	};
	c->keys.bootstrap |= c->insecure_development;
	if (*c->development_root && !c->insecure_development) {
		err_code(e, ERR_INPUT, "config.development_root",
			 "attestation.development_root is set without insecure_development = true: a KMS "
			 "that trusts a "
			 "development root gives keys to anyone who has that root's key");
		kms_config_free(c);
		return -1;
	}
	if (load_names(c, e)) {
		kms_config_free(c);
		return -1;
	}
	return 0;
}

int kms_config_read(struct kms_config *c, const char *path, struct err *e)
{
	struct config *file = config_read(path, kms_config_keys, kms_config_n_keys, e);

	return file ? kms_config_load(c, file, e) : -1;
}

void kms_config_free(struct kms_config *c)
{
	config_free(c->file);
	*c = (struct kms_config){ 0 };
}
