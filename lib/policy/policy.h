// policy - may this software have keys? Boot info in, allowed or a reason out.
//
// Back ends sit behind one interface; any doubt (no file, unreadable, empty list, no match) is a no. Policy
// trusts that boot info was proved by the verifier first. Semantics: spec 20 section 3.2, strict as its
// section 7.3 says. Codes: policy.unavailable, policy.empty, policy.development, policy.tcb_not_allowed,
// policy.advisory_not_allowed, policy.image_not_allowed, policy.app_not_allowed, policy.compose_not_allowed,
// policy.kms_not_allowed, policy.device_not_allowed, policy.boot_info.
#pragma once
#include "base/err.h"

struct boot_info; // core/verify/bootinfo.h
struct policy;

enum policy_kind { POLICY_APP, POLICY_KMS };
enum { POLICY_GATEWAY_MAX = 64 };

// Safe to call from several threads.
int policy_allow(struct policy *p, const struct boot_info *b, enum policy_kind kind, struct err *e)
	__attribute__((warn_unused_result));
// The app id (hex) guests must find in their gateway's certificate; "" when none is set.
void policy_gateway_app_id(struct policy *p, char out[static POLICY_GATEWAY_MAX]);
void policy_free(struct policy *p);

// Back end `file`: TOML, read again when it has changed; a change that does not parse denies all until it
// does. A missing file denies all, a malformed one fails here.
//
//     development = false            # evidence under a development root may be allowed at all
//     gateway_app_id = "<40 hex>"
//     os_images = ["<64 hex>"]
//     allowed_tcb_statuses = ["UpToDate"]
//     allowed_advisory_ids = []
//     [kms]
//     mr_aggregated = []  devices = []  allow_any_device = false
//     [[app]]
//     id = "<40 hex>"  compose_hashes = ["<64 hex>"]  devices = []  allow_any_device = false
struct policy *policy_file_new(const char *path, struct err *e);

// For `dstack deploy`: write an app's compose hash, or an image hash (hex), into a policy file unless it is
// there; a new app's entry gets allow_any_device = true, spelled out. The file is made if absent. Under
// flock, by temp + fsync + rename; comments and layout stay.
int policy_file_allow(const char *path, const char *app_id, const char *compose_hash, struct err *e)
	__attribute__((warn_unused_result));
int policy_file_allow_image(const char *path, const char *os_image_hash, struct err *e)
	__attribute__((warn_unused_result));
