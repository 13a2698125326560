// What policy says: first about this KMS itself, then about who asks. Neither holds a thread while it waits.
#include "base/err.h"
#include "service.h"

static void on_decision(void *arg, const struct policy_answer *a)
{
	struct service_case *c = arg;

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

int service_ask(struct service *s, struct service_case *c, enum policy_kind kind, rpc_fn *next)
{
	c->kind = kind;
	return ask(s, c, next);
}

int service_ask_self(struct service *s, struct service_case *c, rpc_fn *next)
{
	c->only_self = true;
	return ask(s, c, next);
}

struct service_case *service_case_new(struct rpc_call *call, struct err *e)
{
	struct service_case *c = arena_alloc(rpc_arena(call), sizeof *c);

	if (c)
		c->call = call;
	else
		err_set(e, ERR_SYSTEM, "out of memory");
	return c;
}

int service_verdict(const struct service_case *c, const char *who, struct err *e)
{
	if (!c->answer.rc)
		return 0;
	*e = c->answer.err;
	return c->is_self ? -1 : err_wrap(e, "%sBoot denied", who);
}
