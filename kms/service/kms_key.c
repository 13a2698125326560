// GetKmsKey: the roots, for another KMS that the policy allows (spec 20 section 2.8, spec 70 KM-17).
#include <openssl/crypto.h>
#include <stddef.h>

#include "base/log.h"
#include "base/strings.h"
#include "kms.pb-c.h"
#include "service.h"

// The sets after the first, each with what GetMeta says of it.
static int fill_more(const struct service *s, struct arena *a, const struct keyproc_roots *r,
		     Kms__KmsKeyResponse *out, struct err *e)
{
	Kms__RootRotation **said = NULL;
	size_t n;

	if (faces_rotations(&s->faces, a, &said, &n, e))
		return -1;
	if (n + 1 != r->n)
		return err_set(e, ERR_AGAIN, "a root set is being made");
	out->roots = n ? arena_array(a, n, sizeof *out->roots) : NULL;
	for (size_t i = 0; i < n; i++) {
		Kms__RootSet *m = out->roots ? pb_new(&kms__root_set__descriptor, a) : NULL;
		if (!m)
			return err_set(e, ERR_SYSTEM, "out of memory");
		m->rotation = said[i];
		m->ca_key = arena_str(a, r->set[i + 1].ca);
		m->k256_key = pb_bytes(a, r->set[i + 1].k256, sizeof r->set[i + 1].k256);
		out->roots[out->n_roots++] = m;
	}
	return 0;
}

static int fill(struct arena *a, const struct keyproc_roots *r, Kms__KmsKeyResponse *out, struct err *e)
{
	Kms__KmsKeys *k = arena_alloc(a, sizeof *k);

	out->keys = arena_array(a, 1, sizeof *out->keys); // receivers insist on exactly one
	if (!k || !out->keys)
		return err_set(e, ERR_SYSTEM, "out of memory");
	kms__kms_keys__init(k);
	k->ca_key = arena_str(a, r->set[0].ca);
	k->k256_key = pb_bytes(a, r->set[0].k256, sizeof r->set[0].k256);
	out->temp_ca_key = arena_str(a, r->temp_ca);
	out->keys[0] = k;
	out->n_keys = 1;
	return arena_bad(a) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

int service_kms_key(struct rpc_call *call, void *out, bool *recorded, struct err *e)
{
	struct service *s = rpc_arg(call);
	const struct service_case *c = rpc_state(call);
	const struct boot_info *b = &c->r.boot;
	Kms__KmsKeyResponse *m = out;
	struct keyproc_roots roots;
	struct audit_entry x;

	service_entry(call, c, &x);
	*recorded = true;
	if (keyproc_export(s->keys, &x, &roots, e))
		return -1;
	auto_sb rules = { 0 };
	uint64_t version, seq;
	int rc = keyrules_document(&s->rules, &rules, &version, &seq, e) ||
		 fill_more(s, rpc_arena(call), &roots, m, e) || fill(rpc_arena(call), &roots, m, e);
	m->audit_seq = roots.seq;
	m->key_policy = rules.p ? arena_str(rpc_arena(call), rules.p) : m->key_policy;
	OPENSSL_cleanse(&roots, offsetof(struct keyproc_roots, seq));
	if (!rc)
		log_warn("kms",
			 "roots handed over to another KMS mr_aggregated=%s device=%s peer=%s policy=%s "
			 "record=%llu",
			 STR_HEX(b->mr_aggregated, 32), STR_HEX(b->device_id, 32), rpc_peer(call)->text,
			 STR_QZ(c->answer.source), (unsigned long long)roots.seq);
	return rc;
}
