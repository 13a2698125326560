#include "settings.h"

#include <arpa/inet.h>
#include <string.h>
#include "base/strings.h"

const struct config_key settings_keys[] = {
	{ "state", CONFIG_STRING, .def = "/var/lib/dstack-gateway/gateway.db",
	  .doc = "SQLite file of registered instances" },

	{ "rpc.listen", CONFIG_STRING, .def = "tcp:127.0.0.1:8010", .doc = "where instances register (TLS)" },
	{ "rpc.cert", CONFIG_STRING, .required = true,
	  .doc = "PEM certificate chain of that listener, issued under the KMS root" },
	{ "rpc.key", CONFIG_STRING, .required = true, .doc = "PEM file of its private key" },
	{ "rpc.kms_ca", CONFIG_STRING, .required = true,
	  .doc = "PEM file of the KMS root CA: who may register chains to it" },
	{ "rpc.url", CONFIG_STRING, .def = "", .doc = "public URL of the listener, told to instances" },

	{ "admin.listen", CONFIG_STRING, .def = "",
	  .doc = "plain HTTP for Status, loopback or unix:/path only; empty: off" },

	{ "wg.interface", CONFIG_STRING, .def = "dstack-gw0",
	  .doc = "WireGuard interface, made when missing" },
	{ "wg.backend", CONFIG_STRING, .def = "auto", .doc = "auto, kernel, or userspace (wireguard-go)" },
	{ "wg.private_key_file", CONFIG_STRING, .required = true,
	  .doc = "file of the private key in base64, made (mode 0600) when missing" },
	{ "wg.listen_port", CONFIG_INT, .def = "51820", .min = 1, .max = 65535, .doc = "UDP port" },
	{ "wg.endpoint", CONFIG_STRING, .required = true,
	  .doc = "ip:port under which instances reach that UDP port" },
	{ "wg.ip", CONFIG_STRING, .def = "10.8.0.1/16", .doc = "own address and the network" },
	{ "wg.reserved_net", CONFIG_STRINGS,
	  .doc = "networks never given to instances; default: own address" },
	{ "wg.client_ip_range", CONFIG_STRING, .def = "10.8.0.0/18", .doc = "addresses given to instances" },
	{ "wg.keep_interface", CONFIG_BOOL, .def = "false",
	  .doc = "leave the interface when the gateway stops, so that an upgrade cuts no tunnel" },

	{ "proxy.listen", CONFIG_STRING, .def = "0.0.0.0:8443", .doc = "ip:port of the public TLS listener" },
	{ "proxy.domain", CONFIG_STRING, .required = true,
	  .doc = "names are <app or instance id>[-<port>][s|g].<domain>" },
	{ "proxy.cert", CONFIG_STRING, .def = "",
	  .doc = "PEM chain for *.<domain>; empty: only passthrough names are served" },
	{ "proxy.key", CONFIG_STRING, .def = "", .doc = "PEM file of its private key" },
	{ "proxy.external_port", CONFIG_INT, .def = "443", .min = 1, .max = 65535,
	  .doc = "public port, told to instances" },
	{ "proxy.agent_port", CONFIG_INT, .def = "8090", .min = 1, .max = 65535,
	  .doc = "port of the guest agent in the instance, told to it" },
	{ "proxy.app_address_ns_prefix", CONFIG_STRING, .def = "_dstack-app-address",
	  .doc = "DNS prefix for custom domains, told to instances" },
	{ "proxy.workers", CONFIG_INT, .def = "0", .min = 0, .max = ROUTE_REACTORS_MAX,
	  .doc = "reactors; 0: one for each CPU it may use" },
	{ "proxy.connect_top_n", CONFIG_INT, .def = "3", .min = 1, .max = 16,
	  .doc = "instances of an app to choose among" },
	{ "proxy.max_connections", CONFIG_INT, .def = "0", .min = 0, .max = 10000000,
	  .doc = "0: what the descriptor limit allows" },
	{ "proxy.max_connections_per_app", CONFIG_INT, .def = "2000", .min = 0, .max = 10000000,
	  .doc = "0: no limit" },
	{ "proxy.pipes", CONFIG_INT, .def = "48", .min = 0, .max = 4096,
	  .doc = "1 MiB pipes for bulk flows, shared by the workers; the rest is copied" },
	{ "proxy.require_port_policy", CONFIG_BOOL, .def = "false",
	  .doc = "refuse instances' ports until they have sent a port policy" },

	{ "timeouts.hello", CONFIG_STRING, .def = "5s",
	  .doc = "from accept to the end of the TLS handshake or ClientHello" },
	{ "timeouts.connect", CONFIG_STRING, .def = "5s", .doc = "to reach an instance" },
	{ "timeouts.idle", CONFIG_STRING, .def = "10m", .doc = "no byte in either direction" },
	{ "timeouts.half_closed", CONFIG_STRING, .def = "10m", .doc = "the same when one side has ended" },
	{ "timeouts.total", CONFIG_STRING, .def = "5h", .doc = "whole life of a connection" },

	{ "lease.duration", CONFIG_STRING, .def = "10m",
	  .doc = "trusted after a registration (instances renew every 3 minutes)" },
	{ "lease.grace", CONFIG_STRING, .def = "5m", .doc = "still routed after that, then quarantined" },
	{ "lease.recycle", CONFIG_STRING, .def = "10h",
	  .doc = "removed after this long without registration and handshake; 0: never" },

	{ "revocation.kms_urls", CONFIG_STRINGS,
	  .doc = "URLs of the KMSs, https://host:port, each of which must say that a certificate is not "
		 "revoked; "
		 "none: nobody is asked" },
	{ "revocation.check_s", CONFIG_INT, .def = "20", .min = 1, .max = 50,
	  .doc = "seconds between two looks at their lists" },

	{ "attestation.enabled", CONFIG_BOOL, .def = "false",
	  .doc = "verify evidence embedded in client certificates" },
	{ "attestation.required", CONFIG_BOOL, .def = "false",
	  .doc = "refuse certificates without evidence" },
	{ "attestation.pccs_url", CONFIG_STRING, .def = "", .doc = "collateral service; empty: Intel's" },
	{ "attestation.cache_dir", CONFIG_STRING, .def = "", .doc = "collateral cache; empty: memory only" },
	{ "attestation.allow_older_collateral", CONFIG_BOOL,
	  .doc = "accept, with a label, collateral older than seen before" },
	{ "attestation.intel_tdx_components", CONFIG_BOOL,
	  .doc = "judge a TDX module that has a version by its identity alone, as Intel does" },
	{ "attestation.image_dir", CONFIG_STRING, .def = "",
	  .doc = "folder of guest images that are accepted" },
	{ "attestation.development_root", CONFIG_STRING, .def = "",
	  .doc = "extra trust anchor, development only" },
	{ "insecure_development", CONFIG_BOOL, .def = "false",
	  .doc = "must be true with attestation.development_root" },
};
const size_t settings_keys_n = sizeof settings_keys / sizeof *settings_keys;

static int bad(struct err *e, const char *key, const char *want)
{
	return err_code(e, ERR_INPUT, "config.value", "%s: want %s", key, want);
}

static int duration(const struct config *c, const char *key, uint64_t min, uint64_t *out, struct err *e)
{
	if (!str_seconds(config_str(c, "%s", key), out) || *out < min || *out > UINT32_MAX / 2)
		return bad(e, key, "a duration such as 30s, 5m, 2h");
	return 0;
}

static int duration32(const struct config *c, const char *key, uint32_t *out, struct err *e)
{
	uint64_t v = 0;

	if (duration(c, key, 1, &v, e))
		return -1;
	*out = (uint32_t)v;
	return 0;
}

static int network(struct settings *s, const struct config *c, struct err *e)
{
	struct registry_config *r = &s->registry;
	struct sockaddr_in endpoint;
	const char *backend = config_str(c, "wg.backend");

	s->backend = !strcmp(backend, "kernel")      ? WG_KERNEL
		     : !strcmp(backend, "userspace") ? WG_USERSPACE
						     : WG_AUTO;
	if (s->backend == WG_AUTO && strcmp(backend, "auto") != 0)
		return bad(e, "wg.backend", "auto, kernel or userspace");
	if (wg_cidr_parse(&r->own, s->wg_ip, e))
		return err_wrap(e, "wg.ip");
	if (wg_cidr_parse(&r->clients, config_str(c, "wg.client_ip_range"), e))
		return err_wrap(e, "wg.client_ip_range");
	if (wg_endpoint_parse(&endpoint, s->wg_endpoint, e))
		return err_wrap(e, "wg.endpoint");
	if (wg_endpoint_parse(&s->listen, config_str(c, "proxy.listen"), e))
		return err_wrap(e, "proxy.listen");
	size_t n = config_count(c, "wg.reserved_net");
	if (n > sizeof r->reserved / sizeof *r->reserved)
		return bad(e, "wg.reserved_net", "at most 8 networks");
	for (size_t i = 0; i < n; i++)
		if (wg_cidr_parse(&r->reserved[i], config_item(c, i, "wg.reserved_net"), e))
			return err_wrap(e, "wg.reserved_net");
	r->n_reserved = n;
	if (n == 0)
		r->reserved[r->n_reserved++] = (struct wg_cidr){ r->own.ip, 32 };
	return registry_config_check(r, e);
}

static int times(struct settings *s, const struct config *c, struct err *e)
{
	return duration32(c, "timeouts.hello", &s->reactor.hello_s, e) ||
			       duration32(c, "timeouts.connect", &s->reactor.connect_s, e) ||
			       duration32(c, "timeouts.idle", &s->reactor.idle_s, e) ||
			       duration32(c, "timeouts.half_closed", &s->reactor.half_closed_s, e) ||
			       duration32(c, "timeouts.total", &s->reactor.total_s, e) ||
			       duration(c, "lease.duration", 1, &s->registry.lease_s, e) ||
			       duration(c, "lease.grace", 0, &s->registry.grace_s, e) ||
			       duration(c, "lease.recycle", 0, &s->registry.recycle_s, e)
		       ? -1
		       : 0;
}

// Lower case, labels of letters, digits and dashes.
static int domain(struct settings *s, struct err *e)
{
	size_t n = strlen(s->domain);

	if (n == 0 || n > ROUTE_DOMAIN_MAX || s->domain[0] == '.' || s->domain[n - 1] == '.' ||
	    strspn(s->domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") != n)
		return bad(e, "proxy.domain", "a domain name in lower case");
	return 0;
}

static const char *loopback_only(const char *address)
{
	return !*address || str_starts(address, "unix:") || str_starts(address, "tcp:127.") ||
			       str_starts(address, "tcp:[::1]:")
		       ? address
		       : NULL;
}

static void texts(struct settings *s, const struct config *c)
{
	s->state = config_str(c, "state");
	s->rpc_listen = config_str(c, "rpc.listen");
	s->rpc_cert = config_str(c, "rpc.cert");
	s->rpc_key = config_str(c, "rpc.key");
	s->rpc_url = config_str(c, "rpc.url");
	s->kms_ca = config_str(c, "rpc.kms_ca");
	s->interface = config_str(c, "wg.interface");
	s->wg_key_file = config_str(c, "wg.private_key_file");
	s->wg_endpoint = config_str(c, "wg.endpoint");
	s->wg_ip = config_str(c, "wg.ip");
	s->domain = config_str(c, "proxy.domain");
	s->cert = config_str(c, "proxy.cert");
	s->key = config_str(c, "proxy.key");
	s->prefix = config_str(c, "proxy.app_address_ns_prefix");
	s->pccs_url = config_str(c, "attestation.pccs_url");
	s->cache_dir = config_str(c, "attestation.cache_dir");
	s->allow_older_collateral = config_bool(c, "attestation.allow_older_collateral");
	s->intel_components = config_bool(c, "attestation.intel_tdx_components");
	s->image_dir = config_str(c, "attestation.image_dir");
	s->development_root = config_str(c, "attestation.development_root");
}

static int kms_urls(struct settings *s, const struct config *c, struct err *e)
{
	s->revocation_s = (uint64_t)config_int(c, "revocation.check_s");
	s->n_kms_urls = config_count(c, "revocation.kms_urls");
	if (s->n_kms_urls > REVOCATION_URLS_MAX)
		return bad(e, "revocation.kms_urls", "at most 8 URLs");
	for (size_t i = 0; i < s->n_kms_urls; i++) {
		s->kms_urls[i] = config_item(c, i, "revocation.kms_urls");
		if (!str_starts(s->kms_urls[i], "https://"))
			return bad(e, "revocation.kms_urls", "URLs that begin with https://");
	}
	return 0;
}

int settings_read(struct settings *s, struct config *file, struct err *e)
{
	const struct config *c = file;

	*s = (struct settings){ .file = file };
	texts(s, c);
	s->wg_port = (uint16_t)config_int(c, "wg.listen_port");
	s->keep_interface = config_bool(c, "wg.keep_interface");
	s->external_port = (uint32_t)config_int(c, "proxy.external_port");
	s->agent_port = (uint32_t)config_int(c, "proxy.agent_port");
	s->workers = (uint32_t)config_int(c, "proxy.workers");
	s->max_connections = (uint32_t)config_int(c, "proxy.max_connections");
	s->reactor.connections_per_app_max = (uint32_t)config_int(c, "proxy.max_connections_per_app");
	s->reactor.top_n = (uint32_t)config_int(c, "proxy.connect_top_n");
	s->reactor.pipes = (uint32_t)config_int(c, "proxy.pipes");
	s->reactor.unknown_policy_allowed = !config_bool(c, "proxy.require_port_policy");
	s->attestation = config_bool(c, "attestation.enabled");
	s->attestation_required = config_bool(c, "attestation.required");
	s->insecure_development = config_bool(c, "insecure_development");
	s->admin_listen = loopback_only(config_str(c, "admin.listen"));
	if (!s->admin_listen)
		return bad(e, "admin.listen", "a loopback address or unix:/path: it has no authentication");
	if (!*s->cert != !*s->key)
		return bad(e, "proxy.cert", "both proxy.cert and proxy.key, or neither");
	if (s->attestation_required && !s->attestation)
		return bad(e, "attestation.required", "attestation.enabled = true with it");
	if (*s->development_root && !s->insecure_development)
		return err_code(e, ERR_INPUT, "config.development_root",
				"attestation.development_root needs insecure_development = true");
	return network(s, c, e) || times(s, c, e) || domain(s, e) || kms_urls(s, c, e) ? -1 : 0;
}
