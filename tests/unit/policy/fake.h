// fake - a policy service or node in this process: one thread a connection, answers as the test says.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct fake_request {
	char head[4096]; // request line and fields
	char body[65536];
	size_t body_n;
};

struct fake_reply {
	const char *bytes; // as they go over the wire; NULL: `body` with a 200 head
	size_t n;          // of bytes; 0: strlen
	const char *body;
	int wait_ms, drip_ms; // before the first byte, between bytes
	size_t junk;          // so many bytes of 'x' behind it
	bool close;           // the connection afterwards
};

typedef void fake_fn(void *arg, const struct fake_request *q, struct fake_reply *r);

struct fake {
	int fd;
	unsigned port;
	char url[64];
	fake_fn *fn;
	void *arg;
	atomic_uint requests, conns, open;
	atomic_bool stop;
	pthread_t thread;
};

void fake_start(struct fake *f, fake_fn *fn, void *arg);
void fake_stop(struct fake *f);
