// channel - who can reach the listener: this machine alone, or who has a certificate of the client CA.
//
// Who can answer in this server's place decides instead of it, and who reads or changes what goes over the
// wire does so, too (spec 70 GV-07). So TCP beyond the loopback takes TLS 1.2 or later with certificates on
// both sides, unless the configuration says insecure_clear = true.
#pragma once
#include <openssl/ssl.h>

#include "base/config.h"

// clang-format off
#define CHANNEL_KEYS \
	{ "tls.cert", CONFIG_STRING, .doc = "certificate chain to show, PEM, leaf first; empty: no TLS" }, \
	{ "tls.key", CONFIG_STRING, .doc = "its key, PEM, readable by its owner only" }, \
	{ "tls.client_ca", CONFIG_STRING, \
	  .doc = "roots of the certificates that a KMS must show, PEM; needed with tls.cert, or hmac_key_file" }, \
	{ "hmac_key_file", CONFIG_STRING, \
	  .doc = "file with a key of at least 32 bytes; only questions sealed with it are answered, sealed" }, \
	{ "insecure_clear", CONFIG_BOOL, \
	  .doc = "answer other machines without certificates; whoever is in between decides then" }
// clang-format on

bool channel_is_local(const char *address); // unix:, vsock:, tcp: on a loopback address spelled as numbers
// *out NULL: no TLS. Codes: config.policy_channel, config.policy, those of the files.
int channel_open(const struct config *c, SSL_CTX **out, struct err *e);
