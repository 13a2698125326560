// client_key - who a peer is, for the sake of turns and rates: 16 bytes, the same for all its connections.
//
// unix: the peer's control group (a container's name for the kernel) and user; where the group is that of
// this process, or cannot be read, the peer's process instead. TCP: the address, of IPv6 the first 64 bits.
// vsock: the CID. It is no authentication: a process may be gone and its number used again.
#pragma once
#include "rpc/http.h"

enum { CLIENT_KEY = 16 };

void client_key(const struct http_peer *p, uint8_t out[static CLIENT_KEY]);
// Of the address alone, for peers that are counted before anything is read about them.
void client_key_address(const struct http_peer *p, uint8_t out[static CLIENT_KEY]);
// The same from a control group's text, which may be NULL.
void client_key_unix(const struct http_peer *p, const char *cgroup, const char *own_cgroup,
		     uint8_t out[static CLIENT_KEY]);
