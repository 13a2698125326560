#include "crl.h"

#include <stdlib.h>
#include <string.h>

#include "audit/log.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/hash/sha2.h"
#include "crypto/crl.h"
#include "crypto/ssl.h"

// One made answer to one question.
struct job {
	struct crls *c;
	const struct issued_key *key;
	uint64_t now;
	bool fresh;   // the list that is there holds
	uint8_t *der; // a copy of it
	size_t der_n;
	bool known, bad; // the app has certificates here; out of memory
	uint64_t generation, changes, again;
	struct crl_entry *entry;
	size_t n, cap;
	uint8_t hash[32];
};

static void add(struct job *j, const uint8_t serial[static ISSUED_SERIAL], uint64_t at)
{
	if (at > j->now) { // announced
		j->again = at < j->again ? at : j->again;
		return;
	}
	if (j->n == j->cap) {
		size_t cap = j->cap ? 2 * j->cap : 16;
		struct crl_entry *p = realloc(j->entry, cap * sizeof *p);
		if (!p) {
			j->bad = true;
			return;
		}
		j->entry = p;
		j->cap = cap;
	}
	j->entry[j->n].at = at;
	memcpy(j->entry[j->n++].serial, serial, ISSUED_SERIAL);
}

static void add_named(void *arg, const uint8_t serial[static 20], uint64_t at)
{
	add(arg, serial, at);
}

// From when on certificates of this origin are revoked.
static uint64_t until(const struct keypolicy *p, const uint8_t app[static 20], const struct issued_origin *o)
{
	struct boot_info b = { .has_app_id = true,
			       .has_compose_hash = o->has_compose,
			       .has_os_image_hash = o->has_image };

	memcpy(b.app_id, app, sizeof b.app_id);
	memcpy(b.compose_hash, o->compose, sizeof b.compose_hash);
	memcpy(b.os_image_hash, o->image, sizeof b.os_image_hash);
	memcpy(b.device_id, o->device, sizeof b.device_id);
	uint64_t at = keypolicy_until(p, &b);
	uint64_t end = o->has_epoch ? keypolicy_epoch_until(p, app, o->epoch) : UINT64_MAX;
	return end < at ? end : at;
}

static void add_issued(struct job *j, const struct issued_app *a, const struct keypolicy *p)
{
	uint64_t *at = calloc(a->n_origins + 1, sizeof *at);
	bool any = false;

	j->bad |= !at;
	for (size_t i = 0; at && i < a->n_origins; i++) {
		at[i] = until(p, a->key.app, &a->origin[i]);
		any |= at[i] <= j->now;
		if (at[i] > j->now && at[i] < j->again)
			j->again = at[i];
	}
	for (size_t i = 0; any && i < a->n_certs; i++)
		if (at[a->cert[i].origin] <= j->now && !issued_is_over(&a->cert[i], j->now))
			add(j, a->cert[i].serial, at[a->cert[i].origin]);
	free(at);
}

static int by_serial(const void *x, const void *y)
{
	const struct crl_entry *a = x, *b = y;
	int r = memcmp(a->serial, b->serial, sizeof a->serial);

	return r ? r : a->at < b->at ? -1 : a->at > b->at;
}

// Each certificate once, with the earliest time; what the list says, in one hash.
static void settle(struct job *j)
{
	struct sha256 h;
	size_t n = 0;

	if (j->n)
		qsort(j->entry, j->n, sizeof *j->entry, by_serial);
	for (size_t i = 0; i < j->n; i++)
		if (!n || memcmp(j->entry[n - 1].serial, j->entry[i].serial, CRL_SERIAL) != 0)
			j->entry[n++] = j->entry[i];
	j->n = n;
	sha256_init(&h);
	for (size_t i = 0; i < n; i++) {
		sha256_add(&h, j->entry[i].serial, CRL_SERIAL);
		sha256_add(&h, &j->entry[i].at, sizeof j->entry[i].at);
	}
	sha256_end(&h, j->hash);
}

// ---- the lists that are there; with the lock

static struct crl_list *known_list(struct crls *c, size_t slot)
{
	if (slot >= c->n_known) {
		size_t n = slot + 64;
		struct crl_list *p = realloc(c->known, n * sizeof *p);
		if (!p)
			return NULL;
		memset(p + c->n_known, 0, (n - c->n_known) * sizeof *p);
		c->known = p;
		c->n_known = n;
	}
	return &c->known[slot];
}

// The app's, or the one that was used longest ago, to be made the app's.
static struct crl_list *other_list(struct crls *c, const struct issued_key *k)
{
	struct crl_list *oldest = &c->other[0];

	for (size_t i = 0; i < CRL_OTHERS; i++) {
		if (c->other[i].der && !memcmp(&c->other[i].key, k, sizeof *k))
			return &c->other[i];
		if (c->other[i].used < oldest->used)
			oldest = &c->other[i];
	}
	return oldest;
}

static struct crl_list *list_of(struct crls *c, const struct issued_app *a, const struct issued_key *k)
{
	return a ? known_list(c, a->slot) : other_list(c, k);
}

static bool is_its(const struct crl_list *l, const struct issued_key *k)
{
	return l && l->der && !memcmp(&l->key, k, sizeof *k);
}

static void look(void *arg, const struct keypolicy *p, uint64_t generation)
{
	struct job *j = arg;
	struct crls *c = j->c;

	pthread_mutex_lock(&c->lock);
	const struct issued_app *a = issued_find(c->issued, j->key);
	struct crl_list *l = list_of(c, a, j->key);
	bool there = is_its(l, j->key);

	j->known = a != NULL;
	j->generation = generation;
	j->changes = a ? a->changes : 0;
	j->fresh = there && l->generation == generation && l->changes == j->changes && j->now < l->again;
	if (!j->fresh) {
		j->again = UINT64_MAX;
		j->n = 0;
		if (a)
			add_issued(j, a, p);
		keypolicy_certs(p, j->key->app, add_named, j);
		settle(j);
		uint64_t half = there ? l->this_update + c->valid_s / 2 : 0;
		if (there && !j->bad && j->now < half && !memcmp(j->hash, l->hash, sizeof l->hash)) {
			j->fresh = true;
			l->generation = generation;
			l->changes = j->changes;
			l->again = j->again < half ? j->again : half;
		}
	}
	if (j->fresh && (j->der = malloc(l->n))) {
		memcpy(j->der, l->der, j->der_n = l->n);
		l->used = ++c->uses;
	}
	pthread_mutex_unlock(&c->lock);
}

// ---- signing

struct signer {
	struct crls *c;
	uint32_t root;
	struct audit_entry entry;
};

static int sign(void *arg, const uint8_t digest[static 32], uint8_t *sig, size_t *n, struct err *e)
{
	struct signer *s = arg;

	return keyproc_sign_crl(s->c->keys, s->root, &s->entry, digest, sig, n, e);
}

static int make(struct job *j, struct err *e)
{
	struct crls *c = j->c;
	uint64_t number = j->now * 1000 > c->number ? j->now * 1000 : c->number + 1;
	struct signer s = {
		.c = c,
		.root = j->key->root,
		.entry = { .event = AUDIT_CRL,
			   .has_boot = 1,
			   .boot = { .has_app_id = true, .anchor = "none", .tee_variant = "none" } }
	};

	memcpy(s.entry.boot.app_id, j->key->app, 20);
	snprintf(s.entry.reason, sizeof s.entry.reason, "number %llu, %zu certificates",
		 (unsigned long long)number, j->n);
	auto_x509 X509 *ca = keyproc_app_ca(c->keys, j->key->root, j->key->app, e);
	struct crl_spec spec = { .issuer = ca,
				 .number = number,
				 .this_update = j->now,
				 .next_update = j->now + c->valid_s,
				 .entry = j->entry,
				 .n = j->n };
	if (!ca || crl_issue(&spec, sign, &s, &j->der, &j->der_n, e))
		return -1;
	c->number = number;
	c->made++;
	log_info("kms", "list of revoked certificates signed app=%s number=%llu certificates=%zu",
		 STR_HEX(j->key->app, 20), (unsigned long long)number, j->n);
	return 0;
}

static int keep(struct job *j, struct err *e)
{
	struct crls *c = j->c;
	uint8_t *copy = malloc(j->der_n);

	pthread_mutex_lock(&c->lock);
	struct crl_list *l = list_of(c, issued_find(c->issued, j->key), j->key);
	if (copy && l) {
		uint64_t half = j->now + c->valid_s / 2;
		free(l->der);
		*l = (struct crl_list){ .der = memcpy(copy, j->der, j->der_n),
					.n = j->der_n,
					.this_update = j->now,
					.generation = j->generation,
					.changes = j->changes,
					.again = j->again < half ? j->again : half,
					.used = ++c->uses };
		l->key = *j->key;
		memcpy(l->hash, j->hash, sizeof l->hash);
		copy = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	bool kept = !copy;
	free(copy);
	return kept ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int is_let(struct job *j, const uint8_t client[static RATE_KEY], struct err *e)
{
	pthread_mutex_lock(&j->c->lock);
	bool ok = j->known || rate_allow(j->c->rate, client, time_mono_ms());
	pthread_mutex_unlock(&j->c->lock);
	return ok ? 0
		  : err_code(e, ERR_AGAIN, "crl.rate",
			     "app %s has no certificate here, and too many such lists were asked for",
			     STR_HEX(j->key->app, 20));
}

static int look_now(struct job *j, struct err *e)
{
	j->now = kms_audit_now(j->c->audit);
	if (keyrules_read(j->c->rules, look, j, e))
		return -1;
	return j->bad || (j->fresh && !j->der) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

int crls_get(struct crls *c, const struct issued_key *k, const uint8_t client[static RATE_KEY], uint8_t **der,
	     size_t *n, struct err *e)
{
	struct job j = { .c = c, .key = k };
	int rc = look_now(&j, e);

	if (!rc && !j.fresh) {
		rc = is_let(&j, client, e);
		pthread_mutex_lock(&c->signing);
		if (!rc) // perhaps it was made while we waited for our turn
			rc = look_now(&j, e);
		if (!rc && !j.fresh)
			rc = make(&j, e) || keep(&j, e) ? -1 : 0;
		pthread_mutex_unlock(&c->signing);
	}
	free(j.entry);
	if (rc) {
		free(j.der);
		return -1;
	}
	*der = j.der;
	*n = j.der_n;
	c->served++;
	return 0;
}

// ---- what is signed

int crls_count(struct crls *c, uint32_t root, const struct audit_entry *x, struct err *e)
{
	uint64_t now = kms_audit_now(c->audit);

	pthread_mutex_lock(&c->lock);
	int rc = issued_add(c->issued, root, x, now, e);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

size_t crls_counted(struct crls *c)
{
	pthread_mutex_lock(&c->lock);
	size_t n = issued_count(c->issued);
	pthread_mutex_unlock(&c->lock);
	return n;
}

int crls_open(struct crls *c, const char *state_dir, uint64_t valid_s, struct keyproc *keys,
	      struct kms_audit *audit, struct keyrules *rules, struct err *e)
{
	const struct rate_limits limits = { .per_s = 1, .burst = 60, .all_per_s = 2, .all_burst = 240 };
	auto_free char *log = str_format("%s/" AUDIT_LOG_NAME, state_dir);
	uint64_t now = kms_audit_now(audit);

	// Numbers go on from the next second, so that they are above those of before a quick restart.
	*c = (struct crls){
		.keys = keys, .audit = audit, .rules = rules, .valid_s = valid_s, .number = now * 1000 + 999
	};
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->signing, NULL);
	c->issued = issued_new();
	c->rate = rate_new(&limits);
	if (!log || !c->issued || !c->rate) {
		crls_close(c);
		return err_set(e, ERR_SYSTEM, "out of memory");
	}
	if (issued_load(c->issued, log, now, e)) {
		crls_close(c);
		return err_wrap(e, "certificates signed before");
	}
	return 0;
}

void crls_close(struct crls *c)
{
	if (!c->keys)
		return;
	for (size_t i = 0; i < c->n_known; i++)
		free(c->known[i].der);
	for (size_t i = 0; i < CRL_OTHERS; i++)
		free(c->other[i].der);
	free(c->known);
	issued_free(c->issued);
	rate_free(c->rate);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->signing);
	*c = (struct crls){ 0 };
}
