// amd_roots - AMD's root key certificates (ARK) of the products with SEV-SNP, compiled in.
//
// As kdsintf.amd.com/vcek/v1/{Milan,Genoa,Turin}/cert_chain serves them. SHA-256 of each, which
// tests/unit/core/snp_test.c computes again:
//   Milan 69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd
//   Genoa 4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1
//   Turin 1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a
#pragma once
#include "core/codec/buf.h"

// Genoa includes Bergamo and Siena.
enum snp_product { SNP_MILAN, SNP_GENOA, SNP_TURIN, SNP_PRODUCTS };

struct span amd_root(enum snp_product p); // DER
