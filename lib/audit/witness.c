#include "audit/witness.h"

#include <stdio.h>
#include <string.h>

#include "base/strings.h"
#include "core/codec/json.h"

bool audit_witness_needs_proof(const struct audit_witness *w, const struct audit_head *now)
{
	return w->has_head && now->size > w->head.size;
}

static int forked(const struct audit_head *kept, const struct audit_head *now, struct err *e)
{
	return err_code(e, ERR_UNTRUSTED, "audit.fork",
			"the head of %llu records, signed at %llu, does not go on from that of %llu: two "
			"different logs were shown",
			(unsigned long long)now->size, (unsigned long long)now->time,
			(unsigned long long)kept->size);
}

int audit_heads_agree(const struct audit_head *kept, const struct audit_head *now, struct err *e)
{
	if (memcmp(kept->log_id, now->log_id, sizeof now->log_id) != 0)
		return err_code(e, ERR_UNTRUSTED, "audit.other_log", "the head is of log %s, not of log %s",
				STR_HEX(now->log_id, 32), STR_HEX(kept->log_id, 32));
	if (now->size < kept->size)
		return err_code(e, ERR_UNTRUSTED, "audit.truncated",
				"the log has %llu records, but a head of %llu was signed earlier",
				(unsigned long long)now->size, (unsigned long long)kept->size);
	if (now->size == kept->size && memcmp(now->root, kept->root, sizeof now->root) != 0)
		return forked(kept, now, e);
	if (now->time < kept->time)
		return err_code(e, ERR_UNTRUSTED, "audit.time",
				"the head of %llu records is older than that of %llu",
				(unsigned long long)now->size, (unsigned long long)kept->size);
	return 0;
}

int audit_witness_take(struct audit_witness *w, const struct audit_head *now, const uint8_t *signer,
		       const struct merkle_path *p, uint64_t now_ms, struct err *e)
{
	if (audit_head_check(now, signer, e))
		return -1;
	if (!now->size)
		return err_code(e, ERR_INPUT, "audit.head", "a log has at least one record");
	if (w->has_head && audit_heads_agree(&w->head, now, e))
		return -1;
	if (audit_witness_needs_proof(w, now) &&
	    (!p || !merkle_holds_prefix(w->head.root, w->head.size, now->root, now->size, p)))
		return forked(&w->head, now, e);
	w->head = *now;
	w->has_head = true;
	w->seen = now_ms;
	return 0;
}

bool audit_witness_refuse(struct audit_witness *w, const struct audit_head *now, const char *code,
			  uint64_t now_ms)
{
	bool known = !strcmp(w->code, code) && w->has_refused == (now != NULL) &&
		     (!now || !memcmp(w->refused.root, now->root, sizeof now->root));

	snprintf(w->code, sizeof w->code, "%s", code);
	w->refused_at = now_ms;
	w->has_refused = now != NULL;
	w->refused = now ? *now : (struct audit_head){ 0 };
	return !known;
}

static void write_head(struct wr *w, const char *name, bool has, const struct audit_head *h)
{
	wr_str(w, name);
	if (has)
		audit_head_write(w, h);
	else
		wr_str(w, "null");
}

void audit_witness_write(struct wr *w, const struct audit_witness *x)
{
	wr_str(w, "{\"name\":");
	wr_json(w, span_str(x->name));
	write_head(w, ",\"head\":", x->has_head, &x->head);
	wr_str(w, ",\"seen\":");
	wr_dec(w, x->seen);
	wr_str(w, ",\"refused_code\":");
	wr_json(w, span_str(x->code));
	wr_str(w, ",\"refused_at\":");
	wr_dec(w, x->refused_at);
	write_head(w, ",\"refused\":", x->has_refused, &x->refused);
	wr_str(w, "}");
}

static bool read_head(struct json v, struct audit_head *h, bool *has)
{
	struct err ignored;

	*has = json_kind(v) != JSON_NULL;
	return !*has || (json_kind(v) == JSON_OBJECT && !audit_head_read(h, v.text, &ignored));
}

static bool is_code(const char *s)
{
	for (; *s; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && *s != '.' && *s != '_')
			return false;
	return true;
}

int audit_witness_read(struct audit_witness *x, struct span text, struct err *e)
{
	static const char *const member[] = {
		"name", "head", "seen", "refused_code", "refused_at", "refused"
	};
	enum { N = sizeof member / sizeof *member };
	struct json all, v[N];

	*x = (struct audit_witness){ 0 };
	if (json_parse(&all, text, NULL) || json_pick(all, member, v, N) != N ||
	    json_cstr(v[0], x->name, sizeof x->name) || !read_head(v[1], &x->head, &x->has_head) ||
	    json_u64(v[2], UINT64_MAX, &x->seen) || json_cstr(v[3], x->code, sizeof x->code) ||
	    !is_code(x->code) || json_u64(v[4], UINT64_MAX, &x->refused_at) ||
	    !read_head(v[5], &x->refused, &x->has_refused))
		return err_code(e, ERR_INPUT, "audit.witness",
				"not what a KMS keeps of another's log: a JSON object with name, head, seen, "
				"refused_code, refused_at, refused");
	return 0;
}
