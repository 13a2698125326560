// peerquote - quotes of others, verified in this guest: the local key provider's enclave, a KMS's CVM.
//
// Under Intel's root, or the software TEE's development root where that is the guest's own TEE; collateral
// from the host's pccs_url, which its signatures protect. Whatever TCB level the machine has is accepted: who
// runs there is judged by whoever verifies this guest, who sees it in the measured key provider.
#pragma once
#include <openssl/x509.h>

#include "core/attest/dcap.h"
#include "setup.h"

// Is the quote genuine, and of no debug machine? Codes: those of DCAP and of fetching collateral.
int peerquote_verify(struct setup *s, struct span quote, struct dcap_result *r, struct err *e);

// Evidence in a KMS's certificate, if there is any, must be genuine and over the certificate's key (spec 20
// section 0, step 3). Codes: keys.kms_evidence, ratls.key_mismatch, and those of the quote.
int peerquote_check_cert(struct setup *s, X509 *leaf, struct err *e);
