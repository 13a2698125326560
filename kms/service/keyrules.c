#include "keyrules.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "policy/policy.h"

enum { SEEN_MAX = 128, WAIT_S = 30 };

static int digest_of(const struct keypolicy *p, uint8_t out[static 32], struct err *e)
{
	auto_sb b = { 0 };

	keypolicy_write(&b, p);
	if (b.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	SHA256((const uint8_t *)b.p, b.n, out);
	return 0;
}

// ---- what was last in force

static int read_seen(const struct keyrules *r, uint64_t *version, uint8_t digest[static 32], struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	*version = 0;
	if (!file_exists(r->seen))
		return digest_of(r->policy, digest, e); // of an empty document: the caller has just made it
	if (file_read(r->seen, SEEN_MAX, &text, &n, e))
		return -1;
	size_t sp = strcspn(text, " ");
	text[strcspn(text, "\n")] = 0;
	if (!str_u64_n(text, sp, version) || !text[sp] || !hex_exact(digest, 32, text + sp + 1))
		return err_code(e, ERR_INPUT, "keypolicy.syntax", "%s is malformed", r->seen);
	return 0;
}

static int write_seen(const struct keyrules *r, uint64_t version, const uint8_t digest[static 32],
		      struct err *e)
{
	char text[SEEN_MAX];

	snprintf(text, sizeof text, "%llu %s\n", (unsigned long long)version, STR_HEX(digest, 32));
	return file_write_str(r->seen, 0600, text, e);
}

// ---- a document comes into force

static int check_forward(const struct keyrules *r, const struct keypolicy *p, const uint8_t digest[static 32],
			 uint64_t seen, struct err *e)
{
	uint64_t version = keypolicy_version(p);

	if (version > seen || (version == seen && !memcmp(digest, r->digest, 32)))
		return 0;
	return err_code(e, ERR_DENIED, "keypolicy.rollback",
			"%s is version %llu, %s: an older document would bring back what was ended", r->path,
			(unsigned long long)version,
			version == seen ? "but not the one of this version that was in force"
					: "but a later one was in force");
}

// Keys of a set that is not here could only be refused one by one, or forgotten.
static int check_sets(const struct keyrules *r, const struct keypolicy *p, struct err *e)
{
	uint32_t newest = keypolicy_root_max(p), n = atomic_load(r->sets);

	if (newest < n)
		return 0;
	return err_code(e, ERR_DENIED, "keypolicy.root", "%s names root set %u, this KMS has %u", r->path,
			newest, n);
}

// With the lock. Takes `p` when it succeeds.
static int put_in_force(struct keyrules *r, struct keypolicy *p, const char *what, struct err *e)
{
	uint8_t digest[32];
	char text[AUDIT_REASON];

	if (digest_of(p, digest, e) || check_forward(r, p, digest, keypolicy_version(r->policy), e) ||
	    check_sets(r, p, e))
		return -1;
	if (!memcmp(digest, r->digest, 32)) {
		keypolicy_free(p);
		return 0;
	}
	snprintf(text, sizeof text, "version %llu: %s", (unsigned long long)keypolicy_version(p), what);
	if (kms_audit_change(r->audit, AUDIT_POLICY, digest, text, &r->last_seq, e) ||
	    write_seen(r, keypolicy_version(p), digest, e))
		return -1;
	keypolicy_free(r->policy);
	r->policy = p;
	memcpy(r->digest, digest, sizeof digest);
	r->generation++;
	gate_turn(&r->gate);
	log_info("kms", "epochs and revocations changed %s", STR_QZ(text));
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

// With the lock: the file as it is now is in force, or r->trouble says why nothing is.
static void look(struct keyrules *r)
{
	struct stat st = { 0 };
	struct keypolicy *p;

	if (stat(r->path, &st))
		st = (struct stat){ 0 };
	if (same_file(&st, &r->file) && r->trouble.class == ERR_NONE)
		return;
	struct err e = { 0 };
	if (keypolicy_load(r->path, &p, &e)) {
		r->trouble = e;
		return;
	}
	if (put_in_force(r, p, "the file was changed", &e)) {
		keypolicy_free(p);
		r->trouble = e;
		return;
	}
	r->file = st;
	r->trouble = (struct err){ 0 };
}

// ---- life

int keyrules_open(struct keyrules *r, const char *state_dir, struct kms_audit *audit, const atomic_uint *sets,
		  struct err *e)
{
	uint64_t version;

	*r = (struct keyrules){ .audit = audit, .sets = sets };
	pthread_mutex_init(&r->lock, NULL);
	gate_init(&r->gate);
	r->path = str_format("%s/" KEYPOLICY_NAME, state_dir);
	r->seen = str_format("%s/keypolicy.seen", state_dir);
	r->policy = keypolicy_new();
	if (!r->path || !r->seen || !r->policy) {
		keyrules_close(r);
		return err_set(e, ERR_SYSTEM, "out of memory");
	}
	if (read_seen(r, &version, r->digest, e)) {
		keyrules_close(r);
		return -1;
	}
	struct keypolicy *p;
	uint8_t digest[32];
	int rc = keypolicy_load(r->path, &p, e);
	if (!rc &&
	    (digest_of(p, digest, e) || check_forward(r, p, digest, version, e) || check_sets(r, p, e))) {
		keypolicy_free(p);
		rc = -1;
	}
	if (!rc && memcmp(digest, r->digest, 32) != 0)
		rc = put_in_force(r, p, "found at start", e);
	else if (!rc) {
		keypolicy_free(r->policy);
		r->policy = p;
	}
	if (!rc && stat(r->path, &r->file))
		r->file = (struct stat){ 0 };
	if (!rc)
		return 0;
	keyrules_close(r);
	return err_wrap(e, "epochs and revocations");
}

void keyrules_close(struct keyrules *r)
{
	if (!r->audit)
		return;
	keypolicy_free(r->policy);
	free(r->path);
	free(r->seen);
	pthread_mutex_destroy(&r->lock);
	gate_destroy(&r->gate);
	*r = (struct keyrules){ 0 };
}

// ---- releases

static int usable(struct keyrules *r, struct err *e)
{
	look(r);
	if (r->trouble.class == ERR_NONE)
		return 0;
	*e = r->trouble;
	return -1;
}

// A host that sends a guest to the address of an older set gets it nothing there.
static int check_root(const struct keypolicy *p, const uint8_t app[static 20], uint64_t epoch, uint32_t root,
		      struct err *e)
{
	uint32_t want = keypolicy_root(p, app, epoch);

	if (want == root)
		return 0;
	return err_code(e, ERR_DENIED, "epoch.root",
			"epoch %llu of app %s hangs on root set %u, this address serves set %u",
			(unsigned long long)epoch, STR_HEX(app, 20), want, root);
}

static int check_cert(const struct keypolicy *p, struct keyrules_case *c, const struct boot_info *b,
		      uint32_t root, uint64_t now, struct err *e)
{
	if (keypolicy_serves_root(p, b->app_id, root, now)) {
		c->cert_epoch = keypolicy_newest_on(p, b->app_id, root);
		uint64_t end = keypolicy_epoch_until(p, b->app_id, c->cert_epoch);
		c->until = end < c->until ? end : c->until;
		return 0;
	}
	return err_code(e, ERR_DENIED, "epoch.root",
			"no epoch of app %s that is served hangs on root set %u, which this address serves",
			STR_HEX(b->app_id, 20), root);
}

static int decide(const struct keyrules *r, struct keyrules_case *c, const struct boot_info *b,
		  const struct keyrules_ask *q, uint64_t now, struct err *e)
{
	const struct keypolicy *p = r->policy;

	if (keypolicy_check(p, b, now, e))
		return -1;
	c->until = keypolicy_until(p, b);
	if (!q)
		return 0;
	const struct keypolicy_rule *rule = keypolicy_rule(p, b->app_id);
	c->current = rule->current;
	c->learned = rule->learned;
	c->own = !c->learned && keypolicy_has_rule(p, b->app_id);
	if (q->only_cert)
		return check_cert(p, c, b, q->root, now, e);
	// Who knows of epochs and names none means the newest.
	const uint64_t *asked = q->epoch || !q->earlier ? q->epoch : &c->current;
	if (keypolicy_pick(p, b->app_id, asked, now, &c->epochs[0], e) ||
	    check_root(p, b->app_id, c->epochs[0], q->root, e))
		return -1;
	c->n = 1;
	if (q->earlier)
		c->n += (uint32_t)keypolicy_earlier(p, b->app_id, c->epochs[0], now, c->epochs + 1,
						    AUDIT_EPOCHS_MAX - 1);
	for (uint32_t i = 0; i < c->n; i++) {
		c->ends[i] = keypolicy_end_of(p, b->app_id, c->epochs[i]);
		c->roots[i] = keypolicy_root(p, b->app_id, c->epochs[i]);
	}
	return 0;
}

int keyrules_enter(struct keyrules *r, struct keyrules_case *c, const struct boot_info *b,
		   const struct keyrules_ask *q, struct err *e)
{
	uint64_t now = kms_audit_now(r->audit);

	*c = (struct keyrules_case){ 0 };
	pthread_mutex_lock(&r->lock);
	int rc = usable(r, e) || decide(r, c, b, q, now, e) ? -1 : 0;
	if (!rc)
		gate_enter(&r->gate, &c->pass);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

void keyrules_leave(struct keyrules *r, struct keyrules_case *c)
{
	gate_leave(&r->gate, &c->pass);
}

int keyrules_epoch(struct keyrules *r, const uint8_t app[static 20], const uint64_t *asked, uint32_t root,
		   uint64_t *out, struct err *e)
{
	uint64_t now = kms_audit_now(r->audit);

	pthread_mutex_lock(&r->lock);
	int rc = usable(r, e) || keypolicy_pick(r->policy, app, asked, now, out, e) ||
				 check_root(r->policy, app, *out, root, e)
			 ? -1
			 : 0;
	pthread_mutex_unlock(&r->lock);
	return rc;
}

int keyrules_read(struct keyrules *r, void (*fn)(void *arg, const struct keypolicy *p, uint64_t generation),
		  void *arg, struct err *e)
{
	pthread_mutex_lock(&r->lock);
	int rc = usable(r, e);
	if (!rc)
		fn(arg, r->policy, r->generation);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

// ---- changes

// Answers decided under older documents are made now: wait until they are.
static int wait_for_older(struct keyrules *r, struct err *e)
{
	uint64_t n = gate_wait(&r->gate, WAIT_S);

	return n ? err_set(e, ERR_AGAIN,
			   "the change holds, but %llu answers decided before it are still being made",
			   (unsigned long long)n)
		 : 0;
}

int keyrules_change(struct keyrules *r, int (*change)(struct keypolicy *p, void *arg, struct err *e),
		    void *arg, const char *what, struct err *e)
{
	struct keypolicy *p = NULL;

	pthread_mutex_lock(&r->lock);
	int rc = usable(r, e) || keypolicy_edit(r->path, change, arg, &p, e) ? -1 : 0;
	if (!rc && put_in_force(r, p, what, e)) {
		keypolicy_free(p);
		r->trouble = *e; // the file says what is not recorded: nothing is given out until it is
		rc = -1;
	}
	bool changed = !rc && !stat(r->path, &r->file);
	pthread_mutex_unlock(&r->lock);
	return changed ? wait_for_older(r, e) : rc;
}

struct lesson {
	const uint8_t *app;
	const struct policy_epochs *x;
};

static int learn(struct keypolicy *p, void *arg, struct err *e)
{
	const struct lesson *l = arg;

	return keypolicy_learn(p, l->app, l->x, e);
}

// Mostly it says what it said before, and then nothing is written.
int keyrules_learn(struct keyrules *r, const uint8_t app[static 20], const struct policy_epochs *x,
		   const char *source, struct err *e)
{
	struct lesson l = { app, x };
	struct keypolicy_rule rule;
	struct keypolicy *p = NULL;
	char what[200];

	if (!x->given)
		return 0;
	pthread_mutex_lock(&r->lock);
	int rc = usable(r, e) ? -1 : keypolicy_join(r->policy, app, x, &rule, e);
	if (rc > 0) {
		snprintf(what, sizeof what,
			 "the policy's epochs, app=%s current=%llu min=%llu legacy=%llu, %.64s",
			 STR_HEX(app, 20), (unsigned long long)rule.current, (unsigned long long)rule.min,
			 (unsigned long long)rule.legacy, source);
		rc = keypolicy_edit(r->path, learn, &l, &p, e);
		if (!rc && put_in_force(r, p, what, e)) {
			keypolicy_free(p);
			r->trouble = *e;
			rc = -1;
		}
		if (!rc && stat(r->path, &r->file))
			r->file = (struct stat){ 0 };
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

int keyrules_document(struct keyrules *r, struct sb *out, uint64_t *version, uint64_t *seq, struct err *e)
{
	pthread_mutex_lock(&r->lock);
	int rc = usable(r, e);
	if (!rc) {
		keypolicy_write(out, r->policy);
		*version = keypolicy_version(r->policy);
		*seq = r->last_seq;
	}
	pthread_mutex_unlock(&r->lock);
	return rc || !out->bad ? rc : err_set(e, ERR_SYSTEM, "out of memory");
}
