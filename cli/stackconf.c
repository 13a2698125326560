#include "stackconf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

#define DOMAIN      "dstack.localhost"
#define GATEWAY_APP "0000000000000000000000000000000000000000"

const char *const stackconf_services[] = { "collateral", "registry", "kms", "gateway", "vmm" };
const size_t stackconf_n_services = sizeof stackconf_services / sizeof *stackconf_services;

static const char registry_yml[] = "# The local image registry: loopback only, for the examples.\n"
				   "version: 0.1\n"
				   "storage:\n  filesystem:\n    rootdirectory: %1$s/registry/data\n"
				   "http:\n  addr: 127.0.0.1:%2$u\n"
				   "log:\n  level: warn\n";

static const char kms_toml[] =
	"# KMS of the local development stack.\n"
	"insecure_development = true   # evidence under the development root is accepted\n"
	"\n[core]\ncert_dir = \"%1$s/kms/certs\"\n"
	"\n[rpc]\naddress = \"tcp:127.0.0.1:%4$u\"\nsans = [\"127.0.0.1\", \"10.0.2.2\", \"localhost\"]\n"
	"\n[image]\ndir = \"%1$s/images\"\n"
	"\n[attestation]\npccs_url = \"http://127.0.0.1:%3$u\"\ndevelopment_root = \"%1$s/pki/root.der\"\n"
	"\n[policy]\nfile = \"%1$s/kms/policy.toml\"\n";

static const char policy_toml[] =
	"# Who gets keys from this KMS. `dstack up` adds images, `dstack deploy` an [[app]] for each compose "
	"file.\n"
	"# Empty denies all.\n"
	"development = true   # evidence under the development root may be allowed\n"
	"gateway_app_id = \"" GATEWAY_APP "\"\n"
	"os_images = []\n";

static const char gateway_toml[] =
	"# Gateway of the local development stack.\n"
	"state = \"%1$s/gateway/state.db\"\n"
	"\n[proxy]\nlisten = \"127.0.0.1:%8$u\"\nexternal_port = %8$u\ndomain = \"" DOMAIN "\"\n"
	"cert = \"%1$s/gateway/tls/cert.pem\"\nkey = \"%1$s/gateway/tls/key.pem\"\n"
	"\n[rpc]\nlisten = \"tcp:127.0.0.1:%5$u\"\ncert = \"%1$s/gateway/rpc/rpc.crt\"\nkey = "
	"\"%1$s/gateway/rpc/rpc.key\"\n"
	"kms_ca = \"%1$s/kms/certs/root-ca.crt\"\n"
	"\n[admin]\nlisten = \"unix:%1$s/gateway/admin.sock\"\n"
	"\n[wg]\ninterface = \"dswg%2$u\"\nprivate_key_file = \"%1$s/gateway/wg.key\"\n"
	"listen_port = %6$u\nendpoint = \"10.0.2.2:%6$u\"\n";

static const char vmm_toml[] =
	"# VMM of the local stack.\n"
	"address = \"unix:%1$s/vmm/vmm.sock\"\ntcp_address = \"tcp:127.0.0.1:%7$u\"\nrun_path = "
	"\"%1$s/vmm/vm\"\n"
	"\n[image]\npath = \"%1$s/images\"\n"
	"\n[cvm]\nplatform = \"auto\"\nkms_urls = [\"https://10.0.2.2:%4$u\"]\n"
	"gateway_urls = [\"https://10.0.2.2:%5$u\"]\npccs_url = \"http://10.0.2.2:%3$u\"\n"
	"docker_registry = \"http://10.0.2.2:%2$u\"\n"
	"\n[softtee]\npki = \"%1$s/pki\"\n"
	"\n[gateway]\nbase_domain = \"" DOMAIN "\"\nport = %8$u\n"
	"\n# All that a guest reaches of this host, as 10.0.2.2:PORT.\n"
	"[[network.forward]]\nlisten = %2$u\nto = \"127.0.0.1:%2$u\"\n"
	"[[network.forward]]\nlisten = %3$u\nto = \"127.0.0.1:%3$u\"\n"
	"[[network.forward]]\nlisten = %4$u\nto = \"127.0.0.1:%4$u\"\n"
	"[[network.forward]]\nlisten = %5$u\nto = \"127.0.0.1:%5$u\"\n"
	"[[network.forward]]\nlisten = %6$u\nto = \"127.0.0.1:%6$u\"\nproto = \"udp\"\n";

static const char context_toml[] =
	"# What the dstack command talks to.\n"
	"vmm = \"unix:%1$s/vmm/vmm.sock\"\nkms = \"https://127.0.0.1:%4$u\"\nkms_root = "
	"\"kms/certs/root-ca.crt\"\n"
	"policy = \"kms/policy.toml\"\ndomain = \"" DOMAIN "\"\ngateway_port = %8$u\n"
	"gateway_address = \"127.0.0.1:%8$u\"\ngateway_ca = \"gateway/tls/ca.pem\"\nimages = \"images\"\n"
	"pccs = \"http://127.0.0.1:%3$u\"\ndevelopment_root = \"pki/root.der\"\nregistry = "
	"\"http://127.0.0.1:%2$u\"\n";

static unsigned port(const struct stackconf *c, unsigned offset)
{
	return c->port + offset;
}

// Text made of the folder and the ports, kept until the end of `c`.
__attribute__((format(printf, 2, 3))) static const char *keep(struct stackconf *c, const char *fmt, ...)
{
	char *at = c->text + c->used;
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(at, sizeof c->text - c->used, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof c->text - c->used)
		return "";
	c->used += (size_t)n + 1;
	return at;
}

static void add(struct stackconf *c, const char *once, struct stack_service s)
{
	if (c->n < STACK_STEPS_MAX)
		c->step[c->n++] = (struct stack_step){ s, once };
}

int stackconf_init(struct stackconf *c, const char *dir, unsigned port_base, struct err *e)
{
	*c = (struct stackconf){ .port = port_base };
	if (snprintf(c->dir, sizeof c->dir, "%s", dir) >= (int)sizeof c->dir || strchr(dir, '"') ||
	    strchr(dir, '\\'))
		return err_set(e, ERR_INPUT, "the state folder's name is too long or has a quote");
	const char *pki = keep(c, "%s/pki", dir), *kms = keep(c, "%s/kms/kms.toml", dir);
	const char *gateway = keep(c, "%s/gateway/gateway.toml", dir), *tls = keep(c, "%s/gateway/tls", dir);

	add(c, keep(c, "%s/root.der", pki),
	    (struct stack_service){ "pki", { "dstack-softtee", "pki", "--dir", pki }, NULL });
	add(c, NULL,
	    (struct stack_service){ "collateral",
				    { "dstack-softtee", "serve", "--dir", pki, "--listen",
				      keep(c, "tcp:127.0.0.1:%u", port(c, PORT_COLLATERAL)) },
				    keep(c, "tcp:%u", port(c, PORT_COLLATERAL)) });
	add(c, NULL,
	    (struct stack_service){ "registry",
				    { "docker-registry", "serve", keep(c, "%s/registry/config.yml", dir) },
				    keep(c, "tcp:%u", port(c, PORT_REGISTRY)) });
	add(c, NULL,
	    (struct stack_service){
		    "kms", { "dstack-kms", "-c", kms }, keep(c, "tcp:%u", port(c, PORT_KMS)) });
	add(c, keep(c, "%s/gateway/rpc/rpc.crt", dir),
	    (struct stack_service){ "gateway-certificate",
				    { "dstack-kms", "issue", "--config", kms, "--name", "gateway", "--san",
				      "10.0.2.2", "--san", "127.0.0.1", "--app-id", GATEWAY_APP, "--out",
				      keep(c, "%s/gateway/rpc", dir) },
				    NULL });
	add(c, keep(c, "%s/cert.pem", tls),
	    (struct stack_service){ "gateway-dev-cert",
				    { "dstack-gateway", "dev-cert", "--domain", DOMAIN, "--out", tls },
				    NULL });
	add(c, NULL,
	    (struct stack_service){ "gateway",
				    { "dstack-gateway", "-c", gateway },
				    keep(c, "tcp:%u", port(c, PORT_GATEWAY)) });
	add(c, NULL,
	    (struct stack_service){ "vmm",
				    { "dstack-vmm", "-c", keep(c, "%s/vmm/vmm.toml", dir) },
				    keep(c, "unix:%s/vmm/vmm.sock", dir) });
	return 0;
}

// Every template takes the same arguments: folder, registry, collateral, kms, gateway rpc, wireguard, vmm,
// gateway.
static int write_conf(struct stackconf *c, const char *name, const char *fmt, bool anew, struct err *e)
{
	char path[PATH_MAX], text[4096];

	snprintf(path, sizeof path, "%s/%s", c->dir, name);
	if (!anew && file_exists(path))
		return 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
	int n = snprintf(text, sizeof text, fmt, c->dir, port(c, PORT_REGISTRY), port(c, PORT_COLLATERAL),
			 port(c, PORT_KMS), port(c, PORT_GATEWAY_RPC), port(c, PORT_WIREGUARD),
			 port(c, PORT_VMM), port(c, PORT_GATEWAY));
#pragma GCC diagnostic pop
	if (n < 0 || n >= (int)sizeof text)
		return err_set(e, ERR_BUG, "%s does not fit", name);
	return file_write_str(path, 0600, text, e);
}

int stackconf_prepare(struct stackconf *c, struct err *e)
{
	static const struct {
		const char *name, *text;
		bool anew; // follows this program's version and the ports; the rest belongs to the user once
			   // written
	} files[] = {
		{ "registry/config.yml", registry_yml, true },
		{ "kms/kms.toml", kms_toml, true },
		{ "kms/policy.toml", policy_toml, false },
		{ "gateway/gateway.toml", gateway_toml, true },
		{ "vmm/vmm.toml", vmm_toml, true },
	};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (write_conf(c, files[i].name, files[i].text, files[i].anew, e))
			return -1;
	return 0;
}

int stackconf_write_context(struct stackconf *c, struct err *e)
{
	return write_conf(c, "config.toml", context_toml, true, e);
}
