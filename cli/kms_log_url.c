// The log of a KMS over RPC, and what other KMSs keep of it. Who answers must have a KMS's certificate under
// the pinned root; what is believed is signed by the root key besides.
#include <stdio.h>
#include <string.h>

#include "audit/remote.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "command.h"
#include "kms.pb-c.h"
#include "kms_log.h"
#include "ratls/tls.h"

enum { CONNECT_S = 5, ANSWER_S = 20, REPLY_MAX = 1 << 20 };

bool log_is_url(const char *target)
{
	return strstr(target, "://") || str_starts(target, "unix:");
}

static int set_tls(SSL_CTX *ctx, void *arg, struct err *e)
{
	const struct log_check *v = arg;
	const struct tls_conf c = { .roots_pem = span_str(v->root_pem),
				    .peer = TLS_PEER_REQUIRED,
				    .peer_usage = "kms:rpc" };

	return tls_ctx_setup(ctx, &c, e);
}

// --kms-root, else the root of the stack that this folder is about.
static int load_root(struct log_check *v, struct err *e)
{
	size_t n;

	if (v->root_pem)
		return 0;
	if (!v->root_file && !context_open(&v->context, v->dir, e)) {
		const char *file = context_get(&v->context, "kms_root");
		v->root_file = *file ? file : NULL;
	} else if (!v->root_file && (v->dir || e->class != ERR_ABSENT)) {
		return -1;
	}
	if (!v->root_file)
		return err_code(
			e, ERR_INPUT, "cli.kms_root",
			"nothing says which KMS must answer: --kms-root FILE (PEM of its root CA), or "
			"kms_root of config.toml; --unverified-tls takes anyone's answer and "
			"believes only what is signed");
	return file_read(v->root_file, LOG_TEXT_MAX, &v->root_pem, &n, e) ? err_wrap(e, "KMS root") : 0;
}

struct rpc_client *log_client(struct log_check *v, const char *url, struct err *e)
{
	auto_free char *at = str_format("%s%s", url, str_ends(url, "/prpc") ? "" : "/prpc");
	struct rpc_client_opts o = { .connect_s = CONNECT_S,
				     .timeout_s = ANSWER_S,
				     .reply_max = REPLY_MAX,
				     .insecure = v->unverified,
				     .tls = v->unverified ? NULL : set_tls,
				     .arg = v };

	if (!at) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	if (!v->unverified && !str_starts(url, "unix:")) {
		if (!str_starts(url, "https://")) {
			err_code(e, ERR_INPUT, "cli.kms_root",
				 "%s is in clear, anybody could answer; --unverified-tls takes it all the "
				 "same",
				 STR_QZ(url));
			return NULL;
		}
		if (load_root(v, e))
			return NULL;
	}
	return rpc_client_new(at, &o, e);
}

int log_url_head(struct log_check *v, struct err *e)
{
	auto_rpc_client *c = log_client(v, v->target, e);
	Kms__GetMetaResponse *meta = NULL;

	if (!c || audit_remote_head(c, v->arena, &v->now, e))
		return -1;
	if (!v->pinned && !v->signed_now) {
		if (rpc_client_call(c, "GetMeta", NULL, &kms__get_meta_response__descriptor, v->arena,
				    (void **)&meta, e))
			return -1;
		if (meta->k256_pubkey.len != sizeof v->pin)
			return err_code(e, ERR_INPUT, "audit.head", "GetMeta names no root key");
		memcpy(v->pin, meta->k256_pubkey.data, sizeof v->pin);
	}
	if (audit_head_check(&v->now, v->pin, e))
		return -1;
	v->signed_now = true;
	v->size = v->now.size;
	v->time = v->now.time;
	memcpy(v->id, v->now.log_id, sizeof v->id);
	memcpy(v->root, v->now.root, sizeof v->root);
	return 0;
}

static int prove_seen(struct log_check *v, struct rpc_client *c, struct log_seen *s, struct err *e)
{
	struct audit_ask q = { .size = v->now.size, .has_first = true, .first_size = s->head.size };
	struct merkle_path path;

	if (s->head.size > v->now.size && !memcmp(s->head.log_id, v->id, sizeof v->id))
		return log_too_short(v, s, e);
	if (audit_heads_agree(&s->head, &v->now, e))
		return err_wrap(e, "%s", s->from);
	if (s->head.size < v->now.size) {
		if (audit_remote_prove(c, v->arena, &q, &path, NULL, e))
			return -1;
		if (!merkle_holds_prefix(s->head.root, s->head.size, v->now.root, v->now.size, &path))
			return err_code(e, ERR_UNTRUSTED, "audit.fork",
					"%s: the head of %llu records, signed at %llu, is not that of this "
					"log: the log was changed after it was shown",
					s->from, (unsigned long long)s->head.size,
					(unsigned long long)s->head.time);
	}
	s->holds = true;
	return 0;
}

int log_url_verify(struct log_check *v, struct err *e)
{
	struct audit_ask q = { .has_seq = true, .seq = v->seq };
	auto_rpc_client *c = log_client(v, v->target, e);
	struct merkle_path path;

	// A peer may have looked since: its head is to be held against one that is newer still.
	if (!c || (v->n_peers && log_url_head(v, e)))
		return -1;
	q.size = v->now.size;
	for (size_t i = 0; i < v->n_seen; i++)
		if (prove_seen(v, c, &v->seen[i], e))
			return -1;
	if (!v->has_record)
		return 0;
	if (audit_remote_prove(c, v->arena, &q, NULL, &path, e))
		return -1;
	v->record_holds = merkle_holds_leaf(v->now.root, v->now.size, v->seq, v->leaf, &path);
	return 0;
}

// ---- peers

static size_t url_n(const char *url)
{
	size_t n = strlen(url);

	while (n && url[n - 1] == '/')
		n--;
	if (n > 5 && !strncmp(url + n - 5, "/prpc", 5))
		n -= 5;
	return n;
}

static bool same_url(const char *a, const char *b)
{
	return url_n(a) == url_n(b) && !strncmp(a, b, url_n(a));
}

static bool is_id(const struct log_check *v, bool has, const struct audit_head *h)
{
	return has && !memcmp(h->log_id, v->id, sizeof v->id);
}

static void add_note(struct log_check *v, const char *from, const struct audit_witness *w)
{
	char *note = arena_fmt(v->arena, "%s was shown a head that it refused: %s", from, w->code);

	if (note && v->n_notes < LOG_PEERS)
		v->note[v->n_notes++] = note;
}

// Is it about this log? What it refused is added, too, when the root key signed it: two heads are the proof.
static int add_witness(struct log_check *v, const struct audit_witness *w, const char *from, bool *about,
		       struct err *e)
{
	const uint8_t *pin = v->pinned || v->signed_now ? v->pin : NULL;
	struct err ignored;

	if (!is_id(v, w->has_head, &w->head) && !is_id(v, w->has_refused, &w->refused) &&
	    !(log_is_url(v->target) && same_url(w->name, v->target)))
		return 0;
	*about = true;
	if (w->has_head && (audit_head_check(&w->head, pin, e) || log_add_seen(v, &w->head, from, false, e)))
		return err_wrap(e, "%s", from);
	if (!*w->code)
		return 0;
	add_note(v, from, w);
	if (is_id(v, w->has_refused, &w->refused) && !audit_head_check(&w->refused, pin, &ignored))
		return log_add_seen(v, &w->refused, from, true, e);
	return 0;
}

static int ask_peer(struct log_check *v, const char *peer, bool *about, struct err *e)
{
	struct audit_witness *w = NULL;
	auto_free char *text = NULL;
	size_t n = 0, len;

	if (log_is_url(peer)) {
		auto_rpc_client *c = log_client(v, peer, e);
		if (!c || audit_remote_peers(c, v->arena, &w, &n, e))
			return -1;
	} else {
		w = arena_alloc(v->arena, sizeof *w);
		n = 1;
		if (!w)
			return err_set(e, ERR_SYSTEM, "out of memory");
		if (file_read(peer, LOG_TEXT_MAX, &text, &len, e) ||
		    audit_witness_read(w, span_of(text, strcspn(text, "\n")), e))
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (add_witness(v, &w[i], peer, about, e))
			return -1;
	return 0;
}

int log_peers(struct log_check *v, struct err *e)
{
	for (size_t i = 0; i < v->n_peers; i++) {
		bool about = false;
		if (ask_peer(v, v->peer[i], &about, e))
			return err_wrap(e, "peer %s", v->peer[i]);
		if (!about)
			return err_code(e, ERR_ABSENT, "audit.no_witness", "peer %s keeps no head of log %s",
					v->peer[i], STR_HEX(v->id, 32));
	}
	return 0;
}
