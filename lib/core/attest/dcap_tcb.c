// Steps 10 and 12 to 16: the platform's, the TDX module's and the quoting enclave's level, and their merging.
//
// Levels are ranked here, never taken in file order; every level is read in full, so that a malformed one
// refuses the document even when another level matches first.
#include "core/attest/dcap_job.h"

struct components {
	uint8_t sgx[16], pce[2], tdx[16]; // in the order of comparison
};

// What the platform has, to be compared with levels.
struct svns {
	const uint8_t *cpu, *tdx; // 16 each; tdx NULL for SGX
	uint16_t pce;
	size_t tdx_from; // first TDX component that is compared
};

static int get_number(struct json o, const char *name, uint64_t max, uint64_t *out)
{
	struct json v;

	*out = 0;
	return json_get(o, name, &v) ? json_u64(v, max, out) : -1;
}

static int get_hex(struct json o, const char *name, uint8_t *out, size_t n)
{
	struct json v;

	return json_get(o, name, &v) ? json_hex(v, out, n) : -1;
}

static bool get_array(struct json o, const char *name, struct json *out)
{
	return json_get(o, name, out) && json_kind(*out) == JSON_ARRAY;
}

enum { LEVEL_TCB, LEVEL_DATE, LEVEL_STATUS, LEVEL_ADVISORIES, LEVEL_MEMBERS };
static const char *const level_member[] = { "tcb", "tcbDate", "tcbStatus", "advisoryIDs" };

// Status, advisories and date of a level whose members are `v`.
static int read_level(const struct json v[LEVEL_MEMBERS], struct tcb_level *out)
{
	struct json id;
	int s = TCB_UP_TO_DATE;

	out->n = 0;
	if (json_kind(v[LEVEL_DATE]) != JSON_STRING)
		return -1;
	while (s <= TCB_REVOKED && !json_is(v[LEVEL_STATUS], tcb_status_name((enum tcb_status)s)))
		s++;
	if (s > TCB_REVOKED)
		return -1;
	out->status = (enum tcb_status)s;
	enum json_kind k = json_kind(v[LEVEL_ADVISORIES]);
	if (k != JSON_ARRAY)
		return k == JSON_NONE || k == JSON_NULL ? 0 : -1;
	for (struct json_iter it = json_iter(v[LEVEL_ADVISORIES]); json_next(&it, NULL, &id); out->n++)
		if (out->n == DCAP_ADVISORIES ||
		    json_cstr(id, out->advisory[out->n], sizeof out->advisory[0]))
			return -1;
	return 0;
}

// The worse status; a's advisories, then those of b that are new.
static int merge(struct tcb_level *a, const struct tcb_level *b)
{
	if (b->status > a->status)
		a->status = b->status;
	for (size_t i = 0; i < b->n; i++) {
		struct span id = span_str(b->advisory[i]);
		size_t k = 0;
		while (k < a->n && !span_is(id, a->advisory[k]))
			k++;
		if (k < a->n)
			continue;
		if (a->n == DCAP_ADVISORIES)
			return -1;
		for (size_t c = 0; c <= id.n; c++)
			a->advisory[a->n][c] = b->advisory[i][c];
		a->n++;
	}
	return 0;
}

static void copy_level(struct tcb_level *to, const struct tcb_level *from)
{
	to->n = 0;
	to->status = TCB_UP_TO_DATE;
	(void)merge(to, from); // fits: `to` is empty
}

// `why` is set only when the array is there but not of 16.
static int read_components(struct json array, uint8_t out[16], enum reason count, enum reason *why)
{
	struct json v, svn;
	uint64_t n;
	size_t i = 0;

	if (json_kind(array) != JSON_ARRAY)
		return -1;
	for (struct json_iter it = json_iter(array); json_next(&it, NULL, &v); i++) {
		if (!json_get(v, "svn", &svn) || json_u64(svn, 255, &n))
			return -1;
		if (i < 16)
			out[i] = (uint8_t)n;
	}
	if (i == 16)
		return 0;
	*why = count;
	return -1;
}

static int read_platform_level(struct json level, bool tdx, struct components *c, struct tcb_level *out,
			       enum reason *why)
{
	static const char *const name[] = { "sgxtcbcomponents", "pcesvn", "tdxtcbcomponents" };
	struct json v[LEVEL_MEMBERS], tcb[3];
	uint64_t pce;

	json_pick(level, level_member, v, LEVEL_MEMBERS);
	json_pick(v[LEVEL_TCB], name, tcb, 3);
	if (read_components(tcb[0], c->sgx, REASON_TCB_COUNT_SGX, why) || json_u64(tcb[1], 0xffff, &pce))
		return -1;
	c->pce[0] = (uint8_t)(pce >> 8);
	c->pce[1] = (uint8_t)pce;
	if (tdx && read_components(tcb[2], c->tdx, REASON_TCB_COUNT_TDX, why))
		return -1;
	return read_level(v, out);
}

static bool reaches(const struct svns *have, const struct components *c)
{
	if (have->pce < (c->pce[0] << 8 | c->pce[1]))
		return false;
	for (size_t i = 0; i < 16; i++)
		if (have->cpu[i] < c->sgx[i] ||
		    (have->tdx && i >= have->tdx_from && have->tdx[i] < c->tdx[i]))
			return false;
	return true;
}

static bool ranks_above(const struct components *a, const struct components *b)
{
	const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;

	for (size_t i = 0; i < sizeof *a; i++)
		if (x[i] != y[i])
			return x[i] > y[i];
	return false;
}

// Step 13, for up to two sets of versions in one reading of the document (TD 1.5 has two).
static int platform_levels(struct dcap_job *j, const struct svns *have, size_t sets, struct tcb_level *best,
			   bool *found)
{
	struct json list, level;
	struct components c = { 0 }, top[2] = { 0 };
	struct tcb_level now;
	enum reason why = REASON_TCB_FORMAT;

	for (size_t s = 0; s < sets; s++)
		found[s] = false;
	if (!get_array(j->col->tcb_info.v, "tcbLevels", &list))
		return dcap_fail(j, REASON_TCB_FORMAT, 0, 0);
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &level);) {
		if (read_platform_level(level, have->tdx != NULL, &c, &now, &why))
			return dcap_fail(j, why, 0, 0);
		for (size_t s = 0; s < sets; s++) {
			if (!reaches(&have[s], &c) || (found[s] && !ranks_above(&c, &top[s])))
				continue;
			found[s] = true;
			top[s] = c;
			copy_level(&best[s], &now);
		}
	}
	return 0;
}

// The highest isvsvn not above `svn`. 1: found, 0: none, -1: malformed. `least` is the lowest there is.
static int isv_level(struct json doc, uint64_t max, uint64_t svn, struct tcb_level *best, uint64_t *least)
{
	struct json list, level, v[LEVEL_MEMBERS];
	struct tcb_level now;
	uint64_t n, top = 0;
	int found = 0;

	*least = UINT64_MAX;
	if (!get_array(doc, "tcbLevels", &list))
		return -1;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &level);) {
		json_pick(level, level_member, v, LEVEL_MEMBERS);
		if (get_number(v[LEVEL_TCB], "isvsvn", max, &n) || read_level(v, &now))
			return -1;
		if (n < *least)
			*least = n;
		if (n > svn || (found && n <= top))
			continue;
		found = 1;
		top = n;
		copy_level(best, &now);
	}
	return found;
}

// ---- step 14

struct module {
	uint8_t signer[48], attributes[8], mask[8];
	struct json levels; // the identity, when there is one
};

static int read_module(struct json o, struct module *m)
{
	return get_hex(o, "mrsigner", m->signer, 48) || get_hex(o, "attributes", m->attributes, 8) ||
			       get_hex(o, "attributesMask", m->mask, 8)
		       ? -1
		       : 0;
}

static bool is_module_id(struct json id, uint8_t version)
{
	static const char digit[] = "0123456789ABCDEF";
	const char want[7] = { 'T', 'D', 'X', '_', digit[version >> 4], digit[version & 15], 0 };
	struct span s;

	if (json_plain(id, &s) || s.n != 6)
		return false;
	for (size_t i = 0; i < 6; i++) {
		uint8_t c = s.p[i] >= 'a' && s.p[i] <= 'z' ? (uint8_t)(s.p[i] - 0x20) : s.p[i];
		if (c != (uint8_t)want[i])
			return false;
	}
	return true;
}

// What is expected of the module of this version: its identity, or for version 0 the document's own entry.
static int find_module(struct dcap_job *j, uint8_t version, struct module *m)
{
	struct json v, list, id;
	struct module each;
	struct tcb_level unused;
	uint64_t least;
	bool found = false;

	m->levels.text = (struct span){ 0 };
	if (!json_get(j->col->tcb_info.v, "tdxModule", &v))
		return dcap_fail(j, REASON_MODULE_MISSING, 0, 0);
	if (read_module(v, m))
		return dcap_fail(j, REASON_TCB_FORMAT, 0, 0);
	if (json_get(j->col->tcb_info.v, "tdxModuleIdentities", &list) && json_kind(list) != JSON_ARRAY)
		return dcap_fail(j, REASON_TCB_FORMAT, 0, 0);
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &v);) {
		if (!json_get(v, "id", &id) || read_module(v, &each) ||
		    isv_level(v, 255, 0, &unused, &least) < 0)
			return dcap_fail(j, REASON_TCB_FORMAT, 0, 0);
		if (!version || found || !is_module_id(id, version))
			continue;
		found = true;
		*m = each;
		m->levels = v;
	}
	return version && !found ? dcap_fail(j, REASON_MODULE_ID, version, 0) : 0;
}

// Merges the module's status into `status`. 0 also when the module has no identity.
static int module_level(struct dcap_job *j, const uint8_t *svn, struct tcb_level *status)
{
	struct module m;
	struct tcb_level level;
	uint64_t least;

	if (find_module(j, svn[1], &m))
		return -1;
	for (size_t i = 0; i < 48; i++)
		if (j->d->result.td.mr_signer_seam[i] != m.signer[i])
			return dcap_fail(j, REASON_MODULE_SIGNER, 0, 0);
	for (size_t i = 0; i < 8; i++) {
		uint8_t has = j->d->result.td.seam_attributes[i];
		if ((has ^ m.attributes[i]) & m.mask[i])
			return dcap_fail(j, REASON_MODULE_ATTRIBUTES, (uint32_t)i, 0);
		if (has)
			return dcap_fail(j, REASON_MODULE_OUTSIDE, 0, 0);
	}
	if (!m.levels.text.n)
		return 0;
	if (isv_level(m.levels, 255, svn[0], &level, &least) != 1)
		return dcap_fail(j, REASON_MODULE_LEVEL, svn[0], 0);
	return merge(status, &level) ? dcap_fail(j, REASON_LIMIT, 0, 0) : 0;
}

// Step 15: the module was updated after this TD was launched; a new launch would do better. Asked of a module
// or level that the document does not know, the answer is no: the launch status stands.
static bool relaunch_advised(struct dcap_job *j, const struct tcb_level *launch, struct tcb_level *current)
{
	const uint8_t *svn = j->d->result.td.tee_tcb_svn2;
	struct json v, list, id;
	struct tcb_level level;
	uint64_t least;

	if (launch->status != TCB_OUT_OF_DATE && launch->status != TCB_OUT_OF_DATE_CONFIGURATION_NEEDED)
		return false;
	if (svn[1]) {
		bool found = false;
		if (!json_get(j->col->tcb_info.v, "tdxModuleIdentities", &list))
			return false;
		for (struct json_iter it = json_iter(list); !found && json_next(&it, NULL, &v);)
			found = json_get(v, "id", &id) && is_module_id(id, svn[1]);
		if (!found || isv_level(v, 255, svn[0], &level, &least) != 1 || merge(current, &level))
			return false;
	}
	return current->status <= TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED;
}

static int check_kind(struct dcap_job *j)
{
	struct json id;
	uint64_t version, type;
	uint8_t fmspc[6], pce_id[2];
	bool tdx = j->d->result.is_tdx;

	if (get_hex(j->col->tcb_info.v, "fmspc", fmspc, 6) ||
	    get_hex(j->col->tcb_info.v, "pceId", pce_id, 2) || !json_get(j->col->tcb_info.v, "id", &id) ||
	    get_number(j->col->tcb_info.v, "version", 255, &version) ||
	    get_number(j->col->tcb_info.v, "tcbType", 255, &type))
		return dcap_fail(j, REASON_TCB_FORMAT, 0, 0);
	if (!span_eq(span_of(fmspc, 6), span_of(j->pck.fmspc, 6)))
		return dcap_fail(j, REASON_FMSPC, 0, 0);
	if (!span_eq(span_of(pce_id, 2), span_of(j->pck.pce_id, 2)))
		return dcap_fail(j, REASON_PCEID, 0, 0);
	if (type)
		return dcap_fail(j, REASON_TCB_FORMAT, 0, 0);
	if (tdx && (version < 3 || !json_is(id, "TDX")))
		return dcap_fail(j, REASON_KIND_TDX, 0, 0);
	if (!tdx && (version < 2 || !json_is(id, "SGX")))
		return dcap_fail(j, REASON_KIND_SGX, 0, 0);
	return 0;
}

// Step 10.
static int qe_level(struct dcap_job *j)
{
	struct tcb_level *out = &j->d->result.qe;
	uint64_t least;
	int found = isv_level(j->col->qe_identity.v, 0xffff, j->qe.isv_svn, out, &least);

	if (found < 0)
		return dcap_fail(j, REASON_QEID_FORMAT, 0, 0);
	if (!found && least == UINT64_MAX)
		return dcap_fail(j, REASON_QE_NO_LEVELS, 0, 0);
	return found ? 0 : dcap_fail(j, REASON_QE_LEVEL, j->qe.isv_svn, (uint32_t)least);
}

int dcap_tcb(struct dcap_job *j)
{
	struct dcap_result *r = &j->d->result;
	bool second = r->is_tdx && r->td.is_15, found[2];
	const uint8_t *tdx[2] = { r->is_tdx ? r->td.tee_tcb_svn : NULL, r->td.tee_tcb_svn2 };
	struct svns have[2];
	struct tcb_level level[2];

	if (check_kind(j))
		return -1;
	for (size_t s = 0; s < 2; s++) {
		size_t from = j->in->intel_components && tdx[s] && tdx[s][1] ? 2 : 0;
		have[s] = (struct svns){ j->pck.cpu_svn, tdx[s], j->pck.pce_svn, from };
	}
	if (platform_levels(j, have, second ? 2 : 1, level, found))
		return -1;
	if (!found[0])
		return dcap_fail(j, REASON_TCB_LEVEL, 0, 0);
	copy_level(&r->platform, &level[0]);
	if (r->is_tdx && module_level(j, r->td.tee_tcb_svn, &r->platform))
		return -1;
	r->relaunch_advised = second && found[1] && relaunch_advised(j, &r->platform, &level[1]);
	if (qe_level(j))
		return -1;
	copy_level(&r->tcb, &r->platform);
	if (merge(&r->tcb, &r->qe))
		return dcap_fail(j, REASON_LIMIT, 0, 0);
	return r->tcb.status == TCB_REVOKED ? dcap_fail(j, REASON_TCB_REVOKED, 0, 0) : 0;
}
