#include "gateway.h"

#include <string.h>
#include <strings.h>

#include "base/strings.h"
#include "crypto/issue.h"
#include "ratls/tls.h"
#include "rpc/client.h"
#include "sysconf.h"

enum { CALL_SECONDS = 30, REPLY_MAX = 1 << 20 };

int gateway_check_named(const char *app_ids, struct err *e)
{
	if (!*app_ids)
		return err_code(e, ERR_INPUT, "gateway.app_id", "the KMS named no gateway");
	if (!strcasecmp(app_ids, "any"))
		return err_code(
			e, ERR_DENIED, "gateway.any",
			"the KMS names \"any\" as gateway_app_id: this guest wants the app id of one");
	return 0;
}

bool gateway_id_allowed(const char *app_ids, struct span id)
{
	char hex[2 * ID_SIZE + 1];

	if (id.n != ID_SIZE)
		return false;
	hex_encode(hex, id.p, ID_SIZE);
	for (const char *p = app_ids; *p;) {
		size_t n = strcspn(p, ", ");

		if (n == 2 * ID_SIZE && !strncasecmp(p, hex, n))
			return true;
		p += n + strspn(p + n, ", ");
	}
	return false;
}

struct hook {
	const struct gateway_call *call;
	struct err why;
};

static int check_leaf(void *arg, X509 *leaf, struct err *e)
{
	const struct gateway_call *g = arg;
	struct span id;
	int found = cert_ext(leaf, CERT_EXT_APP_ID, &id, e);

	if (found < 0)
		return -1;
	if (!found || !gateway_id_allowed(g->app_ids, id))
		return err_code(e, ERR_DENIED, "gateway.app_id",
				"the gateway is not the app that the KMS named");
	return 0;
}

static int set_tls(SSL_CTX *ctx, void *arg, struct err *e)
{
	struct hook *h = arg;
	const struct gateway_call *g = h->call;
	const struct tls_conf c = {
		.cert_pem = g->chain_pem,
		.key_pem = g->key_pem,
		.roots_pem = span_str(g->ca_cert),
		.peer = TLS_PEER_REQUIRED,
		.check = check_leaf,
		.check_arg = (void *)(uintptr_t)g,
		.why = &h->why,
	};

	return tls_ctx_setup(ctx, &c, e);
}

static int fill_policy(Gateway__PortPolicy *policy, const struct compose *c, struct arena *a, struct err *e)
{
	Gateway__PortAttrs *attrs = arena_array(a, c->n_ports + 1, sizeof *attrs);

	policy->ports = arena_array(a, c->n_ports + 1, sizeof(void *));
	if (!attrs || !policy->ports)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (size_t i = 0; i < c->n_ports; i++) {
		gateway__port_attrs__init(&attrs[i]);
		attrs[i].port = c->ports[i].port;
		attrs[i].pp = c->ports[i].pp;
		policy->ports[i] = &attrs[i];
	}
	policy->n_ports = c->n_ports;
	policy->restrict_mode = c->restrict_ports;
	return 0;
}

int gateway_register(const struct gateway_call *g, const char *url, struct arena *a,
		     Gateway__RegisterCvmResponse **out, struct err *e)
{
	struct hook hook = { .call = g };
	struct rpc_client_opts o = { .timeout_s = CALL_SECONDS,
				     .reply_max = REPLY_MAX,
				     .tls = set_tls,
				     .arg = &hook,
				     .reason = &hook.why };
	Gateway__RegisterCvmRequest req = GATEWAY__REGISTER_CVM_REQUEST__INIT;
	Gateway__PortPolicy policy = GATEWAY__PORT_POLICY__INIT;
	const char *full = str_ends(url, "/prpc") ? url : arena_fmt(a, "%s/prpc", url);

	if (!full)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (gateway_check_named(g->app_ids, e) || fill_policy(&policy, g->compose, a, e))
		return -1;
	req.client_public_key = (char *)(uintptr_t)g->public_key;
	req.port_policy = &policy;
	auto_rpc_client *c = rpc_client_new(full, &o, e);
	return c ? rpc_client_call(c, "RegisterCvm", &req.base, &gateway__register_cvm_response__descriptor,
				   a, (void **)out, e)
		 : -1;
}
