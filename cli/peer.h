// peer - the certificate of a TLS server, taken from a finished handshake: the server holds its key.
#pragma once
#include <openssl/x509.h>

#include "base/err.h"

// `url`: https://HOST[:PORT][/...]. `connect`: HOST:PORT to dial instead of what the URL says, or NULL.
// No chain is checked: the caller judges the leaf's evidence. ERR_AGAIN when nothing answers.
X509 *peer_certificate(const char *url, const char *connect, struct err *e);
int peer_host(char *out, size_t cap, const char *url, struct err *e); // the URL's host name
