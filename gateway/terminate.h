// terminate - TLS sessions that end at the gateway: decrypted bytes are relayed as they are, never parsed.
//
// The ClientHello has been read already and is fed back to the TLS engine. An instance is chosen before the
// handshake and connected to after it. Memory of an idle session is the engine's. spec 30 sections 1.8
// - 1.13.
#pragma once
#include "conn.h"

int terminate_setup(struct err *e); // once per process
// A context for one domain: TLS 1.2 and 1.3, tickets; `h2`: ALPN offers exactly h2, else none at all.
SSL_CTX *terminate_context(const char *cert_file, const char *key_file, bool h2, struct err *e);

// `hello` is what was read so far. -1: the connection is over, as from terminate_event.
int terminate_start(struct reactor *r, struct conn *c, SSL_CTX *ctx, const void *hello, size_t n);
int terminate_event(struct reactor *r, struct conn *c, int side, uint32_t events);
int terminate_dial_failed(struct reactor *r, struct conn *c); // refused or too late: another instance, or -1
void terminate_free(struct terminate *t);                     // NULL is fine
