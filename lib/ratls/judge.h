// judge - the claims about one piece of evidence, in order, after its quote was verified. Behind trust.h.
#pragma once
#include "core/attest/dcap.h"
#include "ratls/evidence.h"
#include "ratls/images.h"
#include "ratls/trust.h"

// Everything that needs no image: report data, events, identity, key provider. False when it makes no sense
// to go on.
bool judge_guest(struct trust_result *out, struct evidence *ev, const struct dcap_result *q,
		 const struct trust_expect *x);
// Image and base registers. `images` is locked by the caller.
void judge_base(struct trust_result *out, struct evidence *ev, const struct dcap_result *q,
		struct images *images, const struct trust_expect *x);
