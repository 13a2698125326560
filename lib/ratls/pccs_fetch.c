#include "ratls/pccs_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/cleanup.h"
#include "core/attest/collateral.h"
#include "core/codec/hex.h"

enum { BODY_MAX = 64 << 10, CHAIN_MAX = 16 << 10, CONNECT_SECONDS = 5, TOTAL_SECONDS = 20 };
#define ROOT_CRL_INTEL "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"

struct reply {
	const char *const *chain_headers; // names of the header with the issuer chain, first found wins
	size_t body_n, chain_n;
	long status;
	bool too_long;
	uint8_t body[BODY_MAX];
	char chain[CHAIN_MAX]; // percent-decoded
};

char *pccs_base_url(const char *url)
{
	static const char *const tails[] = { "/", "/sgx/certification/v4", "/tdx/certification/v4" };
	char *s = strdup(url);
	size_t n = s ? strlen(s) : 0;

	for (size_t i = 0; s && i < 3; i++) {
		size_t t = strlen(tails[i]);

		while (n > t && strcmp(s + n - t, tails[i]) == 0)
			s[n -= t] = 0;
	}
	return s;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct reply *r = arg;

	(void)size;
	if (n > BODY_MAX - r->body_n) {
		r->too_long = true;
		return 0;
	}
	memcpy(r->body + r->body_n, p, n);
	r->body_n += n;
	return n;
}

// RFC 3986 percent-decoding into `chain`; a chain that does not fit is left out, and so missed by the caller.
static void keep_chain(struct reply *r, const char *p, size_t n)
{
	if (r->chain_n)
		return;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)p[i];

		if (r->chain_n == CHAIN_MAX) {
			r->too_long = true;
			return;
		}
		if (c == '%') {
			if (n - i < 3 || hex_decode(&c, 1, span_of(p + i + 1, 2))) {
				r->chain_n = 0;
				return;
			}
			i += 2;
		}
		r->chain[r->chain_n++] = (char)c;
	}
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct reply *r = arg;

	(void)size;
	for (const char *const *name = r->chain_headers; name && *name; name++) {
		size_t len = strlen(*name);

		if (n <= len || strncasecmp(p, *name, len) != 0 || p[len] != ':')
			continue;
		size_t from = len + 1, to = n;

		while (from < to && p[from] == ' ')
			from++;
		while (to > from && (p[to - 1] == '\r' || p[to - 1] == '\n' || p[to - 1] == ' '))
			to--;
		keep_chain(r, p + from, to - from);
	}
	return n;
}

static int request(CURL *curl, struct reply *r, const char *url, const char *const *chain_headers,
		   struct err *e)
{
	char why[CURL_ERROR_SIZE] = "";

	*r = (struct reply){ .chain_headers = chain_headers };
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TOTAL_SECONDS);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, r);
	CURLcode code = curl_easy_perform(curl);

	if (r->too_long)
		return err_code(e, ERR_AGAIN, "collateral.fetch", "fetch %s: answer is too long", url);
	if (code != CURLE_OK)
		return err_code(e, ERR_AGAIN, "collateral.fetch", "fetch %s: %s", url,
				*why ? why : curl_easy_strerror(code));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &r->status);
	return 0;
}

static int expect_ok(const struct reply *r, const char *url, bool chain, struct err *e)
{
	if (r->status != 200)
		return err_code(e, ERR_AGAIN, "collateral.fetch", "fetch %s: HTTP status %ld", url,
				r->status);
	if (chain && !r->chain_n)
		return err_code(e, ERR_AGAIN, "collateral.fetch", "fetch %s: answer has no issuer chain",
				url);
	return 0;
}

static int keep(struct span *out, const void *p, size_t n, struct wr *store, struct err *e)
{
	size_t at = store->n;

	wr_put(store, p, n);
	if (store->bad)
		return err_code(e, ERR_AGAIN, "collateral.fetch", "collateral is too long");
	*out = span_of(store->p + at, n);
	return 0;
}

// A CRL comes as DER or as hex text of it.
static int keep_crl(struct span *out, const struct reply *r, struct wr *store, struct err *e)
{
	uint8_t der[BODY_MAX / 2];
	size_t n = r->body_n;

	while (n && (r->body[n - 1] == '\n' || r->body[n - 1] == '\r'))
		n--;
	if (n % 2 == 0 && !hex_decode(der, n / 2, span_of(r->body, n)))
		return keep(out, der, n / 2, store, e);
	return keep(out, r->body, r->body_n, store, e);
}

struct job {
	CURL *curl;
	const char *base;
	struct reply *r;
	struct wr store;
};

static int get_crls(struct job *j, struct collateral *c, bool processor, struct err *e)
{
	static const char *const chain[] = { "SGX-PCK-CRL-Issuer-Chain", NULL };
	char url[600];

	snprintf(url, sizeof url, "%.400s/sgx/certification/v4/pckcrl?ca=%s&encoding=der", j->base,
		 processor ? "processor" : "platform");
	if (request(j->curl, j->r, url, chain, e) || expect_ok(j->r, url, true, e) ||
	    keep_crl(&c->pck_crl, j->r, &j->store, e) ||
	    keep(&c->pck_crl_issuer_chain, j->r->chain, j->r->chain_n, &j->store, e))
		return -1;
	snprintf(url, sizeof url, "%.400s/sgx/certification/v4/rootcacrl", j->base);
	if (request(j->curl, j->r, url, NULL, e))
		return -1;
	if (j->r->status == 404) { // Intel's own service has it elsewhere
		snprintf(url, sizeof url, "%s", ROOT_CRL_INTEL);
		if (request(j->curl, j->r, url, NULL, e))
			return -1;
	}
	return expect_ok(j->r, url, false, e) || keep_crl(&c->root_ca_crl, j->r, &j->store, e) ? -1 : 0;
}

static int get_signed(struct job *j, const char *url, const char *member, const char *const *chain,
		      struct span *issuer, struct span *text, struct span *signature, struct err *e)
{
	struct span value;
	uint8_t sig[64];

	if (request(j->curl, j->r, url, chain, e) || expect_ok(j->r, url, true, e))
		return -1;
	if (collateral_signed(span_of(j->r->body, j->r->body_n), member, &value, sig))
		return err_code(e, ERR_AGAIN, "collateral.fetch", "fetch %s: answer is not {%s, signature}",
				url, member);
	return keep(issuer, j->r->chain, j->r->chain_n, &j->store, e) ||
	       keep(text, value.p, value.n, &j->store, e) || keep(signature, sig, sizeof sig, &j->store, e);
}

static int get_all(struct job *j, struct collateral *c, const struct dcap_platform *p, struct err *e)
{
	static const char *const tcb[] = { "SGX-TCB-Info-Issuer-Chain", "TCB-Info-Issuer-Chain", NULL };
	static const char *const identity[] = { "SGX-Enclave-Identity-Issuer-Chain", NULL };
	const char *tee = p->is_tdx ? "tdx" : "sgx";
	char url[600];

	if (get_crls(j, c, p->processor_ca, e))
		return -1;
	snprintf(url, sizeof url, "%.400s/%s/certification/v4/tcb?fmspc=%02X%02X%02X%02X%02X%02X", j->base,
		 tee, p->fmspc[0], p->fmspc[1], p->fmspc[2], p->fmspc[3], p->fmspc[4], p->fmspc[5]);
	if (get_signed(j, url, "tcbInfo", tcb, &c->tcb_info_issuer_chain, &c->tcb_info,
		       &c->tcb_info_signature, e))
		return -1;
	snprintf(url, sizeof url, "%.400s/%s/certification/v4/qe/identity?update=standard", j->base, tee);
	return get_signed(j, url, "enclaveIdentity", identity, &c->qe_identity_issuer_chain, &c->qe_identity,
			  &c->qe_identity_signature, e);
}

static int write_json(const struct collateral *c, char **json, size_t *n, struct err *e)
{
	struct wr w = wr_to(malloc(DCAP_COLLATERAL_MAX), DCAP_COLLATERAL_MAX);

	if (!w.p)
		return err_set(e, ERR_SYSTEM, "out of memory");
	collateral_write(&w, c);
	if (w.bad) {
		free(w.p);
		return err_code(e, ERR_AGAIN, "collateral.fetch", "collateral is too long");
	}
	*json = (char *)w.p;
	*n = w.n;
	return 0;
}

int pccs_fetch(const char *base, const struct dcap_platform *platform, char **json, size_t *n, struct err *e)
{
	struct collateral c = { 0 };
	auto_free struct reply *r = malloc(sizeof *r);
	auto_free uint8_t *store = malloc(DCAP_COLLATERAL_MAX);
	struct job j = { curl_easy_init(), base, r, wr_to(store, DCAP_COLLATERAL_MAX) };
	int result = -1;

	if (!r || !store || !j.curl)
		err_set(e, ERR_SYSTEM, "out of memory");
	else
		result = get_all(&j, &c, platform, e) || write_json(&c, json, n, e) ? -1 : 0;
	curl_easy_cleanup(j.curl);
	return result;
}
