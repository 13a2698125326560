#include "audit/record.h"

#include <string.h>

#include "core/codec/json.h"

static const char *const names[AUDIT_EVENTS] = {
	[AUDIT_CREATED] = "log-created", [AUDIT_START] = "start",          [AUDIT_KEYS] = "key-release",
	[AUDIT_CERT] = "sign-cert",      [AUDIT_ROOTS] = "kms-handover",   [AUDIT_POLICY] = "policy-change",
	[AUDIT_ADMIN] = "admin",         [AUDIT_ROTATE] = "root-rotation", [AUDIT_CRL] = "sign-crl",
	[AUDIT_PEER] = "audit-peer",
};

const char *audit_event_name(uint32_t event)
{
	return event < AUDIT_EVENTS ? names[event] : "";
}

static void clean_text(char *s, size_t cap)
{
	s[cap - 1] = 0;
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e)
			*s = '?';
}

static void clean_flag(void *flag)
{
	uint8_t b;

	memcpy(&b, flag, 1);
	b = b != 0;
	memcpy(flag, &b, 1);
}

static void clean_boot(struct boot_info *b)
{
	clean_text(b->tee_variant, sizeof b->tee_variant);
	clean_text(b->anchor, sizeof b->anchor);
	clean_text(b->tcb_status, sizeof b->tcb_status);
	clean_flag(&b->has_os_image_hash);
	clean_flag(&b->has_app_id);
	clean_flag(&b->has_compose_hash);
	clean_flag(&b->has_instance_id);
	if (b->key_provider_info_n > sizeof b->key_provider_info)
		b->key_provider_info_n = 0;
	if (b->n_advisory_ids > BOOT_ADVISORIES_MAX)
		b->n_advisory_ids = BOOT_ADVISORIES_MAX;
	for (size_t i = 0; i < b->n_advisory_ids; i++)
		clean_text(b->advisory_ids[i], sizeof b->advisory_ids[i]);
}

void audit_entry_clean(struct audit_entry *x)
{
	if (x->event >= AUDIT_EVENTS)
		x->event = AUDIT_ADMIN;
	if (x->n_epochs > AUDIT_EPOCHS_MAX)
		x->n_epochs = AUDIT_EPOCHS_MAX;
	if (x->n_roots > AUDIT_EPOCHS_MAX)
		x->n_roots = AUDIT_EPOCHS_MAX;
	clean_flag(&x->ok);
	clean_flag(&x->has_boot);
	clean_flag(&x->has_key);
	clean_flag(&x->has_evidence);
	clean_flag(&x->has_digest);
	clean_flag(&x->has_seed);
	clean_flag(&x->has_serial);
	clean_text(x->source, sizeof x->source);
	clean_text(x->code, sizeof x->code);
	clean_text(x->reason, sizeof x->reason);
	if (x->has_boot)
		clean_boot(&x->boot);
}

static void put_dec(struct wr *w, const char *key, uint64_t v)
{
	wr_str(w, key);
	wr_dec(w, v);
}

static void put_hex(struct wr *w, const char *key, const uint8_t *p, bool has)
{
	wr_str(w, key);
	wr_json_hex(w, p, has ? 32 : 0);
}

static void put_text(struct wr *w, const char *key, const char *s)
{
	wr_str(w, key);
	wr_json(w, span_str(s));
}

void audit_record_write(struct wr *w, const struct audit_record *r)
{
	const struct audit_entry *x = &r->entry;

	put_dec(w, "{\"seq\":", r->seq);
	put_dec(w, ",\"time\":", r->time);
	put_text(w, ",\"event\":", audit_event_name(x->event));
	wr_str(w, x->ok ? ",\"ok\":true" : ",\"ok\":false");
	put_text(w, ",\"code\":", x->code);
	put_text(w, ",\"reason\":", x->reason);
	put_text(w, ",\"source\":", x->source);
	wr_str(w, ",\"epochs\":[");
	for (uint32_t i = 0; i < x->n_epochs; i++)
		put_dec(w, i ? "," : "", x->epochs[i]);
	for (uint32_t i = 0; i < x->n_roots; i++)
		put_dec(w, i ? "," : "],\"roots\":[", x->roots[i]);
	put_hex(w, "],\"seed\":", x->seed, x->has_seed);
	put_hex(w, ",\"key\":", x->key, x->has_key);
	put_hex(w, ",\"evidence\":", x->evidence, x->has_evidence);
	put_hex(w, ",\"digest\":", x->digest, x->has_digest);
	if (x->has_serial) { // not in records of before
		wr_str(w, ",\"serial\":");
		wr_json_hex(w, x->serial, sizeof x->serial);
		put_dec(w, ",\"not_after\":", x->not_after);
	}
	put_dec(w, ",\"skipped\":", x->skipped);
	put_text(w, ",\"anchor\":", x->has_boot ? x->boot.anchor : "");
	wr_str(w, ",\"boot\":");
	if (x->has_boot)
		boot_info_write_json(w, &x->boot);
	else
		wr_str(w, "null");
	put_hex(w, ",\"prev\":", r->prev, true);
	wr_u8(w, '}');
}

enum {
	SEQ,
	TIME,
	EVENT,
	OK,
	CODE,
	REASON,
	SOURCE,
	EPOCHS,
	SEED,
	KEY,
	EVIDENCE,
	DIGEST,
	SKIPPED,
	ANCHOR,
	BOOT,
	PREV,
	N
};

static bool get_hash(struct json v, uint8_t *out, uint8_t *has)
{
	*has = json_string_size(v) != 0;
	return !json_hex(v, out, *has ? 32 : 0);
}

static bool get_part(struct json boot, const char *name, uint8_t *out, size_t n, bool *has)
{
	struct json v;

	if (!json_get(boot, name, &v))
		return false;
	if (has)
		*has = json_string_size(v) != 0;
	return !json_hex(v, out, has && !*has ? 0 : n);
}

static bool get_text(struct json boot, const char *name, char *out, size_t cap)
{
	struct json v;

	return json_get(boot, name, &v) && !json_cstr(v, out, cap);
}

static bool read_provider(struct json boot, struct boot_info *b)
{
	struct json v;

	if (!json_get(boot, "keyProviderInfo", &v))
		return false;
	b->key_provider_info_n = json_string_size(v) / 2;
	return b->key_provider_info_n <= sizeof b->key_provider_info &&
	       !json_hex(v, b->key_provider_info, b->key_provider_info_n);
}

static bool read_boot(struct json v, struct boot_info *b)
{
	struct json list, one;

	if (!get_text(v, "teeVariant", b->tee_variant, sizeof b->tee_variant) ||
	    !get_part(v, "mrAggregated", b->mr_aggregated, 32, NULL) ||
	    !get_part(v, "osImageHash", b->os_image_hash, 32, &b->has_os_image_hash) ||
	    !get_part(v, "mrSystem", b->mr_system, 32, NULL) ||
	    !get_part(v, "appId", b->app_id, sizeof b->app_id, &b->has_app_id) ||
	    !get_part(v, "composeHash", b->compose_hash, 32, &b->has_compose_hash) ||
	    !get_part(v, "instanceId", b->instance_id, sizeof b->instance_id, &b->has_instance_id) ||
	    !get_part(v, "deviceId", b->device_id, 32, NULL) || !read_provider(v, b) ||
	    !get_text(v, "tcbStatus", b->tcb_status, sizeof b->tcb_status) ||
	    !json_get(v, "advisoryIds", &list))
		return false;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &one); b->n_advisory_ids++)
		if (b->n_advisory_ids == BOOT_ADVISORIES_MAX ||
		    json_cstr(one, b->advisory_ids[b->n_advisory_ids], sizeof b->advisory_ids[0]))
			return false;
	return true;
}

static bool read_event(struct json v, struct audit_entry *x)
{
	for (x->event = 0; x->event < AUDIT_EVENTS; x->event++)
		if (json_is(v, names[x->event]))
			return true;
	return false;
}

static bool read_epochs(struct json v, struct audit_entry *x)
{
	struct json one;

	for (struct json_iter it = json_iter(v); json_next(&it, NULL, &one); x->n_epochs++)
		if (x->n_epochs == AUDIT_EPOCHS_MAX || json_u64(one, UINT64_MAX, &x->epochs[x->n_epochs]))
			return false;
	return true;
}

// Only there when another set than the first is in it.
static bool read_roots(struct json all, struct audit_entry *x)
{
	struct json list, one;
	uint64_t r;

	if (!json_get(all, "roots", &list))
		return true;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &one); x->n_roots++) {
		if (x->n_roots == AUDIT_EPOCHS_MAX || json_u64(one, UINT32_MAX, &r))
			return false;
		x->roots[x->n_roots] = (uint32_t)r;
	}
	return true;
}

// Only there when a certificate was signed, and not in records of before.
static bool read_serial(struct json all, struct audit_entry *x)
{
	struct json serial, end;

	x->has_serial = json_get(all, "serial", &serial);
	return !x->has_serial ||
	       (json_get(all, "not_after", &end) && !json_hex(serial, x->serial, sizeof x->serial) &&
		!json_u64(end, UINT64_MAX, &x->not_after));
}

static bool read_entry(const struct json v[static N], struct audit_entry *x)
{
	bool ok;

	if (json_bool(v[OK], &ok))
		return false;
	x->ok = ok;
	x->has_boot = json_kind(v[BOOT]) == JSON_OBJECT;
	return read_event(v[EVENT], x) && !json_cstr(v[CODE], x->code, sizeof x->code) &&
	       !json_cstr(v[REASON], x->reason, sizeof x->reason) &&
	       !json_cstr(v[SOURCE], x->source, sizeof x->source) && read_epochs(v[EPOCHS], x) &&
	       get_hash(v[SEED], x->seed, &x->has_seed) && get_hash(v[KEY], x->key, &x->has_key) &&
	       get_hash(v[EVIDENCE], x->evidence, &x->has_evidence) &&
	       get_hash(v[DIGEST], x->digest, &x->has_digest) &&
	       !json_u64(v[SKIPPED], UINT64_MAX, &x->skipped) &&
	       !json_cstr(v[ANCHOR], x->boot.anchor, sizeof x->boot.anchor) &&
	       (!x->has_boot || read_boot(v[BOOT], &x->boot));
}

int audit_record_read(struct audit_record *r, struct span line, struct fault *f)
{
	static const char *const member[N] = { "seq",     "time",   "event", "ok",  "code",     "reason",
					       "source",  "epochs", "seed",  "key", "evidence", "digest",
					       "skipped", "anchor", "boot",  "prev" };
	uint8_t again[AUDIT_RECORD_MAX];
	struct wr w = wr_to(again, sizeof again);
	struct json all, v[N];

	*r = (struct audit_record){ 0 };
	if (line.n > AUDIT_RECORD_MAX)
		return fault_set(f, "audit.record", "a record is too long", 0);
	if (json_parse(&all, line, NULL) || json_pick(all, member, v, N) != N ||
	    json_u64(v[SEQ], UINT64_MAX, &r->seq) || json_u64(v[TIME], UINT64_MAX, &r->time) ||
	    json_hex(v[PREV], r->prev, sizeof r->prev) || !read_entry(v, &r->entry) ||
	    !read_roots(all, &r->entry) || !read_serial(all, &r->entry))
		return fault_set(f, "audit.record", "a record is malformed", 0);
	audit_entry_clean(&r->entry);
	audit_record_write(&w, r);
	if (w.bad || !span_eq(span_of(again, w.n), line))
		return fault_set(f, "audit.record", "a record is not in the one way of writing it", 0);
	return 0;
}
