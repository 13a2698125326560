// app_quote - GetAttestationForAppKey: evidence that the app's signing key is held by this guest.
//
// Spec 10 section 5. The report data is the public key alone, so the same quote serves everybody: it is made
// once and kept until a runtime event moves RTMR3. Strangers who ask cannot keep the TEE busy.
#pragma once
#include "agent.h"
#include "guest.pb-c.h"

// For workers. `algorithm`: "secp256k1", "k256" or "ed25519". Code: agent.algorithm.
int app_quote_fill(struct agent *g, const char *algorithm, struct arena *a, Guest__GetQuoteResponse *out,
		   struct err *e);
void app_quote_free(struct agent *g);
