// The tables of TCB info and QE identity, decoded without judging: what a quote is compared with in steps 9
// to 16.
//
// Every level is read in full, so that a malformed one refuses the document even when another one matches.
#include "core/attest/dcap_job.h"

enum { LEVEL_TCB, LEVEL_DATE, LEVEL_STATUS, LEVEL_ADVISORIES, LEVEL_MEMBERS };
static const char *const level_member[] = { "tcb", "tcbDate", "tcbStatus", "advisoryIDs" };

// Status, advisories and date of a level whose members are `v`.
static int read_level(const struct json v[LEVEL_MEMBERS], struct dcap_level *out)
{
	char text[sizeof((struct tcb_level *)0)->advisory[0]];
	struct json id;
	int s = TCB_UP_TO_DATE;
	size_t n = 0;

	if (json_kind(v[LEVEL_DATE]) != JSON_STRING)
		return -1;
	while (s <= TCB_REVOKED && !json_is(v[LEVEL_STATUS], tcb_status_name((enum tcb_status)s)))
		s++;
	if (s > TCB_REVOKED)
		return -1;
	out->status = (enum tcb_status)s;
	out->advisories = v[LEVEL_ADVISORIES];
	enum json_kind k = json_kind(out->advisories);
	if (k != JSON_ARRAY)
		return k == JSON_NONE || k == JSON_NULL ? 0 : -1;
	for (struct json_iter it = json_iter(out->advisories); json_next(&it, NULL, &id); n++)
		if (n == DCAP_ADVISORIES || json_cstr(id, text, sizeof text))
			return -1;
	return 0;
}

// Room for one more level behind those of `list`, the newest one.
static struct dcap_level *next_level(struct dcap_collateral *c, struct dcap_levels *list)
{
	if (c->levels == DCAP_LEVELS)
		return NULL;
	struct dcap_level *l = &c->level[c->levels++];
	if (!list->n++)
		list->first = l;
	return l;
}

// The levels of an enclave or module, each with the lowest isvsvn that reaches it.
static void read_isv_levels(struct dcap_collateral *c, struct dcap_levels *out, struct json list,
			    uint64_t max)
{
	struct json each, svn, v[LEVEL_MEMBERS];
	uint64_t n;

	*out = (struct dcap_levels){ .bad = json_kind(list) != JSON_ARRAY };
	for (struct json_iter it = json_iter(list); !out->bad && json_next(&it, NULL, &each);) {
		struct dcap_level *l = next_level(c, out);
		json_pick(each, level_member, v, LEVEL_MEMBERS);
		out->bad = !l || !json_get(v[LEVEL_TCB], "isvsvn", &svn) || json_u64(svn, max, &n) ||
			   read_level(v, l);
		if (!out->bad)
			l->isv_svn = (uint16_t)n;
	}
}

// ---- TCB info

static enum reason read_components(struct json array, uint8_t out[16], enum reason count)
{
	struct json v, svn;
	uint64_t n;
	size_t i = 0;

	if (json_kind(array) != JSON_ARRAY)
		return REASON_TCB_FORMAT;
	for (struct json_iter it = json_iter(array); json_next(&it, NULL, &v); i++) {
		if (!json_get(v, "svn", &svn) || json_u64(svn, 255, &n))
			return REASON_TCB_FORMAT;
		if (i < 16)
			out[i] = (uint8_t)n;
	}
	return i == 16 ? REASON_OK : count;
}

// why[0]: what is wrong with it for an SGX quote, why[1]: for a TDX quote.
static void read_platform_level(struct json level, struct dcap_level *out, enum reason why[2])
{
	static const char *const name[] = { "sgxtcbcomponents", "pcesvn", "tdxtcbcomponents" };
	struct json v[LEVEL_MEMBERS], tcb[3];
	uint64_t pce = 0;

	out->part = (struct dcap_components){ 0 }; // what is not there ranks lowest
	json_pick(level, level_member, v, LEVEL_MEMBERS);
	json_pick(v[LEVEL_TCB], name, tcb, 3);
	why[0] = read_components(tcb[0], out->part.sgx, REASON_TCB_COUNT_SGX);
	// Before version 3 each component was a member of its own.
	if (json_kind(tcb[0]) == JSON_NONE && json_get(v[LEVEL_TCB], "sgxtcbcomp01svn", &tcb[0]))
		why[0] = REASON_TCB_V2;
	if (!why[0] && json_u64(tcb[1], 0xffff, &pce))
		why[0] = REASON_TCB_FORMAT;
	out->part.pce[0] = (uint8_t)(pce >> 8);
	out->part.pce[1] = (uint8_t)pce;
	why[1] = why[0] ? why[0] : read_components(tcb[2], out->part.tdx, REASON_TCB_COUNT_TDX);
	if (!why[0] && read_level(v, out))
		why[0] = REASON_TCB_FORMAT;
	if (!why[1])
		why[1] = why[0];
}

static void read_platform_levels(struct dcap_collateral *c, struct dcap_tcb_info *t, struct json list)
{
	struct json each;
	enum reason why[2];

	t->levels = (struct dcap_levels){ 0 };
	t->why[0] = t->why[1] = json_kind(list) == JSON_ARRAY ? REASON_OK : REASON_TCB_FORMAT;
	for (struct json_iter it = json_iter(list);
	     !(t->why[0] && t->why[1]) && json_next(&it, NULL, &each);) {
		struct dcap_level *l = next_level(c, &t->levels);
		why[0] = why[1] = REASON_TCB_FORMAT;
		if (l)
			read_platform_level(each, l, why);
		for (size_t i = 0; i < 2; i++)
			if (!t->why[i])
				t->why[i] = why[i];
	}
}

static int read_module(struct json o, struct dcap_module *m, struct json *levels)
{
	static const char *const name[] = { "id", "mrsigner", "attributes", "attributesMask", "tcbLevels" };
	struct json v[5];

	json_pick(o, name, v, 5);
	m->id = v[0];
	m->levels = (struct dcap_levels){ 0 };
	*levels = v[4];
	return json_hex(v[1], m->signer, 48) || json_hex(v[2], m->attributes, 8) || json_hex(v[3], m->mask, 8)
		       ? -1
		       : 0;
}

// What is expected of TDX modules: the document's own entry, for version 0, and their identities.
static int read_modules(struct dcap_collateral *c, struct dcap_tcb_info *t, struct json own, struct json list)
{
	struct json v, levels;

	t->modules = 0;
	if (read_module(own, &t->own, &levels) ||
	    (json_kind(list) != JSON_ARRAY && json_kind(list) != JSON_NONE))
		return -1;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &v);) {
		struct dcap_module *m = &t->module[t->modules];
		if (t->modules == DCAP_MODULES || read_module(v, m, &levels) || json_kind(m->id) == JSON_NONE)
			return -1;
		read_isv_levels(c, &m->levels, levels, 255);
		if (m->levels.bad)
			return -1;
		t->modules++;
	}
	return 0;
}

void dcap_tcb_info_read(struct dcap_collateral *c, struct json doc)
{
	static const char *const name[] = { "id",      "version",   "fmspc",     "pceId",
					    "tcbType", "tdxModule", "tcbLevels", "tdxModuleIdentities" };
	enum { ID, VERSION, FMSPC, PCE_ID, TYPE, MODULE, LEVELS, IDENTITIES, MEMBERS };
	struct dcap_tcb_info *t = &c->tcb;
	struct json v[MEMBERS];

	json_pick(doc, name, v, MEMBERS);
	t->id = v[ID];
	t->has_kind = json_kind(t->id) != JSON_NONE && !json_hex(v[FMSPC], t->fmspc, 6) &&
		      !json_hex(v[PCE_ID], t->pce_id, 2) && !json_u64(v[VERSION], 255, &t->version) &&
		      !json_u64(v[TYPE], 255, &t->type);
	read_platform_levels(c, t, v[LEVELS]);
	t->has_module = json_kind(v[MODULE]) != JSON_NONE;
	t->bad_modules = t->has_module && read_modules(c, t, v[MODULE], v[IDENTITIES]);
}

// ---- QE identity

static void read_masked(struct dcap_masked *f, struct json value, struct json mask, size_t n)
{
	f->readable = !json_hex(value, f->want, n) && !json_hex(mask, f->mask, n);
}

void dcap_qe_identity_read(struct dcap_collateral *c, struct json doc)
{
	static const char *const name[] = { "id",         "version",        "miscselect", "miscselectMask",
					    "attributes", "attributesMask", "mrsigner",   "isvprodid",
					    "tcbLevels" };
	enum { ID, VERSION, MISC, MISC_MASK, ATTRIBUTES, ATTRIBUTES_MASK, SIGNER, PRODUCT, LEVELS, MEMBERS };
	struct dcap_qe_identity *q = &c->qe;
	struct json v[MEMBERS];

	json_pick(doc, name, v, MEMBERS);
	q->id = v[ID];
	q->has_kind = json_kind(q->id) == JSON_STRING && !json_u64(v[VERSION], 255, &q->version);
	q->has_signer = !json_hex(v[SIGNER], q->signer, 32) && !json_u64(v[PRODUCT], 0xffff, &q->product);
	read_masked(&q->misc, v[MISC], v[MISC_MASK], 4);
	read_masked(&q->attributes, v[ATTRIBUTES], v[ATTRIBUTES_MASK], 16);
	read_isv_levels(c, &q->levels, v[LEVELS], 0xffff);
}
