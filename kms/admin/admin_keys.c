// Admin methods over epochs and revocations. Each is recorded in the audit log before it holds, and answers
// when nothing decided before it can leave any more.
#include <string.h>

#include "base/strings.h"
#include "kms.pb-c.h"
#include "../service/service.h"

static int answer(struct service *s, struct arena *a, Kms__KeyPolicy *out, struct err *e)
{
	auto_sb b = { 0 };

	if (keyrules_document(&s->rules, &b, &out->version, &out->audit_seq, e))
		return -1;
	out->document = arena_str(a, b.p);
	return out->document ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

int kms_admin_key_policy(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	(void)in;
	// Who changed the policy file and then asks this knows that the change holds for all answers.
	return service_settled(rpc_arg(call), e) || answer(rpc_arg(call), rpc_arena(call), out, e) ? -1 : 0;
}

// The app of a request: NULL for all others.
static int app_of(ProtobufCBinaryData b, const uint8_t **app, struct err *e)
{
	*app = b.len ? b.data : NULL;
	return b.len && b.len != APP_ID ? err_code(e, ERR_INPUT, "kms.app_id", "app_id must be 20 bytes") : 0;
}

struct turn {
	struct keypolicy_turn t;
	uint32_t sets;
};

static int rotate(struct keypolicy *p, void *arg, struct err *e)
{
	const struct turn *r = arg;

	if (r->t.has_root && r->t.root >= r->sets)
		return err_code(e, ERR_ABSENT, "kms.no_root_set", "this KMS has no root set %u", r->t.root);
	return keypolicy_rotate(p, &r->t, e);
}

int kms_admin_rotate(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	const Kms__RotateEpochRequest *q = in;
	struct turn r = { .t = { .now = kms_audit_now(&s->audit),
				 .overlap_s = q->overlap_s,
				 .move_legacy = q->move_legacy,
				 .has_root = q->opt_root_case == KMS__ROTATE_EPOCH_REQUEST__OPT_ROOT_ROOT,
				 .root = q->root },
			  .sets = atomic_load(&s->faces.n) };
	char what[200];
	int n;

	if (app_of(q->app_id, &r.t.app, e))
		return -1;
	n = snprintf(what, sizeof what, "new epoch, app=%s overlap_s=%llu legacy=%s",
		     r.t.app ? STR_HEX(r.t.app, APP_ID) : "all", (unsigned long long)r.t.overlap_s,
		     r.t.move_legacy ? "moved" : "kept");
	if (r.t.has_root)
		snprintf(what + n, sizeof what - (size_t)n, " root=%u", r.t.root);
	return keyrules_change(&s->rules, rotate, &r, what, e) || answer(s, rpc_arena(call), out, e) ? -1 : 0;
}

struct ending {
	const uint8_t *app;
	uint64_t epoch, at;
	enum keypolicy_kind kind;
	struct span value;
	const char *reason;
	bool lift;
};

static int end_epoch(struct keypolicy *p, void *arg, struct err *e)
{
	const struct ending *r = arg;

	return keypolicy_end_epoch(p, r->app, r->epoch, r->at, e);
}

static int revoke(struct keypolicy *p, void *arg, struct err *e)
{
	const struct ending *r = arg;

	return r->lift ? keypolicy_restore(p, r->kind, r->value, e)
		       : keypolicy_revoke(p, r->kind, r->value, r->at, r->reason, e);
}

int kms_admin_revoke(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	const Kms__RevokeRequest *q = in;
	struct ending r = { .epoch = q->epoch,
			    .at = kms_audit_now(&s->audit),
			    .value = span_of(q->value.data, q->value.len),
			    .reason = q->reason,
			    .lift = q->lift };
	bool epoch = !strcmp(q->kind, "epoch");
	uint8_t cert[KEYPOLICY_VALUE_MAX];
	char what[200];

	if (q->opt_at_case == KMS__REVOKE_REQUEST__OPT_AT_AT && q->at > r.at)
		r.at = q->at;
	if (app_of(q->app_id, &r.app, e))
		return -1;
	if (!epoch && !keypolicy_kind_read(q->kind, &r.kind))
		return err_code(e, ERR_INPUT, "keypolicy.value",
				"kind %s is none of app, compose, device, image, cert, epoch",
				STR_QZ(q->kind));
	if (!epoch && r.kind == KEYPOLICY_CERT) {
		if (keypolicy_cert_value(r.app, r.value, cert, e))
			return -1;
		r.value = span_of(cert, sizeof cert);
	}
	if (epoch && r.lift)
		return err_code(e, ERR_INPUT, "keypolicy.value", "the end of an epoch is not taken back");
	if (epoch)
		snprintf(what, sizeof what, "end epoch %llu, app=%s at=%llu", (unsigned long long)r.epoch,
			 r.app ? STR_HEX(r.app, APP_ID) : "all", (unsigned long long)r.at);
	else
		snprintf(what, sizeof what, "%s %s %s at=%llu", r.lift ? "restore" : "revoke", q->kind,
			 r.value.n <= sizeof cert ? STR_HEX(r.value.p, r.value.n) : "",
			 (unsigned long long)r.at);
	return keyrules_change(&s->rules, epoch ? end_epoch : revoke, &r, what, e) ||
			       answer(s, rpc_arena(call), out, e)
		       ? -1
		       : 0;
}
