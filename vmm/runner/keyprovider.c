#include "keyprovider.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../net/address.h"
#include "base/cleanup.h"
#include "base/sb.h"
#include "base/time.h"
#include "rpc/bytelist.h"

enum { LIMIT_MS = 30000 };

static int unreachable(struct err *e, const char *why)
{
	return err_code(e, ERR_AGAIN, "host.key_provider", "the local key provider %s", why);
}

// Waits for the socket to be ready; -1 when the time is over.
static int wait_for(int fd, short what, uint64_t deadline)
{
	struct pollfd p = { fd, what, 0 };
	uint64_t now = time_mono_ms();

	return now < deadline && poll(&p, 1, (int)(deadline - now)) == 1 ? 0 : -1;
}

static int dial(const struct address *to, uint64_t deadline)
{
	auto_close int fd = socket(to->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t n = sizeof(int);
	int failed = 0;

	if (fd < 0 || (connect(fd, (const struct sockaddr *)&to->at, to->n) && errno != EINPROGRESS) ||
	    wait_for(fd, POLLOUT, deadline) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &n) || failed)
		return -1;
	return take_fd(&fd);
}

static int put(int fd, const void *p, size_t n, uint64_t deadline)
{
	for (const uint8_t *at = p; n;) {
		ssize_t put = wait_for(fd, POLLOUT, deadline) ? -1 : send(fd, at, n, MSG_NOSIGNAL);

		if (put < 0 && (errno == EAGAIN || errno == EINTR) && time_mono_ms() < deadline)
			continue;
		if (put <= 0)
			return -1;
		at += put;
		n -= (size_t)put;
	}
	return 0;
}

static int get(int fd, void *p, size_t n, uint64_t deadline)
{
	for (uint8_t *at = p; n;) {
		ssize_t got = wait_for(fd, POLLIN, deadline) ? -1 : recv(fd, at, n, 0);

		if (got < 0 && (errno == EAGAIN || errno == EINTR) && time_mono_ms() < deadline)
			continue;
		if (got <= 0)
			return -1;
		at += got;
		n -= (size_t)got;
	}
	return 0;
}

static int read_member(struct json doc, const char *name, size_t max, struct arena *a, struct span *out)
{
	struct json v;
	uint8_t *p = arena_alloc(a, max);
	size_t n;

	if (!p || !json_get(doc, name, &v) || bytelist_read(v, p, max, &n) || !n)
		return -1;
	*out = span_of(p, n);
	return 0;
}

int keyprovider_read(struct span json, struct arena *a, struct span *box, struct span *provider_quote,
		     struct err *e)
{
	struct json doc;

	if (json_parse(&doc, json, NULL) || read_member(doc, "encrypted_key", KEYPROVIDER_BOX_MAX, a, box) ||
	    read_member(doc, "provider_quote", KEYPROVIDER_QUOTE_MAX, a, provider_quote))
		return unreachable(e, "answers what is no sealed key");
	return 0;
}

static int ask(int fd, struct span quote, uint64_t deadline, struct arena *a, struct span *answer,
	       struct err *e)
{
	auto_sb request = { 0 };
	uint8_t head[4];
	struct wr w = wr_to(head, sizeof head);

	sb_str(&request, "{\"quote\":");
	bytelist_write(&request, quote.p, quote.n);
	sb_chr(&request, '}');
	if (request.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	wr_be32(&w, (uint32_t)request.n);
	if (put(fd, head, sizeof head, deadline) || put(fd, request.p, request.n, deadline))
		return unreachable(e, "takes no request");
	if (get(fd, head, sizeof head, deadline))
		return unreachable(e, "refuses this guest; its log says why");
	struct rd r = rd_from(head, sizeof head);
	uint32_t n = rd_be32(&r);
	uint8_t *p = n && n <= KEYPROVIDER_FRAME_MAX ? arena_alloc(a, n) : NULL;
	if (!p || get(fd, p, n, deadline))
		return unreachable(e, "broke off its answer");
	*answer = span_of(p, n);
	return 0;
}

int keyprovider_ask(const char *address, struct span quote, struct arena *a, struct span *box,
		    struct span *provider_quote, struct err *e)
{
	uint64_t deadline = time_mono_ms() + LIMIT_MS;
	struct address to;
	struct span answer;

	if (address_parse(&to, address, e))
		return -1;
	auto_close int fd = dial(&to, deadline);
	if (fd < 0)
		return unreachable(e, "cannot be reached");
	if (ask(fd, quote, deadline, a, &answer, e))
		return -1;
	return keyprovider_read(answer, a, box, provider_quote, e);
}
