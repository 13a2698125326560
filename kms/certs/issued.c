#include "issued.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ratls/images.h"

enum { FIRST = 4, FIRST_APPS = 64 };

struct issued {
	struct issued_app **app; // by slot
	size_t n_apps, apps_cap, n_certs;
	bool loading;    // what was signed is counted, however much it is
	uint32_t *table; // open addressing: slot + 1, 0: empty; twice as many places as apps_cap
};

struct issued *issued_new(void)
{
	return calloc(1, sizeof(struct issued));
}

void issued_free(struct issued *i)
{
	if (!i)
		return;
	for (size_t k = 0; k < i->n_apps; k++) {
		free(i->app[k]->origin);
		free(i->app[k]->cert);
		free(i->app[k]);
	}
	free(i->app);
	free(i->table);
	free(i);
}

bool issued_is_over(const struct issued_cert *c, uint64_t now)
{
	// A list names a certificate once more after its end (RFC 5280 section 5.3).
	return c->not_after < now && now - c->not_after > ISSUED_AFTER_S;
}

size_t issued_count(const struct issued *i)
{
	return i->n_certs;
}

// ---- apps

// Its place, or the empty one where it belongs.
static uint32_t *place_of(const struct issued *i, const struct issued_key *k)
{
	size_t mask = 2 * i->apps_cap - 1;
	uint64_t h;

	memcpy(&h, k->app, sizeof h);
	for (size_t at = (size_t)((h + k->root) * 0x9e3779b97f4a7c15 >> 20) & mask;; at = (at + 1) & mask)
		if (!i->table[at] || !memcmp(&i->app[i->table[at] - 1]->key, k, sizeof *k))
			return &i->table[at];
}

const struct issued_app *issued_find(const struct issued *i, const struct issued_key *k)
{
	uint32_t at = i->apps_cap ? *place_of(i, k) : 0;

	return at ? i->app[at - 1] : NULL;
}

static int grow_apps(struct issued *i)
{
	size_t cap = i->apps_cap ? 2 * i->apps_cap : FIRST_APPS;
	struct issued_app **app = realloc(i->app, cap * sizeof *app);
	uint32_t *table = app ? calloc(2 * cap, sizeof *table) : NULL;

	if (app)
		i->app = app;
	if (!table)
		return -1;
	free(i->table);
	i->table = table;
	i->apps_cap = cap;
	for (size_t k = 0; k < i->n_apps; k++)
		*place_of(i, &i->app[k]->key) = (uint32_t)k + 1;
	return 0;
}

static struct issued_app *app_for(struct issued *i, const struct issued_key *k)
{
	if (i->n_apps == i->apps_cap && grow_apps(i))
		return NULL;
	uint32_t *at = place_of(i, k);
	if (*at)
		return i->app[*at - 1];
	struct issued_app *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->key = *k;
	a->slot = i->n_apps;
	i->app[i->n_apps++] = a;
	*at = (uint32_t)i->n_apps;
	return a;
}

// ---- what is over, and what is there twice, goes when room is needed

static int by_serial(const void *x, const void *y)
{
	const struct issued_cert *a = x, *b = y;
	int r = memcmp(a->serial, b->serial, sizeof a->serial);

	if (r)
		return r;
	if (a->origin != b->origin)
		return a->origin < b->origin ? -1 : 1;
	return a->not_after > b->not_after ? -1 : a->not_after < b->not_after;
}

static void tidy_certs(struct issued *i, struct issued_app *a, uint64_t now)
{
	size_t n = 0;

	if (a->n_certs)
		qsort(a->cert, a->n_certs, sizeof *a->cert, by_serial);
	for (size_t k = 0; k < a->n_certs; k++) {
		const struct issued_cert *c = &a->cert[k];
		bool twice = n && a->cert[n - 1].origin == c->origin &&
			     !memcmp(a->cert[n - 1].serial, c->serial, sizeof c->serial);
		if (!twice && !issued_is_over(c, now))
			a->cert[n++] = *c;
	}
	i->n_certs -= a->n_certs - n;
	a->n_certs = n;
}

static void tidy_origins(struct issued_app *a)
{
	uint32_t *now = calloc(a->n_origins + 1, sizeof *now), n = 0;

	if (!now)
		return; // they only take room
	for (size_t k = 0; k < a->n_certs; k++)
		now[a->cert[k].origin] = 1;
	for (size_t k = 0; k < a->n_origins; k++)
		if (now[k]) {
			a->origin[n] = a->origin[k];
			now[k] = n++;
		}
	for (size_t k = 0; k < a->n_certs; k++)
		a->cert[k].origin = now[a->cert[k].origin];
	a->n_origins = n;
	free(now);
}

static int room(void **p, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return 0;
	size_t want = *cap ? 2 * *cap : FIRST;
	void *q = realloc(*p, want * size);
	if (!q)
		return -1;
	*p = q;
	*cap = want;
	return 0;
}

static int cert_room(struct issued *i, struct issued_app *a, uint64_t now, struct err *e)
{
	void *p;

	if (a->n_certs == a->certs_cap ||
	    (!i->loading && (a->n_certs >= ISSUED_APP_MAX || i->n_certs >= ISSUED_MAX))) {
		tidy_certs(i, a, now);
		tidy_origins(a);
	}
	if (!i->loading && (a->n_certs >= ISSUED_APP_MAX || i->n_certs >= ISSUED_MAX))
		return err_code(
			e, ERR_AGAIN, "crl.full",
			"%zu certificates of this app live, %zu of all: at most %d and %d can be kept "
			"count of, and no other is signed",
			a->n_certs, i->n_certs, ISSUED_APP_MAX, ISSUED_MAX);
	p = a->cert;
	int rc = room(&p, a->n_certs, &a->certs_cap, sizeof *a->cert);
	a->cert = p;
	p = a->origin;
	rc |= room(&p, a->n_origins, &a->origins_cap, sizeof *a->origin);
	a->origin = p;
	return rc ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

// ---- adding

static void origin_of(struct issued_origin *o, const struct audit_entry *x)
{
	const struct boot_info *b = &x->boot;

	*o = (struct issued_origin){ 0 };
	o->has_compose = b->has_compose_hash;
	o->has_image = b->has_os_image_hash;
	memcpy(o->compose, b->compose_hash, b->has_compose_hash ? 32 : 0);
	memcpy(o->image, b->os_image_hash, b->has_os_image_hash ? 32 : 0);
	memcpy(o->device, b->device_id, sizeof o->device);
	o->has_epoch = x->n_epochs != 0;
	o->epoch = x->n_epochs ? x->epochs[0] : 0;
}

int issued_add(struct issued *i, uint32_t root, const struct audit_entry *x, uint64_t now, struct err *e)
{
	struct issued_cert c = { .not_after = x->not_after };
	struct issued_origin o;

	memcpy(c.serial, x->serial, sizeof c.serial);
	if (x->event != AUDIT_CERT || !x->ok || !x->has_serial || !x->has_boot || !x->boot.has_app_id ||
	    issued_is_over(&c, now))
		return 0;
	struct issued_key key = { .root = root };
	memcpy(key.app, x->boot.app_id, sizeof key.app);
	struct issued_app *a = app_for(i, &key);
	if (!a)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (cert_room(i, a, now, e))
		return -1;
	origin_of(&o, x);
	// The newest first: most certificates are signed for what the last one was.
	for (c.origin = (uint32_t)a->n_origins; c.origin; c.origin--)
		if (!memcmp(&a->origin[c.origin - 1], &o, sizeof o))
			break;
	if (c.origin)
		c.origin--;
	else
		a->origin[c.origin = (uint32_t)a->n_origins++] = o;
	a->cert[a->n_certs++] = c;
	a->changes++;
	i->n_certs++;
	return 0;
}

// A record of another event is not read further than its beginning.
static bool may_be(const char *line)
{
	const char *event = strstr(line, ",\"event\":\"");

	return event && !strncmp(event, ",\"event\":\"sign-cert\"", 20);
}

int issued_load(struct issued *i, const char *log, uint64_t now, struct err *e)
{
	auto_file FILE *f = fopen(log, "re");
	auto_free char *line = NULL;
	struct audit_record *r = malloc(sizeof *r);
	size_t cap = 0;
	int rc = 0;

	if (!f || !r) {
		free(r);
		return f ? err_set(e, ERR_SYSTEM, "out of memory") : err_errno(e, "open %s", log);
	}
	i->loading = true;
	for (ssize_t n; !rc && (n = getline(&line, &cap, f)) > 0;) {
		struct fault fault = { 0 };
		if (line[n - 1] != '\n' || !may_be(line))
			continue;
		// The key process has checked the whole log before.
		if (audit_record_read(r, span_of(line, (size_t)n - 1), &fault))
			rc = err_fault(e, ERR_INPUT, &fault);
		else
			rc = issued_add(i, r->entry.n_roots ? r->entry.roots[0] : 0, &r->entry, now, e);
	}
	i->loading = false;
	free(r);
	return rc || !ferror(f) ? rc : err_errno(e, "read %s", log);
}
