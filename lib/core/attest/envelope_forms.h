// envelope_forms - the two encodings behind envelope.h; not for other modules.
#pragma once
#include "core/attest/envelope.h"

int envelope_read_v0(struct envelope *env, struct span bytes, struct fault *f);
int envelope_read_v1(struct envelope *env, struct wr *scratch, struct span bytes, struct fault *f);
void envelope_write_v0(struct wr *out, const struct envelope *env);
void envelope_write_v1(struct wr *out, const struct envelope *env);
