// forge - evidence made wrong on purpose: any field of any layer, any signature, under a development PKI.
//
// A description holds what a genuine platform would say and is altered at will; forge_build signs it layer
// by layer and gives quote, collateral and root. Each layer may be signed by another key or over other bytes,
// and edited before or after its signature. docs/formats/forge.md. Keys come from a seed (the same bytes each
// time) or from a folder of `dstack-softtee pki`; nothing here can sign for Intel.
#pragma once
#include "base/err.h"
#include "base/sb.h"
#include "cert.h"

enum forge_key { // the first five are those of struct pki, in its order
	FORGE_KEY_ROOT,
	FORGE_KEY_CA,
	FORGE_KEY_PCK,
	FORGE_KEY_TCB,
	FORGE_KEY_ATT,
	FORGE_KEY_OTHER_ROOT,
	FORGE_KEY_OTHER_CA,
	FORGE_KEY_OTHER,
	FORGE_KEYS,
	FORGE_KEY_OWN = FORGE_KEYS, // whose it is
};

enum forge_layer {
	FORGE_ROOT, // certificates: what is signed is the TBS part
	FORGE_CA,
	FORGE_PCK,
	FORGE_TCB,
	FORGE_SPARE, // one more, for chains that need it
	FORGE_CERTS,
	FORGE_ROOT_CRL = FORGE_CERTS,
	FORGE_PCK_CRL,
	FORGE_TCB_INFO,
	FORGE_QE_IDENTITY,
	FORGE_QE_REPORT,
	FORGE_QUOTE, // header and body
	FORGE_SIGNED,
	FORGE_CHAIN = FORGE_SIGNED, // from here on without signature: certification data in the quote
	FORGE_AUTH,                 // signature data of the quote
	FORGE_WHOLE,                // the quote
	FORGE_COLLATERAL,           // QuoteCollateralV3 JSON
	FORGE_LAYERS,
};

enum forge_kind { FORGE_TDX4, FORGE_TDX5, FORGE_TDX5_10, FORGE_TDX5_EX, FORGE_SGX3 };

enum forge_fault { FORGE_GOOD, FORGE_FLIP, FORGE_ZERO, FORGE_SWAP, FORGE_NONE };

struct forge_sign {
	enum forge_key by;      // FORGE_KEY_OWN: the right one
	enum forge_fault fault; // flip a bit, all zero, r and s exchanged, no bytes at all
	struct span over;       // these bytes are signed in place of the layer's
	struct span raw;        // this is the signature (r || s; DER is made of 64 bytes where it belongs)
};

struct forge_cert {
	unsigned version;
	struct span serial;
	const char *subject, *issuer; // common names
	int64_t not_before, not_after;
	enum forge_key key;   // whose certificate it is
	struct span point;    // another public key, 64 bytes
	enum forge_key under; // the issuer's key: who signs, and the authority key identifier
	bool constraints, ca;
	int path_len; // -1: none
	uint8_t usage;
	const char *extended_usage; // an OID
	struct span extra;          // extensions in DER
	struct span der;            // the whole certificate as it is
};

struct forge_crl {
	unsigned version;
	const char *issuer;
	int64_t this_update, next_update;
	uint64_t number;
	struct span revoked[8];
	size_t n_revoked;
};

enum forge_op {
	FORGE_SET,        // bytes at offset `at`
	FORGE_XOR,        // the same, exclusive-or
	FORGE_INSERT,     // bytes before `at`; `at` SIZE_MAX: at the end
	FORGE_CUT,        // `n` bytes from `at` (to the end when fewer)
	FORGE_REPLACE,    // the first `from` becomes `bytes`
	FORGE_DER_SET,    // the DER element at `path` becomes `bytes`; enclosing lengths follow
	FORGE_DER_INSERT, // `bytes` before it
	FORGE_DER_CUT,
	FORGE_DER_REPEAT, // the element twice
};

struct forge_edit {
	enum forge_layer layer;
	bool late; // after the layer was signed: seen by the layers around it only
	enum forge_op op;
	size_t at, n;
	const char *path; // "7.0.2": the third extension of a TBS certificate; OCTET STRINGs are entered
	struct span from, bytes;
};

// A member of TCB info, QE identity or collateral: `json` NULL leaves it out.
struct forge_member {
	enum forge_layer layer;
	const char *name, *json;
};

// Reports as bytes; offsets in core/attest/quote.h's documents and below.
enum { FORGE_TD = 885, FORGE_ENCLAVE = 384 };
enum {
	TD_SVN = 0,
	TD_MRSEAM = 16,
	TD_MRSIGNERSEAM = 64,
	TD_SEAMATTRIBUTES = 112,
	TD_ATTRIBUTES = 120,
	TD_XFAM = 128,
	TD_MRTD = 136,
	TD_MRCONFIGID = 184,
	TD_MROWNER = 232,
	TD_MROWNERCONFIG = 280,
	TD_RTMR = 328,
	TD_REPORT_DATA = 520,
	TD_SVN2 = 584,
	TD_MRSERVICETD = 600,
	SGX_CPUSVN = 0,
	SGX_MISC = 16,
	SGX_ATTRIBUTES = 48,
	SGX_MRENCLAVE = 64,
	SGX_MRSIGNER = 128,
	SGX_PRODID = 256,
	SGX_SVN = 258,
	SGX_REPORT_DATA = 320,
};

enum { FORGE_AUTO = -1 };

struct forge_quote {
	uint16_t version, key_type, qe_svn, pce_svn;
	uint32_t tee;
	uint8_t vendor[16], user_data[20];
	uint16_t body_type; // v5's number: 1 SGX, 2 TD 1.0, 3 TD 1.5, 4 TD 1.5 Ex
	int64_t body_size;  // as claimed in version 5
	uint8_t td[FORGE_TD], enclave[FORGE_ENCLAVE], qe[FORGE_ENCLAVE];
	struct span body;                    // the whole report as it is
	bool bind;                           // put the key's hash into the QE report
	struct span attestation_key;         // 64 bytes
	struct span qe_auth, qe_auth_hashed; // what is there, what is hashed when it is something else
	int64_t qe_auth_len, cert_len, outer_len, auth_len;
	uint16_t cert_type, outer_type;
	struct span cert_data; // in place of the chain
	struct span trailing;
};

enum forge_chain {
	FORGE_CHAIN_QUOTE,
	FORGE_CHAIN_PCK,
	FORGE_CHAIN_CRL,
	FORGE_CHAIN_TCB,
	FORGE_CHAIN_QE,
	FORGE_CHAINS
};

enum { FORGE_EDITS = 32, FORGE_MEMBERS = 48 };

struct forge_keys {
	struct dev_key key[FORGE_KEYS];
	uint8_t serial[FORGE_CERTS][20], ppid[32];
	struct sb root; // the folder's root certificate; empty with a seed
};

struct forge {
	const struct forge_keys *keys;
	enum forge_kind kind;
	int64_t now; // what defaults are made for
	struct forge_cert cert[FORGE_CERTS];
	struct sgx_spec sgx;     // `cpu_svn` without bytes: the components
	unsigned sgx_count;      // how often the PCK certificate has the extension
	struct forge_crl crl[2]; // root, PCK
	struct span text[2];     // TCB info, QE identity: the whole document as it is
	struct forge_quote quote;
	const char *chain[FORGE_CHAINS]; // names of certificates; NULL: the member is left out
	struct forge_sign sign[FORGE_SIGNED];
	struct forge_member member[FORGE_MEMBERS];
	struct forge_edit edit[FORGE_EDITS];
	size_t members, edits;
};

struct forge_out {
	struct sb layer[FORGE_LAYERS]; // each as it went out: FORGE_ROOT, FORGE_WHOLE, FORGE_COLLATERAL are
				       // the result
	struct sb sig[FORGE_SIGNED];   // r || s, unless given otherwise
};

// `dir` a folder of `dstack-softtee pki`, or NULL: keys from the seed.
int forge_keys_load(struct forge_keys *k, const char *dir, const char *seed, struct err *e);
void forge_keys_free(struct forge_keys *k);

// What a genuine platform says at `now`. Everything borrowed by the description must outlive the build.
void forge_init(struct forge *f, const struct forge_keys *k, enum forge_kind kind, int64_t now);
// Altering: misuse (too many) is reported by forge_build.
void forge_edit(struct forge *f, struct forge_edit edit);
void forge_member(struct forge *f, enum forge_layer layer, const char *name, const char *json);

// `out` is zeroed or from an earlier build, whose memory is used again.
int forge_build(const struct forge *f, struct forge_out *out, struct err *e);
void forge_out_free(struct forge_out *out);

extern const char *const forge_layer_name[FORGE_LAYERS];
extern const char *const forge_key_name[FORGE_KEYS + 1];
