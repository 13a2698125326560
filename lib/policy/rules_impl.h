// rules_impl - a parsed policy file's insides, shared by its two readers and the judge. Private to
// lib/policy.
#pragma once
#include "base/arena.h"
#include "policy/rules.h"

enum { APP = 20, HASH = 32 };

struct list {
	uint8_t (*items)[HASH];
	size_t n;
};

struct texts {
	const char **items;
	size_t n;
};

struct place { // where something may run
	struct list devices;
	bool any_device;
};

struct rules_app {
	uint8_t id[APP];
	const char *text; // the id as the file spells it
	struct list compose;
	struct place place;
	bool suspended;
};

struct policy_rules { // texts live in `config` or `arena`, all else in `arena`
	struct config *config;
	struct arena *arena;
	bool development, has_chain;
	const char *gateway, *contract, *app_implementation;
	uint64_t chain_id;
	struct texts tcb, advisories;
	struct list images, kms_mrs;
	struct place kms_place;
	struct rules_app *apps;
	size_t n_apps;
};

struct policy_rules *policy_rules_new(struct err *e);
// One more of at most `most`; refused when it is there, in any spelling. The caller fills in the rest of it.
int policy_rules_add_app(struct policy_rules *r, const char *id, size_t most, struct err *e);
int policy_rules_toml(struct policy_rules *r, const char *text, size_t n, const char *name, struct err *e);
int policy_rules_json(struct policy_rules *r, const char *text, size_t n, struct err *e);
