// Any bytes as the engine's log: the same text at once and byte by byte, and JSON lines that are lines.
#include <stdlib.h>
#include <string.h>
#include "core/codec/json.h"
#include "logline.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

static int run(const struct log_query *how, const uint8_t *d, size_t n, size_t step, struct sb *out)
{
	struct log_decoder dec = { .how = how };
	struct err e = { 0 };
	int rc = 0;

	for (size_t at = 0; at < n && !rc; at += step)
		rc = log_feed(&dec, d + at, n - at < step ? n - at : step, out, &e);
	rc = rc ? -1 : log_end(&dec, out, &e) ? -2 : 0;
	if (dec.message.n > LOG_FRAME_MAX || out->bad)
		abort();
	log_free(&dec);
	return rc;
}

static void lines(struct sb *out)
{
	for (char *p = out->p, *end; p && *p; p = end + 1) {
		struct json j;
		end = strchr(p, '\n');
		if (!end || json_parse(&j, span_of(p, (size_t)(end - p)), NULL))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct log_query q;
	struct err e = { 0 };

	if (!n || n > 4096)
		return 0;
	if (!log_query_parse(span_of(d + 1, n - 1), 1000, &q, &e) &&
	    (strspn(q.tail, "0123456789al") != strlen(q.tail) || !*q.tail))
		abort();
	struct log_query how = { .text = d[0] & 1, .bare = d[0] & 2, .ansi = d[0] & 4 };
	auto_sb a = { 0 }, b = { 0 };
	if (run(&how, d + 1, n - 1, n, &a) != run(&how, d + 1, n - 1, 1, &b) || a.n != b.n ||
	    (a.n && memcmp(a.p, b.p, a.n)))
		abort();
	if (!how.bare)
		lines(&a);
	else if (how.text && !how.ansi && a.n && memchr(a.p, 0x1B, a.n))
		abort();
	return 0;
}
