// snp_roots - the AMD root keys that an engine trusts: those of the three products, compiled into the core,
// and what a program adds (which marks every verdict `development`). Part of crypto/engine.h.
#pragma once
#include "base/err.h"
#include "core/attest/snp.h"

enum { SNP_ROOTS = 8, SNP_ROOT_MAX = 4096 };

struct snp_roots {
	size_t n;
	struct snp_trusted {
		enum anchor anchor;
		size_t n;
		uint8_t der[SNP_ROOT_MAX];
	} root[SNP_ROOTS];
};

void snp_roots_amd(struct snp_roots *r); // AMD's and no other
MUST_USE int snp_roots_add(struct snp_roots *r, struct span der, struct err *e);
