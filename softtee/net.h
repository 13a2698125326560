// net - the few socket operations the programs here share: all blocking, all with time limits.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

// A listening unix socket that appears at `path` only once it accepts (made beside it and renamed), 0600.
int net_listen_unix(const char *path, struct err *e);
int net_listen_tcp(const char *address, uint16_t *port, struct err *e); // "127.0.0.1:8081", port 0 picks one
int net_connect_unix(const char *path, struct err *e);
int net_limit(int fd, int seconds, struct err *e); // send and receive time limit, blocking mode

int net_write(int fd, const void *p, size_t n, struct err *e);
int net_read(int fd, void *p, size_t n, struct err *e); // exactly n; ERR_ABSENT when closed before the first

// The same with one descriptor beside the first bytes. On reading *passed is -1 when there was none.
int net_write_fd(int fd, const void *p, size_t n, int pass, struct err *e);
int net_read_fd(int fd, void *p, size_t n, int *passed, struct err *e);
