// network - this instance's route to the gateway: certificate from the KMS, registration, WireGuard.
//
// Spec 60 section 9. The gateway is trusted as gateway.h says. WireGuard's key is made here once and kept in
// memory (a file of 0600 in /run); the interface is set through lib/wg, no key in any argument list.
#pragma once
#include "keys.h"

struct setup;

// Register at one of the gateways and set the interface up. Codes: gateway.no_url, gateway.no_kms,
// gateway.reply, those of gateway.h, and what gateway or KMS said.
int network_register(struct setup *s, struct err *e);

// Keep it alive until the end: 0 the app wants none, 3 misconfigured.
int network_checker(struct setup *s);
