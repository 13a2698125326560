// snp_fixture - SEV-SNP evidence made for a test: a report and a chain ARK - ASK - VCEK under keys of its
// own, in AMD's exact form (names and lengths are those of real certificates), which a test bends and signs
// again.
#pragma once
#include <openssl/evp.h>

#include "core/attest/snp.h"

enum { SNP_NOW = 1735689600 }; // 2025-01-01

struct made_cert {
	uint8_t der[2048];
	size_t n;
};

// How a certificate is signed.
struct made_sig {
	EVP_PKEY *key;
	const char *hash;
	int salt;
};

struct made_vcek {
	const char *product; // NULL: no such extension
	int version;         // -1: none
	int spl[10];         // -1: none
	uint8_t hwid[64];
	size_t hwid_n;
	bool wrapped;      // hwid in an OCTET STRING of its own
	const char *csp;   // NULL: none
	EVP_PKEY *key;     // NULL: the VCEK's
	const char *extra; // hex of one more extension
	const char *name;  // common name
};

struct made {
	enum snp_product product;
	struct snp_input in; // its spans point to the parts below
	uint8_t report[SNP_REPORT];
	struct made_cert ark, ask, vcek;
	struct made_vcek spec;
};

int snp_fixture_new(void **state);  // keys; once
int snp_fixture_free(void **state); // them
EVP_PKEY *snp_key(int which);       // 0 ARK, 1 ASK, 2 VCEK, 3 another RSA key, 4 another P-384 key

// A good one of this product and report version. The same memory each time.
struct made *made_new(enum snp_product p, uint32_t version);
void made_sign_report(struct made *m, EVP_PKEY *key);
void made_sign_cert(struct made_cert *c, struct made_sig how); // over what is there
void made_vcek(struct made *m, struct made_sig how);           // builds it from m->spec
// An ARK or ASK: its key, and the values of key usage and basic constraints as hex; NULL: without it. To be
// signed.
void made_authority(struct made_cert *c, uint32_t serial, const char *issuer, const char *subject,
		    EVP_PKEY *key, const char *usage, const char *constraints);
#define MADE_ARK_USAGE "03020106"
#define MADE_ASK_USAGE "03020104"
#define MADE_CA_ANY    "30030101ff"
#define MADE_CA_LEAF   "30060101ff020100"
struct made_sig sig_of(EVP_PKEY *key); // SHA384, salt 48
size_t made_crl(uint8_t *out, size_t cap, const struct made *m, uint32_t serial, uint64_t from, uint64_t to,
		struct made_sig how);
// In place, every occurrence, the same length; fails the test when there is none.
void made_replace(struct made_cert *c, const void *from, const void *to, size_t n);

// The reason, with every signature checked by OpenSSL and, the same, by the core's own engine; or taken for
// good.
enum reason made_judge(const struct made *m, struct snp_result *out);
enum reason made_judge_rules(const struct made *m);
enum reason made_judge_report(const struct made *m); // only the report's own signature is checked, by OpenSSL

// They fail the test unless the reason is `want`. The result of expect_signed is in `result`.
void expect(const struct made *m, enum reason want);
void expect_signed(const struct made *m, enum reason want);
extern struct snp_result result;
