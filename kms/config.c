#include "config.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "config_upstream.h"
#include "keys/keyfiles.h"
#include "policy/config.h"
#include "ratls/trust_keys.h"

enum { DOMAIN_FILE_MAX = 1024, CRL_URL_MAX = 190 };

const struct config_key kms_config_keys[] = {
	{ "insecure_development", CONFIG_BOOL,
	  .doc = "accept evidence under attestation.development_root; logged" },
	{ "core.cert_dir", CONFIG_STRING, .def = "/etc/kms/certs",
	  .doc = "folder of the keys, and of nothing else" },
	{ "core.state_dir", CONFIG_STRING,
	  .doc = "folder of the audit log, the epochs and the revocations; empty: core.cert_dir with .state "
		 "behind" },
	{ "core.bootstrap", CONFIG_BOOL,
	  .doc = "make root keys when the folder has none; also with insecure_development" },
	{ "core.handover", CONFIG_BOOL,
	  .doc = "give the roots to other KMSs that the policy allows (GetKmsKey)" },
	{ "core.handover_closed", CONFIG_BOOL,
	  .doc = "only while an administrator has opened it, for one measurement, once (OpenHandover)" },
	{ "core.site_name", CONFIG_STRING, .doc = "shown when the KMS is set up" },
	{ "core.agent", CONFIG_STRING, .def = "auto",
	  .doc = "guest agent: unix:/path, http://...; auto: DSTACK_AGENT_ADDRESS or its usual sockets; "
		 "empty: none" },
	{ "core.attest_rpc_cert", CONFIG_BOOL, .def = "true",
	  .doc = "the RPC certificate carries evidence; false needs, and is the default of, "
		 "insecure_development" },
	{ "core.enforce_self_authorization", CONFIG_BOOL, .def = "true",
	  .doc = "serve only while the policy allows this KMS itself; false as above" },
	{ "core.self_check_s", CONFIG_INT, .def = "600", .min = 5, .max = 86400,
	  .doc = "seconds between fresh evidence of the KMS itself" },
	{ "core.rpc_cert_s", CONFIG_INT, .def = "43200", .min = 5, .max = 864000,
	  .doc = "seconds until the RPC certificate gets fresh evidence, with the next self check" },
	{ "core.onboard.address", CONFIG_STRING,
	  .doc = "where a KMS without keys is set up, without TLS; empty: nowhere" },
	{ "core.onboard.token_file", CONFIG_STRING,
	  .doc = "file with the one-time token of the set-up, readable by its owner only" },
	{ "core.onboard.htpasswd_file", CONFIG_STRING,
	  .doc = "and, or instead: names and passwords of who may set it up, bcrypt only" },
	{ "core.onboard.auto_bootstrap_domain", CONFIG_STRING,
	  .doc = "make root keys when there are none, for this name" },
	{ "core.admin.address", CONFIG_STRING,
	  .doc = "where to serve the admin methods, without TLS; empty: nowhere" },
	{ "core.admin.token_file", CONFIG_STRING,
	  .doc = "file with the admin token, readable by its owner only; empty: the environment's "
		 "DSTACK_KMS_ADMIN_TOKEN or ADMIN_API_TOKEN, if there is one" },
	{ "core.admin.htpasswd_file", CONFIG_STRING, .doc = "names and passwords of admins, bcrypt only" },
	{ "core.metrics.enabled", CONFIG_BOOL, .def = "true", .doc = "serve /metrics" },
	{ "limits.workers", CONFIG_INT, .def = "4", .min = 1, .max = 16,
	  .doc = "quotes verified and keys given at once" },
	{ "limits.judge_s", CONFIG_INT, .def = "10", .min = 1, .max = 60,
	  .doc = "seconds that a process may judge one piece of evidence before it is killed" },
	{ "limits.waiting", CONFIG_INT, .def = "4096", .min = 1, .max = 65536,
	  .doc = "calls that may wait for a worker; more are refused (rpc.busy)" },
	{ "limits.connections", CONFIG_INT, .def = "2048", .min = 16, .max = 60000,
	  .doc = "open connections" },
	{ "limits.connections_per_s", CONFIG_INT, .def = "200", .max = 1000000, .min = 0,
	  .doc = "new ones a second of one address (IPv6: /64), before the handshake; 0: any" },
	{ "limits.connections_burst", CONFIG_INT, .def = "2000", .min = 1, .max = 1000000,
	  .doc = "so many at once" },
	{ "limits.all_connections_per_s", CONFIG_INT, .def = "1000", .min = 0, .max = 1000000,
	  .doc = "the same for all addresses together" },
	{ "limits.all_connections_burst", CONFIG_INT, .def = "4000", .min = 1, .max = 1000000,
	  .doc = "so many at once" },
	{ "limits.requests_per_s", CONFIG_INT, .def = "400", .min = 0, .max = 1000000,
	  .doc = "requests a second of one address, before anything is verified; 0: any" },
	{ "limits.requests_burst", CONFIG_INT, .def = "4000", .min = 1, .max = 1000000,
	  .doc = "so many at once" },
	{ "limits.all_requests_per_s", CONFIG_INT, .def = "2000", .min = 0, .max = 1000000,
	  .doc = "the same for all addresses together" },
	{ "limits.all_requests_burst", CONFIG_INT, .def = "8000", .min = 1, .max = 1000000,
	  .doc = "so many at once" },
	{ "rpc.address", CONFIG_STRING, .def = "tcp:0.0.0.0:8000", .doc = "where to serve, with TLS" },
	{ "rpc.sans", CONFIG_STRINGS,
	  .doc = "DNS names and IP addresses clients use, beside the domain of the set-up; the first is the "
		 "certificate's subject" },
	{ "rpc.root[].set", CONFIG_INT, .required = true, .min = 1, .max = ROOT_SETS_MAX - 1,
	  .doc = "a root set after the first; its address opens when there is such a set" },
	{ "rpc.root[].address", CONFIG_STRING, .required = true, .doc = "where it is served, with TLS" },
	POLICY_KEYS,
	{ "image.dir", CONFIG_STRING, .def = "/usr/share/dstack/images",
	  .doc = "OS images to measure guests against" },
	{ "image.cache_dir", CONFIG_STRING,
	  .doc = "folder of downloaded OS images and of nothing else; empty: none are downloaded" },
	{ "image.download_url", CONFIG_STRING, .def = "http://localhost:8000/{OS_IMAGE_HASH}.tar.gz",
	  .doc = "where an image's archive is, with cache_dir; what comes is checked" },
	{ "image.download_timeout_s", CONFIG_INT, .def = "120", .min = 1, .max = 3600,
	  .doc = "of one download as a whole" },
	{ "image.download_max_mib", CONFIG_INT, .def = "1024", .min = 1, .max = 65536,
	  .doc = "size of an archive" },
	{ "image.verify", CONFIG_BOOL, .def = "true",
	  .doc = "measure guests against their image; false needs insecure_skip_verify" },
	{ "image.insecure_skip_verify", CONFIG_BOOL,
	  .doc = "with verify = false: policy is given an empty image hash, for what a guest says of its "
		 "image is not proved" },
	{ "attestation.pccs_url", CONFIG_STRING, .doc = "collateral service; empty: Intel's" },
	TRUST_KEYS,
	{ "audit.unproven_per_minute", CONFIG_INT, .def = "600", .min = 1, .max = 1000000,
	  .doc = "refusals of peers without evidence that are recorded and answered in a minute" },
	{ "audit.peer[].url", CONFIG_STRING, .required = true,
	  .doc = "https://HOST[:PORT] of another KMS with the same roots, whose audit log this one follows" },
	{ "audit.peer[].name", CONFIG_STRING,
	  .doc = "what anyone is told who asks whose heads are kept; empty: the url" },
	{ "audit.peer_interval_s", CONFIG_INT, .def = "60", .min = 1, .max = 3600,
	  .doc = "seconds between looks at their logs" },
	{ "audit.peer_timeout_s", CONFIG_INT, .def = "10", .min = 1, .max = 60,
	  .doc = "seconds for one answer of one of them" },
	{ "certificates.allowed_names", CONFIG_STRINGS,
	  .doc = "names apps may have: exact, *.suffix, with {app_id} and {instance_id}; empty: any but the "
		 "KMS's and other apps'" },
	{ "certificates.app_domains", CONFIG_STRINGS,
	  .doc = "domains whose first label is an app's or instance's id: nothing else is signed there" },
	{ "certificates.max_days", CONFIG_INT, .def = "90", .min = 1, .max = 3650,
	  .doc = "longest life of an app's certificate" },
	{ "certificates.crl_url", CONFIG_STRING,
	  .doc = "URL of this KMS that certificates name as the place of their list of revoked ones "
		 "(/crl/app-<id>.crl is added); empty: they name none" },
	{ "certificates.crl_valid_s", CONFIG_INT, .def = "21600", .min = 60, .max = 604800,
	  .doc = "seconds a list of revoked certificates is valid; a new one is made at half of it, and at "
		 "each change" },
	KMS_UPSTREAM_KEYS,
};
const size_t kms_config_n_keys = sizeof kms_config_keys / sizeof *kms_config_keys;

int kms_domain_check(const char *domain, struct err *e)
{
	size_t n = strlen(domain);

	if (!n || n > 253)
		return err_code(e, ERR_INPUT, "kms.domain",
				"domain must be a non-empty ASCII DNS name of at most 253 bytes");
	if (strchr(domain, ':') || !name_is_valid(domain))
		return err_code(e, ERR_INPUT, "kms.domain", "domain contains an invalid DNS label");
	return 0;
}

static int add_name(struct kms_config *c, const char *name, const char *from, struct err *e)
{
	for (size_t i = 0; i < c->keys.n_names; i++)
		if (!strcasecmp(c->names[i], name))
			return 0;
	if (!name_is_valid(name))
		return err_code(e, ERR_INPUT, "config.names", "%s: %s is no DNS name and no IP address", from,
				STR_QZ(name));
	if (c->keys.n_names == KMS_NAMES_MAX)
		return err_code(e, ERR_INPUT, "config.names", "rpc.sans has more than %d names",
				KMS_NAMES_MAX);
	c->names[c->keys.n_names++] = name;
	c->name_rules.n_own = c->keys.n_names;
	return 0;
}

// What the set-up was told, without blanks around it.
static int read_domain(struct kms_config *c, struct err *e)
{
	auto_free char *path = str_format("%s/%s", c->keys.dir, keyfiles_domain);
	struct err why;
	char *text;
	size_t n = 0;

	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	free(c->domain);
	c->domain = NULL;
	if (file_read(path, DOMAIN_FILE_MAX, &text, &n, &why))
		return why.class == ERR_ABSENT ? 0 : (*e = why, -1);
	while (n && strchr(" \t\r\n", text[n - 1]))
		text[--n] = 0;
	c->domain = text;
	return 0;
}

int kms_config_names(struct kms_config *c, struct err *e)
{
	size_t n = config_count(c->file, "rpc.sans");

	c->keys.names = c->name_rules.own = c->names;
	c->keys.n_names = 0;
	for (size_t i = 0; i < n; i++)
		if (add_name(c, config_item(c->file, i, "rpc.sans"), "rpc.sans", e))
			return -1;
	if (*c->bootstrap_domain)
		return add_name(c, c->bootstrap_domain, "core.onboard.auto_bootstrap_domain", e);
	if (read_domain(c, e) || (c->domain && add_name(c, c->domain, keyfiles_domain, e)))
		return -1;
	if (c->keys.n_names || *c->onboard_address)
		return 0;
	return err_code(e, ERR_INPUT, "config.names", "rpc.sans must have a name");
}

// What stands in for evidence of the KMS itself is nothing, so only development may do without.
static int load_self(struct kms_config *c, struct err *e)
{
	const char *found = getenv("DSTACK_AGENT_ADDRESS");
	struct config *f = c->file;

	c->attest_rpc = config_bool(f, "core.attest_rpc_cert") &&
			(!c->insecure_development || config_has(f, "core.attest_rpc_cert"));
	c->self_authorize = config_bool(f, "core.enforce_self_authorization") &&
			    (!c->insecure_development || config_has(f, "core.enforce_self_authorization"));
	if (!c->insecure_development && (!c->attest_rpc || !c->self_authorize))
		return err_code(e, ERR_INPUT, "config.attestation_off",
				"core.attest_rpc_cert and core.enforce_self_authorization may be false with "
				"insecure_development = true only");
	c->agent = config_str(f, "core.agent");
	if (!strcmp(c->agent, "auto"))
		c->agent = found && *found                              ? found
			   : file_exists("/var/run/dstack/dstack.sock") ? "unix:/var/run/dstack/dstack.sock"
			   : file_exists("/var/run/dstack.sock")        ? "unix:/var/run/dstack.sock"
									: "";
	return 0;
}

static int load_state_dir(struct kms_config *c, struct err *e)
{
	const char *dir = config_str(c->file, "core.state_dir");
	size_t n = strlen(c->keys.dir);

	while (n > 1 && c->keys.dir[n - 1] == '/')
		n--;
	c->state_dir = *dir ? strdup(dir) : str_format("%.*s.state", (int)n, c->keys.dir);
	c->keys.state_dir = c->state_dir;
	return c->state_dir ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int load_rules(struct kms_config *c, struct err *e)
{
	static const char *const keys[] = { "certificates.allowed_names", "certificates.app_domains" };
	struct name_rules *r = &c->name_rules;

	if (*c->crl_url && ((!str_starts(c->crl_url, "https://") && !str_starts(c->crl_url, "http://")) ||
			    strpbrk(c->crl_url, ", ;\"<>\r\n") || strlen(c->crl_url) > CRL_URL_MAX))
		return err_code(e, ERR_INPUT, "config.names",
				"certificates.crl_url must be an http or https URL of at most %d bytes",
				CRL_URL_MAX);
	r->n_allowed = config_count(c->file, "%s", keys[0]);
	r->n_domains = config_count(c->file, "%s", keys[1]);
	if (r->n_allowed > NAMES_MAX || r->n_domains > NAMES_MAX)
		return err_code(e, ERR_INPUT, "config.names", "%s and %s may have %d names each", keys[0],
				keys[1], NAMES_MAX);
	for (size_t i = 0; i < r->n_allowed; i++)
		r->allowed[i] = config_item(c->file, i, "%s", keys[0]);
	for (size_t i = 0; i < r->n_domains; i++) {
		r->domains[i] = config_item(c->file, i, "%s", keys[1]);
		if (!name_is_valid(r->domains[i]))
			return err_code(e, ERR_INPUT, "config.names", "%s: %s is no DNS name", keys[1],
					STR_QZ(r->domains[i]));
	}
	return 0;
}

// What allows everything is for development; the policy itself denies evidence of a real TEE, too.
static int check_policy(const struct kms_config *c, struct err *e)
{
	size_t n = config_count(c->file, "policy.source");

	for (size_t i = 0; i < n && !c->insecure_development; i++)
		if (!strcmp(config_str(c->file, "policy.source[%zu].type", i), "dev"))
			return err_code(e, ERR_INPUT, "config.development_only",
					"source %zu: type dev allows everything: with insecure_development = "
					"true only",
					i + 1);
	return 0;
}

static int check_image(const struct kms_config *c, struct err *e)
{
	bool url = str_starts(c->image_url, "https://") || str_starts(c->image_url, "http://");

	if (*c->image_cache && (!url || !strstr(c->image_url, "{OS_IMAGE_HASH}")))
		return err_code(e, ERR_INPUT, "config.image",
				"image.download_url must be an http or https URL that contains "
				"{OS_IMAGE_HASH}");
	if (c->image_verify == config_bool(c->file, "image.insecure_skip_verify"))
		return err_code(
			e, ERR_INPUT, "config.image",
			"image.verify = false and image.insecure_skip_verify = true go together: without "
			"the check a guest may say of its image what it likes");
	return 0;
}

static int check_peers(struct kms_config *c, struct err *e)
{
	const struct config *f = c->file;

	c->n_peers = config_count(f, "audit.peer");
	if (c->n_peers > KMS_PEERS_MAX)
		return err_code(e, ERR_INPUT, "config.peer", "more than %d audit.peer", KMS_PEERS_MAX);
	for (size_t i = 0; i < c->n_peers; i++) {
		const char *url = config_str(f, "audit.peer[%zu].url", i);
		if (!str_starts(url, "https://") || strlen(url) > 200 || strpbrk(url, " \t\r\n#?@") ||
		    strlen(config_str(f, "audit.peer[%zu].name", i)) > 200)
			return err_code(e, ERR_INPUT, "config.peer",
					"audit.peer %zu: url must be https://HOST[:PORT], it and the name at "
					"most 200 bytes",
					i + 1);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(url, config_str(f, "audit.peer[%zu].url", k)))
				return err_code(e, ERR_INPUT, "config.peer", "audit.peer has %s twice",
						STR_QZ(url));
	}
	return 0;
}

static void load_limits(struct kms_config *c)
{
	const struct config *f = c->file;

	c->metrics = config_bool(f, "core.metrics.enabled");
	c->workers = config_int(f, "limits.workers");
	c->judge_s = config_int(f, "limits.judge_s");
	c->waiting = config_int(f, "limits.waiting");
	c->connections = config_int(f, "limits.connections");
	c->conn_rate = (struct rate_limits){ (uint32_t)config_int(f, "limits.connections_per_s"),
					     (uint32_t)config_int(f, "limits.connections_burst"),
					     (uint32_t)config_int(f, "limits.all_connections_per_s"),
					     (uint32_t)config_int(f, "limits.all_connections_burst") };
	c->request_rate = (struct rate_limits){ (uint32_t)config_int(f, "limits.requests_per_s"),
						(uint32_t)config_int(f, "limits.requests_burst"),
						(uint32_t)config_int(f, "limits.all_requests_per_s"),
						(uint32_t)config_int(f, "limits.all_requests_burst") };
}

static int load_root_addresses(struct kms_config *c, struct err *e)
{
	size_t n = config_count(c->file, "rpc.root");

	for (size_t r = 0; r < ROOT_SETS_MAX; r++)
		c->root_address[r] = "";
	for (size_t i = 0; i < n; i++) {
		size_t set = (size_t)config_int(c->file, "rpc.root[%zu].set", i);
		if (*c->root_address[set])
			return err_code(e, ERR_INPUT, "config.duplicate", "rpc.root has set %zu twice", set);
		c->root_address[set] = config_str(c->file, "rpc.root[%zu].address", i);
	}
	return 0;
}

int kms_config_load(struct kms_config *c, struct config *file, struct err *e)
{
	*c = (struct kms_config){
		.file = file,
		.address = config_str(file, "rpc.address"),
		.keys = { .dir = config_str(file, "core.cert_dir"),
			  .handover = config_bool(file, "core.handover") },
		.bootstrap = config_bool(file, "core.bootstrap"),
		.bootstrap_domain = config_str(file, "core.onboard.auto_bootstrap_domain"),
		.onboard_address = config_str(file, "core.onboard.address"),
		.onboard_token_file = config_str(file, "core.onboard.token_file"),
		.onboard_htpasswd_file = config_str(file, "core.onboard.htpasswd_file"),
		.handover_closed = config_bool(file, "core.handover_closed"),
		.site_name = config_str(file, "core.site_name"),
		.self_check_s = config_int(file, "core.self_check_s"),
		.rpc_cert_s = config_int(file, "core.rpc_cert_s"),
		.image_dir = config_str(file, "image.dir"),
		.image_cache = config_str(file, "image.cache_dir"),
		.image_url = config_str(file, "image.download_url"),
		.image_seconds = config_int(file, "image.download_timeout_s"),
		.image_bytes = config_int(file, "image.download_max_mib") << 20,
		.image_verify = config_bool(file, "image.verify"),
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
		.crl_url = config_str(file, "certificates.crl_url"),
		.crl_valid_s = config_int(file, "certificates.crl_valid_s"),
		.audit_unproven = config_int(file, "audit.unproven_per_minute"),
		.peer_interval_s = config_int(file, "audit.peer_interval_s"),
		.peer_timeout_s = config_int(file, "audit.peer_timeout_s"),
	};
	load_limits(c);
	c->bootstrap |= *c->bootstrap_domain || (c->insecure_development && !*c->onboard_address);
	if (*c->development_root && !c->insecure_development) {
		err_code(e, ERR_INPUT, "config.development_root",
			 "attestation.development_root is set without insecure_development = true: a KMS "
			 "that trusts a "
			 "development root gives keys to anyone who has that root's key");
		kms_config_free(c);
		return -1;
	}
	if ((*c->bootstrap_domain && kms_domain_check(c->bootstrap_domain, e)) || kms_config_names(c, e) ||
	    check_image(c, e) || check_policy(c, e) || check_peers(c, e) || load_rules(c, e) ||
	    load_root_addresses(c, e) || load_self(c, e) || load_state_dir(c, e)) {
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
	free(c->domain);
	free(c->state_dir);
	*c = (struct kms_config){ 0 };
}
