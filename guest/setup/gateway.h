// gateway - RegisterCvm at a gateway, which is trusted by its certificate alone.
//
// The host names the URL; whoever is there must have a certificate that chains to the KMS's root and carries,
// byte for byte, an app id that the KMS named. That is decided in the handshake, before a byte of the
// request. There is no way to take any gateway: the word "any" is refused (spec 30 section 11, spec 70
// CH-08).
#pragma once
#include "compose.h"
#include "core/codec/buf.h"
#include "gateway.pb-c.h"

struct gateway_call {
	struct span chain_pem, key_pem; // our certificate, from the KMS
	const char *ca_cert;            // the KMS's root, PEM
	const char *app_ids;            // as the KMS named them
	const char *public_key;         // of our WireGuard interface
	const struct compose *compose;  // its port policy
};

// Codes: gateway.any, gateway.app_id, tls.peer_chain, rpc.not_tls, and what transport or gateway said.
int gateway_register(const struct gateway_call *g, const char *url, struct arena *a,
		     Gateway__RegisterCvmResponse **out, struct err *e);

// Did the KMS name gateways, and by app ids? Codes: gateway.app_id, gateway.any.
int gateway_check_named(const char *app_ids, struct err *e);
// "0a0b..,0c0d..", each 40 hex digits: is `id`, of 20 bytes, one of them? For tests.
bool gateway_id_allowed(const char *app_ids, struct span id);
