// Steps 10 and 12 to 16: the platform's, the TDX module's and the quoting enclave's level, and their merging.
//
// Levels are ranked here, never taken in file order.
#include "core/attest/dcap_job.h"

// What the platform has, to be compared with levels.
struct svns {
	const uint8_t *cpu, *tdx; // 16 each; tdx NULL for SGX
	uint16_t pce;
	size_t tdx_from; // first TDX component that is compared
};

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

// What a level says; an advisory that it names twice is there once.
static void take_level(struct tcb_level *to, const struct dcap_level *from)
{
	struct tcb_level all = { .status = from->status };
	struct json id;

	for (struct json_iter it = json_iter(from->advisories); json_next(&it, NULL, &id); all.n++)
		if (all.n == DCAP_ADVISORIES || json_cstr(id, all.advisory[all.n], sizeof all.advisory[0]))
			break; // cannot be: all were seen when the table was read
	copy_level(to, &all);
}

static bool reaches(const struct svns *have, const struct dcap_components *c)
{
	if (have->pce < (c->pce[0] << 8 | c->pce[1]))
		return false;
	for (size_t i = 0; i < 16; i++)
		if (have->cpu[i] < c->sgx[i] ||
		    (have->tdx && i >= have->tdx_from && have->tdx[i] < c->tdx[i]))
			return false;
	return true;
}

static bool ranks_above(const struct dcap_components *a, const struct dcap_components *b)
{
	const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;

	for (size_t i = 0; i < sizeof *a; i++)
		if (x[i] != y[i])
			return x[i] > y[i];
	return false;
}

// Step 13: the highest level that these versions reach. NULL: none.
static const struct dcap_level *platform_level(const struct dcap_levels *list, const struct svns *have)
{
	const struct dcap_level *best = NULL;

	for (size_t i = 0; i < list->n; i++)
		if (reaches(have, &list->first[i].part) &&
		    (!best || ranks_above(&list->first[i].part, &best->part)))
			best = &list->first[i];
	return best;
}

// The highest isvsvn not above `svn`. NULL: none.
static const struct dcap_level *isv_level(const struct dcap_levels *list, uint32_t svn)
{
	const struct dcap_level *best = NULL;

	for (size_t i = 0; i < list->n; i++)
		if (list->first[i].isv_svn <= svn && (!best || list->first[i].isv_svn > best->isv_svn))
			best = &list->first[i];
	return best;
}

// ---- step 14

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

static const struct dcap_module *identity_of(const struct dcap_tcb_info *t, uint8_t version)
{
	for (size_t i = 0; i < t->modules; i++)
		if (is_module_id(t->module[i].id, version))
			return &t->module[i];
	return NULL;
}

// Merges the module's status into `status`. Version 0 has no identity, and so no level.
static int module_level(struct dcap_job *j, const uint8_t *svn, struct tcb_level *status)
{
	const struct dcap_tcb_info *t = &j->col->tcb;
	const struct dcap_level *level;
	struct tcb_level now;

	if (!t->has_module)
		return dcap_fail(j, REASON_MODULE_MISSING, 0, 0);
	if (t->bad_modules)
		return dcap_fail(j, REASON_TCB_FORMAT, 0, 0);
	const struct dcap_module *m = svn[1] ? identity_of(t, svn[1]) : &t->own;
	if (!m)
		return dcap_fail(j, REASON_MODULE_ID, svn[1], 0);
	for (size_t i = 0; i < 48; i++)
		if (j->d->result.td.mr_signer_seam[i] != m->signer[i])
			return dcap_fail(j, REASON_MODULE_SIGNER, 0, 0);
	for (size_t i = 0; i < 8; i++) {
		uint8_t has = j->d->result.td.seam_attributes[i];
		if ((has ^ m->attributes[i]) & m->mask[i])
			return dcap_fail(j, REASON_MODULE_ATTRIBUTES, (uint32_t)i, 0);
		if (has)
			return dcap_fail(j, REASON_MODULE_OUTSIDE, 0, 0);
	}
	if (!svn[1])
		return 0;
	if (!(level = isv_level(&m->levels, svn[0])))
		return dcap_fail(j, REASON_MODULE_LEVEL, svn[0], 0);
	take_level(&now, level);
	return merge(status, &now) ? dcap_fail(j, REASON_LIMIT, 0, 0) : 0;
}

// Step 15: the module was updated after this TD was launched; a new launch would do better. Asked of a module
// or level that the document does not know, the answer is no: the launch status stands.
static bool relaunch_advised(struct dcap_job *j, const struct tcb_level *launch,
			     const struct dcap_level *current)
{
	const uint8_t *svn = j->d->result.td.tee_tcb_svn2;
	enum tcb_status status = current->status;

	if (launch->status != TCB_OUT_OF_DATE && launch->status != TCB_OUT_OF_DATE_CONFIGURATION_NEEDED)
		return false;
	if (svn[1]) {
		const struct dcap_module *m = identity_of(&j->col->tcb, svn[1]);
		const struct dcap_level *level = m ? isv_level(&m->levels, svn[0]) : NULL;
		if (!level)
			return false;
		if (level->status > status)
			status = level->status;
	}
	return status <= TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED;
}

static int check_kind(struct dcap_job *j)
{
	const struct dcap_tcb_info *t = &j->col->tcb;
	bool tdx = j->d->result.is_tdx;

	if (!t->has_kind)
		return dcap_fail(j, REASON_TCB_FORMAT, 0, 0);
	if (!span_eq(span_of(t->fmspc, 6), span_of(j->pck.fmspc, 6)))
		return dcap_fail(j, REASON_FMSPC, 0, 0);
	if (!span_eq(span_of(t->pce_id, 2), span_of(j->pck.pce_id, 2)))
		return dcap_fail(j, REASON_PCEID, 0, 0);
	if (t->type)
		return dcap_fail(j, REASON_TCB_FORMAT, 0, 0);
	if (tdx && (t->version < 3 || !json_is(t->id, "TDX")))
		return dcap_fail(j, REASON_KIND_TDX, 0, 0);
	if (!tdx && (t->version < 2 || !json_is(t->id, "SGX")))
		return dcap_fail(j, REASON_KIND_SGX, 0, 0);
	return t->why[tdx] ? dcap_fail(j, t->why[tdx], 0, 0) : 0;
}

// Step 10.
static int qe_level(struct dcap_job *j)
{
	const struct dcap_levels *list = &j->col->qe.levels;
	uint16_t least = UINT16_MAX;

	if (list->bad)
		return dcap_fail(j, REASON_QEID_FORMAT, 0, 0);
	if (!list->n)
		return dcap_fail(j, REASON_QE_NO_LEVELS, 0, 0);
	const struct dcap_level *level = isv_level(list, j->qe.isv_svn);
	for (size_t i = 0; i < list->n; i++)
		if (list->first[i].isv_svn < least)
			least = list->first[i].isv_svn;
	if (!level)
		return dcap_fail(j, REASON_QE_LEVEL, j->qe.isv_svn, least);
	take_level(&j->d->result.qe, level);
	return 0;
}

static const struct dcap_level *level_of(const struct dcap_job *j, const uint8_t *tdx)
{
	size_t from = j->in->intel_components && tdx && tdx[1] ? 2 : 0;
	struct svns have = { j->pck.cpu_svn, tdx, j->pck.pce_svn, from };

	return platform_level(&j->col->tcb.levels, &have);
}

int dcap_tcb(struct dcap_job *j)
{
	struct dcap_result *r = &j->d->result;
	const struct dcap_level *launch, *current;

	if (check_kind(j))
		return -1;
	launch = level_of(j, r->is_tdx ? r->td.tee_tcb_svn : NULL);
	if (!launch)
		return dcap_fail(j, REASON_TCB_LEVEL, 0, 0);
	take_level(&r->platform, launch);
	if (r->is_tdx && module_level(j, r->td.tee_tcb_svn, &r->platform))
		return -1;
	current = r->is_tdx && r->td.is_15 ? level_of(j, r->td.tee_tcb_svn2) : NULL;
	r->relaunch_advised = current && relaunch_advised(j, &r->platform, current);
	if (qe_level(j))
		return -1;
	copy_level(&r->tcb, &r->platform);
	if (merge(&r->tcb, &r->qe))
		return dcap_fail(j, REASON_LIMIT, 0, 0);
	return r->tcb.status == TCB_REVOKED ? dcap_fail(j, REASON_TCB_REVOKED, 0, 0) : 0;
}
