// kms log verify - an audit log, or what a KMS says of its own, against signed heads and a record in hand.
//
// A file proves by itself that nothing inside was changed; a head seen earlier, or kept by another KMS,
// proves that nothing was cut or replaced since. Of a URL the signed head is asked, and proofs that lead to
// it.
#include "kms_log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/record.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "base/time.h"
#include "command.h"
#include "kms.h"

int log_add_seen(struct log_check *v, const struct audit_head *h, const char *from, bool refused,
		 struct err *e)
{
	if (v->n_seen == LOG_SEEN)
		return err_code(e, ERR_INPUT, "audit.witness", "more than %d heads to compare with",
				LOG_SEEN);
	v->seen[v->n_seen++] = (struct log_seen){ .head = *h, .from = from, .refused = refused };
	return 0;
}

int log_too_short(const struct log_check *v, const struct log_seen *s, struct err *e)
{
	if (s->refused)
		return err_code(
			e, ERR_UNTRUSTED, "audit.fork",
			"%s was shown a head of %llu records that does not go with the others of this log",
			s->from, (unsigned long long)s->head.size);
	return err_code(e, ERR_UNTRUSTED, "audit.truncated",
			"%s: the log has %llu records, but a head of %llu was signed earlier", s->from,
			(unsigned long long)v->size, (unsigned long long)s->head.size);
}

static int load_head(struct log_check *v, struct err *e)
{
	auto_free char *text = NULL;
	struct audit_head h;
	size_t n;

	if (file_read(v->head_file, LOG_TEXT_MAX, &text, &n, e) ||
	    audit_head_read(&h, span_of(text, strcspn(text, "\n")), e) ||
	    audit_head_check(&h, v->pinned ? v->pin : NULL, e))
		return err_wrap(e, "%s", v->head_file);
	v->has_head = true;
	return log_add_seen(v, &h, v->head_file, false, e);
}

static int load_record(struct log_check *v, struct err *e)
{
	struct audit_record r;
	struct fault f;
	size_t n;

	if (file_read(v->record_file, LOG_TEXT_MAX, &v->record, &n, e))
		return -1;
	struct span line = span_of(v->record, strcspn(v->record, "\n"));
	if (audit_record_read(&r, line, &f))
		return err_code(e, ERR_INPUT, f.code, "%s: %s", v->record_file, f.text);
	v->seq = r.seq;
	merkle_leaf(line, v->leaf);
	v->has_record = true;
	return 0;
}

static int save(const struct log_check *v, struct err *e)
{
	char text[AUDIT_HEAD_MAX + 1];
	struct wr w = wr_to(text, sizeof text);

	if (!v->save)
		return 0;
	audit_head_write(&w, &v->now);
	wr_u8(&w, '\n');
	return w.bad ? err_set(e, ERR_BUG, "head too long") : file_write(v->save, 0644, text, w.n, e);
}

static int verify(struct log_check *v, struct err *e)
{
	bool url = log_is_url(v->target);

	if (v->save && !url)
		return err_code(e, ERR_INPUT, "audit.head", "only a KMS signs heads: --save needs a URL");
	v->arena = arena_new(0);
	if (!v->arena)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if ((v->head_file && load_head(v, e)) || (v->record_file && load_record(v, e)))
		return -1;
	if (url ? log_url_head(v, e) : log_file_id(v, e))
		return -1;
	if (log_peers(v, e) || (url ? log_url_verify(v, e) : log_file_verify(v, e)))
		return -1;
	if (v->has_record && !v->record_holds)
		return err_code(e, ERR_UNTRUSTED, "audit.proof",
				"record %llu of the log is not the one in hand", (unsigned long long)v->seq);
	return save(v, e);
}

static void print_json(const struct log_check *v)
{
	auto_sb b = { 0 };

	sb_fmt(&b,
	       "{\"ok\":true,\"size\":%llu,\"root\":\"%s\",\"log_id\":\"%s\",\"time\":%llu,\"heads\":%llu,"
	       "\"earlier_head\":%s,\"record\":%s,\"unfinished_bytes\":%llu,\"server_verified\":%s,\"peers\":"
	       "[",
	       (unsigned long long)v->size, STR_HEX(v->root, 32), STR_HEX(v->id, 32),
	       (unsigned long long)v->time, (unsigned long long)v->heads, v->has_head ? "true" : "null",
	       v->has_record ? "true" : "null", (unsigned long long)v->tail,
	       !v->signed_now  ? "null"
	       : v->unverified ? "false"
			       : "true");
	for (size_t i = v->has_head; i < v->n_seen; i++) {
		sb_str(&b, i > v->has_head ? ",{\"from\":" : "{\"from\":");
		sb_json_str(&b, v->seen[i].from);
		sb_fmt(&b, ",\"size\":%llu,\"time\":%llu,\"holds\":true}",
		       (unsigned long long)v->seen[i].head.size, (unsigned long long)v->seen[i].head.time);
	}
	sb_str(&b, "],\"notes\":[");
	for (size_t i = 0; i < v->n_notes; i++) {
		sb_str(&b, i ? "," : "");
		sb_json_str(&b, v->note[i]);
	}
	sb_str(&b, "]}");
	puts(b.bad ? "{\"ok\":false}" : b.p);
}

static void print(const struct log_check *v)
{
	char when[TIME_TEXT];

	if (v->json) {
		print_json(v);
		return;
	}
	printf("log      %s\nrecords  %llu, the last at %s\nroot     %s\n", STR_HEX(v->id, 32),
	       (unsigned long long)v->size, time_text(when, v->time), STR_HEX(v->root, 32));
	if (v->signed_now)
		printf("signed   by %s%s%s\n", STR_HEX(v->now.signer, 33),
		       v->pinned       ? ""
		       : v->unverified ? ", which nothing here pins"
				       : ", as the KMS under the pinned root says",
		       v->unverified ? "; who answered was not verified" : "");
	else
		printf("heads    %llu beside it hold\n", (unsigned long long)v->heads);
	for (size_t i = 0; i < v->n_seen; i++)
		printf("%s the head of %llu records (%s) is a beginning of it\n",
		       i < v->has_head ? "earlier " : "peer    ", (unsigned long long)v->seen[i].head.size,
		       v->seen[i].from);
	if (v->has_record)
		printf("record   %llu is in it\n", (unsigned long long)v->seq);
	if (!v->signed_now && !v->pinned && v->heads + v->n_seen)
		puts("note     heads of any key were taken: --k256-pubkey says whose must have signed");
	for (size_t i = 0; i < v->n_notes; i++)
		printf("note     %s\n", v->note[i]);
	if (v->tail)
		printf("note     an unfinished record of %llu bytes follows\n", (unsigned long long)v->tail);
}

static bool take(struct log_check *v, int c)
{
	switch (c) {
	case 'h':
		v->head_file = optarg;
		return true;
	case 'r':
		v->record_file = optarg;
		return true;
	case 's':
		v->save = optarg;
		return true;
	case 'j':
		return v->json = true;
	case 'p':
		if (v->n_peers == LOG_PEERS)
			return false;
		v->peer[v->n_peers++] = optarg;
		return true;
	case 'c':
		v->root_file = optarg;
		return true;
	case 'd':
		v->dir = optarg;
		return true;
	case 'u':
		return v->unverified = true;
	case 'k':
		return v->pinned = hex_exact(v->pin, sizeof v->pin, optarg);
	default:
		return false;
	}
}

static bool parse(int argc, char **argv, struct log_check *v)
{
	static const struct option opts[] = {
		{ "head", required_argument, NULL, 'h' }, { "record", required_argument, NULL, 'r' },
		{ "save", required_argument, NULL, 's' }, { "k256-pubkey", required_argument, NULL, 'k' },
		{ "peer", required_argument, NULL, 'p' }, { "kms-root", required_argument, NULL, 'c' },
		{ "dir", required_argument, NULL, 'd' },  { "unverified-tls", no_argument, NULL, 'u' },
		{ "json", no_argument, NULL, 'j' },       { NULL, 0, NULL, 0 }
	};

	optind = 1;
	for (int c; (c = getopt_long(argc, argv, "", opts, NULL)) != -1;)
		if (!take(v, c))
			return false;
	v->target = argv[optind];
	return argc - optind == 1 && !(v->unverified && v->root_file);
}

int kms_log(int argc, char **argv)
{
	struct log_check v = { 0 };
	struct err e = { 0 };

	if (argc < 2 || strcmp(argv[1], "verify") != 0 || !parse(argc - 1, argv + 1, &v))
		return kms_usage("log");
	int rc = verify(&v, &e);
	if (!rc)
		print(&v);
	free(v.record);
	free(v.root_pem);
	context_close(&v.context);
	arena_free(v.arena);
	return rc ? command_fail(&e, v.json) : 0;
}
