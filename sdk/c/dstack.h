// dstack - what a container asks of the dstack guest agent: keys, certificates, quotes, signatures.
//
// Stands alone: dstack.[ch], answer.[ch], request.[ch] and libcurl (7.85 or newer) are all of it; copy them
// into your program. It speaks the agent's JSON over its unix socket and trusts the agent (part of the
// measured machine), but not blindly: answers are bounded and read strictly. Quotes are handed on, not
// judged.
//
// Every call returns 0, or -1 with *e filled in; `e` must not be NULL. Texts are UTF-8 and end in a zero
// byte. Bytes are raw, never hex. What a call fills in belongs to the caller, who frees it with the function
// named beside the struct; freeing wipes, may be done twice, and is not needed after a failure. Arguments are
// not kept. A client serves one call at a time: use one per thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DSTACK_MUST_CHECK __attribute__((warn_unused_result))

enum dstack_status {
	DSTACK_OK,
	DSTACK_ARGUMENT,    // an argument cannot be sent; nothing was
	DSTACK_UNREACHABLE, // no agent there, or the connection broke
	DSTACK_TIMEOUT,     // no whole answer in time
	DSTACK_REFUSED,     // the agent said no: `http`, `code` and `text` are its words
	DSTACK_ANSWER,      // what came back is not an answer to this call
	DSTACK_MEMORY,
};

struct dstack_error {
	enum dstack_status status;
	long http;     // status of the answer, 0 without one
	char code[64]; // stable code of the agent, such as "input.report_data"; "" from agents that have none
	char text[448]; // one line for people; cut to fit, without control characters
};

struct dstack_bytes {
	uint8_t *data; // NULL when len is 0
	size_t len;
};
struct dstack_list { // such as a chain of signatures; at most 64
	struct dstack_bytes *items;
	size_t count;
};
struct dstack_texts {
	char **items;
	size_t count;
};

// The client.
// endpoint: path of a unix socket (also as "unix:/path"), or http://host[:port], or https://host[:port]
// (checked against the system's roots). NULL: what the environment's DSTACK_SIMULATOR_ENDPOINT says, else the
// first that exists of /var/run/dstack.sock, /run/dstack.sock, /var/run/dstack/dstack.sock,
// /run/dstack/dstack.sock. A socket that is not there is DSTACK_UNREACHABLE at once; otherwise nothing is
// sent yet. NULL on failure.
struct dstack;
struct dstack *dstack_open(const char *endpoint, struct dstack_error *e) DSTACK_MUST_CHECK;
void dstack_close(struct dstack *c); // NULL is fine
// For a whole call, connecting included; 30000 unless set, 1 to 3600000 (nearer of the two beyond that).
void dstack_set_timeout_ms(struct dstack *c, long ms);

// A key that depends only on the app and `path`: the same on every instance and after every update.
// purpose goes into what the chain signs, not into the key. algorithm: "secp256k1" (also NULL, "" and "k256")
// or "ed25519"; the 32 bytes of the key are the same for both.
struct dstack_key {
	uint8_t key[32];
	// [0]: 65 bytes r|s|v by the app's root key over Keccak-256 of "purpose:hex of the public key"; [1]:
	// the KMS's signature of the app's root key, empty when there is no KMS.
	struct dstack_list chain;
};
int dstack_get_key(struct dstack *c, const char *path, const char *purpose, const char *algorithm,
		   struct dstack_key *out, struct dstack_error *e) DSTACK_MUST_CHECK;
void dstack_key_free(struct dstack_key *k);

// A fresh P-256 key and a certificate for it. Zero-initialise; what is left zero is not asked for.
struct dstack_tls_options {
	const char *subject; // common name
	const char *const *alt_names;
	size_t alt_names_count;
	bool usage_ra_tls; // evidence of this machine in the certificate
	bool usage_server_auth;
	bool usage_client_auth;
	bool with_app_info;  // what the app is in the certificate
	uint64_t not_before; // seconds since 1970; 0: the agent's choice
	uint64_t not_after;
};
struct dstack_tls_key {
	char *key;                 // PEM, PKCS#8
	struct dstack_texts chain; // PEM each, leaf first
};
int dstack_get_tls_key(struct dstack *c, const struct dstack_tls_options *o, struct dstack_tls_key *out,
		       struct dstack_error *e) DSTACK_MUST_CHECK;
void dstack_tls_key_free(struct dstack_tls_key *k);

// A quote over 0 to 64 bytes, zeros behind them. They are not hashed.
struct dstack_quote {
	struct dstack_bytes quote;
	char *event_log;                 // JSON array; replays to the registers in the quote
	char *vm_config;                 // JSON object, or ""
	struct dstack_bytes report_data; // the 64 bytes quoted
	struct dstack_bytes attestation; // the same as an envelope; on machines with a TDX quote mostly empty
};
int dstack_get_quote(struct dstack *c, const void *report_data, size_t len, struct dstack_quote *out,
		     struct dstack_error *e) DSTACK_MUST_CHECK;
void dstack_quote_free(struct dstack_quote *q);

// Quote, event log and machine in one versioned envelope, as `dstack verify` takes it.
int dstack_attest(struct dstack *c, const void *report_data, size_t len, struct dstack_bytes *out,
		  struct dstack_error *e) DSTACK_MUST_CHECK;

struct dstack_info {
	struct dstack_bytes app_id; // 20 bytes
	struct dstack_bytes instance_id;
	struct dstack_bytes device_id;
	struct dstack_bytes mr_aggregated;
	struct dstack_bytes os_image_hash;
	struct dstack_bytes compose_hash; // 32 bytes
	char *app_name;
	char *app_cert; // a demonstration certificate, PEM; "" until it is made
	char *tcb_info; // JSON object: mrtd, rtmr0 to rtmr3, event_log, app_compose, ...; "" when not public
	char *key_provider_info; // JSON object, or ""
	char *vm_config;         // JSON object, or ""
	char *cloud_vendor;
	char *cloud_product;
};
int dstack_info(struct dstack *c, struct dstack_info *out, struct dstack_error *e) DSTACK_MUST_CHECK;
void dstack_info_free(struct dstack_info *i);

// Sign with the app's signing key. "ed25519" signs the data, "secp256k1" (or "k256") its SHA-256,
// "secp256k1_prehashed" the 32 bytes that data is.
struct dstack_signature {
	struct dstack_bytes signature;  // 64 bytes
	struct dstack_bytes public_key; // 32 bytes, or 33 compressed
	struct dstack_list
		chain; // [0] the signature, [1] and [2] as the chain of dstack_get_key, purpose "signing"
};
int dstack_sign(struct dstack *c, const char *algorithm, const void *data, size_t len,
		struct dstack_signature *out, struct dstack_error *e) DSTACK_MUST_CHECK;
void dstack_signature_free(struct dstack_signature *s);

// Is it a signature of data by that key? 0 with *valid either way; -1 when the agent cannot read key or
// signature.
struct dstack_verify_args {
	const char *algorithm;
	const void *data;
	size_t data_len;
	const void *signature;
	size_t signature_len;
	const void *public_key;
	size_t public_key_len;
};
int dstack_verify(struct dstack *c, const struct dstack_verify_args *a, bool *valid,
		  struct dstack_error *e) DSTACK_MUST_CHECK;

// Of the OS: "0.6.0" and its revision. Agents before 0.5.7 refuse.
struct dstack_version {
	char *version;
	char *rev;
};
int dstack_version(struct dstack *c, struct dstack_version *out, struct dstack_error *e) DSTACK_MUST_CHECK;
void dstack_version_free(struct dstack_version *v);

// What the GPUs' set-up left of their attestation; "" on a machine without. Free it with dstack_text_free.
int dstack_gpu_info(struct dstack *c, char **attestation, struct dstack_error *e) DSTACK_MUST_CHECK;
void dstack_text_free(char **text);

// Put an event into RTMR3 and the event log, for good. Agents have this switched off unless the app's
// app-compose.json says "emit_event": true: DSTACK_REFUSED. Sent once, never again by itself: after
// DSTACK_TIMEOUT or DSTACK_UNREACHABLE the event may be there.
int dstack_emit_event(struct dstack *c, const char *event, const void *payload, size_t len,
		      struct dstack_error *e) DSTACK_MUST_CHECK;

void dstack_bytes_free(struct dstack_bytes *b);

#ifdef __cplusplus
}
#endif
