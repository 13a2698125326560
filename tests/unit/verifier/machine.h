// machine - evidence of machines that do not exist, for tests of the verifier: a development PKI, an image
// folder, requests and a certificate of now. Failures end the program.
#pragma once
#include <stdbool.h>
#include "pki.h"
#include "quote.h"

enum machine_kind {
	MACHINE_QUOTE,       // the software TEE; quote, event log and vm_config
	MACHINE_ENVELOPE,    // the same as an attestation
	MACHINE_OTHER_BASE,  // its MRTD is not the image's
	MACHINE_OTHER_EVENT, // its log tells of another app
	MACHINE_LITE,        // what a genuine TD of the lite variant measured, signed by us
	MACHINE_LEGACY,      // the same, not of the lite variant
};

struct machine {
	char dir[200];
	struct pki pki;
	struct quote_signer signer;
	uint8_t image_hash[32], lite_hash[32]; // of the image made here; of the one that MACHINE_LITE names
};

// Makes dir/pki (root.pem, ..) and dir/image (sha256sum.txt, ..). `evidence`: the folder tests/evidence.
void machine_make(struct machine *m, const char *dir, const char *evidence);
char *machine_request(const struct machine *m, enum machine_kind kind); // JSON text, owned
char *machine_certificate(const struct machine *m, bool bound);         // PEM text, owned
