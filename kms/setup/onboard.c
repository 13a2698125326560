#include "onboard.h"

#include <stdlib.h>
#include <string.h>

#include "../service/agent.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "bootstrap.h"
#include "crypto/k256.h"
#include "handover.h"
#include "kms.pb-c.h"
#include "policy/config.h"
#include "prpc.pb-c.h"
#include "../service/service.h"
#include "setup_page.h"

enum {
	BODY_MAX = 64 * 1024,
	CONNS_MAX = 32,
	IDLE_S = 10,
	REQUEST_S = 10,
	HANDLER_S = 180,
	STOP_S = 5,
	INFO_WAIT_MS = 3000
};

int onboard_init(struct onboard *o, const struct kms_config *c, struct err *e)
{
	*o = (struct onboard){ .config = c };
	pthread_mutex_init(&o->lock, NULL);
	o->downloads = *c->image_cache ? service_downloads(c, e) : NULL;
	o->trust = o->downloads || !*c->image_cache ? service_trust(c, NULL, e) : NULL;
	o->policy = o->trust ? policy_from_config(c->file, e) : NULL;
	self_init(&o->self, c, o->trust, o->policy, o->downloads);
	if (!o->policy) {
		onboard_free(o);
		return -1;
	}
	// Not fatal: GetAttestationInfo tells the operator what to allow, and self_allowed says no till then.
	struct err why;
	if (c->self_authorize && self_check(&o->self, &why))
		log_warn("kms", "own evidence: %s code=%s", why.text, why.code);
	return 0;
}

void onboard_free(struct onboard *o)
{
	self_free(&o->self);
	trust_free(o->trust);
	downloads_free(o->downloads);
	policy_free(o->policy);
	pthread_mutex_destroy(&o->lock);
	*o = (struct onboard){ 0 };
}

// What failed when the set-up began (an image server that was not there yet) is tried again.
static void know_self(struct onboard *o)
{
	struct boot_info boot;
	struct err why;

	if (o->config->self_authorize && self_boot(&o->self, &boot, &why) && self_check(&o->self, &why))
		log_warn("kms", "own evidence: %s code=%s", why.text, why.code);
}

static int reply_bootstrap(struct arena *a, const struct bootstrap_info *i, Kms__BootstrapResponse *out,
			   struct err *e)
{
	out->ca_pubkey = pb_bytes(a, i->ca_spki, sizeof i->ca_spki);
	out->k256_pubkey = pb_bytes(a, i->k256_pub, sizeof i->k256_pub);
	out->attestation = pb_bytes(a, i->attestation, i->attestation_n);
	return arena_bad(a) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

static int bootstrap(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct onboard *o = rpc_arg(call);
	const Kms__BootstrapRequest *q = in;
	struct bootstrap_info made;

	if (kms_domain_check(q->domain, e))
		return -1;
	pthread_mutex_lock(&o->lock);
	know_self(o);
	int rc = bootstrap_run(o->config, &o->self, q->domain, &made, e);
	pthread_mutex_unlock(&o->lock);
	if (rc) {
		log_warn("kms", "no bootstrap: %s code=%s", e->text, e->code);
		return -1;
	}
	rc = reply_bootstrap(rpc_arena(call), &made, out, e);
	bootstrap_info_free(&made);
	return rc;
}

static int take_over(struct onboard *o, const Kms__OnboardRequest *q, uint8_t pub[static K256_PUB],
		     struct err *e)
{
	const struct handover from = { o->config, o->trust, o->policy };
	struct keyfiles_roots roots;

	switch (keyfiles_state(o->config->keys.dir, e)) {
	case KEYFILES_BAD:
		return -1;
	case KEYFILES_ALL:
		return err_code(e, ERR_DENIED, "kms.bootstrapped", "KMS has already been onboarded");
	case KEYFILES_NONE:
		break;
	}
	know_self(o);
	if (self_allowed(&o->self, e) || handover_fetch(&from, &roots, q->source_url, e))
		return -1;
	int rc = k256_public(roots.k256->b, pub, e) ||
		 keyfiles_install(o->config->keys.dir, q->domain, &roots, NULL, e);
	keyfiles_roots_free(&roots);
	return rc ? -1 : 0;
}

static int do_onboard(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct onboard *o = rpc_arg(call);
	const Kms__OnboardRequest *q = in;
	Kms__OnboardResponse *a = out;
	uint8_t pub[K256_PUB];

	if (kms_domain_check(q->domain, e))
		return -1;
	pthread_mutex_lock(&o->lock);
	int rc = take_over(o, q, pub, e);
	pthread_mutex_unlock(&o->lock);
	if (rc) {
		log_warn("kms", "not onboarded: %s code=%s", e->text, e->code);
		return err_wrap(e, "Failed to onboard");
	}
	a->k256_pubkey = pb_bytes(rpc_arena(call), pub, sizeof pub);
	return 0;
}

static int get_attestation_info(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct onboard *o = rpc_arg(call);
	Kms__AttestationInfoResponse *a = out;
	struct arena *m = rpc_arena(call);
	struct trust_result *r = arena_alloc(m, sizeof *r);

	(void)in;
	if (!r)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (self_evidence(&o->self, r, e))
		return -1;
	a->ppid = pb_bytes(m, r->quote.ppid, sizeof r->quote.ppid);
	a->device_id = pb_bytes(m, r->boot.device_id, sizeof r->boot.device_id);
	a->mr_aggregated = pb_bytes(m, r->boot.mr_aggregated, sizeof r->boot.mr_aggregated);
	a->os_image_hash = pb_bytes(m, r->boot.os_image_hash, sizeof r->boot.os_image_hash);
	a->tee_variant = arena_str(m, r->boot.tee_variant);
	a->site_name = arena_str(m, o->config->site_name);
	struct policy_info info;
	policy_info_wait(o->policy, &info, INFO_WAIT_MS);
	a->eth_rpc_url = arena_str(m, info.rpc_url);
	a->kms_contract_address = arena_str(m, info.contract);
	return arena_bad(m) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

static void on_stopped(void *arg)
{
	struct onboard *o = arg;

	event_base_loopbreak(o->base);
}

// The next life begins when the replies under way are out.
static int finish_now(struct onboard *o, struct err *e)
{
	enum keyfiles_state state = keyfiles_state(o->config->keys.dir, e);

	if (state == KEYFILES_BAD)
		return -1;
	if (state == KEYFILES_NONE)
		return err_code(e, ERR_DENIED, "setup.no_keys",
				"there is nothing to finish: bootstrap or onboard first");
	if (!o->finished)
		rpc_server_stop(o->server, STOP_S, on_stopped, o);
	o->finished = true;
	return 0;
}

static int finish(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	(void)in, (void)out;
	return finish_now(rpc_arg(call), e);
}

static void raw_finish(struct http_conn *c, void *arg)
{
	struct err e = { 0 };

	if (!finish_now(arg, &e)) {
		http_reply(c, 200, "text/plain", "OK", 2);
		return;
	}
	auto_sb b = { 0 };
	sb_str(&b, "{\"error\": ");
	sb_json_str(&b, e.text);
	sb_str(&b, ", \"code\": ");
	sb_json_str(&b, e.code);
	sb_chr(&b, '}');
	http_reply(c, 409, "application/json", b.p ? b.p : "", b.n);
}

static void health(struct http_conn *c, void *arg)
{
	(void)arg;
	http_reply(c, 200, "text/plain", "OK", 2);
}

static void page(struct http_conn *c, void *arg)
{
	(void)arg;
	http_header(c, setup_page_headers);
	http_reply(c, 200, "text/html; charset=utf-8", setup_page, setup_page_size);
}

// The page holds no secret, and an operator's browser can send a header only once it has the page.
static int at_the_door(struct http_conn *c, void *arg, struct err *e)
{
	struct onboard *o = arg;
	struct span path = http_request(c)->path;

	if (span_is(path, "/") || span_is(path, "/health") || admin_auth_allows(o->auth, http_request(c)))
		return 0;
	log_warn("kms", "set-up: no valid token peer=%s", http_peer(c)->text);
	err_code(e, ERR_DENIED, "admin.unauthorized", "unauthorized: the set-up token is needed");
	return 401;
}

static int mount(struct onboard *o, struct err *e)
{
	static const struct rpc_method methods[] = {
		{ "Bootstrap", &kms__bootstrap_request__descriptor, &kms__bootstrap_response__descriptor,
		  bootstrap, .worker = true, .body_max = BODY_MAX },
		{ "Onboard", &kms__onboard_request__descriptor, &kms__onboard_response__descriptor,
		  do_onboard, .worker = true, .body_max = BODY_MAX },
		{ "GetAttestationInfo", &prpc__empty__descriptor, &kms__attestation_info_response__descriptor,
		  get_attestation_info, .worker = true, .body_max = BODY_MAX },
		{ "Finish", &prpc__empty__descriptor, &prpc__empty__descriptor, finish,
		  .body_max = BODY_MAX },
	};
	char header[64];

	snprintf(header, sizeof header, "X-App-Version: %s", version_text);
	rpc_server_limits(o->server, CONNS_MAX, IDLE_S, REQUEST_S, HANDLER_S);
	rpc_server_show_errors(o->server); // who holds the token may know why
	rpc_server_door(o->server, at_the_door, NULL, o);
	if (rpc_server_header(o->server, header) ||
	    rpc_server_mount(o->server, "/prpc", "Onboard.", methods, sizeof methods / sizeof *methods, o) ||
	    rpc_server_raw(o->server, "/", page, o) || rpc_server_raw(o->server, "/health", health, o) ||
	    rpc_server_raw(o->server, "/finish", raw_finish, o))
		return err_set(e, ERR_SYSTEM, "out of memory");
	return 0;
}

int onboard_start(struct onboard *o, struct event_base *base, struct err *e)
{
	const struct kms_config *c = o->config;

	if (!*c->onboard_token_file && !*c->onboard_htpasswd_file)
		return err_code(e, ERR_INPUT, "setup.token",
				"neither core.onboard.token_file nor core.onboard.htpasswd_file is set: "
				"without a token anyone could set this KMS up");
	o->base = base;
	o->auth = admin_auth_new(c->onboard_token_file, c->onboard_htpasswd_file, e);
	if (!o->auth)
		return err_wrap(e, "set-up");
	o->server = rpc_server_new(base);
	int rc = o->server ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
	if (rc || mount(o, e) || rpc_server_listen(o->server, c->onboard_address, NULL, 0, e))
		return err_wrap(e, "set-up listener");
	log_info("kms", "waiting to be set up address=%s", c->onboard_address);
	return 0;
}

void onboard_stop(struct onboard *o)
{
	rpc_server_free(o->server);
	admin_auth_free(o->auth);
	o->server = NULL;
	o->auth = NULL;
}
