#include "stackconf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define DOMAIN      "dstack.localhost"
#define GATEWAY_APP "0000000000000000000000000000000000000000"

const char *const stackconf_services[] = { "collateral", "key-provider", "registry", "auth",
					   "images",     "kms",          "gateway",  "vmm" };
const size_t stackconf_n_services = sizeof stackconf_services / sizeof *stackconf_services;

const struct stack_kms stackconf_kms[STACK_KMS_MAX] = {
	{ "kms", PORT_KMS, PORT_KMS_ADMIN, PORT_KMS_SETUP },
	{ "kms-2", PORT_KMS2, PORT_KMS2_ADMIN, PORT_KMS2_SETUP },
};

static const char registry_yml[] = "# The local image registry: loopback only, for the examples.\n"
				   "version: 0.1\n"
				   "storage:\n  filesystem:\n    rootdirectory: @DIR@/registry/data\n"
				   "http:\n  addr: 127.0.0.1:@REGISTRY@\n"
				   "log:\n  level: warn\n";

static const char kms_toml[] =
	"# KMS of the local development stack.\n"
	"insecure_development = true   # evidence under the development root is accepted\n"
	"\n[core]\ncert_dir = \"@DIR@/kms/certs\"\n"
	"\n[rpc]\naddress = \"tcp:127.0.0.1:@KMS@\"\nsans = [\"127.0.0.1\", \"10.0.2.2\", \"localhost\"]\n"
	"\n[image]\ndir = \"@DIR@/images\"\n"
	"\n[attestation]\npccs_url = \"http://127.0.0.1:@COLLATERAL@\"\ndevelopment_root = "
	"\"@DIR@/pki/root.der\"\n"
	"\n[policy]\nfile = \"@DIR@/kms/policy.toml\"\n";

static const char auth_toml[] = "# Answers the KMS's question who may have keys.\n"
				"address = \"tcp:127.0.0.1:@AUTH@\"\n"
				"\n[policy]\nfile = \"@DIR@/kms/policy.toml\"\n";

// @IMAGE@, @ADMIN@, @ROOT@, @KEYS@, @ONBOARD@ and @SETUP_PORT@ are given by stackconf_kms_compose. A dollar
// sign is doubled for compose.
static const char kms_compose[] =
	"services:\n"
	"  kms:\n"
	"    image: @IMAGE@\n"
	"    restart: always\n"
	"    ports: [\"8000:8000\", \"8001:8001\"@SETUP_PORT@]\n"
	"    ulimits: {memlock: -1}\n"
	"    volumes:\n"
	"      - /var/run/dstack.sock:/var/run/dstack.sock\n"
	"      - kms:/kms\n"
	"    configs:\n"
	"      - {source: kms, target: /etc/kms.toml}\n"
	"      - {source: root, target: /etc/root.pem}\n"
	"      - {source: admins, target: /etc/admins}\n"
	"volumes:\n"
	"  kms: {}\n"
	"configs:\n"
	"  kms:\n"
	"    content: |\n"
	"      insecure_development = true\n"
	"      [core]\n"
	"      cert_dir = \"/kms/certs\"\n"
	"@KEYS@"
	"      handover = true\n"
	"      handover_closed = true\n"
	"      agent = \"unix:/var/run/dstack.sock\"\n"
	"      attest_rpc_cert = true\n"
	"      enforce_self_authorization = true\n"
	"@ONBOARD@"
	"      [core.admin]\n"
	"      address = \"tcp:0.0.0.0:8001\"\n"
	"      htpasswd_file = \"/etc/admins\"\n"
	"      [rpc]\n"
	"      address = \"tcp:0.0.0.0:8000\"\n"
	"      sans = [\"10.0.2.2\", \"127.0.0.1\", \"localhost\"]\n"
	"      [image]\n"
	"      dir = \"/kms/images\"\n"
	"      cache_dir = \"/kms/images\"\n"
	"      download_url = \"http://10.0.2.2:@IMAGES@/mr_{OS_IMAGE_HASH}.tar.gz\"\n"
	"      [attestation]\n"
	"      pccs_url = \"http://10.0.2.2:@COLLATERAL@\"\n"
	"      cache_dir = \"/kms/collateral\"\n"
	"      development_root = \"/etc/root.pem\"\n"
	"      [[policy.source]]\n"
	"      type = \"webhook\"\n"
	"      url = \"http://10.0.2.2:@AUTH@\"\n"
	"      insecure_plain_http = true\n"
	"  admins:\n"
	"    content: |\n"
	"      admin:@ADMIN@\n"
	"  root:\n"
	"    content: |\n"
	"@ROOT@";

static const char kms_onboard[] = "      [core.onboard]\n"
				  "      address = \"tcp:0.0.0.0:8002\"\n"
				  "      htpasswd_file = \"/etc/admins\"\n";

static const char policy_toml[] =
	"# Who gets keys from this KMS. `dstack up` adds images, `dstack deploy` an [[app]] for each compose "
	"file.\n"
	"# Empty denies all.\n"
	"development = true   # evidence under the development root may be allowed\n"
	"gateway_app_id = \"" GATEWAY_APP "\"\n"
	"os_images = []\n";

static const char gateway_toml[] =
	"# Gateway of the local development stack.\n"
	"insecure_development = true   # evidence under the development root is accepted\n"
	"state = \"@DIR@/gateway/gateway.db\"\n"
	"\n[rpc]\nlisten = \"tcp:127.0.0.1:@GATEWAY_RPC@\"\nurl = \"https://10.0.2.2:@GATEWAY_RPC@\"\n"
	"cert = \"@DIR@/gateway/rpc/rpc.crt\"\nkey = \"@DIR@/gateway/rpc/rpc.key\"\n"
	"kms_ca = \"@DIR@/kms/certs/root-ca.crt\"\n"
	"@REVOCATION@"
	"\n[admin]\nlisten = \"unix:@DIR@/gateway/admin.sock\"\n"
	"\n[wg]\ninterface = \"dsgw@WIREGUARD@\"\nprivate_key_file = \"@DIR@/gateway/wg.key\"\nlisten_port = "
	"@WIREGUARD@\n"
	"endpoint = \"10.0.2.2:@WIREGUARD@\"\nip = \"10.@NET@.0.1/16\"\nclient_ip_range = "
	"\"10.@NET@.0.0/18\"\n"
	"\n[proxy]\nlisten = \"127.0.0.1:@GATEWAY@\"\nexternal_port = @GATEWAY@\ndomain = \"" DOMAIN "\"\n"
	"cert = \"@DIR@/gateway/tls/cert.pem\"\nkey = \"@DIR@/gateway/tls/key.pem\"\n"
	"\n[attestation]\nenabled = true\nrequired = true\npccs_url = "
	"\"http://127.0.0.1:@COLLATERAL@\"\nimage_dir = "
	"\"@DIR@/images\"\n"
	"development_root = \"@DIR@/pki/root.der\"\n";

// A KMS in a CVM is replaced by an upgrade, and the new one does not have the old one's lists.
static const char revocation[] = "\n[revocation]\nkms_urls = [\"https://127.0.0.1:@KMS@\"]\n";

static const char vmm_toml[] =
	"# VMM of the local stack.\n"
	"address = \"unix:@DIR@/vmm/vmm.sock\"\ntcp_address = \"tcp:127.0.0.1:@VMM@\"\nrun_path = "
	"\"@DIR@/vmm/vm\"\n"
	"\n[image]\npath = \"@DIR@/images\"\n"
	"\n[cvm]\nplatform = \"auto\"\nkms_urls = [@KMS_URLS@]\n"
	"gateway_urls = [\"https://10.0.2.2:@GATEWAY_RPC@\"]\npccs_url = \"http://10.0.2.2:@COLLATERAL@\"\n"
	"docker_registry = \"http://10.0.2.2:@REGISTRY@\"\n"
	"\n[cvm.port_mapping]\nenabled = true\n"
	"[[cvm.port_mapping.range]]\nfrom = @APPS@\nto = @APPS_END@\n"
	"@CVM_PORTS@"
	"\n[key_provider]\naddress = \"127.0.0.1:@KEY_PROVIDER@\"\n"
	"\n[softtee]\ncommand = \"@BIN@/dstack-softtee\"\npki = \"@DIR@/pki\"\n"
	"\n[gateway]\nbase_domain = \"" DOMAIN "\"\nport = @GATEWAY@\n"
	"\n# All that a guest reaches of this host, as 10.0.2.2:PORT.\n"
	"[[network.forward]]\nlisten = @REGISTRY@\nto = \"127.0.0.1:@REGISTRY@\"\n"
	"[[network.forward]]\nlisten = @COLLATERAL@\nto = \"127.0.0.1:@COLLATERAL@\"\n"
	"[[network.forward]]\nlisten = @KMS@\nto = \"127.0.0.1:@KMS@\"\n"
	"[[network.forward]]\nlisten = @GATEWAY_RPC@\nto = \"127.0.0.1:@GATEWAY_RPC@\"\n"
	"[[network.forward]]\nlisten = @WIREGUARD@\nto = \"127.0.0.1:@WIREGUARD@\"\nproto = \"udp\"\n"
	"@CVM_FORWARDS@";

// What a KMS in a CVM needs of the host, and the host of it.
static const char cvm_ports[] = "[[cvm.port_mapping.range]]\nfrom = @KMS@\nto = @KMS@\n"
				"[[cvm.port_mapping.range]]\nfrom = @KMS_ADMIN@\nto = @KMS2_SETUP@\n";
static const char cvm_forwards[] = "[[network.forward]]\nlisten = @AUTH@\nto = \"127.0.0.1:@AUTH@\"\n"
				   "[[network.forward]]\nlisten = @KMS2@\nto = \"127.0.0.1:@KMS2@\"\n"
				   "[[network.forward]]\nlisten = @IMAGES@\nto = \"127.0.0.1:@IMAGES@\"\n";

static const char context_toml[] =
	"# What the dstack command talks to.\n"
	"vmm = \"unix:@DIR@/vmm/vmm.sock\"\nkms = \"https://127.0.0.1:@KMS_ASKED@\"\nkms_root = "
	"\"kms/certs/root-ca.crt\"\n"
	"policy = \"kms/policy.toml\"\ndomain = \"" DOMAIN "\"\ngateway_port = @GATEWAY@\n"
	"gateway_address = \"127.0.0.1:@GATEWAY@\"\ngateway_ca = \"gateway/tls/ca.pem\"\nimage = "
	"\"@IMAGE@\"\n"
	"images = \"images\"\n"
	"pccs = \"http://127.0.0.1:@COLLATERAL@\"\ndevelopment_root = \"pki/root.der\"\nregistry = "
	"\"http://127.0.0.1:@REGISTRY@\"\n"
	"@CVM_CONTEXT@";
static const char cvm_context[] =
	"kms_app = \"@KMS_NAME@\"\nkms_compose = \"apps/@KMS_NAME@.json\"\nkms_admin = "
	"\"http://127.0.0.1:@KMS_ASKED_ADMIN@\"\n";
// The one that is asked first, then the other, whether there is one or not.
static const char *const cvm_urls[STACK_KMS_MAX] = {
	"\"https://10.0.2.2:@KMS@\", \"https://10.0.2.2:@KMS2@\"",
	"\"https://10.0.2.2:@KMS2@\", \"https://10.0.2.2:@KMS@\"",
};

// Two stacks on one machine need two tunnel networks: the second byte follows the ports.
static unsigned subnet(const struct stackconf *c)
{
	return 64 + c->port / 100 % 64;
}

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

static void add_host_kms(struct stackconf *c, const char *kms)
{
	add(c, NULL,
	    (struct stack_service){
		    "kms", { "dstack-kms", "-c", kms }, keep(c, "tcp:%u", port(c, PORT_KMS)) });
	add(c, keep(c, "%s/gateway/rpc/rpc.crt", c->dir),
	    (struct stack_service){ "gateway-certificate",
				    { "dstack-kms", "issue", "--config", kms, "--name", "gateway", "--san",
				      "10.0.2.2", "--san", "127.0.0.1", "--app-id", GATEWAY_APP, "--out",
				      keep(c, "%s/gateway/rpc", c->dir) },
				    NULL });
}

static void add_around_cvm_kms(struct stackconf *c)
{
	add(c, NULL,
	    (struct stack_service){ "auth",
				    { "dstack-auth", "-c", keep(c, "%s/kms/auth.toml", c->dir) },
				    keep(c, "tcp:%u", port(c, PORT_AUTH)) });
	add(c, NULL,
	    (struct stack_service){ "images",
				    { "dstack", "image", "serve", keep(c, "%s/kms/images", c->dir),
				      keep(c, "tcp:127.0.0.1:%u", port(c, PORT_IMAGES)) },
				    keep(c, "tcp:%u", port(c, PORT_IMAGES)) });
}

// Behind a KMS in a CVM the gateway starts when `dstack kms deploy` has brought its certificate.
static void add_gateway(struct stackconf *c)
{
	const char *tls = keep(c, "%s/gateway/tls", c->dir),
		   *cert = keep(c, "%s/gateway/rpc/rpc.crt", c->dir);

	add(c, keep(c, "%s/cert.pem", tls),
	    (struct stack_service){ "gateway-dev-cert",
				    { "dstack-gateway", "dev-cert", "--domain", DOMAIN, "--out", tls },
				    NULL });
	if (!c->kms_in_cvm || file_exists(cert))
		add(c, NULL,
		    (struct stack_service){
			    "gateway",
			    { "dstack-gateway", "-c", keep(c, "%s/gateway/gateway.toml", c->dir) },
			    keep(c, "tcp:%u", port(c, PORT_GATEWAY)) });
}

int stackconf_kms_find(const char *name)
{
	for (int i = 0; i < STACK_KMS_MAX; i++)
		if (!strcmp(stackconf_kms[i].name, name))
			return i;
	return -1;
}

int stackconf_init(struct stackconf *c, const char *dir, unsigned port_base, bool kms_in_cvm, struct err *e)
{
	*c = (struct stackconf){ .port = port_base, .kms_in_cvm = kms_in_cvm };
	if (snprintf(c->dir, sizeof c->dir, "%s", dir) >= (int)sizeof c->dir || strchr(dir, '"') ||
	    strchr(dir, '\\'))
		return err_set(e, ERR_INPUT, "the state folder's name is too long or has a quote");
	stack_program_dir(c->bin);
	const char *pki = keep(c, "%s/pki", dir);

	add(c, keep(c, "%s/root.der", pki),
	    (struct stack_service){ "pki", { "dstack-softtee", "pki", "--dir", pki }, NULL });
	add(c, NULL,
	    (struct stack_service){ "collateral",
				    { "dstack-softtee", "serve", "--dir", pki, "--listen",
				      keep(c, "tcp:127.0.0.1:%u", port(c, PORT_COLLATERAL)) },
				    keep(c, "tcp:%u", port(c, PORT_COLLATERAL)) });
	add(c, NULL,
	    (struct stack_service){ "key-provider",
				    { "dstack-softtee", "keyprovider", "--dir", pki, "--listen",
				      keep(c, "tcp:127.0.0.1:%u", port(c, PORT_KEY_PROVIDER)) },
				    keep(c, "tcp:%u", port(c, PORT_KEY_PROVIDER)) });
	add(c, NULL,
	    (struct stack_service){ "registry",
				    { "docker-registry", "serve", keep(c, "%s/registry/config.yml", dir) },
				    keep(c, "tcp:%u", port(c, PORT_REGISTRY)) });
	if (kms_in_cvm)
		add_around_cvm_kms(c);
	else
		add_host_kms(c, keep(c, "%s/kms/kms.toml", dir));
	add_gateway(c);
	add(c, NULL,
	    (struct stack_service){ "vmm",
				    { "dstack-vmm", "-c", keep(c, "%s/vmm/vmm.toml", dir) },
				    keep(c, "unix:%s/vmm/vmm.sock", dir) });
	return 0;
}

struct word {
	const char *name, *text;
	bool filled; // its text has names to replace, too
};

// `fmt` with @NAME@ replaced: a port of the stack, or one of `words` (ended by NULL).
static void fill(const struct stackconf *c, struct sb *out, const char *fmt, const struct word *words)
{
	const struct {
		const char *name;
		unsigned value;
	} numbers[] = {
		{ "REGISTRY", port(c, PORT_REGISTRY) },
		{ "COLLATERAL", port(c, PORT_COLLATERAL) },
		{ "KMS", port(c, PORT_KMS) },
		{ "GATEWAY_RPC", port(c, PORT_GATEWAY_RPC) },
		{ "WIREGUARD", port(c, PORT_WIREGUARD) },
		{ "VMM", port(c, PORT_VMM) },
		{ "GATEWAY", port(c, PORT_GATEWAY) },
		{ "KEY_PROVIDER", port(c, PORT_KEY_PROVIDER) },
		{ "AUTH", port(c, PORT_AUTH) },
		{ "IMAGES", port(c, PORT_IMAGES) },
		{ "KMS_ADMIN", port(c, PORT_KMS_ADMIN) },
		{ "KMS2", port(c, PORT_KMS2) },
		{ "KMS2_SETUP", port(c, PORT_KMS2_SETUP) },
		{ "KMS_ASKED", port(c, stackconf_kms[c->kms].rpc) },
		{ "KMS_ASKED_ADMIN", port(c, stackconf_kms[c->kms].admin) },
		{ "APPS", port(c, PORT_APPS) },
		{ "APPS_END", port(c, PORT_APPS_END) },
		{ "NET", subnet(c) },
	};

	for (const char *end; *fmt; fmt = end + 1) {
		size_t n = strcspn(fmt, "@");
		sb_put(out, fmt, n);
		fmt += n;
		if (!*fmt || !(end = strchr(fmt + 1, '@')))
			return;
		n = (size_t)(end - fmt) - 1;
		for (const struct word *w = words; w->name; w++)
			if (strlen(w->name) == n && strncmp(fmt + 1, w->name, n) == 0) {
				if (w->filled)
					fill(c, out, w->text, words);
				else
					sb_str(out, w->text);
			}
		for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
			if (strlen(numbers[i].name) == n && strncmp(fmt + 1, numbers[i].name, n) == 0)
				sb_fmt(out, "%u", numbers[i].value);
	}
}

int stackconf_kms_compose(struct stackconf *c, const struct stack_kms_spec *s, struct sb *out, struct err *e)
{
	char path[PATH_MAX];
	auto_free char *pem = NULL;
	auto_sb admin = { 0 }, root = { 0 };
	size_t n;

	snprintf(path, sizeof path, "%s/pki/root.pem", c->dir);
	if (!strstr(s->image, "@sha256:") || strpbrk(s->image, " \"'\\\n$"))
		return err_set(e, ERR_INPUT, "%s is no image reference with a digest", s->image);
	if (file_read(path, 16384, &pem, &n, e))
		return -1;
	for (const char *p = s->bcrypt; *p; p++)
		sb_str(&admin, *p == '$' ? "$$" : (char[2]){ *p, 0 });
	for (char *line = strtok(pem, "\n"); line; line = strtok(NULL, "\n"))
		sb_fmt(&root, "      %s\n", line);
	if (admin.bad || root.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	const struct word words[] = {
		{ "IMAGE", s->image },
		{ "ADMIN", admin.p },
		{ "ROOT", root.p },
		{ "KEYS", s->onboards ? "" : "      bootstrap = true\n" },
		{ "ONBOARD", s->onboards ? kms_onboard : "" },
		{ "SETUP_PORT", s->onboards ? ", \"8002:8002\"" : "" },
		{ NULL, NULL },
	};
	fill(c, out, kms_compose, words);
	return out->bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

static int write_conf(struct stackconf *c, const char *name, const char *fmt, bool anew, struct err *e)
{
	char path[PATH_MAX];
	auto_sb text = { 0 };

	snprintf(path, sizeof path, "%s/%s", c->dir, name);
	if (!anew && file_exists(path))
		return 0;
	const struct word words[] = {
		{ "DIR", c->dir },
		{ "BIN", c->bin },
		{ "IMAGE", c->image },
		{ "CVM_PORTS", c->kms_in_cvm ? cvm_ports : "", true },
		{ "REVOCATION", c->kms_in_cvm ? "" : revocation, true },
		{ "CVM_FORWARDS", c->kms_in_cvm ? cvm_forwards : "", true },
		{ "CVM_CONTEXT", c->kms_in_cvm ? cvm_context : "", true },
		{ "KMS_URLS", c->kms_in_cvm ? cvm_urls[c->kms] : "\"https://10.0.2.2:@KMS@\"", true },
		{ "KMS_NAME", stackconf_kms[c->kms].name },
		{ NULL, NULL },
	};
	fill(c, &text, fmt, words);
	return text.bad ? err_set(e, ERR_SYSTEM, "out of memory") : file_write_str(path, 0600, text.p, e);
}

int stackconf_prepare(struct stackconf *c, struct err *e)
{
	static const struct {
		const char *name, *text;
		bool anew; // follows this program's version and the ports; the rest belongs to the user once
			   // written
	} files[] = {
		{ "registry/config.yml", registry_yml, true },  { "kms/kms.toml", kms_toml, true },
		{ "kms/auth.toml", auth_toml, true },           { "kms/policy.toml", policy_toml, false },
		{ "gateway/gateway.toml", gateway_toml, true }, { "vmm/vmm.toml", vmm_toml, true },
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
