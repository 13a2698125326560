#include "policy/keypolicy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/verify/bootinfo.h"
#include "policy/keypolicy_doc.h"
#include "policy/policy.h"

static const struct {
	const char *name, *code, *what;
	size_t size;
} kinds[KEYPOLICY_KINDS] = {
	[KEYPOLICY_APP] = { "app", "revoked.app", "app", 20 },
	[KEYPOLICY_COMPOSE] = { "compose", "revoked.compose", "compose file", 32 },
	[KEYPOLICY_DEVICE] = { "device", "revoked.device", "machine", 32 },
	[KEYPOLICY_IMAGE] = { "image", "revoked.image", "guest image", 32 },
	[KEYPOLICY_CERT] = { "cert", "revoked.cert", "certificate", KEYPOLICY_VALUE_MAX },
};

const char *keypolicy_kind_name(enum keypolicy_kind k)
{
	return kinds[k].name;
}

bool keypolicy_kind_read(const char *name, enum keypolicy_kind *out)
{
	for (size_t k = 0; k < KEYPOLICY_KINDS; k++)
		if (!strcmp(kinds[k].name, name)) {
			*out = (enum keypolicy_kind)k;
			return true;
		}
	return false;
}

size_t keypolicy_value_size(enum keypolicy_kind k)
{
	return kinds[k].size;
}

struct keypolicy *keypolicy_new(void)
{
	return calloc(1, sizeof(struct keypolicy));
}

void keypolicy_free(struct keypolicy *p)
{
	if (!p)
		return;
	free(p->apps);
	free(p->revoked);
	free(p);
}

uint64_t keypolicy_version(const struct keypolicy *p)
{
	return p->version;
}

static struct app_rule *own_rule(const struct keypolicy *p, const uint8_t app[static 20])
{
	for (size_t i = 0; i < p->n_apps; i++)
		if (!memcmp(p->apps[i].app, app, 20))
			return &p->apps[i];
	return NULL;
}

const struct keypolicy_rule *keypolicy_rule(const struct keypolicy *p, const uint8_t app[static 20])
{
	const struct app_rule *own = own_rule(p, app);

	return own ? &own->rule : &p->common;
}

bool keypolicy_has_rule(const struct keypolicy *p, const uint8_t app[static 20])
{
	return own_rule(p, app) != NULL;
}

static uint64_t end_in(const struct keypolicy_rule *r, uint64_t epoch)
{
	for (size_t i = 0; i < r->n_ends; i++)
		if (r->end[i].epoch == epoch)
			return r->end[i].at;
	return 0;
}

// What the operator ends for all ends for an app whose rule is the policy's, too.
uint64_t keypolicy_end_of(const struct keypolicy *p, const uint8_t app[static 20], uint64_t epoch)
{
	const struct keypolicy_rule *r = keypolicy_rule(p, app);
	uint64_t at = end_in(r, epoch), common = r->learned ? end_in(&p->common, epoch) : 0;

	return common && (!at || common < at) ? common : at;
}

static uint64_t least(const struct keypolicy *p, const uint8_t app[static 20])
{
	const struct keypolicy_rule *r = keypolicy_rule(p, app);

	return r->learned && p->common.min > r->min ? p->common.min : r->min;
}

static bool has_ended(const struct keypolicy *p, const uint8_t app[static 20], uint64_t epoch, uint64_t now)
{
	uint64_t at = keypolicy_end_of(p, app, epoch);

	return at && at <= now;
}

static uint32_t root_in(const struct keypolicy_rule *r, uint64_t epoch)
{
	uint32_t root = 0;

	for (size_t i = 0; i < r->n_roots && r->root[i].epoch <= epoch; i++)
		root = r->root[i].root;
	return root;
}

uint32_t keypolicy_root(const struct keypolicy *p, const uint8_t app[static 20], uint64_t epoch)
{
	return root_in(keypolicy_rule(p, app), epoch);
}

uint32_t keypolicy_root_max(const struct keypolicy *p)
{
	uint32_t max = root_in(&p->common, UINT64_MAX);

	for (size_t i = 0; i < p->n_apps; i++) {
		uint32_t root = root_in(&p->apps[i].rule, UINT64_MAX);
		max = root > max ? root : max;
	}
	return max;
}

// Epochs of a set are neighbours: from its entry to before the next one.
bool keypolicy_serves_root(const struct keypolicy *p, const uint8_t app[static 20], uint32_t root,
			   uint64_t now)
{
	const struct keypolicy_rule *r = keypolicy_rule(p, app);
	uint64_t first = 0, last = r->current, ended = 0;
	bool found = !root;

	for (size_t i = 0; i < r->n_roots; i++) {
		if (r->root[i].root == root) {
			first = r->root[i].epoch;
			found = true;
		} else if (r->root[i].root > root && r->root[i].epoch - 1 < last) {
			last = r->root[i].epoch - 1;
		}
	}
	first = first > least(p, app) ? first : least(p, app);
	if (!found || first > last)
		return false;
	for (size_t i = 0; i < r->n_ends; i++)
		ended += r->end[i].epoch >= first && r->end[i].epoch <= last &&
			 has_ended(p, app, r->end[i].epoch, now);
	for (size_t i = 0; r->learned && i < p->common.n_ends; i++)
		ended += p->common.end[i].epoch >= first && p->common.end[i].epoch <= last &&
			 !end_in(r, p->common.end[i].epoch) && p->common.end[i].at <= now;
	return ended < last - first + 1 || last - first == UINT64_MAX;
}

int keypolicy_pick(const struct keypolicy *p, const uint8_t app[static 20], const uint64_t *asked,
		   uint64_t now, uint64_t *out, struct err *e)
{
	const struct keypolicy_rule *r = keypolicy_rule(p, app);
	uint64_t epoch = asked ? *asked : r->legacy, min = least(p, app);

	if (epoch < min || epoch > r->current)
		return err_code(e, ERR_DENIED, "epoch.not_served",
				"epoch %llu of app %s is not served, %llu to %llu are",
				(unsigned long long)epoch, STR_HEX(app, 20), (unsigned long long)min,
				(unsigned long long)r->current);
	if (has_ended(p, app, epoch, now))
		return err_code(e, ERR_DENIED, "epoch.revoked", "epoch %llu revoked at %llu",
				(unsigned long long)epoch,
				(unsigned long long)keypolicy_end_of(p, app, epoch));
	*out = epoch;
	return 0;
}

size_t keypolicy_earlier(const struct keypolicy *p, const uint8_t app[static 20], uint64_t below,
			 uint64_t now, uint64_t *out, size_t cap)
{
	const struct keypolicy_rule *r = keypolicy_rule(p, app);
	size_t n = 0;

	for (uint64_t at = below; at > least(p, app) && n < cap; at--)
		if (at - 1 <= r->current && !has_ended(p, app, at - 1, now))
			out[n++] = at - 1;
	return n;
}

// What of a guest can be revoked, in the order of the kinds; an empty span: it has none.
static struct span part_of(const struct boot_info *b, enum keypolicy_kind k)
{
	switch (k) {
	case KEYPOLICY_APP:
		return span_of(b->app_id, b->has_app_id ? 20 : 0);
	case KEYPOLICY_COMPOSE:
		return span_of(b->compose_hash, b->has_compose_hash ? 32 : 0);
	case KEYPOLICY_DEVICE:
		return span_of(b->device_id, 32);
	case KEYPOLICY_IMAGE:
		return span_of(b->os_image_hash, b->has_os_image_hash ? 32 : 0);
	default: // not of a guest
		return span_of(NULL, 0);
	}
}

static const struct revocation *find(const struct keypolicy *p, enum keypolicy_kind k, struct span value)
{
	for (size_t i = 0; value.n && i < p->n_revoked; i++)
		if (p->revoked[i].kind == k && !memcmp(p->revoked[i].value, value.p, value.n))
			return &p->revoked[i];
	return NULL;
}

int keypolicy_check(const struct keypolicy *p, const struct boot_info *b, uint64_t now, struct err *e)
{
	for (size_t k = 0; k < KEYPOLICY_KINDS; k++) {
		struct span value = part_of(b, (enum keypolicy_kind)k);
		const struct revocation *r = find(p, (enum keypolicy_kind)k, value);
		if (r && r->at <= now)
			return err_code(e, ERR_DENIED, kinds[k].code, "%s %s is revoked since %llu%s%s",
					kinds[k].what, STR_HEX(value.p, value.n), (unsigned long long)r->at,
					*r->reason ? ": " : "", r->reason);
	}
	return 0;
}

uint64_t keypolicy_until(const struct keypolicy *p, const struct boot_info *b)
{
	uint64_t first = UINT64_MAX;

	for (size_t k = 0; k < KEYPOLICY_KINDS; k++) {
		const struct revocation *r =
			find(p, (enum keypolicy_kind)k, part_of(b, (enum keypolicy_kind)k));
		if (r && r->at < first)
			first = r->at;
	}
	return first;
}

uint64_t keypolicy_newest_on(const struct keypolicy *p, const uint8_t app[static 20], uint32_t root)
{
	const struct keypolicy_rule *r = keypolicy_rule(p, app);

	for (size_t i = 0; i < r->n_roots; i++)
		if (r->root[i].root > root && r->root[i].epoch)
			return r->root[i].epoch - 1;
	return r->current;
}

uint64_t keypolicy_epoch_until(const struct keypolicy *p, const uint8_t app[static 20], uint64_t epoch)
{
	uint64_t at = keypolicy_end_of(p, app, epoch);

	return epoch < least(p, app) ? 1 : at ? at : UINT64_MAX;
}

void keypolicy_certs(const struct keypolicy *p, const uint8_t app[static 20],
		     void (*fn)(void *arg, const uint8_t serial[static 20], uint64_t at), void *arg)
{
	for (size_t i = 0; i < p->n_revoked; i++)
		if (p->revoked[i].kind == KEYPOLICY_CERT && !memcmp(p->revoked[i].value, app, 20))
			fn(arg, p->revoked[i].value + 20, p->revoked[i].at);
}

int keypolicy_cert_value(const uint8_t *app, struct span serial, uint8_t out[static KEYPOLICY_VALUE_MAX],
			 struct err *e)
{
	static const uint8_t none[20];

	if (!app || !serial.n || serial.n > 20 || !memcmp(none, serial.p, serial.n))
		return err_code(
			e, ERR_INPUT, "keypolicy.value",
			"a certificate is named by its serial number, of 1 to 20 bytes, and the id of "
			"its app");
	memset(out, 0, KEYPOLICY_VALUE_MAX);
	memcpy(out, app, 20);
	memcpy(out + KEYPOLICY_VALUE_MAX - serial.n, serial.p, serial.n);
	return 0;
}

// ---- changes

static int full(struct err *e, const char *what)
{
	return err_code(e, ERR_INPUT, "keypolicy.full", "there is no room for more %s", what);
}

// The rule of an app, made from the common one when it has none of its own.
static struct keypolicy_rule *rule_to_change(struct keypolicy *p, const uint8_t *app, struct err *e)
{
	struct app_rule *own = app ? own_rule(p, app) : NULL;

	if (!app)
		return &p->common;
	if (!own) {
		struct app_rule r = { .rule = p->common };
		memcpy(r.app, app, 20);
		own = keypolicy_add_app(p, &r, e);
	}
	return own ? &own->rule : NULL;
}

static int set_end(struct keypolicy_rule *r, uint64_t epoch, uint64_t at, struct err *e)
{
	size_t n = 0;

	// Ends below min say nothing any more.
	for (size_t i = 0; i < r->n_ends; i++)
		if (r->end[i].epoch >= r->min)
			r->end[n++] = r->end[i];
	r->n_ends = n;
	for (size_t i = 0; i < n; i++)
		if (r->end[i].epoch == epoch) {
			if (at < r->end[i].at)
				r->end[i].at = at;
			return 0;
		}
	if (n == KEYPOLICY_ENDS_MAX)
		return full(e, "ends of epochs");
	r->end[r->n_ends++] = (struct keypolicy_end){ epoch, at };
	return 0;
}

// Never back to an older set: what made it leave that one still holds.
static int set_root(struct keypolicy_rule *r, uint64_t epoch, uint32_t root, struct err *e)
{
	uint32_t was = root_in(r, UINT64_MAX);

	if (root < was)
		return err_code(e, ERR_INPUT, "keypolicy.value",
				"the current epoch hangs on root set %u, a later one cannot hang on %u", was,
				root);
	if (root == was)
		return 0;
	if (r->n_roots == KEYPOLICY_ROOTS_MAX)
		return full(e, "root sets");
	r->root[r->n_roots++] = (struct keypolicy_from){ epoch, root };
	return 0;
}

// Whoever rotates an app by hand has taken it over from the policy, which may have ended epochs to come.
static int take_over(struct keypolicy_rule *r, struct err *e)
{
	r->learned = false;
	for (size_t i = 0; i < r->n_ends; i++) {
		if (r->end[i].epoch == UINT64_MAX)
			return err_code(e, ERR_INPUT, "keypolicy.value", "no epoch follows");
		if (r->end[i].epoch >= r->current)
			r->current = r->end[i].epoch + 1;
	}
	return 0;
}

int keypolicy_rotate(struct keypolicy *p, const struct keypolicy_turn *t, struct err *e)
{
	struct keypolicy_rule *r = rule_to_change(p, t->app, e);

	if (!r)
		return -1;
	if (r->current == UINT64_MAX || t->overlap_s > UINT64_MAX - t->now)
		return err_code(e, ERR_INPUT, "keypolicy.value",
				"no epoch follows, or the overlap is too long");
	// A rule from the policy has the default's sets also for epochs it does not reach yet.
	while (r->n_roots && r->root[r->n_roots - 1].epoch > r->current + 1)
		r->n_roots--;
	if ((t->has_root && set_root(r, r->current + 1, t->root, e)) ||
	    (t->overlap_s && set_end(r, r->current, t->now + t->overlap_s, e)))
		return -1;
	r->current++;
	if (r->learned && take_over(r, e))
		return -1;
	if (t->move_legacy)
		r->legacy = r->current;
	p->version++;
	return 0;
}

int keypolicy_end_epoch(struct keypolicy *p, const uint8_t *app, uint64_t epoch, uint64_t at, struct err *e)
{
	struct keypolicy_rule *r = rule_to_change(p, app, e);

	if (!r)
		return -1;
	if (epoch >= r->current || epoch < r->min || !at)
		return err_code(
			e, ERR_INPUT, "keypolicy.value",
			"epoch %llu cannot be ended: those from %llu to before the current one, %llu, can; "
			"rotate first",
			(unsigned long long)epoch, (unsigned long long)r->min,
			(unsigned long long)r->current);
	if (set_end(r, epoch, at, e))
		return -1;
	p->version++;
	return 0;
}

static bool same_rule(const struct keypolicy_rule *a, const struct keypolicy_rule *b)
{
	if (a->current != b->current || a->min != b->min || a->legacy != b->legacy || a->n_ends != b->n_ends)
		return false;
	for (size_t i = 0; i < a->n_ends; i++)
		if (a->end[i].epoch != b->end[i].epoch || a->end[i].at != b->end[i].at)
			return false;
	return true;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

int keypolicy_join(const struct keypolicy *p, const uint8_t app[static 20], const struct policy_epochs *x,
		   struct keypolicy_rule *out, struct err *e)
{
	const struct app_rule *own = own_rule(p, app);
	struct keypolicy_rule none = { .learned = true, .n_roots = p->common.n_roots };
	const struct keypolicy_rule *was = own ? &own->rule : &none;

	if (!x->given || !was->learned)
		return 0;
	if (x->min > x->current || x->legacy > x->current)
		return err_code(e, ERR_DENIED, "epoch.not_served",
				"the policy serves epochs %llu to %llu: none", (unsigned long long)x->min,
				(unsigned long long)x->current);
	memcpy(none.root, p->common.root, sizeof none.root);
	*out = *was;
	out->current = larger(was->current, x->current);
	out->min = larger(was->min, x->min);
	out->legacy = larger(was->legacy, x->legacy);
	for (size_t i = 0; i < x->n_revoked; i++)
		if (x->revoked[i].epoch >= out->min &&
		    set_end(out, x->revoked[i].epoch, larger(x->revoked[i].at, 1), e))
			return -1;
	return !same_rule(out, was);
}

int keypolicy_learn(struct keypolicy *p, const uint8_t app[static 20], const struct policy_epochs *x,
		    struct err *e)
{
	struct app_rule r = { 0 };
	int rc = keypolicy_join(p, app, x, &r.rule, e);

	if (rc <= 0)
		return rc;
	struct app_rule *own = own_rule(p, app);
	memcpy(r.app, app, sizeof r.app);
	if (own)
		*own = r;
	else if (!keypolicy_add_app(p, &r, e))
		return -1;
	p->version++;
	return 0;
}

static int check_value(enum keypolicy_kind kind, struct span value, struct err *e)
{
	if (value.n != kinds[kind].size)
		return err_code(e, ERR_INPUT, "keypolicy.value", "the id of this %s has %zu bytes, not %zu",
				kinds[kind].what, kinds[kind].size, value.n);
	return 0;
}

int keypolicy_revoke(struct keypolicy *p, enum keypolicy_kind kind, struct span value, uint64_t at,
		     const char *reason, struct err *e)
{
	if (check_value(kind, value, e))
		return -1;
	if (!at)
		return err_code(e, ERR_INPUT, "keypolicy.value", "a revocation needs a time");
	const struct revocation *was = find(p, kind, value);
	if (was) {
		struct revocation *r = &p->revoked[was - p->revoked];
		if (at < r->at)
			r->at = at;
	} else {
		struct revocation r = { .kind = kind, .at = at };
		memcpy(r.value, value.p, value.n);
		snprintf(r.reason, sizeof r.reason, "%s", reason);
		for (char *c = r.reason; *c; c++)
			if (*c < 0x20 || *c > 0x7e)
				*c = '?';
		if (keypolicy_add_revoked(p, &r, e))
			return -1;
	}
	p->version++;
	return 0;
}

int keypolicy_restore(struct keypolicy *p, enum keypolicy_kind kind, struct span value, struct err *e)
{
	if (check_value(kind, value, e))
		return -1;
	const struct revocation *was = find(p, kind, value);
	if (!was)
		return err_code(e, ERR_ABSENT, "keypolicy.value", "this %s is not revoked", kinds[kind].what);
	size_t i = (size_t)(was - p->revoked);
	memmove(p->revoked + i, p->revoked + i + 1, (p->n_revoked - i - 1) * sizeof *p->revoked);
	p->n_revoked--;
	p->version++;
	return 0;
}
