// pccs_http - one bounded GET at a time over libcurl, for collateral (RFC 9110, RFC 3986).
//
// The other side is not trusted: size of body and headers, connecting and total time are bounded, redirects
// are refused, percent-encoding is decoded strictly and a header that stands twice refuses the answer. What
// comes back is bytes that nothing vouches for.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/err.h"

enum { PCCS_BODY_MAX = 64 << 10, PCCS_CHAIN_MAX = 16 << 10, PCCS_HEADERS_MAX = 64 << 10 };

struct pccs_http {
	CURL *curl;
	long connect_ms;
	uint64_t deadline;       // time_mono_ms: of all requests together
	const atomic_bool *stop; // give up when it becomes true; may be NULL
};

struct pccs_reply {
	const char *const *chain_headers; // names of the header with the issuer chain; NULL: none is wanted
	size_t body_max;
	size_t body_n, chain_n, header_n;
	long status;
	const char *fault; // why the answer cannot be used, NULL when it can
	bool complete;     // an issuer chain has been read
	uint8_t body[PCCS_BODY_MAX];
	char chain[PCCS_CHAIN_MAX]; // percent-decoded
};

// Any status but a redirect is an answer. collateral.fetch: none came; collateral.answer: not acceptable.
int pccs_http_get(struct pccs_http *h, struct pccs_reply *r, const char *url,
		  const char *const *chain_headers, size_t body_max, struct err *e);

// Strict percent-decoding: every '%' is followed by two hex digits, no control bytes but CR, LF and tab come
// out. -1 otherwise, or when `cap` is too small.
int pccs_percent_decode(char *out, size_t cap, size_t *n, const char *text, size_t len);
