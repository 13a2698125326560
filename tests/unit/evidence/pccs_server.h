// pccs_server - a PCCS over a development PKI that misbehaves as told, inside the test's process.
#pragma once
#include <stdatomic.h>
#include "pki.h"

enum behaviour {
	GOOD,
	SILENT,      // takes the request and says nothing
	DRIPPING,    // a byte of the head every 50 ms
	HUGE_BODY,   // without an end
	HUGE_HEAD,   // without an end
	REDIRECTING, // to itself
	NO_CHAIN,
	TWO_CHAINS,
	BAD_PERCENT, // "%4" at the end of the chain
	BAD_HEX,     // "%zz"
	BAD_NUL,     // "%00"
	OTHER_ITEM,  // the QE identity whatever was asked for
	GARBAGE,     // bytes that are no document
	CUT,         // less than Content-Length says
	NOT_FOUND,   // 404 to everything
	BROKEN,      // 500 to everything
	NO_ROOT_CRL, // 404 to that only
};

struct pccs_server {
	const struct pki *pki;
	int fd;
	uint16_t port;
	char url[64];
	atomic_int behaviour;
	atomic_int delay_ms;     // before each answer
	atomic_llong offset;     // seconds from now at which the documents are made
	atomic_int requests;     // so far
	atomic_int connections;  // handled at this moment
	const char *root_crl_at; // a second path that answers with the root CRL
};

void pccs_server_start(struct pccs_server *s, const struct pki *pki); // never ends
