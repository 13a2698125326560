#include "service.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/strings.h"
#include "base/time.h"
#include "base/version.h"
#include "core/attest/certext.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "gateway.pb-c.h"

enum { APP_INFO_SCRATCH = 4096, ONLINE_S = 300, BODY_MAX = 64 << 10 };

static int take(void *out, size_t n, struct span from)
{
	if (from.n != n)
		return -1;
	memcpy(out, from.p, n);
	return 0;
}

int registrant_read(struct registrant *out, X509 *cert, struct err *e)
{
	uint8_t room[APP_INFO_SCRATCH];
	struct wr scratch = wr_to(room, sizeof room);
	struct app_info info = { 0 };
	struct fault f = { 0 };
	struct span content;
	struct tm end = { 0 };

	*out = (struct registrant){ 0 };
	int found = cert ? cert_ext(cert, CERT_EXT_APP_INFO, &content, e) : 0;
	if (found < 0)
		return -1;
	// Guests look for "no attestation provided" to try again with a quote; this text must not contain it.
	if (!found)
		return err_code(e, ERR_DENIED, "register.no_certificate",
				"neither app-info nor attestation provided");
	if (app_info_read(&info, &scratch, content, &f))
		return err_code(e, ERR_INPUT, "register.app_info", "app info in the certificate: %s", f.text);
	if (take(out->app_id, ID_SIZE, info.app_id) || take(out->instance_id, ID_SIZE, info.instance_id) ||
	    take(out->compose_hash, sizeof out->compose_hash, info.compose_hash))
		return err_code(e, ERR_INPUT, "register.app_info",
				"app info in the certificate: an id has a wrong size");
	found = cert_ext(cert, CERT_EXT_APP_ID, &content, e);
	if (found < 0)
		return -1;
	if (found && (content.n != ID_SIZE || memcmp(content.p, out->app_id, ID_SIZE) != 0))
		return err_code(e, ERR_UNTRUSTED, "register.app_info", "the certificate names two app ids");
	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) != 1)
		return err_code(e, ERR_INPUT, "register.app_info", "the certificate's end is malformed");
	out->not_after = (uint64_t)timegm(&end);
	return 0;
}

int registrant_cert(struct registrant *out, X509 *cert, X509 *issuer, struct err *e)
{
	struct revocation_cert *c = &out->cert;
	uint8_t spki[P256_SPKI];
	EVP_PKEY *key = issuer ? X509_get0_pubkey(issuer) : NULL;

	if (!key || p256_spki(key, spki, e) || cert_serial(cert, c->serial))
		return err_code(e, ERR_UNTRUSTED, "register.app_info",
				"the certificate is not of a P-256 CA, or its serial number is malformed");
	memcpy(c->app, out->app_id, ID_SIZE);
	memcpy(c->issuer, spki + P256_SPKI - REVOCATION_KEY, REVOCATION_KEY);
	out->has_cert = true;
	return 0;
}

// On a list of revoked certificates, or no list to be had: not registered.
static int check_revoked(const struct service *s, struct rpc_call *call, struct registrant *who,
			 struct err *e)
{
	struct revocation *r = s->registry->revocation;

	if (!r)
		return 0;
	if (registrant_cert(who, rpc_peer_cert(call), rpc_peer_issuer(call), e))
		return -1;
	revocation_fetch(r, &who->cert);
	return revocation_check(r, &who->cert, e);
}

// Evidence that came with the certificate must hold and say what the issuer says.
static int check_evidence(const struct service *s, X509 *cert, const struct registrant *claim, struct err *e)
{
	struct span content;
	struct trust_expect x = { .app_id = claim->app_id, .compose_hash = claim->compose_hash };

	int found = cert_ext(cert, CERT_EXT_ATTESTATION, &content, e);
	if (found == 0)
		found = cert_ext(cert, CERT_EXT_QUOTE, &content, e);
	if (found < 0)
		return -1;
	if (!found && s->settings->attestation_required)
		return err_code(e, ERR_DENIED, "ratls.no_evidence", "no attestation provided");
	if (!found || !s->check)
		return 0;
	struct trust_result *result = calloc(1, sizeof *result);
	if (!result)
		return err_set(e, ERR_SYSTEM, "out of memory");
	int r = s->check(s->trust, result, cert, &x, e);
	if (!r && (!result->boot.has_instance_id ||
		   memcmp(result->boot.instance_id, claim->instance_id, ID_SIZE) != 0))
		r = err_code(e, ERR_UNTRUSTED, "register.instance_id",
			     "evidence and certificate name different instances");
	free(result);
	return r;
}

static int by_port(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static int policy_read(struct port_policy *out, const Gateway__PortPolicy *in, struct err *e)
{
	*out = (struct port_policy){ 0 };
	if (!in)
		return 0;
	out->known = true;
	out->restricted = in->restrict_mode;
	if (in->n_ports > ROUTE_PORTS_MAX)
		return err_code(e, ERR_INPUT, "register.port_policy", "more than %d ports", ROUTE_PORTS_MAX);
	for (size_t i = 0; i < in->n_ports; i++) {
		uint32_t port = in->ports[i]->port;
		if (port == 0 || port > UINT16_MAX)
			return err_code(e, ERR_INPUT, "register.port_policy", "port %u", port);
		out->ports[out->n++] = (uint16_t)port;
	}
	qsort(out->ports, out->n, sizeof *out->ports, by_port);
	return 0;
}

// Borrowed texts may stand in a reply, which is only written from: the generated fields are not const.
static char *text(struct rpc_call *call, const char *value)
{
	return arena_str(rpc_arena(call), value);
}

static int fill_answer(const struct service *s, struct rpc_call *call, Gateway__RegisterCvmResponse *out,
		       struct in_addr ip, struct err *e)
{
	struct arena *a = rpc_arena(call);
	char address[INET_ADDRSTRLEN];
	Gateway__WireGuardConfig *wg = arena_alloc(a, sizeof *wg);
	Gateway__WireGuardPeer *peer = arena_alloc(a, sizeof *peer);
	Gateway__GuestAgentConfig *agent = arena_alloc(a, sizeof *agent);
	Gateway__GatewayNodeInfo *node = arena_alloc(a, sizeof *node);
	void **lists = arena_array(a, 2, sizeof *lists);
	const struct settings *set = s->settings;

	if (!wg || !peer || !agent || !node || !lists)
		return err_set(e, ERR_SYSTEM, "out of memory");
	gateway__wire_guard_config__init(wg);
	gateway__wire_guard_peer__init(peer);
	gateway__guest_agent_config__init(agent);
	gateway__gateway_node_info__init(node);
	lists[0] = peer;
	lists[1] = node;
	inet_ntop(AF_INET, &ip, address, sizeof address);
	peer->pk = text(call, s->own_key);
	peer->ip = text(call, set->wg_ip);
	peer->endpoint = text(call, set->wg_endpoint);
	wg->client_ip = text(call, address);
	wg->n_servers = 1;
	wg->servers = (Gateway__WireGuardPeer **)&lists[0];
	agent->external_port = set->external_port;
	agent->internal_port = set->agent_port;
	agent->domain = text(call, set->domain);
	agent->app_address_ns_prefix = text(call, set->prefix);
	node->id = 1;
	node->uuid.data = arena_dup(a, s->uuid, sizeof s->uuid);
	node->uuid.len = sizeof s->uuid;
	node->url = text(call, set->rpc_url);
	node->last_seen = time_now();
	node->wg_public_key = peer->pk;
	node->wg_ip = peer->ip;
	node->wg_endpoint = peer->endpoint;
	out->wg = wg;
	out->agent = agent;
	out->n_gateways = 1;
	out->gateways = (Gateway__GatewayNodeInfo **)&lists[1];
	return arena_bad(a) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

static int register_cvm(struct rpc_call *call, const void *request, void *reply, struct err *e)
{
	struct service *s = rpc_arg(call);
	const Gateway__RegisterCvmRequest *in = request;
	X509 *cert = rpc_peer_cert(call);
	struct registrant who;
	struct port_policy policy;
	struct in_addr ip;
	uint8_t key[WG_KEY];

	if (registrant_read(&who, cert, e) || check_revoked(s, call, &who, e) ||
	    check_evidence(s, cert, &who, e) || policy_read(&policy, in->port_policy, e) ||
	    wg_key_parse(key, in->client_public_key, e) ||
	    registry_register(s->registry, &ip, &who, key, &policy, e))
		return -1;
	return fill_answer(s, call, reply, ip, e);
}

static int info(struct rpc_call *call, const void *request, void *reply, struct err *e)
{
	const struct service *s = rpc_arg(call);
	Gateway__InfoResponse *out = reply;

	(void)request, (void)e;
	out->base_domain = text(call, s->settings->domain);
	out->external_port = s->settings->external_port;
	out->app_address_ns_prefix = text(call, s->settings->prefix);
	out->version = text(call, version_text);
	return 0;
}

static Gateway__HostInfo *host_info(const struct service *s, struct rpc_call *call, const struct instance *i)
{
	struct arena *a = rpc_arena(call);
	struct registry *g = s->registry;
	char ip[INET_ADDRSTRLEN];
	Gateway__HostInfo *h = arena_alloc(a, sizeof *h);

	if (!h)
		return NULL;
	gateway__host_info__init(h);
	inet_ntop(AF_INET, &i->route.ip, ip, sizeof ip);
	h->instance_id = arena_hex(a, i->route.instance_id, ID_SIZE);
	h->app_id = arena_hex(a, i->route.app_id, ID_SIZE);
	h->ip = arena_str(a, ip);
	h->base_domain = text(call, s->settings->domain);
	h->latest_handshake = i->route.handshake;
	h->num_connections = reactors_live(g->reactors, g->n_reactors, i->route.index);
	return h;
}

// All instances, in memory of the call.
static struct instance *instances(const struct service *s, struct rpc_call *call, size_t *n, struct err *e)
{
	size_t cap = s->registry->n + 16;
	struct instance *list = arena_array(rpc_arena(call), cap, sizeof *list);

	if (!list)
		err_set(e, ERR_SYSTEM, "out of memory");
	else
		*n = registry_list(s->registry, list, cap);
	return list;
}

static int status(struct rpc_call *call, const void *request, void *reply, struct err *e)
{
	const struct service *s = rpc_arg(call);
	struct registry *g = s->registry;
	Gateway__StatusResponse *out = reply;
	struct arena *a = rpc_arena(call);
	size_t n = 0;
	struct instance *list = instances(s, call, &n, e);

	(void)request;
	if (!list)
		return -1;
	out->hosts = arena_array(a, n + 1, sizeof *out->hosts);
	out->accel = arena_alloc(a, sizeof *out->accel);
	if (!out->hosts || !out->accel)
		return err_set(e, ERR_SYSTEM, "out of memory");
	gateway__proxy_accel_status__init(out->accel);
	out->accel->ktls_mode = text(call, "off");
	out->accel->splice_mode = text(call, "bulk");
	out->id = 1;
	out->url = text(call, s->settings->rpc_url);
	out->uuid.data = arena_dup(a, s->uuid, sizeof s->uuid);
	out->uuid.len = sizeof s->uuid;
	for (size_t i = 0; i < n; i++)
		if ((out->hosts[out->n_hosts] = host_info(s, call, &list[i])))
			out->n_hosts++;
	for (unsigned i = 0; i < g->n_reactors; i++) {
		out->num_connections += atomic_load(&g->reactors[i]->counters.open);
		out->accel->splice_engaged += atomic_load(&g->reactors[i]->counters.spliced);
	}
	return 0;
}

static int get_info(struct rpc_call *call, const void *request, void *reply, struct err *e)
{
	const struct service *s = rpc_arg(call);
	const Gateway__GetInfoRequest *in = request;
	Gateway__GetInfoResponse *out = reply;
	uint8_t id[ID_SIZE];
	size_t n = 0;
	struct instance *list = instances(s, call, &n, e);

	if (!list)
		return -1;
	for (size_t i = 0; i < n && id_parse(id, in->id, strlen(in->id)) == 0; i++)
		if (memcmp(list[i].route.instance_id, id, ID_SIZE) == 0) {
			out->info = host_info(s, call, &list[i]);
			out->found = out->info != NULL;
		}
	return 0;
}

static int get_meta(struct rpc_call *call, const void *request, void *reply, struct err *e)
{
	const struct service *s = rpc_arg(call);
	Gateway__GetMetaResponse *out = reply;
	size_t n = 0;
	struct instance *list = instances(s, call, &n, e);

	(void)request;
	if (!list)
		return -1;
	out->registered = (uint32_t)n;
	for (size_t i = 0; i < n; i++)
		out->online += list[i].route.handshake + ONLINE_S > time_now();
	return 0;
}

int service_mount(struct service *s, struct rpc_server *main_server, struct rpc_server *admin, struct err *e)
{
	static const struct rpc_method methods[] = {
		{ "RegisterCvm", &gateway__register_cvm_request__descriptor,
		  &gateway__register_cvm_response__descriptor, register_cvm, .worker = true,
		  .body_max = BODY_MAX },
		{ "Info", &prpc__empty__descriptor, &gateway__info_response__descriptor, info },
	};
	static const struct rpc_method admin_methods[] = {
		{ "Status", &prpc__empty__descriptor, &gateway__status_response__descriptor, status },
		{ "GetInfo", &gateway__get_info_request__descriptor, &gateway__get_info_response__descriptor,
		  get_info },
		{ "GetMeta", &prpc__empty__descriptor, &gateway__get_meta_response__descriptor, get_meta },
	};
	size_t n = sizeof methods / sizeof *methods, n_admin = sizeof admin_methods / sizeof *admin_methods;

	if (rpc_server_mount(main_server, "/prpc", "Tproxy.", methods, n, s) ||
	    rpc_server_mount(main_server, "/prpc", "Gateway.", methods, n, s) ||
	    rpc_server_mount(admin, "/prpc", "Admin.", admin_methods, n_admin, s) ||
	    rpc_server_mount(admin, "", "Admin.", admin_methods, n_admin, s))
		return err_set(e, ERR_SYSTEM, "out of memory");
	return 0;
}
