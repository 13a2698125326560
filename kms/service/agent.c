#include "agent.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/attest/envelope.h"
#include "guest.pb-c.h"
#include "ratls/images.h"
#include "rpc/client.h"

enum { CONNECT_S = 5, ANSWER_S = 30, REPLY_MAX = 4 << 20, EVENTS_MAX = 1024 };

static struct rpc_client *dial(const char *address, struct err *e)
{
	struct rpc_client_opts o = { .connect_s = CONNECT_S, .timeout_s = ANSWER_S, .reply_max = REPLY_MAX };

	if (!*address) {
		err_code(e, ERR_ABSENT, "kms.no_agent", "no guest agent gives evidence of this KMS");
		return NULL;
	}
	return rpc_client_new(address, &o, e);
}

int agent_attest(const char *address, const uint8_t report_data[static AGENT_REPORT_DATA], uint8_t **out,
		 size_t *n, struct err *e)
{
	auto_arena *a = arena_new(0);
	auto_rpc_client *c = a ? dial(address, e) : NULL;
	Guest__RawQuoteArgs in = GUEST__RAW_QUOTE_ARGS__INIT;
	Guest__AttestResponse *got = NULL;

	if (!a)
		return err_set(e, ERR_SYSTEM, "out of memory");
	in.report_data.data = (uint8_t *)(uintptr_t)report_data;
	in.report_data.len = AGENT_REPORT_DATA;
	if (!c ||
	    rpc_client_call(c, "Attest", &in.base, &guest__attest_response__descriptor, a, (void **)&got, e))
		return err_wrap(e, "guest agent");
	*out = malloc(got->attestation.len + 1);
	if (!*out)
		return err_set(e, ERR_SYSTEM, "out of memory");
	memcpy(*out, got->attestation.data, got->attestation.len);
	*n = got->attestation.len;
	return 0;
}

struct strip_room {
	struct envelope env;
	struct event log[EVENTS_MAX], runtime[EVENTS_MAX];
};

static int strip(struct span in, uint8_t **out, size_t *n, struct err *e)
{
	auto_free struct strip_room *r = calloc(1, sizeof *r);
	auto_free uint8_t *scratch = malloc(2 * in.n + 1);
	auto_free uint8_t *p = malloc(in.n + 1);
	struct wr w = wr_to(p, in.n), more = wr_to(scratch, 2 * in.n);
	struct fault f = { 0 };

	if (!r || !scratch || !p)
		return err_set(e, ERR_SYSTEM, "out of memory");
	r->env.log = (struct eventlog){ .e = r->log, .cap = EVENTS_MAX };
	r->env.runtime = (struct eventlog){ .e = r->runtime, .cap = EVENTS_MAX };
	if (envelope_read(&r->env, &more, in, &f))
		return err_fault(e, ERR_INPUT, &f);
	envelope_strip(&r->env);
	if (envelope_write(&w, &r->env, &f))
		return err_fault(e, ERR_INPUT, &f);
	if (w.bad)
		return err_set(e, ERR_BUG, "stripped evidence is larger than the evidence");
	*n = w.n;
	*out = TAKE(p);
	return 0;
}

int agent_attest_stripped(void *arg, const uint8_t report_data[static AGENT_REPORT_DATA], uint8_t **out,
			  size_t *n, struct err *e)
{
	auto_free uint8_t *whole = NULL;
	size_t whole_n = 0;

	if (agent_attest(arg, report_data, &whole, &whole_n, e))
		return -1;
	return strip(span_of(whole, whole_n), out, n, e) ? err_wrap(e, "guest agent's evidence") : 0;
}

int agent_vm_config(const char *address, char **out, struct err *e)
{
	auto_arena *a = arena_new(0);
	auto_rpc_client *c = a ? dial(address, e) : NULL;
	Guest__AppInfo *got = NULL;

	if (!a)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (!c || rpc_client_call(c, "Info", NULL, &guest__app_info__descriptor, a, (void **)&got, e))
		return err_wrap(e, "guest agent");
	*out = strdup(got->vm_config);
	return *out ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}
