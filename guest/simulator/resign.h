// resign - the attestation's measurements in quotes that verify, under a development PKI made from a seed.
//
// The same seed gives the same keys, root and signatures everywhere (softtee/forge): whoever knows it can
// sign the same, and only a verifier that was told to trust this development root takes it. TDX module and
// TCB are the PKI's own platform; attributes, MRTD, MRCONFIGID, owners and RTMRs are the file's.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

enum { RESIGN_REPORT_DATA = 568 }; // in the quote

struct resign;

// Where to write the PKI's root (DER) and its collateral of now (QuoteCollateralV3, good for 20 days); "":
// nowhere.
struct resign_paths {
	const char *root, *collateral;
};

// `td`: the report of the file's quote. NULL and `e`: simulator.seed, and those of base/file.
struct resign *resign_new(const char *seed, struct span td, const struct resign_paths *paths, struct err *e);
// A TDX quote of version 4 over the file's measurements and report data.
struct span resign_first(const struct resign *r);
// Sign what a copy of it says that has other report data.
int resign_quote(const struct resign *r, uint8_t *quote, struct err *e);
void resign_free(struct resign *r);
