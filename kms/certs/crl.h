// crl - GET /crl/app-<id>.crl: which of an app's certificates are revoked, signed by the app's CA.
//
// On a list is what this KMS signed, is not over, and was signed for an app, compose file, machine, guest
// image or epoch that is revoked or ended since; and what the document of epochs and revocations names one
// by one. It is made when somebody asks, so it is as new as the question; a signature is made only when
// the list has changed or half its life is over, and recorded in the audit log. For apps without a
// certificate here lists are made at a slow rate. RFC 5280 section 5, spec 20 section 7.2. Codes: crl.rate,
// crl.full, keypolicy.*.
#pragma once
#include <stdatomic.h>

#include "../log/audit.h"
#include "issued.h"
#include "../service/keyrules.h"
#include "rpc/rate.h"

enum { CRL_OTHERS = 256 };

struct crl_list {
	struct issued_key key;
	uint8_t *der; // NULL: none was signed yet
	size_t n;
	uint64_t this_update, generation, changes, again; // again: it may say something else from then on
	uint8_t hash[32];                                 // of its entries
	uint64_t used;
};

struct crls {
	struct keyproc *keys;
	struct kms_audit *audit;
	struct keyrules *rules;
	uint64_t valid_s;
	pthread_mutex_t lock, signing; // of what follows; of who signs, taken first
	struct issued *issued;
	struct crl_list *known; // by the slot of the app
	size_t n_known;
	struct crl_list other[CRL_OTHERS]; // of apps without a certificate
	struct rate *rate;
	uint64_t number, uses;
	atomic_ulong served, made;
};

int crls_open(struct crls *c, const char *state_dir, uint64_t valid_s, struct keyproc *keys,
	      struct kms_audit *audit, struct keyrules *rules, struct err *e);
void crls_close(struct crls *c);
// Before a certificate is signed by a root set's CA of the app: x says for whom, with serial number and end.
// Code: crl.full.
int crls_count(struct crls *c, uint32_t root, const struct audit_entry *x, struct err *e)
	__attribute__((warn_unused_result));
// The list of an app's CA, malloc'd. `client` is who asks. May wait for the key process.
int crls_get(struct crls *c, const struct issued_key *k, const uint8_t client[static RATE_KEY], uint8_t **der,
	     size_t *n, struct err *e) __attribute__((warn_unused_result));
size_t crls_counted(struct crls *c);

struct service;
int crls_mount(struct service *s, struct rpc_server *server);
