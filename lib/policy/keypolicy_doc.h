// keypolicy_doc - what a keypolicy is made of, for its reader, its writer and its rules. Private to
// lib/policy/keypolicy*.c.
#pragma once
#include "policy/keypolicy.h"

struct app_rule {
	uint8_t app[20];
	struct keypolicy_rule rule;
};

struct revocation {
	enum keypolicy_kind kind;
	uint8_t value[KEYPOLICY_VALUE_MAX];
	uint64_t at;
	char reason[KEYPOLICY_REASON];
};

struct keypolicy {
	uint64_t version;
	struct keypolicy_rule common;
	struct app_rule *apps;
	size_t n_apps, apps_cap;
	struct revocation *revoked;
	size_t n_revoked, revoked_cap;
};

struct app_rule *keypolicy_add_app(struct keypolicy *p, const struct app_rule *r, struct err *e);
int keypolicy_add_revoked(struct keypolicy *p, const struct revocation *r, struct err *e);
