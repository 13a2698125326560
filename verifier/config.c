#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"
#include "ratls/trust_keys.h"

#define VAR "DSTACK_VERIFIER_"
enum { ROOT_MAX = 64 << 10, KEY_MAX = 120 };

const struct config_key verifier_config_keys[] = {
	{ "address", CONFIG_STRING, .def = "0.0.0.0", .doc = "IP address to serve on, without TLS" },
	{ "port", CONFIG_INT, .def = "8080", .min = 1, .max = 65535, .doc = "port to serve on" },
	{ "workers", CONFIG_INT, .def = "2", .min = 1, .max = 16, .doc = "verifications at the same time" },
	{ "queue", CONFIG_INT, .def = "32", .min = 1, .max = 200,
	  .doc = "requests that may wait; further ones get status 503" },
	{ "image_cache_dir", CONFIG_STRING, .def = "/var/cache/dstack-verifier/images",
	  .doc = "folder of OS images; what is downloaded goes there" },
	{ "image_download_url", CONFIG_STRING,
	  .def = "https://download.dstack.org/os-images/mr_{OS_IMAGE_HASH}.tar.gz",
	  .doc = "where images come from; must contain {OS_IMAGE_HASH}; empty: from nowhere" },
	{ "image_download_timeout_secs", CONFIG_INT, .def = "300", .min = 1, .max = 3600,
	  .doc = "for one image" },
	{ "allowed_images", CONFIG_STRINGS,
	  .doc = "hashes of images that need not be there: the measurement that evidence brings is used" },
	{ "allowed_snp_measurements", CONFIG_STRINGS,
	  .doc = "launch measurements of SEV-SNP guests that are accepted" },
	{ "insecure_development", CONFIG_BOOL,
	  .doc = "accept evidence under attestation.development_root; logged" },
	{ "attestation.insecure_allow_external_trust_anchors", CONFIG_BOOL,
	  .doc = "accept evidence under the roots of attestation.root_ca; logged" },
	TRUST_KEYS,
	{ "attestation.urls.pccs", CONFIG_STRING, .doc = "collateral service; empty: Intel's" },
	{ "attestation.urls.amd_kds", CONFIG_STRING, .doc = "AMD's key service; not used yet" },
	{ "attestation.root_ca.tdx", CONFIG_STRING,
	  .doc = "a root for TDX besides Intel's; what rests on it is marked development" },
	{ "attestation.root_ca.gcp_tpm", CONFIG_STRING, .doc = "checked, not used yet" },
	{ "attestation.root_ca.aws_nitro_enclave", CONFIG_STRING, .doc = "checked, not used yet" },
	{ "attestation.root_ca.aws_nitro_tpm", CONFIG_STRING, .doc = "checked, not used yet" },
	{ "attestation.root_ca.sev_snp_milan", CONFIG_STRING, .doc = "checked, not used yet" },
	{ "attestation.root_ca.sev_snp_genoa", CONFIG_STRING, .doc = "checked, not used yet" },
	{ "attestation.root_ca.sev_snp_turin", CONFIG_STRING, .doc = "checked, not used yet" },
};
const size_t verifier_config_n_keys = sizeof verifier_config_keys / sizeof *verifier_config_keys;

// DSTACK_VERIFIER_ATTESTATION__URLS__PCCS is attestation.urls.pccs.
static bool key_of_variable(char key[static KEY_MAX], const char *name, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		bool dot = name[i] == '_' && i + 1 < n && name[i + 1] == '_';

		if (at + 1 >= KEY_MAX)
			return false;
		key[at++] = dot ? '.' : (char)tolower((unsigned char)name[i]);
		i += dot;
	}
	key[at] = 0;
	return true;
}

static int add_environment(struct config *file, char **env, struct err *e)
{
	for (; env && *env; env++) {
		const char *eq = strchr(*env, '=');
		char key[KEY_MAX];

		if (!str_starts(*env, VAR) || !eq)
			continue;
		const char *name = *env + sizeof VAR - 1;
		size_t n = (size_t)(eq - name);

		if (!key_of_variable(key, name, n))
			return err_code(e, ERR_INPUT, "config.unknown_key", "environment: %.60s is no key",
					*env);
		if (config_override(file, "environment", key, eq + 1, e))
			return -1;
	}
	return 0;
}

static int check_ca(const char *path, const char *key, struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	if (file_read(path, ROOT_MAX, &text, &n, e))
		return err_wrap(e, "%s", key);
	struct span s = span_of(text, n);
	auto_x509 X509 *cert =
		n > 10 && !memcmp(text, "-----BEGIN", 10) ? cert_from_pem(s, e) : cert_from_der(s, e);

	if (!cert)
		return err_code(e, ERR_INPUT, "config.root_ca", "%s: %s is no certificate", key, path);
	if (X509_check_ca(cert) != 1)
		return err_code(e, ERR_INPUT, "config.root_ca", "%s: %s is not a CA certificate", key, path);
	return 0;
}

static int check_roots(struct verifier_config *c, struct err *e)
{
	bool flag = config_bool(c->file, "attestation.insecure_allow_external_trust_anchors");
	const char *own = config_str(c->file, "attestation.development_root");

	for (size_t i = 0; i < verifier_config_n_keys; i++) {
		const char *key = verifier_config_keys[i].key;

		if (!str_starts(key, "attestation.root_ca.") || !*config_str(c->file, "%s", key))
			continue;
		if (!flag)
			return err_code(e, ERR_INPUT, "config.root_ca",
					"%s is set without "
					"attestation.insecure_allow_external_trust_anchors = true",
					key);
		if (check_ca(config_str(c->file, "%s", key), key, e))
			return -1;
	}
	c->root = config_str(c->file, "attestation.root_ca.tdx");
	if (!*own)
		return 0;
	if (!config_bool(c->file, "insecure_development"))
		return err_code(e, ERR_INPUT, "config.development_root",
				"attestation.development_root is set without insecure_development = true");
	if (*c->root)
		return err_code(e, ERR_INPUT, "config.root_ca",
				"attestation.development_root and attestation.root_ca.tdx are both set");
	c->root = own;
	return check_ca(own, "attestation.development_root", e);
}

static int check_image_url(const char *url, struct err *e)
{
	if (!*url || ((str_starts(url, "https://") || str_starts(url, "http://")) &&
		      strstr(url, "{OS_IMAGE_HASH}") && strlen(url) < 400))
		return 0;
	return err_code(e, ERR_INPUT, "config.image_url",
			"image_download_url must be an http or https URL that contains {OS_IMAGE_HASH}");
}

static int load_allowed(struct verifier_config *c, struct err *e)
{
	c->n_allowed = config_count(c->file, "allowed_images");
	if (c->n_allowed > VERIFIER_ALLOWED_MAX)
		return err_code(e, ERR_INPUT, "config.range", "allowed_images has more than %d hashes",
				VERIFIER_ALLOWED_MAX);
	for (size_t i = 0; i < c->n_allowed; i++)
		if (!hex_exact(c->allowed[i], 32, config_item(c->file, i, "allowed_images")))
			return err_code(e, ERR_INPUT, "config.type",
					"allowed_images: item %zu is not a SHA-256 in hex", i + 1);
	return 0;
}

static int load_measurements(struct verifier_config *c, struct err *e)
{
	size_t n = config_count(c->file, "allowed_snp_measurements");
	auto_sb b = { .max = sizeof c->policy - 1 };
	uint8_t bytes[48];

	if (n > VERIFIER_ALLOWED_MAX)
		return err_code(e, ERR_INPUT, "config.range", "more than %d allowed_snp_measurements",
				VERIFIER_ALLOWED_MAX);
	sb_str(&b, "{\"snp_measurement\":[");
	for (size_t i = 0; i < n; i++) {
		if (!hex_exact(bytes, sizeof bytes, config_item(c->file, i, "allowed_snp_measurements")))
			return err_code(e, ERR_INPUT, "config.type",
					"allowed_snp_measurements: item %zu is not 48 bytes in hex", i + 1);
		sb_fmt(&b, "%s\"%s\"", i ? "," : "", STR_HEX(bytes, sizeof bytes));
	}
	sb_str(&b, "]}");
	if (b.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	snprintf(c->policy, sizeof c->policy, "%s", n ? b.p : "");
	return 0;
}

static int load_address(struct verifier_config *c, struct err *e)
{
	const char *ip = config_str(c->file, "address");
	uint8_t bytes[16];
	bool six = inet_pton(AF_INET6, ip, bytes) == 1;

	if (!six && inet_pton(AF_INET, ip, bytes) != 1)
		return err_code(e, ERR_INPUT, "config.address", "address %s is no IP address", STR_QZ(ip));
	snprintf(c->address, sizeof c->address, six ? "tcp:[%s]:%d" : "tcp:%s:%d", ip,
		 (int)config_int(c->file, "port"));
	return 0;
}

static int load(struct verifier_config *c, struct err *e)
{
	c->image_dir = config_str(c->file, "image_cache_dir");
	c->image_url = config_str(c->file, "image_download_url");
	c->image_seconds = config_int(c->file, "image_download_timeout_secs");
	c->pccs_url = config_str(c->file, "attestation.urls.pccs");
	c->cache_dir = config_str(c->file, "attestation.cache_dir");
	c->allow_older_collateral = config_bool(c->file, "attestation.allow_older_collateral");
	c->intel_components = config_bool(c->file, "attestation.intel_tdx_components");
	c->workers = config_int(c->file, "workers");
	c->queue = config_int(c->file, "queue");
	return load_address(c, e) || check_image_url(c->image_url, e) || load_allowed(c, e) ||
			       load_measurements(c, e) || check_roots(c, e)
		       ? -1
		       : 0;
}

int verifier_config_read(struct verifier_config *c, const char *path, char **env, struct err *e)
{
	*c = (struct verifier_config){ 0 };
	c->file = path ? config_read(path, verifier_config_keys, verifier_config_n_keys, e)
		       : config_parse("", 0, "defaults", verifier_config_keys, verifier_config_n_keys, e);
	if (!c->file)
		return -1;
	if (!add_environment(c->file, env, e) && !load(c, e))
		return 0;
	verifier_config_free(c);
	return -1;
}

void verifier_config_free(struct verifier_config *c)
{
	config_free(c->file);
	*c = (struct verifier_config){ 0 };
}
