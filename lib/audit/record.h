// record - one line of the audit log: what was asked of the KMS, who asked, what it answered and why.
//
// A record is one JSON object without blanks, members in a fixed order, at most AUDIT_RECORD_MAX bytes; there
// is one way to write each (audit_record_read refuses any other). It names software, machines and hashes,
// never a secret. docs/kms-audit.md lists the members.
#pragma once
#include "audit/merkle.h"
#include "core/codec/fault.h"
#include "core/verify/bootinfo.h"

enum { AUDIT_RECORD_MAX = 8192, AUDIT_EPOCHS_MAX = 8, AUDIT_WORD = 32, AUDIT_CODE = 48, AUDIT_REASON = 240 };

enum audit_event {
	AUDIT_CREATED, // the first record of a log
	AUDIT_START,   // of the KMS
	AUDIT_KEYS,    // GetAppKey
	AUDIT_CERT,    // SignCert
	AUDIT_ROOTS,   // GetKmsKey: the root keys to another KMS
	AUDIT_POLICY,  // epochs or revocations changed
	AUDIT_ADMIN,   // anything else an operator did
	AUDIT_ROTATE,  // a new root set
	AUDIT_CRL,     // a list of revoked certificates was signed
	AUDIT_PEER,    // the log of another KMS: followed from now on, or found false
	AUDIT_EVENTS
};

// What the one who asks for a record says. Plain values; odd ones are cleaned, not trusted.
struct audit_entry {
	uint32_t event;   // enum audit_event
	uint8_t ok;       // done; else refused, and `code` says why
	uint8_t has_boot; // evidence was verified: `boot` is what it proved
	uint8_t has_key, has_evidence, has_digest, has_seed, has_serial;
	uint8_t key[32];      // SHA-256 of the client's SubjectPublicKeyInfo
	uint8_t evidence[32]; // SHA-256 of the evidence it showed
	uint8_t digest[32];   // of what was signed, or of the document
	uint8_t seed[32];     // SHA-256 of the deployment seed
	uint8_t serial[20];   // of the certificate that was signed
	uint64_t not_after;   // its end, Unix seconds
	uint32_t n_epochs;    // whose keys were given
	uint64_t epochs[AUDIT_EPOCHS_MAX];
	uint32_t n_roots; // root sets of those epochs, or the one that signed; 0: set 0 and no other
	uint32_t roots[AUDIT_EPOCHS_MAX];
	uint64_t skipped;        // refusals of peers without evidence since the last record, beyond the limit
	char source[AUDIT_WORD]; // who decided: the policy's kind
	char code[AUDIT_CODE];
	char reason[AUDIT_REASON]; // or what was done, in words
	struct boot_info boot;
};

struct audit_record {
	uint64_t seq, time; // Unix milliseconds, never less than in the record before
	merkle_hash prev;   // the root of the log before this record
	struct audit_entry entry;
};

const char *audit_event_name(uint32_t event);
// Texts become printable ASCII, counts fit, flags are 0 or 1: whatever another process wrote there.
void audit_entry_clean(struct audit_entry *x);
void audit_record_write(struct wr *w, const struct audit_record *r); // of a clean entry; no newline
MUST_USE int audit_record_read(struct audit_record *r, struct span line, struct fault *f); // audit.record
