// check - one verification for the service: request in, upstream's answer with our verdict out.
//
// Evidence is judged by ratls/trust. An image that is not in the folder is downloaded only after the quote
// proved genuine, then everything is judged again. is_valid is our verdict and upstream's conditions
// together; every failure leaves it false. Safe to call from several threads; blocks on the network.
#pragma once
#include "answer.h"
#include "base/sb.h"
#include "config.h"
#include "ratls/download.h"
#include "ratls/trust.h"
#include "request.h"

struct checker {
	const struct verifier_config *config;
	struct trust *trust;
	struct downloads *downloads;
};

int checker_init(struct checker *k, const struct verifier_config *c, struct err *e);
void checker_free(struct checker *k);

// A request's evidence, judged. True when valid; `out` is the answer's JSON either way.
bool check_request(struct checker *k, const struct request *r, struct sb *out);
// The answer for a request that could not be read.
void check_unread(const struct err *e, struct sb *out);
// The body of a request as it came: both of the above. -1: it is no request (verifier.request).
int check_body(struct checker *k, struct span json, struct sb *out, bool *valid, struct err *e);
// The evidence in a certificate, bound to its key. For certificate.h, which judges the rest of it.
enum stage check_evidence_of(struct checker *k, X509 *cert, struct trust_result *out, struct err *e);
