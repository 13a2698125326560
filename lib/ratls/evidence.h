// evidence - what a certificate or an envelope carries, decoded into memory of its own; no trust implied.
#pragma once
#include <openssl/x509.h>

#include "base/err.h"
#include "core/attest/certext.h"

struct evidence {
	struct envelope env;
	struct event *events, *runtime;
	uint8_t *bytes, *text; // the input's copy and decoded values: spans of env point into both
	struct wr scratch;
};

int evidence_read(struct evidence *ev, struct span bytes, struct err *e); // an envelope
int evidence_read_quote(struct evidence *ev, struct span quote, struct span event_log_json,
			struct err *e); // legacy
// Of a certificate: the attestation extension, else the legacy pair. ERR_UNTRUSTED ratls.no_evidence when
// none.
int evidence_read_cert(struct evidence *ev, X509 *cert, struct err *e);
void evidence_free(struct evidence *ev);
