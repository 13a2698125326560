// cert - GetTlsKey and Tappd's DeriveKey: a key with a certificate of the app's CA, which may carry evidence
// for the key.
//
// Spec 10 sections 3.1, 7.4, 7.5. With a KMS the certificate is asked for by SignCert; the KMS is known by
// the root that dstack-setup measured (key-provider event). Else the app's own CA signs here.
#pragma once
#include "agent.h"

struct tls_request {
	const char *path; // the key is derived from the app's root key at this path; NULL: a fresh one
	const char *subject;
	const char *const *names;
	size_t n_names;
	bool server_auth, client_auth, ra_tls, app_info;
	bool has_not_before, has_not_after;
	uint64_t not_before, not_after;
};

struct tls_answer {
	char *key; // PEM
	char **chain;
	size_t n_chain;
};

// Reads the app's CA once, or prepares to ask the KMS; before any cert_make.
int cert_open(struct agent *g, struct err *e);
void cert_close(struct agent *g);
// In the arena. Asks the TEE and maybe the KMS: for workers. Codes: agent.validity, agent.name, agent.path.
int cert_make(struct agent *g, const struct tls_request *r, struct arena *a, struct tls_answer *out,
	      struct err *e);
