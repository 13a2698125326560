// revocation - is a certificate that an instance registered with on its CA's list of revoked ones?
//
// The lists come from the KMSs of revocation.kms_urls (GET /crl/app-<id>-<root set>.crl), over TLS under the
// KMS root, and must be signed by the very CA that signed the certificate: who is in between can withhold a
// list, not change it or bring an older one back. A certificate is good when every KMS has a valid list and
// it is on none. Lists outlive a restart in the store and a silent KMS until their own end; then nothing is
// good any more. RFC 5280 section 5, read by core/codec/x509.h. Codes: revoked.cert, crl.stale, crl.invalid.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"
#include "route.h"

enum { REVOCATION_URLS_MAX = 8, REVOCATION_KEY = 64, REVOCATION_SERIAL = 20 };

// What of a certificate is asked about: whose it is, by which CA, which one.
struct revocation_cert {
	uint8_t app[ID_SIZE];
	uint8_t issuer[REVOCATION_KEY]; // public key of the CA, X and Y
	uint8_t serial[REVOCATION_SERIAL];
};

// Where lists are kept over restarts; called from several threads.
struct revocation_store {
	void (*put)(void *arg, const uint8_t app[static ID_SIZE], const uint8_t issuer[static REVOCATION_KEY],
		    const char *url, struct span der);
	void (*drop)(void *arg, const uint8_t app[static ID_SIZE],
		     const uint8_t issuer[static REVOCATION_KEY]);
	void *arg;
};

struct revocation;

struct revocation *revocation_new(const char *const *url, size_t n, const char *ca_file, uint64_t every_s,
				  const struct revocation_store *store, struct err *e);
void revocation_free(struct revocation *r);
void revocation_stop(struct revocation *r); // nothing is fetched any more
// A list from the store; one that does not hold any more is passed by.
void revocation_load(struct revocation *r, const uint8_t app[static ID_SIZE],
		     const uint8_t issuer[static REVOCATION_KEY], const char *url, struct span der);
// Asks the KMSs for the lists of this certificate's CA that were not asked for in the last `every_s`.
void revocation_fetch(struct revocation *r, const struct revocation_cert *c);
// By the lists that are there. -1: not good, and why.
int revocation_check(struct revocation *r, const struct revocation_cert *c, struct err *e)
	__attribute__((warn_unused_result));
// Begins a round: lists that nobody fetched in the last rounds are forgotten.
void revocation_round(struct revocation *r);
// One list as it came. `was`: this_update of the one before, 0: none. Codes: crl.invalid.
struct revocation_list {
	uint64_t this_update, next_update;
};
int revocation_read(struct revocation_list *out, struct span der, const uint8_t issuer[static REVOCATION_KEY],
		    uint64_t was, uint64_t now, struct err *e) __attribute__((warn_unused_result));
