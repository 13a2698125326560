#include "judge_wire.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/time.h"

// Waiting is by poll so that the time for all of a conversation is limited, not that for each byte.
static int wait_for(int fd, short what, int *left_ms)
{
	struct pollfd p = { .fd = fd, .events = what };
	uint64_t from = time_mono_ms();
	int n;

	do
		n = *left_ms > 0 ? poll(&p, 1, *left_ms) : 0;
	while (n < 0 && errno == EINTR);
	uint64_t took = time_mono_ms() - from;
	*left_ms = took < (uint64_t)*left_ms ? *left_ms - (int)took : 0;
	return n > 0 ? 0 : -1;
}

static int retry(int fd, short what, int *left_ms)
{
	if (errno == EINTR)
		return 0;
	return left_ms && (errno == EAGAIN || errno == EWOULDBLOCK) ? wait_for(fd, what, left_ms) : -1;
}

int judge_wire_send(int fd, const void *p, size_t n, int *left_ms)
{
	const char *at = p;

	while (n) {
		ssize_t got = send(fd, at, n, MSG_NOSIGNAL | (left_ms ? MSG_DONTWAIT : 0));
		if (got < 0 && retry(fd, POLLOUT, left_ms))
			return -1;
		if (got > 0) {
			at += got;
			n -= (size_t)got;
		}
	}
	return 0;
}

int judge_wire_take(int fd, void *p, size_t n, int *left_ms)
{
	char *at = p;

	while (n) {
		ssize_t got = recv(fd, at, n, left_ms ? MSG_DONTWAIT : MSG_WAITALL);
		if (!got || (got < 0 && retry(fd, POLLIN, left_ms)))
			return -1;
		if (got > 0) {
			at += got;
			n -= (size_t)got;
		}
	}
	return 0;
}
