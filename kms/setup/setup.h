// setup - the first life of a KMS that has no keys: bootstrap, or onboarding from another KMS.
//
// A process of its own, forked for this and gone afterwards with everything it knew. Either it makes the
// roots at once for the configured domain, or it serves a page and service Onboard, without TLS, to whoever
// holds the one-time token, until it is told to finish. spec 20 sections 1.5 and 2.2; spec 70 KM-09.
#pragma once
#include "../config.h"

// Returns when there are keys. Codes: kms.no_keys, setup.*, those of bootstrap.h and handover.h.
int setup_run(const struct kms_config *c, struct err *e);
