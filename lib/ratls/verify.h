// verify - runs the core's verdict with OpenSSL and zlib: the one way by which programs judge whole evidence.
//
// lib/ratls/trust is this with collateral fetched, images looked up and results kept. An engine and an image
// store are used by one thread at a time.
#pragma once
#include "core/verify/verify.h"
#include "crypto/engine.h"

// A context and its scratch for this input, in one piece: free().
struct verify *evidence_new(const struct verify_input *in, struct err *e);
// Recognise and parse; inflates a certificate's event log. What v->needs_collateral asks for goes to
// v->in.collateral. False: closed already, verify_finish says why.
bool evidence_read(struct verify *v, const struct verify_input *in);
// Is it signed, under any of the engine's roots? REASON_OK, or the refusal that came furthest.
enum reason evidence_check(struct engine *g, struct verify *v);
