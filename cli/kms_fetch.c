// kms log of a KMS in a CVM, kept on this machine: every record up to a signed head, so that it can be
// verified when the KMS is gone (dstack kms log verify DIR).
#include "kms_fetch.h"

#include <stdio.h>
#include <string.h>

#include "audit/log.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"

enum { LOG_MAX = 512 << 20 };

static bool copy(uint8_t *out, size_t n, ProtobufCBinaryData b)
{
	if (b.len != n)
		return false;
	memcpy(out, b.data, n);
	return true;
}

// Over a connection under the stack's root.
static int ask_head(struct kms_site *j, const struct stack_kms *k, struct audit_head *h, struct err *e)
{
	char url[64], rpc[80];
	Kms__AuditHead *m;
	const struct rpc_client_opts o = { .timeout_s = 30, .ca_file = context_get(&j->vms.ctx, "kms_root") };

	kms_site_url(j, k, "127.0.0.1", url);
	snprintf(rpc, sizeof rpc, "%s/prpc", url);
	auto_rpc_client *c = rpc_client_new(rpc, &o, e);
	if (!c || rpc_client_call(c, "GetAuditCheckpoint", NULL, &kms__audit_head__descriptor, j->vms.arena,
				  (void **)&m, e))
		return -1;
	h->size = m->size;
	h->time = m->time;
	if (!copy(h->log_id, 32, m->log_id) || !copy(h->root, 32, m->root) ||
	    !copy(h->signer, 33, m->k256_pubkey) || !copy(h->signature, 65, m->signature))
		return err_code(e, ERR_INPUT, "audit.head", "the KMS answered a malformed tree head");
	return audit_head_check(h, NULL, e);
}

static int ask_records(struct kms_site *j, const struct stack_kms *k, uint64_t size, struct sb *out,
		       struct err *e)
{
	Kms__AuditLogRequest q = KMS__AUDIT_LOG_REQUEST__INIT;
	Kms__AuditLog *m;

	for (q.from = 0; q.from < size; q.from += m->n_records) {
		q.max = size - q.from;
		if (kms_site_ask(j, k, false, "GetAuditLog", &q.base, &kms__audit_log__descriptor,
				 (void **)&m, e))
			return -1;
		if (!m->n_records || m->n_records > size - q.from)
			return err_code(e, ERR_INPUT, "audit.range", "the KMS gave %zu records from %llu on",
					m->n_records, (unsigned long long)q.from);
		for (size_t i = 0; i < m->n_records; i++)
			sb_fmt(out, "%s\n", m->records[i]);
		progress_tick(&j->progress);
	}
	return out->bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

int kms_fetch_log(struct kms_site *j, const struct stack_kms *k, char dir[static PATH_MAX], struct err *e)
{
	char path[PATH_MAX + 32], text[AUDIT_HEAD_MAX + 1];
	struct wr w = wr_to(text, sizeof text);
	auto_sb records = { .max = LOG_MAX };
	struct audit_head h;

	if (ask_head(j, k, &h, e) || ask_records(j, k, h.size, &records, e))
		return err_wrap(e, "the audit log of %s", k->name);
	snprintf(dir, PATH_MAX, "%s/kms/logs/%.16s", j->vms.ctx.dir, STR_HEX(h.log_id, 32));
	audit_head_write(&w, &h);
	wr_u8(&w, '\n');
	if (w.bad)
		return err_set(e, ERR_BUG, "head too long");
	if (file_mkdirs(dir, 0700, e))
		return -1;
	snprintf(path, sizeof path, "%s/" AUDIT_LOG_NAME, dir);
	if (file_write(path, 0600, records.p, records.n, e))
		return -1;
	snprintf(path, sizeof path, "%s/" AUDIT_HEADS_NAME, dir);
	return file_write(path, 0600, text, w.n, e);
}
