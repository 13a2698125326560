#include "service.h"

#include <string.h>

#include "auth.pb-c.h"
#include "base/log.h"
#include "base/sb.h"
#include "base/strings.h"
#include "base/time.h"
#include "boot.h"
#include "policy/seal.h"

enum { BODY_MAX = 64 * 1024 };

struct question {
	struct rpc_call *call;
	struct policy_answer answer;
	char app[41];
	bool kms;
};

static char *text(struct rpc_call *call, const char *s)
{
	return arena_str(rpc_arena(call), s);
}

static int fill_epochs(struct rpc_call *call, Auth__Answer *out, const struct policy_epochs *p)
{
	struct arena *a = rpc_arena(call);
	Auth__KeyEpoch *k = arena_alloc(a, sizeof *k);
	Auth__Revocation *each = arena_array(a, POLICY_REVOKED_MAX, sizeof *each),
			 **list = arena_array(a, POLICY_REVOKED_MAX, sizeof *list);

	if (!k || !each || !list)
		return -1;
	auth__key_epoch__init(k);
	k->current = p->current;
	k->min = p->min;
	k->legacy = p->legacy;
	k->revocations = list;
	for (; k->n_revocations < p->n_revoked; k->n_revocations++) {
		list[k->n_revocations] = &each[k->n_revocations];
		auth__revocation__init(&each[k->n_revocations]);
		each[k->n_revocations].epoch = p->revoked[k->n_revocations].epoch;
		each[k->n_revocations].at = p->revoked[k->n_revocations].at;
	}
	out->keyepoch = k;
	return 0;
}

static int reply(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	const struct question *q = rpc_state(call);
	const struct policy_answer *a = &q->answer;
	Auth__Answer *answer = out;

	(void)in;
	answer->isallowed = !a->rc;
	answer->gatewayappid = text(call, a->gateway);
	answer->reason = text(call, a->rc ? a->err.text : "ok");
	answer->code = text(call, a->rc ? a->err.code : "");
	if (a->epochs.given && fill_epochs(call, answer, &a->epochs))
		return err_set(e, ERR_SYSTEM, "out of memory");
	log_info("auth", "%s %s app=%s source=%s%s%s", a->rc ? "denied" : "allowed", q->kms ? "kms" : "app",
		 q->app, STR_QZ(a->source), a->rc ? " code=" : "", a->rc ? a->err.code : "");
	return 0;
}

static void on_answer(void *arg, const struct policy_answer *a)
{
	struct question *q = arg;

	q->answer = *a;
	rpc_continue(q->call, reply);
}

static int ask(struct rpc_call *call, const void *in, void *out, enum policy_kind kind, struct err *e)
{
	struct question *q = arena_alloc(rpc_arena(call), sizeof *q);
	struct boot_info b;

	if (!q)
		return err_set(e, ERR_SYSTEM, "out of memory");
	q->call = call;
	q->kms = kind == POLICY_KMS;
	rpc_set_state(call, q);
	if (boot_read(&b, in, &q->answer.err)) {
		q->answer.rc = -1;
		return reply(call, in, out, e);
	}
	str_hex(q->app, b.app_id, sizeof b.app_id);
	policy_ask(rpc_arg(call), &b, kind, on_answer, q);
	return RPC_LATER;
}

static int ask_app(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	return ask(call, in, out, POLICY_APP, e);
}

static int ask_kms(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	return ask(call, in, out, POLICY_KMS, e);
}

// What this server says of itself, in upstream's members; an old KMS knows appAuthImplementation only.
static void describe(struct http_conn *c, void *arg)
{
	struct policy_info i;
	auto_sb b = { 0 };

	policy_info(arg, &i);
	sb_str(&b, "{\"status\":\"ok\"");
	sb_json_key(&b, "kmsContractAddr");
	sb_json_str(&b, i.contract);
	if (*i.rpc_url) {
		sb_json_key(&b, "ethRpcUrl");
		sb_json_str(&b, i.rpc_url);
	}
	sb_json_key(&b, "gatewayAppId");
	sb_json_str(&b, i.gateway);
	sb_json_key(&b, "chainId");
	sb_fmt(&b, "%llu", (unsigned long long)i.chain_id);
	sb_json_key(&b, "appImplementation");
	sb_json_str(&b, i.app_implementation);
	sb_json_key(&b, "appAuthImplementation");
	sb_json_str(&b, i.app_implementation);
	sb_chr(&b, '}');
	if (b.bad)
		http_reply(c, 500, "text/plain", "out of memory\n", 14);
	else
		http_reply(c, 200, "application/json", b.p, b.n);
}

static void health(struct http_conn *c, void *arg)
{
	(void)arg;
	http_reply(c, 200, "application/json", "{\"status\":\"ok\"}", 15);
}

// ---- seals

static struct span header_of(struct http_conn *c)
{
	const struct span *h = http_field(http_request(c), POLICY_SEAL_HEADER);

	return h ? *h : span_of("", 0);
}

// Asking takes a seal; what this server says of itself does not.
static int at_the_door(struct http_conn *c, void *arg, struct err *e)
{
	const struct http_head *h = http_request(c);
	char stamp[SEAL_STAMP];

	if (span_is(h->path, "/") || span_is(h->path, "/health"))
		return 0;
	if (span_is(h->method, "POST") &&
	    !policy_seal_check_question(arg, h->path, http_body(c), header_of(c), time_now(), stamp, e))
		return 0;
	if (!*e->code)
		err_code(e, ERR_DENIED, "auth.seal", "a question is a POST with a seal");
	log_warn("auth", "refused: %s peer=%s code=%s", e->text, http_peer(c)->text, e->code);
	return 401;
}

static int seal_answer(struct http_conn *c, struct span body, char *lines, void *arg)
{
	struct span h = header_of(c);
	size_t n = h.n > SEAL_HEX ? h.n - SEAL_HEX - 1 : 0; // the door has read it
	char stamp[SEAL_STAMP], seal[SEAL_HEX + 1];

	if (!n || n >= sizeof stamp)
		return -1;
	memcpy(stamp, h.p, n);
	stamp[n] = 0;
	if (!policy_seal_answer(arg, http_request(c)->path, stamp, body, seal))
		return -1;
	snprintf(lines, RPC_SEAL_LINES, POLICY_SEAL_HEADER ": %s\r\n", seal);
	return 0;
}

int service_mount(struct rpc_server *s, struct policy *p, const struct secret *seal)
{
	static const struct rpc_method methods[] = {
		{ "app", &auth__boot_info__descriptor, &auth__answer__descriptor, ask_app, true, BODY_MAX },
		{ "kms", &auth__boot_info__descriptor, &auth__answer__descriptor, ask_kms, true, BODY_MAX },
	};

	if (seal) {
		rpc_server_door(s, at_the_door, NULL, (void *)(uintptr_t)seal);
		rpc_server_seal(s, seal_answer, (void *)(uintptr_t)seal);
	}
	return rpc_server_mount(s, "/bootAuth", NULL, methods, sizeof methods / sizeof *methods, p) ||
			       rpc_server_raw(s, "/", describe, p) ||
			       rpc_server_raw(s, "/health", health, NULL)
		       ? -1
		       : 0;
}
