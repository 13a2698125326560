#include "pipes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { LARGEST = 1 << 20, SMALLEST = 64 << 10 };

int pipes_init(struct pipes *p, unsigned cap)
{
	*p = (struct pipes){ .cap = (int32_t)cap, .want = LARGEST };
	p->all = calloc(cap + 1, sizeof *p->all);
	p->spare = calloc(cap + 1, sizeof *p->spare);
	return p->all && p->spare ? 0 : -1;
}

void pipes_end(struct pipes *p)
{
	for (int32_t i = 0; p->all && i < p->n_all; i++)
		if (p->all[i].size) {
			close(p->all[i].r);
			close(p->all[i].w);
		}
	free(p->all);
	free(p->spare);
}

static bool open_pipe(struct pipes *p, struct pipe *out)
{
	int fd[2];

	if (pipe2(fd, O_NONBLOCK | O_CLOEXEC))
		return false;
	int size = fcntl(fd[0], F_SETPIPE_SZ, (int)p->want);
	while (size < 0 && p->want > SMALLEST) { // beyond the user's limit
		p->want /= 4;
		size = fcntl(fd[0], F_SETPIPE_SZ, (int)p->want);
	}
	size = fcntl(fd[0], F_GETPIPE_SZ);
	*out = (struct pipe){ fd[0], fd[1], size > 0 ? (uint32_t)size : SMALLEST };
	return true;
}

int32_t pipes_get(struct pipes *p)
{
	if (p->n_spare) {
		int32_t i = p->spare[--p->n_spare];
		if (p->all[i].size || open_pipe(p, &p->all[i]))
			return i;
		p->n_spare++;
		return PIPE_NONE;
	}
	if (p->n_all == p->cap || !open_pipe(p, &p->all[p->n_all]))
		return PIPE_NONE;
	return p->n_all++;
}

void pipes_put(struct pipes *p, int32_t i, bool is_empty)
{
	if (!is_empty) {
		close(p->all[i].r);
		close(p->all[i].w);
		p->all[i] = (struct pipe){ 0 };
	}
	p->spare[p->n_spare++] = i;
}
