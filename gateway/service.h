// service - the gateway's RPC: RegisterCvm and Info for instances, Status and its kin for the operator.
//
// Who registers is what its client certificate says: the chain ends at the KMS root (checked in the
// handshake), app id, instance id and compose hash come from the app-info extension, never from the request.
// Evidence in the certificate is verified anew when attestation is configured. spec 30 sections 2.2 - 2.5.
#pragma once
#include "ratls/trust.h"
#include "rpc/server.h"
#include "settings.h"

struct service {
	const struct settings *settings;
	struct registry *registry;
	// How evidence in a certificate is verified (trust_check_cert); NULL: it is not looked at.
	int (*check)(struct trust *t, struct trust_result *out, X509 *cert, const struct trust_expect *x,
		     struct err *e);
	struct trust *trust;
	char own_key[WG_KEY_TEXT];
	uint8_t uuid[16]; // from the WireGuard key, so that it stays
};

int service_mount(struct service *s, struct rpc_server *main_server, struct rpc_server *admin, struct err *e);
// Facts from a certificate whose chain was verified. Codes: register.no_certificate, register.app_info.
int registrant_read(struct registrant *out, X509 *cert, struct err *e);
// With the certificate itself, by the CA that signed it, for the lists of revoked ones.
int registrant_cert(struct registrant *out, X509 *cert, X509 *issuer, struct err *e);
