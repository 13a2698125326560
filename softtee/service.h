// service - the guest's requests to the software TEE (vsock port 4050): extend RTMR3, quote, read registers,
// the development root's certificate.
//
// A message is its 4-byte big-endian length and content. Request: op byte and arguments of fixed size;
// answer: 0 and data, or 1 and a text. The guest is not trusted: sizes must be exact, RTMR3 is all it can
// move, and only by extending.
#pragma once
#include "registers.h"

enum { SERVICE_REQUEST_MAX = 128, SERVICE_ANSWER_MAX = 1 + QUOTE_CAP };

// Answer one request. `out` is what goes back, status byte first.
void service_answer(struct registers *r, const struct quote_signer *s, struct span request, struct wr *out);
