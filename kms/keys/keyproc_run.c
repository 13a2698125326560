#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "audit/log.h"
#include "base/sb.h"
#include "base/strings.h"
#include "base/time.h"
#include "base/version.h"
#include "core/hash/sha2.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "../process/jail.h"
#include "keyfiles.h"
#include "keymaker.h"
#include "keyproc_wire.h"
#include "keystore.h"
#include "../process/pass.h"
#include "../process/wipe.h"

enum { SECURE_HEAP = 1 << 16, SECURE_MIN = 32 };
_Static_assert((int)KEY_WAITING_MAX <= (int)AUDIT_BATCH_MAX, "a batch has room for all that may wait");

struct process {
	struct keystore keys;
	const struct keystore_config *config;
	EVP_PKEY *temp_ca;
	struct audit_log *log;
	int maker;
	struct keyset made; // the set of KEY_ROOTS_NEW, until it is kept or another is made
	struct rotation made_how;
	bool kept;                  // it is on the disk, but its record is not yet
	uint8_t more[KEY_MORE_MAX]; // the second message of a batch's last request, then of its answer
	size_t n;                   // of a batch
	struct key_request q[KEY_WAITING_MAX];
	struct key_reply a[KEY_WAITING_MAX];
};

typedef int key_fn(struct process *p, struct key_request *q, struct key_reply *a, struct err *e);

static int do_public(struct process *p, struct key_request *q, struct key_reply *a, struct err *e)
{
	(void)q, (void)e;
	memcpy(a->public.ca_spki, p->keys.set[0].ca_spki, sizeof a->public.ca_spki);
	memcpy(a->public.k256_pub, p->keys.set[0].k256_pub, sizeof a->public.k256_pub);
	return 0;
}

static int seed_of(const struct key_request *q, struct span *seed, struct err *e)
{
	if (q->seed_n > sizeof q->seed)
		return err_code(e, ERR_INPUT, "kms.seed", "deployment seed of %u bytes", q->seed_n);
	*seed = span_of(q->seed, q->seed_n);
	return 0;
}

static const struct roots *roots_of(const struct process *p, uint32_t root, struct err *e)
{
	const struct keyset *k = keystore_set(&p->keys, root, e);

	return k ? keystore_roots(k) : NULL;
}

// What is only said when it is not the first set.
static void name_roots(struct audit_entry *x, uint32_t n)
{
	uint32_t any = 0;

	for (uint32_t i = 0; i < n; i++)
		any |= x->roots[i];
	x->n_roots = any ? n : 0;
}

// The app is the one of the record, so no key can be had under another's name.
static int do_app(struct process *p, struct key_request *q, struct key_reply *a, struct err *e)
{
	const struct boot_info *b = &q->entry.boot;
	struct app_epoch at;

	if (!q->entry.has_boot || !b->has_app_id || !q->entry.n_epochs || seed_of(q, &at.seed, e))
		return err_code(e, ERR_DENIED, "policy.boot_info", "no app to derive keys for");
	q->entry.has_seed = at.seed.n != 0;
	sha256(at.seed.p, at.seed.n, q->entry.seed);
	name_roots(&q->entry, q->entry.n_epochs);
	for (uint32_t i = 0; i < q->entry.n_epochs; i++) {
		const struct roots *r = roots_of(p, q->entry.roots[i], e);
		at.epoch = q->entry.epochs[i];
		if (!r ||
		    appkeys_derive_at(r, &at, b->app_id,
				      span_of(b->instance_id, b->has_instance_id ? sizeof b->instance_id : 0),
				      &a->app[i], e))
			return -1;
	}
	return 0;
}

static int do_env(struct process *p, struct key_request *q, struct key_reply *a, struct err *e)
{
	struct app_epoch at = { .epoch = q->epoch };
	const struct roots *r = roots_of(p, q->root, e);

	return !r || seed_of(q, &at.seed, e) || appkeys_env_at(r, &at, q->app, q->time, &a->env, e) ? -1 : 0;
}

static int do_app_ca(struct process *p, struct key_request *q, struct key_reply *a, struct err *e)
{
	const struct keyset *k = keystore_set(&p->keys, q->root, e);
	auto_x509 X509 *c = k ? keystore_app_ca(k, q->app, NULL, e) : NULL;
	uint8_t *out = a->cert.der;
	int n = c ? i2d_X509(c, NULL) : 0;

	if (!c)
		return -1;
	if (n <= 0 || n > KEY_CERT_MAX || i2d_X509(c, &out) != n)
		return err_ssl(e, ERR_BUG, "encode app CA certificate of %d bytes", n);
	a->cert.n = (uint32_t)n;
	return 0;
}

static int do_sign_app(struct process *p, struct key_request *q, struct key_reply *a, struct err *e)
{
	const struct roots *r = roots_of(p, q->root, e);
	uint8_t d[P256_SCALAR];
	size_t n = 0;

	q->entry.roots[0] = q->root;
	name_roots(&q->entry, 1);
	memcpy(q->entry.digest, q->digest, sizeof q->entry.digest);
	q->entry.has_digest = 1;
	if (!q->entry.has_boot || !q->entry.boot.has_app_id)
		return err_code(e, ERR_DENIED, "policy.boot_info", "no app to sign for");
	if (!r || appkeys_ca(r, q->entry.boot.app_id, d, e))
		return -1;
	auto_pkey EVP_PKEY *k = p256_from_scalar(d, e);
	OPENSSL_cleanse(d, sizeof d);
	if (!k || p256_sign_digest(k, q->digest, a->sig.sig, &n, e))
		return -1;
	a->sig.n = (uint32_t)n;
	return 0;
}

static int do_rpc_cert(struct process *p, struct key_request *q, struct key_reply *a, struct err *e)
{
	auto_x509 X509 *c = keystore_rpc_cert(&p->keys, q->root, p->config, span_of(p->more, q->more), e);
	uint8_t *out = p->more;
	int n = c ? i2d_X509(c, NULL) : 0;

	if (!c)
		return -1;
	if (n <= 0 || n > KEY_MORE_MAX || i2d_X509(c, &out) != n)
		return err_ssl(e, ERR_INPUT, "encode RPC certificate of %d bytes", n);
	a->more = (uint32_t)n;
	return 0;
}

static int do_export(struct process *p, struct key_request *q, struct key_reply *a, struct err *e)
{
	if (!p->config->handover)
		return err_code(e, ERR_DENIED, "kms.no_handover",
				"this KMS gives its roots to no other: core.handover is not set");
	if (!q->entry.has_boot)
		return err_code(e, ERR_DENIED, "policy.boot_info", "nobody to give the roots to");
	for (uint32_t i = 0; i < p->keys.n; i++) {
		const struct keyset *k = &p->keys.set[i];
		memcpy(a->roots.set[i].k256, keystore_roots(k)->k256, sizeof a->roots.set[i].k256);
		if (p256_to_pem(k->ca_key, a->roots.set[i].ca, e))
			return -1;
	}
	a->roots.n = p->keys.n;
	return p256_to_pem(p->temp_ca, a->roots.temp_ca, e);
}

static int do_roots_new(struct process *p, struct key_request *q, struct key_reply *a, struct err *e)
{
	(void)q;
	keyset_free(&p->made);
	if (keystore_make_set(&p->keys, &p->made, time_now(), &p->made_how, e))
		return -1;
	a->made = p->made_how;
	return 0;
}

static int write_set(struct process *p, struct span evidence, struct err *e)
{
	auto_secret *room = secret_new(sizeof(struct keyring_files));
	struct keyring_files *f = room ? (struct keyring_files *)(void *)room->b : NULL;
	auto_sb text = { 0 };

	rotation_write(&text, &p->made_how, evidence);
	if (!f || text.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	memcpy(f->k256, keystore_roots(&p->made)->k256, sizeof f->k256);
	return p256_to_pem(p->made.ca_key, f->ca_key, e) ||
			       cert_to_pem(p->made.ca_cert, f->ca_cert, sizeof f->ca_cert, e)
		       ? -1
		       : keymaker_put(p->maker, p->made_how.index, f, text.p, e);
}

// On the disk, then in the log, then in use (run_batch).
static int do_roots_keep(struct process *p, struct key_request *q, struct key_reply *a, struct err *e)
{
	struct audit_entry *x = &q->entry;

	(void)a;
	*x = (struct audit_entry){ .has_digest = 1 };
	rotation_id(p->made_how.ca_spki, p->made_how.k256_pub, x->digest);
	if (!p->made.secret || memcmp(x->digest, q->digest, sizeof x->digest) != 0)
		return err_set(e, ERR_AGAIN, "another root set was made meanwhile");
	snprintf(x->reason, sizeof x->reason, "root set %u, k256_pubkey %s", p->made_how.index,
		 STR_HEX(p->made.k256_pub, sizeof p->made.k256_pub));
	if (write_set(p, span_of(p->more, q->more), e))
		return -1;
	p->kept = true;
	return 0;
}

static int do_head(struct process *p, struct key_request *q, struct key_reply *a, struct err *e)
{
	const struct roots *r = roots_of(p, q->root, e);

	audit_log_head(p->log, &a->log.head, &a->log.bytes);
	return r ? audit_head_sign(&a->log.head, r->k256, e) : -1;
}

static int do_record(struct process *p, struct key_request *q, struct key_reply *a, struct err *e)
{
	(void)p, (void)q, (void)a, (void)e;
	return 0;
}

static const struct {
	key_fn *fn;
	uint32_t event;             // what its record says; AUDIT_EVENTS: what the request says
	bool recorded, after, more; // after: sees the log with this batch; more: has a second message
} table[KEY_OPS] = {
	[KEY_PUBLIC] = { do_public },
	[KEY_ENV] = { do_env },
	[KEY_APP_CA] = { do_app_ca },
	[KEY_RPC_CERT] = { do_rpc_cert, .more = true },
	[KEY_HEAD] = { do_head, .after = true },
	[KEY_ROOTS_NEW] = { do_roots_new },
	[KEY_APP] = { do_app, AUDIT_KEYS, .recorded = true },
	[KEY_SIGN_APP] = { do_sign_app, AUDIT_CERT, .recorded = true },
	[KEY_SIGN_CRL] = { do_sign_app, AUDIT_CRL, .recorded = true },
	[KEY_EXPORT] = { do_export, AUDIT_ROOTS, .recorded = true },
	[KEY_RECORD] = { do_record, AUDIT_EVENTS, .recorded = true },
	[KEY_ROOTS_KEEP] = { do_roots_keep, AUDIT_ROTATE, .recorded = true, .more = true },
};

// ---- records

static int record(struct process *p, struct audit_entry *x, uint64_t *seq, struct span *line, struct err *e)
{
	return audit_log_add(p->log, x, time_now_ms(), seq, line, e);
}

static int begin_log(struct process *p, struct key_reply *ready, struct err *e)
{
	struct audit_entry made = { .event = AUDIT_CREATED, .ok = 1, .has_digest = 1 };
	struct audit_entry start = { .event = AUDIT_START, .ok = 1 };
	struct audit_head h;
	struct span line;
	uint64_t seq, bytes;

	audit_log_head(p->log, &h, &bytes);
	// A number of its own tells this log from any other under the same root key.
	if (!h.size && (RAND_bytes(made.digest, sizeof made.digest) != 1 || record(p, &made, &seq, &line, e)))
		return -1;
	snprintf(start.reason, sizeof start.reason, "dstack-kms %s %s", version_text, version_rev);
	if (p->keys.n > 1) { // also a set whose record a crash prevented is in the log before it is used
		const struct keyset *newest = &p->keys.set[p->keys.n - 1];
		size_t n = strlen(start.reason);
		snprintf(start.reason + n, sizeof start.reason - n, ", root sets up to %u", p->keys.n - 1);
		rotation_id(newest->ca_spki, newest->k256_pub, start.digest);
		start.has_digest = 1;
	}
	if (record(p, &start, &seq, &line, e) || audit_log_commit(p->log, e))
		return -1;
	audit_log_head(p->log, &h, &bytes);
	ready->ready.records = h.size;
	ready->ready.time_ms = h.time;
	return 0;
}

// Nothing but the error stays in the answer.
static void forget(struct key_reply *a, uint32_t id)
{
	struct err why = a->err;

	OPENSSL_cleanse(a, KEY_REPLY_FIXED);
	a->id = id;
	a->err = why;
	if (why.class == ERR_NONE)
		a->err.class = ERR_BUG;
}

static void run_one(struct process *p, struct key_request *q, struct key_reply *a)
{
	struct span line = { 0 };

	memset(a, 0, KEY_REPLY_FIXED);
	a->id = q->id;
	if (table[q->op].recorded)
		audit_entry_clean(&q->entry);
	bool failed = table[q->op].fn(p, q, a, &a->err) != 0;
	if (failed)
		forget(a, q->id);
	if (!table[q->op].recorded)
		return;
	if (table[q->op].event != AUDIT_EVENTS) {
		q->entry.event = table[q->op].event;
		q->entry.ok = !failed;
		snprintf(q->entry.code, sizeof q->entry.code, "%s", a->err.code);
	}
	if (!record(p, &q->entry, &a->seq, &line, &a->err)) {
		memcpy(a->line, line.p, line.n);
		a->line_n = (uint32_t)line.n;
		return;
	}
	p->kept &= q->op != KEY_ROOTS_KEEP;
	forget(a, q->id);
}

// The batch was not written: none of what was recorded in it is given out.
static void take_back(struct process *p, const struct err *why)
{
	for (size_t i = 0; i < p->n; i++) {
		struct key_reply *a = &p->a[i];
		if (!table[p->q[i].op].recorded)
			continue;
		a->err = *why;
		forget(a, p->q[i].id);
	}
}

static bool send_batch(int fd, struct process *p)
{
	bool ok = true;

	for (size_t i = 0; i < p->n; i++) {
		size_t n = KEY_REPLY_FIXED + p->a[i].line_n, more = p->a[i].more;
		ok &= send(fd, &p->a[i], n, MSG_NOSIGNAL) == (ssize_t)n &&
		      (!more || send(fd, p->more, more, MSG_NOSIGNAL) == (ssize_t)more);
		OPENSSL_cleanse(&p->a[i], n);
		OPENSSL_cleanse(&p->q[i], sizeof p->q[i]);
	}
	return ok;
}

static bool run_batch(int fd, struct process *p)
{
	struct err why = { 0 };

	for (size_t i = 0; i < p->n; i++)
		if (!table[p->q[i].op].after)
			run_one(p, &p->q[i], &p->a[i]);
	if (audit_log_commit(p->log, &why))
		take_back(p, &why);
	else if (p->kept)
		keystore_take_set(&p->keys, &p->made);
	p->kept = false;
	for (size_t i = 0; i < p->n; i++)
		if (table[p->q[i].op].after)
			run_one(p, &p->q[i], &p->a[i]);
	return send_batch(fd, p) && !audit_log_broken(p->log);
}

static ssize_t get(int fd, void *p, size_t want, int flags)
{
	ssize_t n;

	do
		n = recv(fd, p, want, MSG_TRUNC | flags);
	while (n < 0 && errno == EINTR);
	return n;
}

// Waits for one request and takes all that wait with it; one with a second message ends the batch. False:
// there is nobody left, or it is no request.
static bool read_batch(int fd, struct process *p)
{
	for (p->n = 0; p->n < KEY_WAITING_MAX; p->n++) {
		struct key_request *q = &p->q[p->n];
		ssize_t n = get(fd, q, sizeof *q, p->n ? MSG_DONTWAIT : 0);
		if (n < 0 && p->n && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n != (ssize_t)sizeof *q || q->op >= KEY_OPS || !table[q->op].fn)
			return false;
		if (!table[q->op].more) {
			if (q->more)
				return false;
			continue;
		}
		p->n++;
		return q->more <= sizeof p->more &&
		       (!q->more || get(fd, p->more, q->more, 0) == (ssize_t)q->more);
	}
	return true;
}

static int self_test(const struct keyset *s, struct err *e)
{
	// OpenSSL loads what it loads lazily while files may still be opened.
	auto_x509 X509 *warm_up = keystore_app_ca(s, (const uint8_t[APP_ID]){ 0 }, NULL, e);
	struct app_epoch later = { .epoch = 1 };
	struct err ignored;
	struct app_keys keys;
	struct env_key env;
	uint8_t warm[1];

	if (!warm_up || RAND_priv_bytes(warm, 1) != 1 ||
	    appkeys_derive_at(keystore_roots(s), &later, (const uint8_t[APP_ID]){ 0 }, span_of(NULL, 0),
			      &keys, &ignored) ||
	    appkeys_env(keystore_roots(s), (const uint8_t[APP_ID]){ 0 }, 0, &env, &ignored))
		return err_set(e, ERR_SYSTEM, "key process: self test failed");
	appkeys_wipe(&keys);
	return 0;
}

static int prepare(struct process *p, int fd, struct key_reply *ready, struct err *e)
{
	const struct keystore_config *c = p->config;

	// The end of the parent is the end of the key process, also when it is killed.
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return err_errno(e, "key process: prctl");
	if (secret_process(e))
		return -1;
	// Private scalars inside OpenSSL lie in its locked heap then; without it (memory lock limit) they lie
	// in the ordinary one, of a process that cannot be dumped.
	(void)CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN);
	keyring_sweep(c->dir);
	if (keymaker_start(c->dir, fd, &p->maker, e) || keystore_open(&p->keys, c, e) ||
	    keystore_renew(&p->keys, c, e))
		return -1;
	p->log = audit_log_open(c->state_dir, &ready->ready.cut, e);
	if (!p->log)
		return err_wrap(e, "audit log in %s", c->state_dir);
	p->temp_ca = keyfiles_read_key(c->dir, "tmp-ca.key", e);
	auto_x509 X509 *warm_up = p->temp_ca ? keystore_rpc_cert(&p->keys, 0, c, span_of(NULL, 0), e) : NULL;
	if (!warm_up || self_test(&p->keys.set[0], e))
		return -1;
	return begin_log(p, ready, e) || jail_key_process(e) ? -1 : 0;
}

// The socket of the next one that may ask. -1: there will be none.
static int next_asker(int control)
{
	struct kms_pass m;
	int fd = -1;

	return kms_take(control, &m, &fd) ? -1 : fd;
}

static bool say_ready(int fd, struct process *p, const struct key_reply *ready)
{
	struct key_reply *a = &p->a[0];
	struct audit_head h;
	uint64_t bytes;

	memcpy(a, ready, KEY_REPLY_FIXED);
	if (a->err.class == ERR_NONE) {
		audit_log_head(p->log, &h, &bytes);
		a->ready.records = h.size;
		a->ready.time_ms = h.time;
	}
	return send(fd, a, KEY_REPLY_FIXED, MSG_NOSIGNAL) == (ssize_t)KEY_REPLY_FIXED;
}

// One network process after the other. False: what was asked was no question, or the log is broken.
static bool serve(int fd, struct process *p)
{
	char c;

	while (read_batch(fd, p) && run_batch(fd, p))
		;
	bool gone = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0 || errno == ECONNRESET;
	return gone && !audit_log_broken(p->log);
}

void keyproc_run(int control, const struct keystore_config *c)
{
	static struct process room;
	static struct key_reply ready;
	struct process *p = &room;
	int fd;

	wipe_begin();
	p->config = c;
	signal(SIGINT, SIG_IGN); // a terminal's Ctrl-C goes to the group; the parent decides
	signal(SIGTERM, SIG_IGN);
	int rc = prepare(p, control, &ready, &ready.err);
	if (rc && ready.err.class == ERR_NONE)
		ready.err.class = ERR_BUG;
	(void)kms_pass(control, &(struct kms_pass){ .kind = PASS_READY, .seat = rc != 0 }, -1);
	while ((fd = next_asker(control)) >= 0) {
		bool well = say_ready(fd, p, &ready) && !rc && serve(fd, p);
		ready.ready.cut = 0; // told once
		close(fd);
		if (!well && !rc && audit_log_broken(p->log))
			rc = 1;
		if (rc)
			break;
	}
	EVP_PKEY_free(p->temp_ca);
	keyset_free(&p->made);
	keystore_close(&p->keys);
	_exit(rc ? 1 : 0);
}
