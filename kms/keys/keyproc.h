// keyproc - the process that alone holds the root keys and writes the audit log, and how the rest of the KMS
// asks it.
//
// It is forked before a byte from the network is read, loads the roots, opens the log, takes its rights away,
// and then answers messages of one fixed size from a fixed table. What it parses is this struct and nothing
// else; evidence for the RPC certificate follows in a second message and is copied, not read. A message of
// another shape ends it; the supervisor starts it anew. Nothing secret leaves it before the record of who got
// it is on the disk, whatever the rest of the KMS has become. Requests that wait together share one sync of
// the disk.
#pragma once
#include <openssl/x509.h>
#include <pthread.h>
#include <sys/types.h>

#include "crypto/appkeys.h"
#include "crypto/p256.h"
#include "keyproc_wire.h"
#include "keystore.h"

struct key_job;

struct keyproc {
	int fd;
	uint64_t cut, records, time_ms; // of the log when it was opened; cut: bytes of an unfinished record
	pthread_t reader;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct key_job *asked[KEY_WAITING_MAX], *first, **last; // on the wire; waiting for a place there
	size_t n_asked;
	int next; // socket of the next key process; -1: none yet
	pthread_cond_t came;
	bool gone, stop; // gone: nobody answers now; what is asked waits for the next one
};

// A question that need not be waited for. The caller keeps it until `done`, which runs on the reader's thread
// and must not block. After it a.err tells; the caller wipes what is secret in it.
struct key_job {
	struct key_request q;
	struct key_reply a;
	void (*done)(struct key_job *j);
	void *arg;
	struct span more;   // second message of the question
	uint8_t *more_back; // and of the answer, malloc'd, a.more bytes
	struct key_job *next;
	bool answered;
};

// Takes the socket that leads to it. Returns when it is ready, else its error.
int keyproc_join(struct keyproc *k, int fd, struct err *e);
// It ended and there is another one at this socket. What it had been asked has failed (kms.key_process); what
// was asked since goes there.
void keyproc_rejoin(struct keyproc *k, int fd);
bool keyproc_is_there(struct keyproc *k); // else another one is on its way
void keyproc_stop(struct keyproc *k);     // nobody asks any more

// Keys of q.entry.boot's app and instance in q.entry.epochs, with q.seed: a.app, a.seq, a.line.
void keyproc_submit(struct keyproc *k, struct key_job *j);
// The same at once: job->done is not used.
int keyproc_ask(struct keyproc *k, struct key_job *j, struct err *e);

int keyproc_public(struct keyproc *k, uint8_t ca_spki[static 91], uint8_t k256_pub[static 33], struct err *e);
// From here on `root` is a root set.
int keyproc_env(struct keyproc *k, uint32_t root, const struct app_epoch *at,
		const uint8_t app[static APP_ID], uint64_t time, struct env_key *out, struct err *e);
X509 *keyproc_app_ca(struct keyproc *k, uint32_t root, const uint8_t app[static APP_ID], struct err *e);
// A signature by the CA key of x->boot's app over a SHA-256 digest; recorded with the digest.
int keyproc_sign_app(struct keyproc *k, uint32_t root, const struct audit_entry *x,
		     const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len, struct err *e);
// The same of a list of revoked certificates; the record says that it was one.
int keyproc_sign_crl(struct keyproc *k, uint32_t root, const struct audit_entry *x,
		     const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len, struct err *e);
// Makes a record durable: of a refusal, before it is answered, or of a change. *seq may be NULL.
int keyproc_record(struct keyproc *k, const struct audit_entry *x, uint64_t *seq, struct err *e);
// The log as it is now: its head, signed by that set's K256 key, and how many bytes of the file are meant.
int keyproc_head(struct keyproc *k, uint32_t root, struct audit_head *head, uint64_t *bytes, struct err *e);
// The KMS's own certificate, over its RPC key; `attestation` may be empty.
X509 *keyproc_rpc_cert(struct keyproc *k, uint32_t root, struct span attestation, struct err *e);
// The roots, for another KMS, which x->boot is; recorded. ERR_DENIED kms.no_handover unless configured. The
// caller wipes `out`.
struct keyproc_roots {
	char temp_ca[P256_PEM_MAX];
	uint32_t n;
	struct key_root set[ROOT_SETS_MAX];
	uint64_t seq; // of the record
};
int keyproc_export(struct keyproc *k, const struct audit_entry *x, struct keyproc_roots *out, struct err *e);

// A new root set in two steps: made, with its statement; then, with evidence of its birth (may be empty), on
// the disk, recorded and in use. One that is not kept is forgotten when the next one is made.
int keyproc_make_roots(struct keyproc *k, struct rotation *made, struct err *e);
int keyproc_keep_roots(struct keyproc *k, const struct rotation *made, struct span evidence, uint64_t *seq,
		       struct err *e);
