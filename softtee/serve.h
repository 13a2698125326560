// serve - a PCCS for the development PKI: the four documents of spec 50 section 4.1, over plain HTTP.
//
// One request a connection, one connection at a time with short time limits: a development service for the
// loopback. Documents are made for the moment of the request, so they never expire.
#pragma once
#include "base/sb.h"
#include "pki.h"

// Listen on "tcp:127.0.0.1:PORT" until the process is ended.
int serve_run(const struct pki *p, const char *address, struct err *e);

// The whole reply to one request head, for tests.
void serve_answer(const struct pki *p, const void *head, size_t n, int64_t now, struct sb *out);
