// intel_root - the trust anchor of genuine evidence: "Intel SGX Root CA", as Intel publishes it (DER, valid
// to 2049).
//
// https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer
#pragma once
#include "core/codec/buf.h"

struct span intel_root(void);
