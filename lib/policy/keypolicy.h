// keypolicy - which derivation epochs a KMS serves, and which apps, compose files, machines and images get
// nothing any more: one JSON document that only ever goes forward.
//
// Epochs are of an app, or of all that have no rule of their own. An epoch that a request names is served
// from `min` to `current` unless it was ended; a request that names none (upstream's guests) gets `legacy`.
// Ends and revocations begin at a time, so that they can be announced. Spec 20 section 7.2;
// docs/kms-epochs.md. Codes: epoch.not_served, epoch.revoked, revoked.app, revoked.compose, revoked.device,
// revoked.image, keypolicy.syntax, keypolicy.value, keypolicy.full.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sb.h"
#include "core/codec/buf.h"

enum {
	KEYPOLICY_APPS_MAX = 4096,
	KEYPOLICY_REVOKED_MAX = 16384,
	KEYPOLICY_ENDS_MAX = 64,
	KEYPOLICY_ROOTS_MAX = 8, // as many as a KMS has root sets at most (crypto/rotation.h)
	KEYPOLICY_REASON = 128,
	KEYPOLICY_TEXT_MAX = 8 << 20,
	KEYPOLICY_VALUE_MAX = 40,
};

struct boot_info;
struct keypolicy;
struct policy_epochs; // policy/policy.h

enum keypolicy_kind {
	KEYPOLICY_APP,
	KEYPOLICY_COMPOSE,
	KEYPOLICY_DEVICE,
	KEYPOLICY_IMAGE,
	KEYPOLICY_CERT, // one certificate: its app's id and its serial number, 20 bytes each
	KEYPOLICY_KINDS
};

struct keypolicy_end {
	uint64_t epoch, at; // Unix seconds
};

struct keypolicy_from {
	uint64_t epoch; // from this one on, up to the next entry,
	uint32_t root;  // secrets hang on this root set
};

struct keypolicy_rule {
	uint64_t current, min, legacy;
	bool learned; // an app's, from what the policy says of it; the default's min and ends hold beside it
	size_t n_ends, n_roots;
	struct keypolicy_end end[KEYPOLICY_ENDS_MAX];
	struct keypolicy_from root[KEYPOLICY_ROOTS_MAX]; // both ascending; before the first: set 0
};

struct keypolicy *keypolicy_new(void); // version 0: epoch 0 for all, nothing revoked; NULL when out of memory
struct keypolicy *keypolicy_parse(struct span text, struct err *e);
void keypolicy_free(struct keypolicy *p);
void keypolicy_write(struct sb *out,
		     const struct keypolicy *p); // the one way to write it, with final newline

uint64_t keypolicy_version(const struct keypolicy *p);
const struct keypolicy_rule *keypolicy_rule(const struct keypolicy *p, const uint8_t app[static 20]);
bool keypolicy_has_rule(const struct keypolicy *p, const uint8_t app[static 20]); // of its own
// When the epoch ends; 0: no end is set.
uint64_t keypolicy_end_of(const struct keypolicy *p, const uint8_t app[static 20], uint64_t epoch);
// The root set that an app's epoch hangs on; the newest that the document names.
uint32_t keypolicy_root(const struct keypolicy *p, const uint8_t app[static 20], uint64_t epoch);
uint32_t keypolicy_root_max(const struct keypolicy *p);
// Is an epoch of the app served that hangs on this set?
bool keypolicy_serves_root(const struct keypolicy *p, const uint8_t app[static 20], uint32_t root,
			   uint64_t now);

// The epoch of a request that named `*asked` (NULL: none).
int keypolicy_pick(const struct keypolicy *p, const uint8_t app[static 20], const uint64_t *asked,
		   uint64_t now, uint64_t *out, struct err *e) __attribute__((warn_unused_result));
// Epochs below `below` that are served, newest first. How many.
size_t keypolicy_earlier(const struct keypolicy *p, const uint8_t app[static 20], uint64_t below,
			 uint64_t now, uint64_t *out, size_t cap);
// May this guest get anything?
int keypolicy_check(const struct keypolicy *p, const struct boot_info *b, uint64_t now, struct err *e)
	__attribute__((warn_unused_result));
// The first time at which that ends, UINT64_MAX: none is set.
uint64_t keypolicy_until(const struct keypolicy *p, const struct boot_info *b);
// The newest epoch of an app that hangs on this set, or hung before another was made.
uint64_t keypolicy_newest_on(const struct keypolicy *p, const uint8_t app[static 20], uint32_t root);
// When certificates of that epoch end with it; UINT64_MAX: no end is set.
uint64_t keypolicy_epoch_until(const struct keypolicy *p, const uint8_t app[static 20], uint64_t epoch);
// The certificates of an app that are revoked one by one.
void keypolicy_certs(const struct keypolicy *p, const uint8_t app[static 20],
		     void (*fn)(void *arg, const uint8_t serial[static 20], uint64_t at), void *arg);

// What the policy says of an app's epochs, joined with what it said before: current, min and legacy only go
// up, an end only comes earlier. 1: *out is a new rule for the app; 0: nothing changes, or the app has a rule
// that an operator made, which only he changes. Codes: epoch.not_served (it contradicts itself),
// keypolicy.full.
int keypolicy_join(const struct keypolicy *p, const uint8_t app[static 20], const struct policy_epochs *x,
		   struct keypolicy_rule *out, struct err *e) __attribute__((warn_unused_result));

// Changes; each makes the next version. `app` NULL: the rule for all others.
struct keypolicy_turn {
	const uint8_t *app;
	uint64_t now, overlap_s;
	bool move_legacy, has_root;
	uint32_t root; // that the new epoch hangs on; not an older set than the current one's
};
int keypolicy_rotate(struct keypolicy *p, const struct keypolicy_turn *t, struct err *e)
	__attribute__((warn_unused_result));
int keypolicy_learn(struct keypolicy *p, const uint8_t app[static 20], const struct policy_epochs *x,
		    struct err *e) __attribute__((warn_unused_result));
int keypolicy_end_epoch(struct keypolicy *p, const uint8_t *app, uint64_t epoch, uint64_t at, struct err *e)
	__attribute__((warn_unused_result));
// Of something revoked already: the earlier time holds.
int keypolicy_revoke(struct keypolicy *p, enum keypolicy_kind kind, struct span value, uint64_t at,
		     const char *reason, struct err *e) __attribute__((warn_unused_result));
int keypolicy_restore(struct keypolicy *p, enum keypolicy_kind kind, struct span value, struct err *e)
	__attribute__((warn_unused_result)); // takes a revocation back

const char *keypolicy_kind_name(enum keypolicy_kind k);
// As people write it, at most 20 bytes of hex: zeros are put in front.
int keypolicy_cert_value(const uint8_t *app, struct span serial, uint8_t out[static KEYPOLICY_VALUE_MAX],
			 struct err *e);
bool keypolicy_kind_read(const char *name, enum keypolicy_kind *out);
size_t keypolicy_value_size(enum keypolicy_kind k);

// ---- the file

#define KEYPOLICY_NAME "keypolicy.json"
// An absent file is version 0. *out is the caller's.
int keypolicy_load(const char *path, struct keypolicy **out, struct err *e);
// Under a lock beside the file: read, `change`, written by rename. *out (may be NULL) is what is there then.
int keypolicy_edit(const char *path, int (*change)(struct keypolicy *p, void *arg, struct err *e), void *arg,
		   struct keypolicy **out, struct err *e);
