// RotateRoots: a new root set, born here and attested, in the log before any epoch hangs on it.
#include <stdlib.h>

#include "../service/agent.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "../service/service.h"
#include "../service/upkeep.h"

static int attest(const struct kms_config *c, const struct rotation *r, uint8_t **out, size_t *n,
		  struct err *e)
{
	uint8_t report_data[AGENT_REPORT_DATA];

	rotation_report_data(r->ca_spki, r->k256_pub, report_data);
	if (!*c->agent && c->insecure_development)
		return 0;
	return agent_attest_stripped((void *)(uintptr_t)c->agent, report_data, out, n, e);
}

// With the turn.
static int make(struct service *s, const struct face **out, uint64_t *seq, struct err *e)
{
	auto_free uint8_t *evidence = NULL;
	struct rotation made;
	size_t n = 0;

	if (self_allowed(&s->self, e) || keyproc_make_roots(s->keys, &made, e) ||
	    attest(s->config, &made, &evidence, &n, e) ||
	    keyproc_keep_roots(s->keys, &made, span_of(evidence, n), seq, e))
		return -1;
	if (upkeep_new_faces(s, e) || made.index >= atomic_load(&s->faces.n))
		return err_wrap(e, "root set %u is made and recorded, but not shown", made.index);
	*out = &s->faces.face[made.index];
	return 0;
}

int kms_admin_rotate_roots(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	Kms__RootRotation **all;
	const struct face *f = NULL;
	uint64_t seq = 0;
	size_t n;

	(void)in;
	pthread_mutex_lock(&s->faces.turn);
	int rc = make(s, &f, &seq, e);
	pthread_mutex_unlock(&s->faces.turn);
	if (rc)
		return err_wrap(e, "root rotation");
	log_warn("kms", "new root set set=%u k256_pubkey=%s record=%llu", f->root, STR_HEX(f->k256_pub, 33),
		 (unsigned long long)seq);
	if (faces_rotations(&s->faces, rpc_arena(call), &all, &n, e))
		return -1;
	*(Kms__RootRotation *)out = *all[f->root - 1];
	return 0;
}
