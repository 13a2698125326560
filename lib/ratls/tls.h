// tls - SSL_CTX for our servers and clients: TLS 1.3 (where allowed also 1.2), no tickets, no session cache,
// no renegotiation.
//
// The peer's chain is checked against the pinned roots given here and nothing else (never the system's).
// Evidence in a certificate is judged by the caller: in `check`, during the handshake and before any request
// byte, or after it through SSL_get0_peer_certificate. spec 50 section 8.4, RFC 8446.
#pragma once
#include <openssl/ssl.h>

#include "base/err.h"
#include "core/codec/buf.h"

enum tls_peer {
	TLS_PEER_UNVERIFIED, // server: no client certificate asked; client: any server (only to fetch public
			     // facts)
	TLS_PEER_OPTIONAL, // server only: asked for; one that does not chain to the roots fails the handshake
	TLS_PEER_REQUIRED,
	TLS_PEER_LEAF, // client only: no root is known yet, `check` alone decides about the server's leaf
};

struct tls_conf {
	bool is_server;
	struct span cert_pem, key_pem; // own chain (leaf first) and PKCS#8 key; both empty: none
	X509 *cert;                    // or as objects (borrowed; the context takes its own references)
	EVP_PKEY *key;
	struct span roots_pem;
	enum tls_peer peer;
	// Only where others' clients need it: suites with ECDHE and AEAD, and of a client its extended master
	// secret (RFC 7627).
	bool allow_tls12;
	const char *peer_usage; // NULL, or the special usage the peer's leaf must carry ("kms:rpc")
	// NULL, or a last word on the peer's leaf, chain already verified. Its refusal ends the handshake.
	int (*check)(void *arg, X509 *leaf, struct err *e);
	void *check_arg;
	struct err *why; // NULL, or where the last refusal of a peer is left (as tls_peer_error); outlives
			 // the context
	const unsigned char *alpn; // wire form, NULL for none; must outlive the context
	unsigned alpn_len;
};

SSL_CTX *tls_ctx_new(const struct tls_conf *c, struct err *e);
// The same for a context that exists, as in the hook of an RPC client (rpc/client.h).
int tls_ctx_setup(SSL_CTX *ctx, const struct tls_conf *c, struct err *e);
// Why the peer was refused in `ssl`'s handshake, or NULL. Codes: tls.peer_chain, tls.peer_usage, or of
// `check`.
const struct err *tls_peer_error(const SSL *ssl);
