// kms - the app's keys from one of the KMSs that the host names.
//
// The host's URLs are transport. All KMSs are asked at once for their public facts, so that a dead one costs
// nothing; then one after the other for keys, by TLS under the root that it named, with a certificate that
// carries this guest's evidence and nothing else. Who is not the pinned one (key_provider_id) is not asked.
// Spec 20 section 0, spec 60 section 7.
#pragma once
#include "keys.h"

struct setup;
struct ratls_identity;
struct rpc_client;

// How long somebody is waited for. An earlier URL that has not answered has a head start on a later one that
// has; a KMS that is slow with its keys is asked again, with more patience, when all others have refused.
struct kms_times {
	int probe_ms, head_start_ms, ask_s, last_s;
};

// `t` NULL: the usual times. Codes: keys.no_url, keys.reply, keys.ca_changed, binding.key_provider,
// rpc.not_tls, what the transport or the KMS said; of the first URL, the text names every URL's reason.
int kms_obtain(struct setup *s, const struct kms_times *t, struct err *e);

// A connection to the KMS of `k` with a certificate of our own, the server pinned to ca_cert with usage
// kms:rpc. One at a time.
struct rpc_client *kms_client(struct setup *s, const struct guest_keys *k, const struct ratls_identity *id,
			      int seconds, struct err *e);
