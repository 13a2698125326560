#include "status.h"

#include "base/log.h"

static void health(struct http_conn *c, void *arg)
{
	(void)arg;
	http_reply(c, 200, "text/plain", "OK", 2);
}

static bool member(struct sb *b, const char *name, bool good)
{
	sb_json_key(b, name);
	sb_str(b, good ? "true" : "false");
	return good;
}

static void ready(struct http_conn *c, void *arg)
{
	struct service *s = arg;
	auto_sb b = { 0 };
	struct boot_info own;
	struct err why = { 0 };
	bool self = !s->config->self_authorize || !self_boot(&s->self, &own, &why);
	enum policy_state policy = (enum policy_state)atomic_load(&s->policy_state);

	sb_str(&b, "{\"checks\":{");
	bool good = member(&b, "keys", keyproc_is_there(s->keys));
	good &= member(&b, "own_evidence", self);
	good &= member(&b, "policy", policy == POLICY_STATE_ANSWERS);
	good &= member(&b, "audit", !kms_peers_rolled_back(s->peers));
	sb_chr(&b, '}');
	member(&b, "ready", good);
	sb_str(&b, "}\n");
	http_reply(c, good ? 200 : 503, "application/json", b.bad ? "{}" : b.p, b.bad ? 2 : b.n);
}

static void metrics(struct http_conn *c, void *arg)
{
	struct service *s = arg;
	struct rpc_counts n = rpc_server_counts(s->server);
	struct trust_stats t = trust_stats(s->trust);
	auto_sb b = { 0 };

	metrics_write(&b, &s->metrics);
	metrics_value(&b, "gauge", "dstack_kms_connections", (double)n.conns);
	metrics_value(&b, "gauge", "dstack_kms_calls", (double)n.calls);
	metrics_value(&b, "counter", "dstack_kms_connections_refused_total", (double)n.conns_refused);
	metrics_value(&b, "counter", "dstack_kms_requests_refused_total", (double)n.requests_refused);
	metrics_value(&b, "counter", "dstack_kms_evidence_verified_total", (double)t.verified);
	metrics_value(&b, "counter", "dstack_kms_evidence_refused_total", (double)t.refused);
	metrics_value(&b, "counter", "dstack_kms_evidence_cached_total", (double)t.cached);
	metrics_value(&b, "counter", "dstack_kms_signatures_verified_total", (double)t.signatures);
	metrics_value(&b, "counter", "dstack_kms_signatures_cached_total", (double)t.signatures_cached);
	metrics_value(&b, "counter", "dstack_kms_judges_lost_total", (double)judges_lost(s->judges));
	metrics_value(&b, "counter", "dstack_kms_images_fetched_total",
		      (double)atomic_load(&s->images_fetched));
	metrics_value(&b, "counter", "dstack_kms_images_fetch_failures_total",
		      (double)atomic_load(&s->images_failed));
	kms_peers_metrics(s->peers, &b);
	metrics_value(&b, "gauge", "dstack_kms_certificates", (double)crls_counted(&s->crls));
	metrics_value(&b, "counter", "dstack_kms_crls_served_total", (double)atomic_load(&s->crls.served));
	metrics_value(&b, "counter", "dstack_kms_crls_signed_total", (double)atomic_load(&s->crls.made));
	if (b.bad)
		http_reply(c, 500, "text/plain", "", 0);
	else
		http_reply(c, 200, "text/plain; version=0.0.4", b.p, b.n);
}

int status_mount(struct service *s, struct rpc_server *server, bool with_metrics)
{
	s->server = server;
	rpc_server_watch(server, metrics_call, &s->metrics);
	return rpc_server_raw(server, "/health", health, s) || rpc_server_raw(server, "/ready", ready, s) ||
			       (with_metrics && rpc_server_raw(server, "/metrics", metrics, s))
		       ? -1
		       : 0;
}
