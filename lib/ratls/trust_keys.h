// trust_keys - configuration keys that every daemon which verifies evidence has, for its table
// (base/config.h).
#pragma once
#include "base/config.h"

// clang-format off
#define TRUST_KEYS                                                                                           \
	{ "attestation.cache_dir", CONFIG_STRING, .doc = "keeps collateral between starts; empty: memory only" },  \
	{ "attestation.allow_older_collateral", CONFIG_BOOL,                                                 \
	  .doc = "accept, with a label, collateral older than seen before" },                                \
	{ "attestation.intel_tdx_components", CONFIG_BOOL,                                                   \
	  .doc = "judge a TDX module that has a version by its identity alone, as Intel does" },             \
	{ "attestation.development_root", CONFIG_STRING,                                                     \
	  .doc = "certificate of a development root; needs insecure_development" }
// clang-format on
