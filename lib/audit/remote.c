#include "audit/remote.h"

#include <stdio.h>
#include <string.h>

#include "kms.pb-c.h"

static bool get_hash(ProtobufCBinaryData b, uint8_t *out, size_t n)
{
	if (b.len != n)
		return false;
	memcpy(out, b.data, n);
	return true;
}

static int head_of(const Kms__AuditHead *m, struct audit_head *h, struct err *e)
{
	*h = (struct audit_head){ .size = m->size, .time = m->time };
	if (!get_hash(m->log_id, h->log_id, sizeof h->log_id) ||
	    !get_hash(m->root, h->root, sizeof h->root) ||
	    !get_hash(m->k256_pubkey, h->signer, sizeof h->signer) ||
	    !get_hash(m->signature, h->signature, sizeof h->signature))
		return err_code(e, ERR_INPUT, "audit.head", "the KMS answered a malformed tree head");
	return 0;
}

static int path_of(const ProtobufCBinaryData *b, size_t n, struct merkle_path *p, struct err *e)
{
	p->n = n;
	for (size_t i = 0; n <= MERKLE_PATH_MAX && i < n; i++)
		if (!get_hash(b[i], p->hash[i], MERKLE_HASH))
			n = SIZE_MAX;
	return n > MERKLE_PATH_MAX
		       ? err_code(e, ERR_INPUT, "audit.proof", "the KMS answered a malformed proof")
		       : 0;
}

int audit_remote_head(struct rpc_client *c, struct arena *a, struct audit_head *h, struct err *e)
{
	Kms__AuditHead *m = NULL;

	return rpc_client_call(c, "GetAuditCheckpoint", NULL, &kms__audit_head__descriptor, a, (void **)&m,
			       e) ||
			       head_of(m, h, e)
		       ? -1
		       : 0;
}

int audit_remote_prove(struct rpc_client *c, struct arena *a, const struct audit_ask *x,
		       struct merkle_path *prefix, struct merkle_path *leaf, struct err *e)
{
	Kms__AuditProofRequest q = KMS__AUDIT_PROOF_REQUEST__INIT;
	Kms__AuditProof *m = NULL;

	q.size = x->size;
	if (x->has_seq) {
		q.opt_seq_case = KMS__AUDIT_PROOF_REQUEST__OPT_SEQ_SEQ;
		q.seq = x->seq;
	}
	if (x->has_first) {
		q.opt_first_size_case = KMS__AUDIT_PROOF_REQUEST__OPT_FIRST_SIZE_FIRST_SIZE;
		q.first_size = x->first_size;
	}
	if (rpc_client_call(c, "GetAuditProof", &q.base, &kms__audit_proof__descriptor, a, (void **)&m, e))
		return -1;
	return (x->has_first && path_of(m->consistency, m->n_consistency, prefix, e)) ||
			       (x->has_seq && path_of(m->inclusion, m->n_inclusion, leaf, e))
		       ? -1
		       : 0;
}

static int witness_of(const Kms__PeerCheckpoint *m, struct audit_witness *w, struct err *e)
{
	w->seen = m->seen;
	w->refused_at = m->refused_at;
	snprintf(w->name, sizeof w->name, "%s", m->name);
	snprintf(w->code, sizeof w->code, "%s", m->refused_code);
	w->has_head = m->head != NULL;
	w->has_refused = m->refused != NULL;
	return (m->head && head_of(m->head, &w->head, e)) ||
			       (m->refused && head_of(m->refused, &w->refused, e))
		       ? -1
		       : 0;
}

int audit_remote_peers(struct rpc_client *c, struct arena *a, struct audit_witness **out, size_t *n,
		       struct err *e)
{
	Kms__PeerCheckpoints *m = NULL;

	*n = 0;
	if (rpc_client_call(c, "GetPeerCheckpoints", NULL, &kms__peer_checkpoints__descriptor, a, (void **)&m,
			    e))
		return -1;
	if (m->n_peers > AUDIT_REMOTE_PEERS)
		return err_code(e, ERR_INPUT, "audit.witness", "the KMS says it keeps heads of %zu logs",
				m->n_peers);
	*out = arena_array(a, m->n_peers + 1, sizeof **out);
	if (!*out)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (; *n < m->n_peers; ++*n)
		if (witness_of(m->peers[*n], &(*out)[*n], e))
			return -1;
	return 0;
}
