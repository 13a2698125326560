// address - "127.0.0.1:9001" and "[::1]:9001" as socket addresses; numbers only, no look-ups.
#pragma once
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

struct address {
	struct sockaddr_storage at;
	socklen_t n;
};

int address_parse(struct address *out, const char *text, struct err *e); // with a port from 1 to 65535
int address_of(struct address *out, const char *ip, uint16_t port, struct err *e);
