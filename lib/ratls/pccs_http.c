#include "ratls/pccs_http.h"

#include <string.h>
#include <strings.h>

#include "base/strings.h"
#include "base/time.h"
#include "core/codec/hex.h"

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct pccs_reply *r = arg;

	(void)size;
	if (n > r->body_max - r->body_n) {
		r->fault = "the answer is too long";
		return 0;
	}
	memcpy(r->body + r->body_n, p, n);
	r->body_n += n;
	return n;
}

int pccs_percent_decode(char *out, size_t cap, size_t *n, const char *text, size_t len)
{
	*n = 0;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		if (*n == cap)
			return -1;
		if (c == '%') {
			if (len - i < 3 || hex_decode(&c, 1, span_of(text + i + 1, 2)))
				return -1;
			i += 2;
		}
		if ((c < ' ' && c != '\n' && c != '\r' && c != '\t') || c >= 0x7f)
			return -1;
		out[(*n)++] = (char)c;
	}
	return 0;
}

static void keep_chain(struct pccs_reply *r, const char *p, size_t n)
{
	if (r->complete)
		r->fault = "the issuer chain stands there twice";
	else if (pccs_percent_decode(r->chain, sizeof r->chain, &r->chain_n, p, n))
		r->fault = "the issuer chain is not percent-encoded text, or too long";
	r->complete = true;
}

// One header line, as libcurl hands it over: also status lines, of interim answers too.
static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct pccs_reply *r = arg;
	size_t from, to = n;

	(void)size;
	r->header_n += n;
	if (r->header_n > PCCS_HEADERS_MAX) {
		r->fault = "the answer's headers are too long";
		return 0;
	}
	if (n > 5 && memcmp(p, "HTTP/", 5) == 0) {
		r->complete = false;
		r->chain_n = 0;
		return n;
	}
	for (const char *const *name = r->chain_headers; name && *name; name++) {
		size_t len = strlen(*name);

		if (n <= len || strncasecmp(p, *name, len) != 0 || p[len] != ':')
			continue;
		for (from = len + 1; from < to && (p[from] == ' ' || p[from] == '\t');)
			from++;
		while (to > from && strchr("\r\n \t", p[to - 1]))
			to--;
		keep_chain(r, p + from, to - from);
		break;
	}
	return r->fault ? 0 : n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct pccs_http *h = arg;

	(void)a, (void)b, (void)c, (void)d;
	return h->stop && atomic_load(h->stop);
}

static void set_up(const struct pccs_http *h, struct pccs_reply *r, const char *url, long left, char *why)
{
	CURL *c = h->curl;

	curl_easy_reset(c);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, h->connect_ms < left ? h->connect_ms : left);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, left);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, h);
}

int pccs_http_get(struct pccs_http *h, struct pccs_reply *r, const char *url,
		  const char *const *chain_headers, size_t body_max, struct err *e)
{
	char why[CURL_ERROR_SIZE] = "";
	uint64_t now = time_mono_ms();

	*r = (struct pccs_reply){ .chain_headers = chain_headers,
				  .body_max = body_max < PCCS_BODY_MAX ? body_max : PCCS_BODY_MAX };
	if (now >= h->deadline)
		return err_code(e, ERR_AGAIN, "collateral.fetch", "fetch %.200s: the time is up", url);
	set_up(h, r, url, (long)(h->deadline - now), why);
	CURLcode code = curl_easy_perform(h->curl);

	if (r->fault)
		return err_code(e, ERR_AGAIN, "collateral.answer", "fetch %.200s: %s", url, r->fault);
	if (code != CURLE_OK)
		return err_code(e, ERR_AGAIN, "collateral.fetch", "fetch %.200s: %s", url,
				*why ? why : curl_easy_strerror(code));
	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &r->status);
	if (r->status >= 300 && r->status < 400)
		return err_code(e, ERR_AGAIN, "collateral.answer",
				"fetch %.200s: HTTP status %ld; redirects are not followed", url, r->status);
	return 0;
}
