#include "handover_gate.h"

#include <string.h>

#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "kms.pb-c.h"
#include "service.h"

void handover_gate_init(struct handover_gate *g, bool closed)
{
	*g = (struct handover_gate){ .closed = closed };
	pthread_mutex_init(&g->lock, NULL);
}

void handover_gate_open(struct handover_gate *g, const uint8_t mr[static HANDOVER_MR], uint64_t seconds)
{
	pthread_mutex_lock(&g->lock);
	memcpy(g->mr, mr, HANDOVER_MR);
	g->until_ms = seconds ? time_mono_ms() + seconds * 1000 : 0;
	pthread_mutex_unlock(&g->lock);
}

int handover_gate_take(struct handover_gate *g, const uint8_t mr[static HANDOVER_MR], struct err *e)
{
	if (!g->closed)
		return 0;
	pthread_mutex_lock(&g->lock);
	bool open = g->until_ms > time_mono_ms() && !memcmp(g->mr, mr, HANDOVER_MR);
	if (open)
		g->until_ms = 0;
	pthread_mutex_unlock(&g->lock);
	return open ? 0
		    : err_code(e, ERR_DENIED, "kms.handover_closed",
			       "no administrator has opened the handover of the roots for the KMS %s",
			       STR_HEX(mr, HANDOVER_MR));
}

// Recorded before it holds. Closing needs no record: it gives nothing.
int kms_admin_open_handover(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	const Kms__OpenHandoverRequest *q = in;
	Kms__OpenHandoverResponse *a = out;
	char what[160];

	if (q->mr_aggregated.len != HANDOVER_MR || q->seconds > HANDOVER_GATE_MAX_S)
		return err_code(e, ERR_INPUT, "kms.handover_request",
				"mr_aggregated must be %d bytes, seconds at most %d", HANDOVER_MR,
				HANDOVER_GATE_MAX_S);
	if (!s->config->keys.handover)
		return err_code(e, ERR_DENIED, "kms.no_handover",
				"this KMS gives its roots to no other: core.handover is not set");
	snprintf(what, sizeof what, "handover of the roots opened for mr_aggregated=%s seconds=%u",
		 STR_HEX(q->mr_aggregated.data, HANDOVER_MR), q->seconds);
	if (q->seconds && kms_audit_change(&s->audit, AUDIT_ADMIN, NULL, what, &a->audit_seq, e))
		return -1;
	handover_gate_open(&s->gate, q->mr_aggregated.data, q->seconds);
	if (q->seconds)
		log_warn("kms", "%s", what);
	return 0;
}
