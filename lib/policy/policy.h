// policy - may this software have keys? Boot info in, allowed or a reason out.
//
// Back ends sit behind one interface; any doubt (no file, unreadable, empty list, no match) is a no. Policy
// trusts that boot info was proved by the verifier first. Semantics: spec 20 section 3.2, made strict as
// section 7.3 says. Codes: policy.unavailable, policy.empty, policy.tcb_not_allowed,
// policy.advisory_not_allowed, policy.image_not_allowed, policy.app_not_allowed, policy.compose_not_allowed,
// policy.kms_not_allowed, policy.device_not_allowed, policy.boot_info.
#pragma once
#include "base/err.h"

struct boot_info; // core/verify/bootinfo.h
struct policy;

enum policy_kind { POLICY_APP, POLICY_KMS };
enum { POLICY_GATEWAY_MAX = 64 };

int policy_allow(struct policy *p, const struct boot_info *b, enum policy_kind kind, struct err *e)
	__attribute__((warn_unused_result));
// The app id (hex) guests must find in their gateway's certificate; "" when none is set.
void policy_gateway_app_id(struct policy *p, char out[static POLICY_GATEWAY_MAX]);
void policy_free(struct policy *p);

// Back end `file`: TOML, read again when it has changed; a change that does not parse denies all until it
// does. Also fails now if the file is malformed; a missing file is a warning and denies.
struct policy *policy_file_new(const char *path, struct err *e);
// Back end for development stacks: allows any proved boot info. The program must have checked its
// `insecure_development` switch.
struct policy *policy_allow_all_new(const char *gateway_app_id, struct err *e);

// Append an app's compose hash (both hex) to a policy file unless it is there: under flock, by temp + fsync +
// rename.
int policy_file_allow(const char *path, const char *app_id, const char *compose_hash, struct err *e)
	__attribute__((warn_unused_result));
