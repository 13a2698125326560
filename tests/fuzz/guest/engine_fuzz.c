// Any bytes as the begin of the container engine's answer, in any pieces: the same result as at once.
#include <stdlib.h>
#include <string.h>
#include "engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

static int read_in(const uint8_t *d, size_t n, size_t piece, struct engine_head *h, size_t *rest)
{
	struct evbuffer *in = evbuffer_new();
	size_t at = 0;
	int rc;

	if (!in)
		abort();
	do {
		size_t k = n - at < piece ? n - at : piece;
		evbuffer_add(in, d + at, k);
		at += k;
		rc = engine_head(in, at == n, h);
	} while (!rc && at < n);
	*rest = evbuffer_get_length(in) + (n - at);
	evbuffer_free(in);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct engine_head whole = { 0 }, pieces = { 0 };
	size_t rest, rest_pieces;

	if (!n || n > 2 * ENGINE_HEAD_MAX)
		return 0;
	int rc = read_in(d, n, n, &whole, &rest),
	    rc_pieces = read_in(d, n, 1 + d[0] % 64, &pieces, &rest_pieces);
	if (!rc || rc != rc_pieces)
		abort();
	if (rc < 0)
		return 0;
	if (whole.status < 100 || whole.status > 599 || whole.status != pieces.status ||
	    whole.length != pieces.length || rest != rest_pieces)
		abort();
	return 0;
}
