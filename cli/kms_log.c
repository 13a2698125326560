// kms log verify - an audit log, or what a KMS says of its own, against signed heads and a record in hand.
//
// A file proves by itself that nothing inside was changed; a head seen earlier proves that nothing was cut or
// replaced since. Of a URL the signed head is asked, and proofs that lead to it.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/log.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "command.h"
#include "kms.h"
#include "kms.pb-c.h"
#include "prpc.pb-c.h"
#include "rpc/client.h"

enum { TEXT_MAX = 64 * 1024, HEADS_MAX = 512 << 20 };

struct log_check {
	const char *target, *head_file, *record_file, *save;
	bool json, pinned, has_head, has_record;
	uint8_t pin[33];
	struct audit_head head; // seen earlier
	char *record;           // in hand
	uint64_t seq;
	merkle_hash leaf;
	// What was found.
	merkle_hash id, root;
	uint64_t size, time, heads, tail;
	bool head_holds, record_holds, signed_now;
	struct audit_head now;
};

static int fork_found(const struct audit_head *was, struct err *e)
{
	return err_code(
		e, ERR_UNTRUSTED, "audit.fork",
		"the head of %llu records, signed at %llu, is not that of this log: the log was changed "
		"after it was shown",
		(unsigned long long)was->size, (unsigned long long)was->time);
}

static int same_log(const struct log_check *v, const merkle_hash id, uint64_t size, struct err *e)
{
	if (!v->has_head)
		return 0;
	if (memcmp(id, v->head.log_id, sizeof v->head.log_id) != 0)
		return err_code(e, ERR_UNTRUSTED, "audit.other_log", "the head is of log %s, this is log %s",
				STR_HEX(v->head.log_id, 32), STR_HEX(id, 32));
	if (size < v->head.size)
		return err_code(e, ERR_UNTRUSTED, "audit.truncated",
				"the log has %llu records, but a head of %llu was signed earlier",
				(unsigned long long)size, (unsigned long long)v->head.size);
	return 0;
}

// ---- a file

struct walk {
	struct log_check *v;
	const struct audit_chain *chain;
	char *heads, *at; // the heads kept beside the log
	struct audit_head next;
	bool has_next;
};

static int next_head(struct walk *w, struct err *e)
{
	char *end = w->at ? strchr(w->at, '\n') : NULL;

	w->has_next = end != NULL;
	if (!end)
		return 0;
	struct span line = span_of(w->at, (size_t)(end - w->at));
	w->at = end + 1;
	return audit_head_read(&w->next, line, e) ||
			       audit_head_check(&w->next, w->v->pinned ? w->v->pin : NULL, e)
		       ? -1
		       : 0;
}

static int on_record(void *arg, struct span line, const struct audit_record *r, const merkle_hash leaf,
		     struct err *e)
{
	struct walk *w = arg;
	struct log_check *v = w->v;
	merkle_hash root;

	(void)line;
	if (v->has_record && r->seq == v->seq)
		v->record_holds = !memcmp(leaf, v->leaf, sizeof v->leaf);
	bool asked = v->has_head && v->head.size == w->chain->tree.n;
	if (!asked && !(w->has_next && w->next.size == w->chain->tree.n))
		return 0;
	merkle_root(&w->chain->tree, root);
	if (asked) {
		v->head_holds = !memcmp(root, v->head.root, sizeof root);
		if (!v->head_holds)
			return fork_found(&v->head, e);
	}
	while (w->has_next && w->next.size == w->chain->tree.n) {
		if (memcmp(root, w->next.root, sizeof root) != 0 ||
		    memcmp(w->chain->id, w->next.log_id, sizeof root) != 0)
			return fork_found(&w->next, e);
		v->heads++;
		if (next_head(w, e))
			return -1;
	}
	return 0;
}

static int walk_file(struct log_check *v, int fd, const char *heads_path, struct err *e)
{
	struct audit_chain chain = { 0 };
	struct walk w = { .v = v, .chain = &chain };
	auto_free char *heads = NULL;
	size_t n;

	if (file_exists(heads_path) && file_read(heads_path, HEADS_MAX, &heads, &n, e))
		return -1;
	w.at = heads;
	if (next_head(&w, e) || audit_chain_read(&chain, fd, UINT64_MAX, on_record, &w, &v->tail, e))
		return -1;
	if (w.has_next)
		return err_code(e, ERR_UNTRUSTED, "audit.truncated",
				"the log has %llu records, but a head of %llu was signed",
				(unsigned long long)chain.tree.n, (unsigned long long)w.next.size);
	merkle_root(&chain.tree, v->root);
	memcpy(v->id, chain.id, sizeof v->id);
	v->size = chain.tree.n;
	v->time = chain.time;
	return same_log(v, v->id, v->size, e);
}

static int verify_file(struct log_check *v, struct err *e)
{
	struct stat st;
	bool dir = !stat(v->target, &st) && S_ISDIR(st.st_mode);
	auto_free char *path = dir ? str_format("%s/" AUDIT_LOG_NAME, v->target) : strdup(v->target);
	const char *slash = path ? strrchr(path, '/') : NULL;
	auto_free char *heads =
		path ? str_format("%.*s" AUDIT_HEADS_NAME, slash ? (int)(slash - path) + 1 : 0, path) : NULL;

	if (!heads)
		return err_set(e, ERR_SYSTEM, "out of memory");
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "%s", path);
	return walk_file(v, fd, heads, e);
}

// ---- a KMS

static bool get_hash(ProtobufCBinaryData b, uint8_t *out, size_t n)
{
	if (b.len != n)
		return false;
	memcpy(out, b.data, n);
	return true;
}

static int head_of(const Kms__AuditHead *m, struct audit_head *h, struct err *e)
{
	h->size = m->size;
	h->time = m->time;
	if (!get_hash(m->log_id, h->log_id, 32) || !get_hash(m->root, h->root, 32) ||
	    !get_hash(m->k256_pubkey, h->signer, 33) || !get_hash(m->signature, h->signature, 65))
		return err_code(e, ERR_INPUT, "audit.head", "the KMS answered a malformed tree head");
	return 0;
}

static int path_of(const ProtobufCBinaryData *b, size_t n, struct merkle_path *p, struct err *e)
{
	p->n = n;
	for (size_t i = 0; n <= MERKLE_PATH_MAX && i < n; i++)
		if (!get_hash(b[i], p->hash[i], MERKLE_HASH))
			n = SIZE_MAX;
	return n > MERKLE_PATH_MAX
		       ? err_code(e, ERR_INPUT, "audit.proof", "the KMS answered a malformed proof")
		       : 0;
}

static int ask_proof(struct log_check *v, struct rpc_client *c, struct arena *a, struct err *e)
{
	Kms__AuditProofRequest q = KMS__AUDIT_PROOF_REQUEST__INIT;
	Kms__AuditProof *m = NULL;
	struct merkle_path p;

	q.size = v->now.size;
	if (v->has_record) {
		q.opt_seq_case = KMS__AUDIT_PROOF_REQUEST__OPT_SEQ_SEQ;
		q.seq = v->seq;
	}
	if (v->has_head) {
		q.opt_first_size_case = KMS__AUDIT_PROOF_REQUEST__OPT_FIRST_SIZE_FIRST_SIZE;
		q.first_size = v->head.size;
	}
	if (rpc_client_call(c, "GetAuditProof", &q.base, &kms__audit_proof__descriptor, a, (void **)&m, e))
		return -1;
	if (v->has_head) {
		if (path_of(m->consistency, m->n_consistency, &p, e))
			return -1;
		v->head_holds = merkle_holds_prefix(v->head.root, v->head.size, v->now.root, v->now.size, &p);
		if (!v->head_holds)
			return fork_found(&v->head, e);
	}
	if (v->has_record) {
		if (path_of(m->inclusion, m->n_inclusion, &p, e))
			return -1;
		v->record_holds = merkle_holds_leaf(v->now.root, v->now.size, v->seq, v->leaf, &p);
	}
	return 0;
}

static int verify_url(struct log_check *v, struct err *e)
{
	auto_arena *a = arena_new(0);
	auto_free char *url = str_format("%s%s", v->target, str_ends(v->target, "/prpc") ? "" : "/prpc");
	// Who answers does not matter: what is believed is signed.
	struct rpc_client_opts o = { .insecure = true };
	auto_rpc_client *c = a && url ? rpc_client_new(url, &o, e) : NULL;
	Kms__GetMetaResponse *meta = NULL;
	Kms__AuditHead *m = NULL;

	if (!c ||
	    rpc_client_call(c, "GetAuditCheckpoint", NULL, &kms__audit_head__descriptor, a, (void **)&m, e) ||
	    head_of(m, &v->now, e))
		return -1;
	if (!v->pinned &&
	    (rpc_client_call(c, "GetMeta", NULL, &kms__get_meta_response__descriptor, a, (void **)&meta, e) ||
	     !get_hash(meta->k256_pubkey, v->pin, sizeof v->pin)))
		return meta ? err_code(e, ERR_INPUT, "audit.head", "GetMeta names no root key") : -1;
	if (audit_head_check(&v->now, v->pin, e))
		return -1;
	v->signed_now = true;
	v->size = v->now.size;
	v->time = v->now.time;
	memcpy(v->id, v->now.log_id, sizeof v->id);
	memcpy(v->root, v->now.root, sizeof v->root);
	if (same_log(v, v->id, v->size, e))
		return -1;
	return v->has_head || v->has_record ? ask_proof(v, c, a, e) : 0;
}

// ---- arguments and result

static int load(struct log_check *v, struct err *e)
{
	auto_free char *head = NULL;
	size_t n;

	if (v->head_file) {
		if (file_read(v->head_file, TEXT_MAX, &head, &n, e))
			return -1;
		size_t len = strcspn(head, "\n");
		if (audit_head_read(&v->head, span_of(head, len), e) ||
		    audit_head_check(&v->head, v->pinned ? v->pin : NULL, e))
			return err_wrap(e, "%s", v->head_file);
		v->has_head = true;
	}
	if (v->record_file) {
		struct audit_record r;
		struct fault f;
		if (file_read(v->record_file, TEXT_MAX, &v->record, &n, e))
			return -1;
		struct span line = span_of(v->record, strcspn(v->record, "\n"));
		if (audit_record_read(&r, line, &f))
			return err_code(e, ERR_INPUT, f.code, "%s: %s", v->record_file, f.text);
		v->seq = r.seq;
		merkle_leaf(line, v->leaf);
		v->has_record = true;
	}
	return 0;
}

static int save(const struct log_check *v, struct err *e)
{
	char text[AUDIT_HEAD_MAX + 1];
	struct wr w = wr_to(text, sizeof text);

	if (!v->save)
		return 0;
	if (!v->signed_now)
		return err_code(e, ERR_INPUT, "audit.head", "only a KMS signs heads: --save needs a URL");
	audit_head_write(&w, &v->now);
	wr_u8(&w, '\n');
	return w.bad ? err_set(e, ERR_BUG, "head too long") : file_write(v->save, 0644, text, w.n, e);
}

static int verify(struct log_check *v, struct err *e)
{
	bool url = strstr(v->target, "://") || str_starts(v->target, "unix:");

	if (load(v, e) || (url ? verify_url(v, e) : verify_file(v, e)))
		return -1;
	if (v->has_record && !v->record_holds)
		return err_code(e, ERR_UNTRUSTED, "audit.proof",
				"record %llu of the log is not the one in hand", (unsigned long long)v->seq);
	return save(v, e);
}

static void print(const struct log_check *v)
{
	char when[TIME_TEXT];

	if (v->json) {
		printf("{\"ok\":true,\"size\":%llu,\"root\":\"%s\",\"log_id\":\"%s\",\"time\":%llu,\"heads\":"
		       "%llu,"
		       "\"earlier_head\":%s,\"record\":%s,\"unfinished_bytes\":%llu}\n",
		       (unsigned long long)v->size, STR_HEX(v->root, 32), STR_HEX(v->id, 32),
		       (unsigned long long)v->time, (unsigned long long)v->heads,
		       v->has_head ? "true" : "null", v->has_record ? "true" : "null",
		       (unsigned long long)v->tail);
		return;
	}
	printf("log      %s\nrecords  %llu, the last at %s\nroot     %s\n", STR_HEX(v->id, 32),
	       (unsigned long long)v->size, time_text(when, v->time), STR_HEX(v->root, 32));
	if (v->signed_now)
		printf("signed   by %s%s\n", STR_HEX(v->now.signer, 33),
		       v->pinned ? "" : ", which nothing here pins");
	else
		printf("heads    %llu beside it hold\n", (unsigned long long)v->heads);
	if (v->has_head)
		printf("earlier  the head of %llu records is a beginning of it\n",
		       (unsigned long long)v->head.size);
	if (v->has_record)
		printf("record   %llu is in it\n", (unsigned long long)v->seq);
	if (v->tail)
		printf("note     an unfinished record of %llu bytes follows\n", (unsigned long long)v->tail);
}

static bool parse(int argc, char **argv, struct log_check *v)
{
	static const struct option opts[] = {
		{ "head", required_argument, NULL, 'h' }, { "record", required_argument, NULL, 'r' },
		{ "save", required_argument, NULL, 's' }, { "k256-pubkey", required_argument, NULL, 'k' },
		{ "json", no_argument, NULL, 'j' },       { NULL, 0, NULL, 0 }
	};

	optind = 1;
	for (int c; (c = getopt_long(argc, argv, "", opts, NULL)) != -1;) {
		if (c == 'h')
			v->head_file = optarg;
		else if (c == 'r')
			v->record_file = optarg;
		else if (c == 's')
			v->save = optarg;
		else if (c == 'j')
			v->json = true;
		else if (c != 'k' || !(v->pinned = hex_exact(v->pin, sizeof v->pin, optarg)))
			return false;
	}
	v->target = argv[optind];
	return argc - optind == 1;
}

int kms_log(int argc, char **argv)
{
	struct log_check v = { 0 };
	struct err e = { 0 };

	if (argc < 2 || strcmp(argv[1], "verify") != 0 || !parse(argc - 1, argv + 1, &v))
		return kms_usage("log");
	int rc = verify(&v, &e);
	free(v.record);
	if (rc)
		return command_fail(&e, v.json);
	print(&v);
	return 0;
}
