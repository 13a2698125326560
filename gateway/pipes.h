// pipes - the kernel pipes that bulk flows are spliced through: pooled by one reactor, capped, large.
//
// 1 MiB pipes are the best single lever of the splice path (docs/gateway.md); an unprivileged user may own 64
// of them, so there is a cap, and smaller ones are taken when the kernel refuses. Single thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIPE_NONE = -1 };

struct pipe {
	int r, w;
	uint32_t size;
};

struct pipes {
	struct pipe *all;
	int32_t *spare;
	int32_t n_all, n_spare, cap;
	uint32_t want; // size to ask for; falls when the kernel refuses
};

int pipes_init(struct pipes *p, unsigned cap); // -1: out of memory
void pipes_end(struct pipes *p);
int32_t pipes_get(struct pipes *p); // PIPE_NONE when there is none to be had: copy instead
// An empty pipe back to the pool; one that still holds bytes is closed, so that they go nowhere.
void pipes_put(struct pipes *p, int32_t i, bool is_empty);
