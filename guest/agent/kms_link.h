// kms_link - SignCert of the app's KMS: the connection, and the RA-TLS certificate by which we are known
// there.
//
// Spec 10 section 7.5. The KMS is trusted through the root that dstack-setup measured (ca_cert) and nothing
// else. Our certificate has fresh evidence and is signed by the KMS's temporary CA (which gives no
// authority); it lives for a day, is renewed with a third of that left, and failures are tried again later
// and later. When a connection fails the KMS is asked for its temporary CA anew; one that refuses is
// shown newer evidence, once. Without a temporary CA in the key file none is shown: the request itself
// carries evidence. One connection is kept.
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "kms.pb-c.h"

struct agent;
struct kms_link;

struct kms_link *kms_link_new(struct agent *g); // NULL when out of memory
void kms_link_free(struct kms_link *l);         // when idle
bool kms_link_idle(struct kms_link *l);         // no thread of kms_link_kick runs

// For workers; any number at once.
int kms_link_sign(struct kms_link *l, const Kms__SignCertRequest *in, struct arena *a,
		  Kms__SignCertResponse **out, struct err *e);
void kms_link_kick(struct kms_link *l); // renews our certificate, on a thread, if it is time to
