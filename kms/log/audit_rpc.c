// Proofs over RPC: anyone may ask for the signed head and for paths; only an operator for records.
#include "kms.pb-c.h"
#include "../service/service.h"

enum { RECORDS_MAX = 256 };

struct Kms__AuditHead *kms_audit_head_message(struct arena *a, const struct audit_head *h)
{
	Kms__AuditHead *m = pb_new(&kms__audit_head__descriptor, a);

	if (!m)
		return NULL;
	m->log_id = pb_bytes(a, h->log_id, sizeof h->log_id);
	m->size = h->size;
	m->root = pb_bytes(a, h->root, sizeof h->root);
	m->time = h->time;
	m->k256_pubkey = pb_bytes(a, h->signer, sizeof h->signer);
	m->signature = pb_bytes(a, h->signature, sizeof h->signature);
	return m;
}

// The head, signed by the set of the address it is asked at, and the view read up to it.
static int head_now(struct service *s, const struct rpc_call *call, struct audit_head *h, struct err *e)
{
	uint64_t bytes;

	return keyproc_head(s->keys, face_of(&s->faces, call)->root, h, &bytes, e) ||
			       audit_view_extend(s->audit.view, bytes, e)
		       ? -1
		       : 0;
}

int kms_audit_checkpoint(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	Kms__AuditHead *m;
	struct audit_head h;
	uint64_t bytes;

	(void)in;
	if (service_check_shown(s, call, e) ||
	    keyproc_head(s->keys, face_of(&s->faces, call)->root, &h, &bytes, e))
		return -1;
	m = kms_audit_head_message(rpc_arena(call), &h);
	if (!m || arena_bad(rpc_arena(call)))
		return err_set(e, ERR_SYSTEM, "out of memory");
	*(Kms__AuditHead *)out = *m;
	return 0;
}

static int put_path(struct arena *a, const struct merkle_path *p, ProtobufCBinaryData **out, size_t *n)
{
	*out = arena_array(a, p->n + 1, sizeof **out);
	*n = *out ? p->n : 0;
	for (size_t i = 0; i < *n; i++)
		(*out)[i] = pb_bytes(a, p->hash[i], MERKLE_HASH);
	return *out ? 0 : -1;
}

static int prove(struct service *s, struct arena *a, const Kms__AuditProofRequest *q, Kms__AuditProof *m,
		 struct err *e)
{
	struct audit_view *v = s->audit.view;
	struct merkle_path p;
	merkle_hash h;

	if (audit_view_root(v, m->size, h, e))
		return -1;
	m->root = pb_bytes(a, h, sizeof h);
	if (q->opt_seq_case == KMS__AUDIT_PROOF_REQUEST__OPT_SEQ_SEQ) {
		if (audit_view_prove_leaf(v, m->size, q->seq, &p, e) || audit_view_leaf(v, q->seq, h, e))
			return -1;
		m->leaf_hash = pb_bytes(a, h, sizeof h);
		if (put_path(a, &p, &m->inclusion, &m->n_inclusion))
			return err_set(e, ERR_SYSTEM, "out of memory");
	}
	if (q->opt_first_size_case == KMS__AUDIT_PROOF_REQUEST__OPT_FIRST_SIZE_FIRST_SIZE) {
		if (audit_view_prove_prefix(v, q->first_size, m->size, &p, e) ||
		    audit_view_root(v, q->first_size, h, e))
			return -1;
		m->first_root = pb_bytes(a, h, sizeof h);
		if (put_path(a, &p, &m->consistency, &m->n_consistency))
			return err_set(e, ERR_SYSTEM, "out of memory");
	}
	return 0;
}

int kms_audit_proof(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	const Kms__AuditProofRequest *q = in;
	Kms__AuditProof *m = out;
	struct audit_head h;

	if (service_check_shown(s, call, e) || head_now(s, call, &h, e))
		return -1;
	m->size = q->size ? q->size : h.size;
	if (m->size > h.size)
		return err_code(e, ERR_INPUT, "audit.range", "the log has %llu records, not %llu",
				(unsigned long long)h.size, (unsigned long long)m->size);
	m->head = kms_audit_head_message(rpc_arena(call), &h);
	if (prove(s, rpc_arena(call), q, m, e))
		return -1;
	return m->head && !arena_bad(rpc_arena(call)) ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

struct lines {
	struct arena *a;
	Kms__AuditLog *m;
};

static int add_line(void *arg, struct span line, struct err *e)
{
	struct lines *l = arg;
	char *text = arena_dup(l->a, line.p, line.n);

	if (!text)
		return err_set(e, ERR_SYSTEM, "out of memory");
	l->m->records[l->m->n_records++] = text;
	return 0;
}

int kms_audit_log(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	const Kms__AuditLogRequest *q = in;
	struct lines l = { rpc_arena(call), out };
	struct audit_head h;

	if (head_now(s, call, &h, e))
		return -1;
	l.m->size = h.size;
	l.m->records = arena_array(l.a, RECORDS_MAX, sizeof *l.m->records);
	if (!l.m->records)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return audit_view_records(s->audit.view, q->from,
				  q->max && q->max < RECORDS_MAX ? q->max : RECORDS_MAX, add_line, &l, e);
}
