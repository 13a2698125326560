// amd_roots - AMD's root key certificates (ARK) of the products with SEV-SNP, compiled in.
//
// As kdsintf.amd.com/vcek/v1/{Milan,Genoa,Turin}/cert_chain serves them, without their signatures by
// themselves, which prove nothing about a pinned key. SHA-256 of the whole certificates, of which
// tests/unit/core/snp_cert_test.c takes what must be here:
//   Milan 69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd
//   Genoa 4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1
//   Turin 1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a
#pragma once
#include "core/codec/buf.h"

// Genoa includes Bergamo and Siena.
enum snp_product { SNP_MILAN, SNP_GENOA, SNP_TURIN, SNP_PRODUCTS };

struct span amd_root(enum snp_product p); // DER of the TBSCertificate
bool amd_is_root(struct span tbs);        // it is one of them
