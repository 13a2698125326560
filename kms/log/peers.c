#include "peers.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/sha.h>

#include "audit/remote.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "kms.pb-c.h"
#include "ratls/tls.h"
#include "../service/service.h"

#define PEERS_DIR "audit.peers"
enum { CONNECT_S = 3, REPLY_MAX = 256 << 10, ID = 8 };

struct peer {
	char *url, *path; // with /prpc; of its file
	struct audit_witness w;
	struct err why;   // of the last handshake
	char trouble[48]; // the code of what is wrong now, "" nothing: what was said once is not said again
	bool reached;
};

struct kms_peers {
	struct service *service;
	struct span roots;
	size_t n;
	struct peer peer[KMS_PEERS_MAX];
	bool rolled_back;
	atomic_bool stop;
	bool running;
	pthread_t thread;
	pthread_mutex_t lock; // of every `w`, `trouble`, `reached`, and rolled_back
	pthread_cond_t wake;
};

// ---- what is kept

static int load(struct peer *p, const char *name, struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	snprintf(p->w.name, sizeof p->w.name, "%s", name);
	if (!file_exists(p->path))
		return 0;
	if (file_read(p->path, AUDIT_WITNESS_MAX, &text, &n, e) ||
	    audit_witness_read(&p->w, span_of(text, n && text[n - 1] == '\n' ? n - 1 : n), e))
		return err_wrap(e, "%s", p->path);
	snprintf(p->w.name, sizeof p->w.name, "%s", name);
	return 0;
}

static int keep(const struct peer *p, const struct audit_witness *w, struct err *e)
{
	char text[AUDIT_WITNESS_MAX];
	struct wr out = wr_to(text, sizeof text);

	audit_witness_write(&out, w);
	wr_u8(&out, '\n');
	return out.bad ? err_set(e, ERR_BUG, "a peer's head is too long")
		       : file_write(p->path, 0600, text, out.n, e);
}

static void record(struct kms_peers *ps, const struct audit_head *h, const struct err *why, const char *words)
{
	struct audit_entry x = { .event = AUDIT_PEER, .ok = !why, .has_digest = h != NULL };
	struct err e;

	if (h)
		memcpy(x.digest, h->root, sizeof x.digest);
	snprintf(x.code, sizeof x.code, "%s", why ? why->code : "");
	snprintf(x.reason, sizeof x.reason, "%s", words);
	if (keyproc_record(ps->service->keys, &x, NULL, &e))
		log_error("kms", "a peer's log cannot be recorded: %s code=%s", e.text, e.code);
}

// On the disk first, then for all to see.
static int install(struct kms_peers *ps, struct peer *p, const struct audit_witness *w, struct err *e)
{
	if (keep(p, w, e))
		return -1;
	pthread_mutex_lock(&ps->lock);
	p->w = *w;
	pthread_mutex_unlock(&ps->lock);
	return 0;
}

// Says what is wrong with a peer, once until it is something else. "" and NULL: nothing is any more.
static bool tell(struct kms_peers *ps, struct peer *p, const struct err *why)
{
	const char *code = !why ? "" : *why->code ? why->code : "none";
	bool news = strcmp(p->trouble, code) != 0;

	pthread_mutex_lock(&ps->lock);
	snprintf(p->trouble, sizeof p->trouble, "%s", code);
	p->reached |= !why;
	pthread_mutex_unlock(&ps->lock);
	return news;
}

// ---- a look at one

static int set_tls(SSL_CTX *ctx, void *arg, struct err *e)
{
	const struct kms_peers *ps = arg;
	const struct tls_conf c = { .roots_pem = ps->roots,
				    .peer = TLS_PEER_REQUIRED,
				    .peer_usage = "kms:rpc" };

	return tls_ctx_setup(ctx, &c, e);
}

// What was shown is false: both heads are kept, and whoever reads this KMS's log learns of it.
static void refuse(struct kms_peers *ps, struct peer *p, const struct audit_head *shown,
		   const struct err *why)
{
	struct audit_witness w = p->w;
	char words[AUDIT_REASON];
	struct err e;

	bool unknown = audit_witness_refuse(&w, shown, why->code, time_now_ms());
	if (!tell(ps, p, why) && !unknown)
		return;
	log_error("kms", "FALSE AUDIT LOG of peer %s: %s code=%s", STR_QZ(p->w.name), why->text, why->code);
	if (install(ps, p, &w, &e))
		log_error("kms", "the proof against a peer cannot be kept: %s", e.text);
	snprintf(words, sizeof words, "peer %.80s: %.150s", p->w.name, why->text);
	record(ps, shown, why, words);
}

static void take(struct kms_peers *ps, struct peer *p, const struct audit_witness *w)
{
	bool first = !p->w.has_head, grown = first || w->head.size != p->w.head.size;
	char words[AUDIT_REASON];
	struct err e;

	if (grown && install(ps, p, w, &e)) {
		if (tell(ps, p, &e))
			log_error("kms", "a peer's head cannot be kept: %s", e.text);
		return;
	}
	pthread_mutex_lock(&ps->lock);
	p->w.seen = w->seen;
	pthread_mutex_unlock(&ps->lock);
	if (tell(ps, p, NULL))
		log_info("kms", "audit log of peer %s holds records=%llu", STR_QZ(p->w.name),
			 (unsigned long long)w->head.size);
	if (!first)
		return;
	snprintf(words, sizeof words, "follows log %s of peer %.100s from %llu records",
		 STR_HEX(w->head.log_id, 32), p->w.name, (unsigned long long)w->head.size);
	record(ps, &w->head, NULL, words);
}

// A size it has just signed, and no proof of it: no honest peer answers that. Any other failure may pass.
static bool hides(const struct err *e)
{
	return !strcmp(e->code, "audit.proof") || !strcmp(e->code, "audit.range");
}

static int look(struct kms_peers *ps, struct peer *p, struct rpc_client *c, struct arena *a, struct err *e)
{
	const uint8_t *signer = ps->service->faces.face[0].k256_pub;
	struct audit_witness w = p->w;
	struct audit_ask q = { .has_first = true, .first_size = w.head.size };
	struct merkle_path path;
	struct audit_head now;

	if (audit_remote_head(c, a, &now, e))
		return -1;
	bool grown = audit_witness_needs_proof(&w, &now);
	q.size = now.size;
	int bad = audit_head_check(&now, signer, e);
	if (!bad && grown && audit_remote_prove(c, a, &q, &path, NULL, e)) {
		if (!hides(e))
			return -1;
		bad = -1;
	}
	if (bad || audit_witness_take(&w, &now, signer, grown ? &path : NULL, time_now_ms(), e))
		refuse(ps, p, &now, e);
	else
		take(ps, p, &w);
	return 0;
}

// ---- our own log, as a peer remembers it

static int compare(struct kms_peers *ps, const struct audit_head *kept, struct err *e)
{
	struct service *s = ps->service;
	struct audit_head own;
	merkle_hash root;
	uint64_t bytes;

	if (audit_head_check(kept, s->faces.face[0].k256_pub, e))
		return 0; // a head that we did not sign says nothing about us
	if (keyproc_head(s->keys, 0, &own, &bytes, e) || audit_view_extend(s->audit.view, bytes, e))
		return -1;
	if (memcmp(kept->log_id, own.log_id, sizeof own.log_id) != 0)
		return 0;
	if (kept->size > own.size || audit_view_root(s->audit.view, kept->size, root, e) ||
	    memcmp(root, kept->root, sizeof root) != 0)
		return err_code(e, ERR_UNTRUSTED, "audit.rolled_back",
				"a head of %llu records of this log was signed, the log has %llu and is not "
				"that one: the state folder was put back",
				(unsigned long long)kept->size, (unsigned long long)own.size);
	return 0;
}

static int ask_of_us(struct kms_peers *ps, struct peer *p, struct rpc_client *c, struct arena *a,
		     struct err *e)
{
	struct audit_witness *kept;
	char words[AUDIT_REASON];
	size_t n;

	if (audit_remote_peers(c, a, &kept, &n, e))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (!kept[i].has_head || !compare(ps, &kept[i].head, e) || ps->rolled_back)
			continue;
		if (strcmp(e->code, "audit.rolled_back") != 0)
			return -1;
		pthread_mutex_lock(&ps->lock);
		ps->rolled_back = true;
		pthread_mutex_unlock(&ps->lock);
		log_error("kms", "OWN AUDIT LOG WAS PUT BACK: %s, says %s code=%s", e->text,
			  STR_QZ(p->w.name), e->code);
		snprintf(words, sizeof words, "peer %.80s: %.150s", p->w.name, e->text);
		record(ps, &kept[i].head, e, words);
	}
	return 0;
}

static void visit(struct kms_peers *ps, struct peer *p)
{
	auto_arena *a = arena_new(0);
	struct err e = { 0 };
	struct rpc_client_opts o = { .connect_s = CONNECT_S,
				     .timeout_s = (int)ps->service->config->peer_timeout_s,
				     .reply_max = REPLY_MAX,
				     .tls = set_tls,
				     .arg = ps,
				     .stop = &ps->stop };
	auto_rpc_client *c = a ? rpc_client_new(p->url, &o, &e) : NULL;

	if (c && !look(ps, p, c, a, &e) && !ask_of_us(ps, p, c, a, &e))
		return;
	if (tell(ps, p, &e) && !atomic_load(&ps->stop))
		log_warn("kms", "the audit log of peer %s is not known: %s code=%s", STR_QZ(p->w.name),
			 e.text, e.code);
}

static void *run(void *arg)
{
	struct kms_peers *ps = arg;

	while (!atomic_load(&ps->stop)) {
		for (size_t i = 0; i < ps->n && !atomic_load(&ps->stop); i++)
			visit(ps, &ps->peer[i]);
		struct timespec t = { time_now() + ps->service->config->peer_interval_s, 0 };
		pthread_mutex_lock(&ps->lock);
		if (!atomic_load(&ps->stop))
			pthread_cond_timedwait(&ps->wake, &ps->lock, &t);
		pthread_mutex_unlock(&ps->lock);
	}
	return NULL;
}

// ---- life

static int open_peer(struct kms_peers *ps, size_t i, struct err *e)
{
	const struct kms_config *c = ps->service->config;
	const char *url = config_str(c->file, "audit.peer[%zu].url", i);
	const char *name = config_str(c->file, "audit.peer[%zu].name", i);
	struct peer *p = &ps->peer[i];
	uint8_t id[SHA256_DIGEST_LENGTH];
	size_t n = strlen(url);

	SHA256((const uint8_t *)url, n, id);
	while (n && url[n - 1] == '/')
		n--;
	p->url = str_format("%.*s%s", (int)n, url, str_ends(url, "/prpc") ? "" : "/prpc");
	p->path = str_format("%s/" PEERS_DIR "/%s.json", c->state_dir, STR_HEX(id, ID));
	ps->n = i + 1;
	return !p->url || !p->path ? err_set(e, ERR_SYSTEM, "out of memory") : load(p, *name ? name : url, e);
}

int kms_peers_start(struct kms_peers **out, struct service *s, struct err *e)
{
	auto_free char *dir = str_format("%s/" PEERS_DIR, s->config->state_dir);
	struct kms_peers *ps;

	*out = NULL;
	if (!s->config->n_peers)
		return 0;
	ps = calloc(1, sizeof *ps);
	if (!ps || !dir) {
		free(ps);
		return err_set(e, ERR_SYSTEM, "out of memory");
	}
	ps->service = s;
	ps->roots = span_str(s->faces.face[0].ca_pem);
	pthread_mutex_init(&ps->lock, NULL);
	pthread_cond_init(&ps->wake, NULL);
	int rc = file_mkdirs(dir, 0700, e);
	for (size_t i = 0; !rc && i < s->config->n_peers; i++)
		rc = open_peer(ps, i, e);
	ps->running = !rc && !pthread_create(&ps->thread, NULL, run, ps);
	if (!rc && !ps->running)
		rc = err_set(e, ERR_SYSTEM, "start a thread");
	if (rc) {
		kms_peers_stop(ps);
		return err_wrap(e, "audit.peer");
	}
	*out = ps;
	return 0;
}

void kms_peers_stop(struct kms_peers *ps)
{
	if (!ps)
		return;
	pthread_mutex_lock(&ps->lock);
	atomic_store(&ps->stop, true);
	pthread_cond_signal(&ps->wake);
	pthread_mutex_unlock(&ps->lock);
	if (ps->running)
		pthread_join(ps->thread, NULL);
	for (size_t i = 0; i < ps->n; i++) {
		free(ps->peer[i].url);
		free(ps->peer[i].path);
	}
	pthread_cond_destroy(&ps->wake);
	pthread_mutex_destroy(&ps->lock);
	free(ps);
}

// ---- what others see of it

bool kms_peers_rolled_back(struct kms_peers *ps)
{
	if (!ps)
		return false;
	pthread_mutex_lock(&ps->lock);
	bool back = ps->rolled_back;
	pthread_mutex_unlock(&ps->lock);
	return back;
}

// Peers by their number: their names are the operator's.
void kms_peers_metrics(struct kms_peers *ps, struct sb *out)
{
	uint64_t now = time_now_ms();

	if (!ps)
		return;
	pthread_mutex_lock(&ps->lock);
	sb_str(out, "# TYPE dstack_kms_audit_peer_ok gauge\n");
	for (size_t i = 0; i < ps->n; i++)
		sb_fmt(out, "dstack_kms_audit_peer_ok{peer=\"%zu\"} %d\n", i + 1,
		       ps->peer[i].reached && !*ps->peer[i].trouble);
	sb_str(out, "# TYPE dstack_kms_audit_peer_false gauge\n");
	for (size_t i = 0; i < ps->n; i++)
		sb_fmt(out, "dstack_kms_audit_peer_false{peer=\"%zu\"} %d\n", i + 1,
		       *ps->peer[i].w.code != 0);
	sb_str(out, "# TYPE dstack_kms_audit_peer_age_seconds gauge\n");
	for (size_t i = 0; i < ps->n; i++)
		if (ps->peer[i].w.has_head && now >= ps->peer[i].w.seen)
			sb_fmt(out, "dstack_kms_audit_peer_age_seconds{peer=\"%zu\"} %llu\n", i + 1,
			       (unsigned long long)(now - ps->peer[i].w.seen) / 1000);
	sb_fmt(out, "# TYPE dstack_kms_audit_rolled_back gauge\ndstack_kms_audit_rolled_back %d\n",
	       ps->rolled_back);
	pthread_mutex_unlock(&ps->lock);
}

static void fill(Kms__PeerCheckpoint *m, struct arena *a, const struct audit_witness *w)
{
	m->name = arena_str(a, w->name);
	m->head = w->has_head ? kms_audit_head_message(a, &w->head) : NULL;
	m->seen = w->seen;
	m->refused_code = arena_str(a, w->code);
	m->refused_at = w->refused_at;
	m->refused = w->has_refused ? kms_audit_head_message(a, &w->refused) : NULL;
}

int kms_peer_checkpoints(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	struct kms_peers *ps = s->peers;
	struct arena *a = rpc_arena(call);
	Kms__PeerCheckpoints *m = out;

	(void)in;
	if (service_check_shown(s, call, e))
		return -1;
	if (!ps)
		return 0;
	m->peers = arena_array(a, ps->n, sizeof *m->peers);
	pthread_mutex_lock(&ps->lock);
	for (size_t i = 0; m->peers && i < ps->n; i++) {
		Kms__PeerCheckpoint *one = pb_new(&kms__peer_checkpoint__descriptor, a);
		if (!one)
			break;
		fill(one, a, &ps->peer[i].w);
		m->peers[m->n_peers++] = one;
	}
	pthread_mutex_unlock(&ps->lock);
	return arena_bad(a) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}
