#include "forge/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/codec/hex.h"
#include "core/codec/utc.h"
#include "forge/fields.h"

static int bad(struct err *e, const char *name, const char *want)
{
	return err_code(e, ERR_INPUT, "forge.recipe", "%s takes %s", STR_QZ(name), want);
}

static void *take_room(struct recipe *r, size_t n)
{
	if (n > RECIPE_ROOM - r->used)
		return NULL;
	void *p = r->room + r->used;
	r->used += n;
	return p;
}

// ---- values

static int read_text(struct recipe *r, struct json v, struct span *out)
{
	size_t n = json_string_size(v);
	uint8_t *p = json_kind(v) == JSON_STRING ? take_room(r, n + 1) : NULL;

	if (!p || json_string(v, p, n, &n))
		return -1;
	p[n] = 0;
	*out = span_of(p, n);
	return 0;
}

static int read_hex(struct recipe *r, struct json v, struct span *out)
{
	struct span hex;
	uint8_t *p;

	if (json_plain(v, &hex) || hex.n % 2 || !(p = take_room(r, hex.n / 2 + 1)) ||
	    (hex.n && hex_decode(p, hex.n / 2, hex)))
		return -1;
	*out = span_of(p, hex.n / 2);
	return 0;
}

static int read_time(struct json v, int64_t *out)
{
	struct span text;
	uint64_t t;

	if (!json_plain(v, &text) && !utc_rfc3339(text, &t)) {
		*out = (int64_t)t;
		return 0;
	}
	return json_i64(v, out);
}

static int name_of(struct json v, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (json_is(v, names[i]))
			return (int)i;
	return -1;
}

static int put_number(const struct field *d, uint8_t *at, struct json v, const char *name, struct err *e)
{
	static const struct {
		uint64_t max;
		const char *want;
	} form[] = { [FIELD_U8] = { 0xff, "a number to 255" },
		     [FIELD_U16] = { 0xffff, "a number to 65535" },
		     [FIELD_U32] = { 0xffffffff, "a number of 32 bits" },
		     [FIELD_U64] = { UINT64_MAX, "a number" },
		     [FIELD_LE16] = { 0xffff, "a number to 65535" },
		     [FIELD_LE32] = { 0xffffffff, "a number of 32 bits" } };
	uint64_t n;

	if (json_u64(v, form[d->form].max, &n))
		return bad(e, name, form[d->form].want);
	if (d->form == FIELD_U8)
		*at = (uint8_t)n;
	else if (d->form == FIELD_U16)
		*(uint16_t *)(void *)at = (uint16_t)n;
	else if (d->form == FIELD_U32)
		*(uint32_t *)(void *)at = (uint32_t)n;
	else if (d->form == FIELD_U64)
		*(uint64_t *)(void *)at = n;
	else
		for (size_t i = 0; i < d->n; i++)
			at[i] = (uint8_t)(n >> 8 * i);
	return 0;
}

static int put_value(struct recipe *r, const struct field *d, uint8_t *at, struct json v, const char *name,
		     struct err *e)
{
	struct span bytes = { 0 };
	int64_t n = 0;
	int i;

	switch (d->form) {
	case FIELD_INT:
		if (json_i64(v, &n) || n < -1 || n > 1 << 20)
			return bad(e, name, "a number from -1");
		*(int *)(void *)at = (int)n;
		return 0;
	case FIELD_LENGTH:
		if (json_kind(v) != JSON_NULL && (json_i64(v, &n) || n < 0))
			return bad(e, name, "a number, or null for the right one");
		*(int64_t *)(void *)at = json_kind(v) == JSON_NULL ? FORGE_AUTO : n;
		return 0;
	case FIELD_BOOL:
		return json_bool(v, (bool *)at) ? bad(e, name, "true or false") : 0;
	case FIELD_TIME:
		return read_time(v, (int64_t *)(void *)at) ? bad(e, name, "Unix seconds or an RFC 3339 time")
							   : 0;
	case FIELD_HEX:
		if (read_hex(r, v, &bytes) || bytes.n != d->n)
			return err_code(e, ERR_INPUT, "forge.recipe", "%s takes %zu bytes in hex",
					STR_QZ(name), d->n);
		memcpy(at, bytes.p, d->n);
		return 0;
	case FIELD_BYTES:
	case FIELD_STRING:
		if (json_kind(v) != JSON_NULL &&
		    (d->form == FIELD_BYTES ? read_hex(r, v, &bytes) : read_text(r, v, &bytes)))
			return bad(e, name,
				   d->form == FIELD_BYTES ? "bytes in hex, or null" : "a text, or null");
		*(struct span *)(void *)at = bytes;
		return 0;
	case FIELD_TEXT:
		if (json_kind(v) != JSON_NULL && read_text(r, v, &bytes))
			return bad(e, name, "a text, or null");
		*(const char **)(void *)at = (const char *)bytes.p;
		return 0;
	case FIELD_KEY:
		if ((i = name_of(v, forge_key_name, FORGE_KEYS + 1)) < 0)
			return bad(e, name, "the name of a key");
		*(enum forge_key *)(void *)at = (enum forge_key)i;
		return 0;
	case FIELD_FAULT:
		if ((i = name_of(v, forge_fault_name, FORGE_NONE + 1)) < 0)
			return bad(e, name, "good, flip, zero, swap or none");
		*(enum forge_fault *)(void *)at = (enum forge_fault)i;
		return 0;
	default:
		return put_number(d, at, v, name, e);
	}
}

// ---- what is no plain field

static int set_revoked(struct recipe *r, struct forge_crl *c, struct json v, const char *name, struct err *e)
{
	struct json each;

	c->n_revoked = 0;
	if (json_kind(v) != JSON_ARRAY)
		return bad(e, name, "a list of certificates or serials in hex");
	for (struct json_iter it = json_iter(v); json_next(&it, NULL, &each);) {
		int cert = name_of(each, forge_layer_name, FORGE_CERTS);
		struct span serial;

		if (c->n_revoked == sizeof c->revoked / sizeof *c->revoked)
			return bad(e, name, "at most 8 of them");
		if (cert >= 0)
			serial = r->f.cert[cert].serial;
		else if (read_hex(r, each, &serial))
			return bad(e, name, "a list of certificates or serials in hex");
		c->revoked[c->n_revoked++] = serial;
	}
	return 0;
}

static int read_edit(struct recipe *r, struct json v, struct forge_edit *ed, struct err *e)
{
	static const char *const member[] = { "layer", "late", "op",    "at",  "n",
					      "path",  "from", "bytes", "text" };
	struct json m[9];
	struct span path = { 0 };
	uint64_t n = 0;
	int layer, op;

	if (json_kind(v) != JSON_OBJECT || json_pick(v, member, m, 9) != json_count(v))
		return bad(e, "edit", "a list of objects of layer, late, op, at, n, path, from, bytes, text");
	layer = name_of(m[0], forge_layer_name, FORGE_LAYERS);
	op = name_of(m[2], forge_op_name, FORGE_DER_REPEAT + 1);
	*ed = (struct forge_edit){ .at = SIZE_MAX };
	if (layer < 0 || op < 0)
		return bad(e, "edit", "a layer and an op: see --fields");
	ed->layer = (enum forge_layer)layer;
	ed->op = (enum forge_op)op;
	if (json_kind(m[1]) != JSON_NONE && json_bool(m[1], &ed->late))
		return bad(e, "late of an edit", "true or false");
	if (json_kind(m[3]) != JSON_NONE) {
		if (json_u64(m[3], SIZE_MAX - 1, &n))
			return bad(e, "at of an edit", "an offset");
		ed->at = (size_t)n;
	}
	if (json_kind(m[4]) != JSON_NONE && json_u64(m[4], SIZE_MAX, &n))
		return bad(e, "n of an edit", "a number");
	ed->n = (size_t)n;
	if ((json_kind(m[5]) != JSON_NONE && read_text(r, m[5], &path)) ||
	    (json_kind(m[6]) != JSON_NONE && read_text(r, m[6], &ed->from)) ||
	    (json_kind(m[7]) != JSON_NONE && read_hex(r, m[7], &ed->bytes)) ||
	    (json_kind(m[8]) != JSON_NONE && read_text(r, m[8], &ed->bytes)))
		return bad(e, "edit", "path, from and text as texts, bytes in hex");
	ed->path = (const char *)path.p;
	return 0;
}

static int set_edits(struct recipe *r, struct json v, struct err *e)
{
	struct forge_edit ed;
	struct json each;

	if (json_kind(v) != JSON_ARRAY)
		return bad(e, "edit", "a list");
	for (struct json_iter it = json_iter(v); json_next(&it, NULL, &each);) {
		if (read_edit(r, each, &ed, e))
			return -1;
		forge_edit(&r->f, ed);
	}
	return 0;
}

// A runtime log; RTMR3 becomes what it replays to.
static int set_events(struct recipe *r, struct json v, struct err *e)
{
	struct eventlog log = { r->event, 0, RECIPE_EVENTS };
	struct fault f = { 0 };
	struct json each, m;

	if (json_kind(v) != JSON_ARRAY || json_count(v) > RECIPE_EVENTS)
		return bad(e, "events", "a list of at most 64 objects");
	for (struct json_iter it = json_iter(v); json_next(&it, NULL, &each); log.n++) {
		struct span name, payload = { 0 };
		uint64_t version = 1;

		if (!json_get(each, "event", &m) || read_text(r, m, &name) ||
		    (json_get(each, "payload", &m) && read_hex(r, m, &payload)) ||
		    (json_get(each, "version", &m) && json_u64(m, 2, &version)))
			return bad(e, "events", "objects of event, payload in hex and version (1 or 2)");
		r->event[log.n] = event_runtime(name, payload, (uint8_t)version);
	}
	r->events = log.n;
	if (eventlog_replay_runtime(r->f.quote.td + TD_RTMR + 144, &log, false, &f))
		return err_code(e, ERR_INPUT, "forge.recipe", "events: %s", f.text);
	return 0;
}

// Any member of a signed document or of the collateral, as JSON text; null leaves it out.
static int set_member(struct recipe *r, enum forge_layer l, const char *member, struct json v, struct err *e)
{
	char *name = take_room(r, strlen(member) + 1), *text = take_room(r, v.text.n + 1);

	if (!name || !text)
		return bad(e, member, "less: the recipe is too large");
	strcpy(name, member);
	memcpy(text, v.text.p, v.text.n);
	text[v.text.n] = 0;
	forge_member(&r->f, l, name, json_kind(v) == JSON_NULL ? NULL : text);
	return 0;
}

static const struct field *find_field(struct recipe *r, const char *name, uint8_t **at)
{
	for (size_t g = 0; g < field_group_count; g++) {
		const struct field_group *group = &field_groups[g];
		for (size_t p = 0; p < group->prefixes; p++) {
			size_t n = strlen(group->prefix[p]);
			if (strncmp(name, group->prefix[p], n) != 0 || name[n] != '.')
				continue;
			for (size_t i = 0; i < group->fields; i++) {
				const struct field *d = &group->field[i];
				if (strcmp(name + n + 1, d->name) != 0)
					continue;
				*at = (uint8_t *)&r->f + group->first + p * group->stride + d->at;
				return d;
			}
		}
	}
	return NULL;
}

// 1: done, 0: no such name.
static int set_one(struct recipe *r, const char *name, struct json v, struct err *e)
{
	static const struct {
		const char *prefix;
		enum forge_layer layer;
	} members[] = { { "tcb_info.", FORGE_TCB_INFO },
			{ "qe_identity.", FORGE_QE_IDENTITY },
			{ "collateral.", FORGE_COLLATERAL } };
	uint8_t *at;
	const struct field *d = find_field(r, name, &at);

	if (d) {
		if (str_starts(name, "root.") && strcmp(d->name, "der") != 0 && !str_starts(d->name, "sign."))
			r->f.cert[FORGE_ROOT].der = (struct span){ 0 }; // the folder's no more
		return put_value(r, d, at, v, name, e) ? -1 : 1;
	}
	if (!strcmp(name, "edit"))
		return set_edits(r, v, e) ? -1 : 1;
	if (!strcmp(name, "events"))
		return set_events(r, v, e) ? -1 : 1;
	if (!strcmp(name, "vm_config"))
		return read_text(r, v, &r->vm_config) ? bad(e, name, "a text") : 1;
	for (int i = 0; i < 2; i++)
		if (!strcmp(name, i ? "pck_crl.revoked" : "root_crl.revoked"))
			return set_revoked(r, &r->f.crl[i], v, name, e) ? -1 : 1;
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		const char *member = name + strlen(members[i].prefix);
		if (str_starts(name, members[i].prefix) && strcmp(member, "sign") != 0 &&
		    !str_starts(member, "sign."))
			return set_member(r, members[i].layer, member, v, e) ? -1 : 1;
	}
	return 0;
}

static int apply(struct recipe *r, const char *prefix, struct json o, struct err *e)
{
	struct json key, v;
	char name[256], part[128];

	for (struct json_iter it = json_iter(o); json_next(&it, &key, &v);) {
		if (json_cstr(key, part, sizeof part) ||
		    snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", part) >=
			    (int)sizeof name)
			return bad(e, prefix, "shorter names");
		if (!*prefix && (!strcmp(name, "kind") || !strcmp(name, "now")))
			continue; // were first
		int rc = set_one(r, name, v, e);
		if (rc < 0)
			return -1;
		if (rc)
			continue;
		if (json_kind(v) != JSON_OBJECT)
			return err_code(e, ERR_INPUT, "forge.recipe", "no field is called %s", STR_QZ(name));
		if (apply(r, name, v, e)) // depth is bounded by the length of names
			return -1;
	}
	return 0;
}

// Kind and time decide what everything else starts from.
static int begin(struct recipe *r, struct json doc, struct err *e)
{
	struct json v;
	int64_t now = r->f.now;
	int kind = (int)r->f.kind;

	if (json_get(doc, "kind", &v) && (kind = name_of(v, forge_kind_name, FORGE_SGX3 + 1)) < 0)
		return bad(e, "kind", "tdx4, tdx5, tdx5-1.0, tdx5-ex or sgx3");
	if (json_get(doc, "now", &v) && read_time(v, &now))
		return bad(e, "now", "Unix seconds or an RFC 3339 time");
	if (kind != (int)r->f.kind || now != r->f.now)
		forge_init(&r->f, &r->keys, (enum forge_kind)kind, now);
	return 0;
}

int recipe_apply(struct recipe *r, struct span text, struct err *e)
{
	struct json_fault f = { 0 };
	struct json doc;

	if (json_parse(&doc, text, &f))
		return err_code(e, ERR_INPUT, "forge.recipe", "recipe, at byte %zu: %s", f.at, f.what);
	if (json_kind(doc) != JSON_OBJECT)
		return bad(e, "a recipe", "a JSON object");
	return begin(r, doc, e) ? -1 : apply(r, "", doc, e);
}

int recipe_set(struct recipe *r, const char *name, const char *value, struct err *e)
{
	auto_sb doc = { 0 };
	struct json v;

	sb_chr(&doc, '{');
	sb_json_str(&doc, name);
	sb_chr(&doc, ':');
	if (json_parse(&v, span_str(value), NULL))
		sb_json_str(&doc, value);
	else
		sb_str(&doc, value);
	sb_chr(&doc, '}');
	return doc.bad ? err_set(e, ERR_SYSTEM, "out of memory") : recipe_apply(r, span_of(doc.p, doc.n), e);
}

int recipe_init(struct recipe *r, const char *dir, const char *seed, int64_t now, struct err *e)
{
	*r = (struct recipe){ .vm_config = span_str("{}"), .room = calloc(1, RECIPE_ROOM) };
	if (!r->room)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (forge_keys_load(&r->keys, dir, seed, e))
		return -1;
	forge_init(&r->f, &r->keys, FORGE_TDX4, now);
	return 0;
}

void recipe_free(struct recipe *r)
{
	forge_keys_free(&r->keys);
	free(r->room);
	r->room = NULL;
}

static const char *form_of(const struct field *d, char *text, size_t cap)
{
	static const char *const form[] = {
		[FIELD_U8] = "number",          [FIELD_U16] = "number", [FIELD_U32] = "number",
		[FIELD_U64] = "number",         [FIELD_INT] = "number", [FIELD_LENGTH] = "number or null",
		[FIELD_BOOL] = "true or false", [FIELD_TIME] = "time",  [FIELD_LE16] = "number",
		[FIELD_LE32] = "number",        [FIELD_BYTES] = "hex",  [FIELD_TEXT] = "text",
		[FIELD_STRING] = "text",        [FIELD_KEY] = "key",    [FIELD_FAULT] = "fault"
	};

	if (d->form != FIELD_HEX)
		return form[d->form];
	snprintf(text, cap, "hex, %zu bytes", d->n);
	return text;
}

static void list(FILE *out, const char *head, const char *const *names, size_t n)
{
	fprintf(out, "%s", head);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%s", i ? " " : "", names[i]);
	fputc('\n', out);
}

void recipe_fields(FILE *out)
{
	char name[64], form[32];

	list(out, "kinds:  ", forge_kind_name, FORGE_SGX3 + 1);
	list(out, "keys:   ", forge_key_name, FORGE_KEYS + 1);
	list(out, "faults: ", forge_fault_name, FORGE_NONE + 1);
	list(out, "layers: ", forge_layer_name, FORGE_LAYERS);
	list(out, "ops:    ", forge_op_name, FORGE_DER_REPEAT + 1);
	for (size_t g = 0; g < field_group_count; g++)
		for (size_t p = 0; p < field_groups[g].prefixes; p++)
			for (size_t i = 0; i < field_groups[g].fields; i++) {
				const struct field *d = &field_groups[g].field[i];
				snprintf(name, sizeof name, "%s.%s", field_groups[g].prefix[p], d->name);
				fprintf(out, "%-28s %-16s %s\n", name, form_of(d, form, sizeof form),
					d->what);
			}
	fputs("root_crl.revoked, pck_crl.revoked   list of certificates' names or serials in hex\n"
	      "tcb_info.NAME, qe_identity.NAME, collateral.NAME   JSON of that member; null leaves it out\n"
	      "events   list of {event, payload, version}: RTMR3 and the event log\n"
	      "vm_config   text, in the envelope\n"
	      "edit   list of {layer, late, op, at, n, path, from, bytes, text}\n",
	      out);
}
