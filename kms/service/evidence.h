// evidence - a guest's evidence as the KMS judges it: lib/ratls/trust, and what to do when only the image is
// missing.
//
// The order: an image that is here; the measurement that came along (TDX lite), bound by hash to the image
// whose name then goes to policy; a download, once for all who ask (service_fetch_image). Without
// image.verify the guest's word on its image is not passed on: policy sees an empty hash. spec 20
// section 4.1.
#pragma once
#include "service.h"

struct evidence_of { // a certificate, an envelope, or a quote with its event log
	X509 *cert;
	struct span envelope, quote, event_log;
};

int service_check_evidence(struct service *s, const struct evidence_of *w, struct trust_expect *x,
			   struct trust_result *r, struct err *e);
// Of a refusal: everything holds but that the image is not here; the image is what does not hold.
bool evidence_but_image(const struct trust_result *r);
bool evidence_blames_image(const struct err *e);
// Of a refusal: could the image's download change it? Then end this stage with service_fetch_image, which has
// the same stage run again, once.
bool evidence_lacks_image(const struct service *s, const struct service_case *c);
void evidence_fetch_failed(const struct service_case *c, struct err *e); // says why it was not had
int service_fetch_image(struct service *s, struct service_case *c, rpc_fn *again, struct err *e);
