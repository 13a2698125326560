// issued - the certificates this KMS has signed that are not over: what a list of revoked ones is made from.
//
// Rebuilt from the audit log at each start (records of sign-cert with a serial number) and kept in memory:
// 32 bytes a certificate, and once what it was signed for. A certificate is counted before it is signed, so
// none is out that could not be revoked; beyond the bounds nothing is signed. Not locked. Code: crl.full.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "audit/record.h"

enum { ISSUED_MAX = 1000000, ISSUED_APP_MAX = 100000, ISSUED_AFTER_S = 86400, ISSUED_SERIAL = 20 };

// What a certificate was signed for: revoked with any part of it.
struct issued_origin {
	uint8_t compose[32], device[32], image[32];
	uint8_t has_compose, has_image, has_epoch, none[5]; // no padding: compared as bytes
	uint64_t epoch;                                     // the app's current one then
};

struct issued_cert {
	uint8_t serial[ISSUED_SERIAL];
	uint32_t origin;
	uint64_t not_after;
};

// An app under a root set: both have a part in its CA.
struct issued_key {
	uint8_t app[20];
	uint32_t root;
};

struct issued_app {
	struct issued_key key;
	size_t slot;      // its number, which stays
	uint64_t changes; // how often something was added
	struct issued_origin *origin;
	struct issued_cert *cert; // some may be over, and some be there twice
	size_t n_origins, origins_cap, n_certs, certs_cap;
};

struct issued;

struct issued *issued_new(void);
void issued_free(struct issued *i);
// Of a record of sign-cert; others, and what is over, are passed by.
int issued_add(struct issued *i, uint32_t root, const struct audit_entry *x, uint64_t now, struct err *e)
	__attribute__((warn_unused_result));
int issued_load(struct issued *i, const char *log, uint64_t now, struct err *e)
	__attribute__((warn_unused_result));
const struct issued_app *issued_find(const struct issued *i, const struct issued_key *k);
size_t issued_count(const struct issued *i); // those over not yet taken out
bool issued_is_over(const struct issued_cert *c, uint64_t now);
