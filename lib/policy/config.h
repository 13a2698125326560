// config - the `policy.*` keys of a daemon's configuration, and the policy they make.
//
//     [policy]
//     file = "/etc/kms/policy.toml"       # one file and nothing else; or sources:
//     need = 2                            # how many of them must allow; all unless said
//     [[policy.source]]
//     type = "webhook"                    # or "file", "ethereum", "dev"
//     url = "https://policy.example.org"
#pragma once
#include "base/config.h"
#include "policy/policy.h"

// clang-format off
#define POLICY_KEYS \
	{ "policy.file", CONFIG_STRING, \
	  .doc = "who may have keys, a file (TOML; upstream's form if it ends in .json); or policy.source" }, \
	{ "policy.need", CONFIG_INT, .def = "0", .min = 0, .max = 16, \
	  .doc = "how many policy.source must allow; 0: all of them" }, \
	{ "policy.source[].type", CONFIG_STRING, .required = true, .doc = "file, webhook, ethereum or dev" }, \
	{ "policy.source[].name", CONFIG_STRING, .doc = "for logs; empty: the file or url" }, \
	{ "policy.source[].file", CONFIG_STRING, .doc = "of a file" }, \
	{ "policy.source[].url", CONFIG_STRING, \
	  .doc = "of a webhook, or of a node's JSON-RPC: https://, unix:/path, http:// on loopback" }, \
	{ "policy.source[].fallback_urls", CONFIG_STRINGS, \
	  .doc = "of a webhook: other servers of the same policy, asked in order when url gives no decision" }, \
	{ "policy.source[].ca_file", CONFIG_STRING, .doc = "roots of the server's certificate; empty: the system's" }, \
	{ "policy.source[].client_cert", CONFIG_STRING, .doc = "certificate to show to the server, PEM" }, \
	{ "policy.source[].client_key", CONFIG_STRING, .doc = "its key, PEM" }, \
	{ "policy.source[].hmac_key_file", CONFIG_STRING, \
	  .doc = "of a webhook: file with a key of at least 32 bytes that seals questions and answers" }, \
	{ "policy.source[].connect_timeout", CONFIG_INT, .def = "3", .min = 1, .max = 60, .doc = "seconds" }, \
	{ "policy.source[].timeout", CONFIG_INT, .def = "10", .min = 1, .max = 60, .doc = "seconds for a decision" }, \
	{ "policy.source[].allow_one_sided_tls", CONFIG_BOOL, \
	  .doc = "a webhook elsewhere need not ask for this KMS's certificate" }, \
	{ "policy.source[].insecure_plain_http", CONFIG_BOOL, .doc = "a way in clear to another machine will do" }, \
	{ "policy.source[].chain_id", CONFIG_INT, .def = "0", .min = 0, .max = INT64_MAX, .doc = "of ethereum" }, \
	{ "policy.source[].contract", CONFIG_STRING, .doc = "address of the DstackKms contract" }, \
	{ "policy.source[].confirmations", CONFIG_INT, .def = "12", .min = 0, .max = 100000, \
	  .doc = "blocks upon the one whose state allows" }, \
	{ "policy.source[].gateway_app_id", CONFIG_STRING, .def = "any", \
	  .doc = "of dev, which allows everything under a development root; needs insecure_development" }, \
	{ "policy.source[].head_max_age", CONFIG_INT, .def = "120", .min = 1, .max = 86400, \
	  .doc = "seconds; an older head denies" }
// clang-format on

struct policy *policy_from_config(const struct config *c, struct err *e);
