// What policy says: first about this KMS itself, then about who asks. Neither holds a thread while it waits.
#include <string.h>

#include "base/log.h"
#include "base/time.h"
#include "service.h"

enum { SETTLE_S = 30 };

static void answered(struct service *s, const struct err *e, uint64_t asked_us)
{
	bool up = !e || ((e->class == ERR_DENIED || e->class == ERR_INPUT) &&
			 strcmp(e->code, "policy.unavailable"));

	metrics_policy(&s->metrics, e, time_mono_us() - asked_us);
	atomic_store(&s->policy_state, up ? POLICY_STATE_ANSWERS : POLICY_STATE_UNAVAILABLE);
}

static void on_decision(void *arg, const struct policy_answer *a)
{
	struct service_case *c = arg;

	answered(rpc_arg(c->call), a->rc ? &a->err : NULL, c->asked_us);
	c->answer = *a;
	rpc_continue(c->call, c->next);
}

static void refuse_self(struct service_case *c, const struct err *why)
{
	c->is_self = true;
	c->answer.rc = self_refusal(&c->answer.err, why);
	rpc_continue(c->call, c->next);
}

static void on_self(void *arg, const struct policy_answer *a)
{
	struct service_case *c = arg;
	struct service *s = rpc_arg(c->call);

	answered(s, a->rc ? &a->err : NULL, c->asked_us);
	c->asked_us = time_mono_us();
	if (a->rc) {
		refuse_self(c, &a->err);
	} else if (c->only_self) {
		c->answer = *a;
		rpc_continue(c->call, c->next);
	} else {
		policy_ask(s->policy, &c->r.boot, c->kind, on_decision, c);
	}
}

static int ask(struct service *s, struct service_case *c, rpc_fn *next)
{
	struct boot_info own;
	struct err e = { 0 };

	c->next = next;
	c->asked_us = time_mono_us();
	rpc_set_state(c->call, c);
	if (!s->config->self_authorize) {
		if (c->only_self)
			rpc_continue(c->call, next);
		else
			policy_ask(s->policy, &c->r.boot, c->kind, on_decision, c);
	} else if (self_boot(&s->self, &own, &e)) {
		refuse_self(c, &e);
	} else {
		policy_ask(s->policy, &own, POLICY_KMS, on_self, c);
	}
	return RPC_LATER;
}

// Its answer is out, or there is none.
static void is_through(void *arg)
{
	struct service_case *c = arg;
	struct service *s = rpc_arg(c->call);

	keyrules_leave(&s->rules, &c->rules);
	gate_leave(&s->deciding, &c->pass);
}

int service_settled(struct service *s, struct err *e)
{
	gate_turn(&s->deciding);
	uint64_t n = gate_wait(&s->deciding, SETTLE_S);
	return n ? err_set(e, ERR_AGAIN, "%llu answers decided before are still being made",
			   (unsigned long long)n)
		 : 0;
}

int service_ask(struct service *s, struct service_case *c, enum policy_kind kind, rpc_fn *next)
{
	c->kind = kind;
	gate_enter(&s->deciding, &c->pass);
	rpc_on_end(c->call, is_through, c);
	return ask(s, c, next);
}

int service_ask_self(struct service *s, struct service_case *c, rpc_fn *next)
{
	c->only_self = true;
	return ask(s, c, next);
}

struct service_case *service_case_new(struct rpc_call *call, struct err *e)
{
	struct service_case *was = rpc_state(call); // the same stage again
	struct service_case *c = was ? was : arena_alloc(rpc_arena(call), sizeof *c);

	if (c)
		c->call = call;
	else
		err_set(e, ERR_SYSTEM, "out of memory");
	return c;
}

int service_verdict(const struct service_case *c, const char *who, struct err *e)
{
	const struct service *s = rpc_arg(c->call);

	// What was revoked since may be what the lost records revoked.
	if (kms_peers_rolled_back(s->peers))
		return err_code(
			e, ERR_DENIED, "audit.rolled_back",
			"this KMS's state folder was put back to an earlier one: a replica has a later "
			"head of its audit log");
	if (!c->answer.rc)
		return 0;
	*e = c->answer.err;
	return c->is_self ? -1 : err_wrap(e, "%sBoot denied", who);
}

void service_probe_policy(struct service *s)
{
	uint64_t asked_us = time_mono_us();
	struct boot_info own;
	struct err e = { 0 };

	if (!s->config->self_authorize || self_boot(&s->self, &own, &e))
		return;
	int rc = policy_allow(s->policy, &own, POLICY_KMS, &e);
	answered(s, rc ? &e : NULL, asked_us);
	if (rc)
		log_warn("kms", "the policy does not allow this KMS: %s code=%s", e.text, e.code);
}
