// rules - a policy file in memory: parsed strictly, judged without I/O. Private to lib/policy.
//
// Two forms: ours (TOML), and upstream's auth-config.json when the name ends in .json (spec 20 section 3.2).
// In both an empty list allows nothing; upstream's reading of an empty list of devices, which is any device,
// must be asked for: "emptyDevicesMeanAny": true. Ours also in JSON: "development", an app's "suspended".
// Hashes and ids are taken with or without 0x, in either case, and compared as bytes; two entries for one app
// are refused, whatever their spelling.
#pragma once
#include "policy/backend.h"

struct policy_rules;

struct policy_rules *policy_rules_parse(const char *text, size_t n, const char *name, struct err *e);
void policy_rules_free(struct policy_rules *r);
int policy_rules_judge(const struct policy_rules *r, const struct boot_info *b, enum policy_kind kind,
		       struct err *e);
const char *policy_rules_gateway(const struct policy_rules *r);
void policy_rules_info(const struct policy_rules *r, struct policy_info *out);
// What the file says of one app or image, for writing to it.
bool policy_rules_has_app(const struct policy_rules *r, const uint8_t app[static 20]);
bool policy_rules_has_compose(const struct policy_rules *r, const uint8_t app[static 20],
			      const uint8_t compose[static 32]);
size_t policy_rules_count_compose(const struct policy_rules *r, const uint8_t app[static 20]);
bool policy_rules_suspended(const struct policy_rules *r, const uint8_t app[static 20]);
bool policy_rules_has_image(const struct policy_rules *r, const uint8_t image[static 32]);
bool policy_rules_has_kms(const struct policy_rules *r, const uint8_t mr_aggregated[static 32]);
int policy_hex(const char *text, uint8_t *out, size_t n); // exactly n bytes, 0x allowed
