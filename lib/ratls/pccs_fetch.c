#include "ratls/pccs_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "core/attest/collateral.h"
#include "core/codec/der.h"
#include "core/codec/hex.h"
#include "core/codec/pem.h"
#include "core/codec/x509.h"
#include "ratls/extension.h"

enum { CRL_MAX = 32 << 10, TCB_MAX = 64 << 10, IDENTITY_MAX = 16 << 10, URL_CAP = 600, DER_CAP = 8192 };
#define INTEL_HOSTS ".trustedservices.intel.com"

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

static int keep(struct span *out, const void *p, size_t n, struct wr *store, struct err *e)
{
	size_t at = store->n;

	wr_put(store, p, n);
	if (store->bad)
		return err_code(e, ERR_AGAIN, "collateral.answer", "collateral is too long");
	*out = span_of(store->p + at, n);
	return 0;
}

struct job {
	struct pccs_http *http;
	const char *base;
	struct pccs_reply *r;
	struct wr store;
};

static int expect_ok(const struct pccs_reply *r, const char *url, bool chain, struct err *e)
{
	if (r->status != 200)
		return err_code(e, ERR_AGAIN, "collateral.fetch", "fetch %.200s: HTTP status %ld", url,
				r->status);
	if (chain && !r->chain_n)
		return err_code(e, ERR_AGAIN, "collateral.answer",
				"fetch %.200s: the answer has no issuer chain", url);
	return 0;
}

// A CRL comes as DER or as hex text of it.
static int keep_crl(struct job *j, struct span *out, const char *url, struct err *e)
{
	const struct pccs_reply *r = j->r;
	uint8_t der[CRL_MAX];
	size_t n = r->body_n;
	struct x509_crl crl;

	while (n && (r->body[n - 1] == '\n' || r->body[n - 1] == '\r'))
		n--;
	bool hex = n / 2 <= sizeof der && !hex_decode(der, n / 2, span_of(r->body, n));
	struct span got = hex ? span_of(der, n / 2) : span_of(r->body, r->body_n);

	if (x509_crl_parse(&crl, got))
		return err_code(e, ERR_AGAIN, "collateral.answer", "fetch %.200s: the answer is not a CRL",
				url);
	return keep(out, got.p, got.n, &j->store, e);
}

static int get_pck_crl(struct job *j, struct collateral *c, bool processor, struct err *e)
{
	static const char *const chain[] = { "SGX-PCK-CRL-Issuer-Chain", NULL };
	char url[URL_CAP];

	snprintf(url, sizeof url, "%.400s/sgx/certification/v4/pckcrl?ca=%s&encoding=der", j->base,
		 processor ? "processor" : "platform");
	if (pccs_http_get(j->http, j->r, url, chain, 2 * CRL_MAX, e) || expect_ok(j->r, url, true, e) ||
	    keep_crl(j, &c->pck_crl, url, e))
		return -1;
	return keep(&c->pck_crl_issuer_chain, j->r->chain, j->r->chain_n, &j->store, e);
}

// ---- where the root CRL is

bool pccs_crl_point(struct span der, char *out, size_t cap)
{
	static const uint8_t oid[] = { 0x55, 0x1d, 0x1f }; // RFC 5280 section 4.2.1.13
	struct rd r = rd_span(der), cert = der_enter(&r, DER_SEQUENCE), value;

	if (!extension_find(der_any(&cert).whole, EXTENSIONS_CERT, span_of(oid, sizeof oid), &value))
		return false;
	struct rd points = der_enter(&value, DER_SEQUENCE), point = der_enter(&points, DER_SEQUENCE);
	struct rd name = der_enter(&point, 0xa0), full = der_enter(&name, 0xa0);
	struct span uri = der_take(&full, 0x86);

	if (full.bad || !uri.n || uri.n >= cap)
		return false;
	for (size_t i = 0; i < uri.n; i++)
		if (uri.p[i] <= ' ' || uri.p[i] >= 0x7f)
			return false;
	memcpy(out, uri.p, uri.n);
	out[uri.n] = 0;
	return true;
}

// The host of an http or https URL without user information; "" when it is anything else.
static void host_of(const char *url, char *out, size_t cap)
{
	CURLU *u = curl_url();
	char *host = NULL, *scheme = NULL, *user = NULL;

	out[0] = 0;
	if (u && !curl_url_set(u, CURLUPART_URL, url, 0) && !curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) &&
	    !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
	    curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
	    (!strcmp(scheme, "http") || !strcmp(scheme, "https")))
		snprintf(out, cap, "%s", host);
	curl_free(user);
	curl_free(host);
	curl_free(scheme);
	curl_url_cleanup(u);
}

// The chain is not verified yet, so what it names may be any address: only the source's own host and Intel's.
static bool may_ask(const char *base, const char *url)
{
	char own[256], other[256];

	host_of(base, own, sizeof own);
	host_of(url, other, sizeof other);
	return *other && (!strcasecmp(own, other) || str_ends(other, INTEL_HOSTS));
}

static int root_crl_url(const struct job *j, struct span chain, char *url, size_t cap, struct err *e)
{
	struct rd in = rd_span(chain);
	uint8_t last[DER_CAP], der[DER_CAP];
	size_t n = 0, last_n = 0;
	int more;

	while ((more = pem_next(&in, der, sizeof der, &n)) == 1) {
		memcpy(last, der, n);
		last_n = n;
	}
	if (more || !pccs_crl_point(span_of(last, last_n), url, cap) || !may_ask(j->base, url))
		return err_code(
			e, ERR_AGAIN, "collateral.answer",
			"%.200s has no root CRL, and its root certificate names no place for it that may "
			"be asked",
			j->base);
	return 0;
}

static int get_root_crl(struct job *j, struct collateral *c, struct err *e)
{
	char url[URL_CAP];
	bool intel = !strcmp(j->base, PCCS_INTEL);

	snprintf(url, sizeof url, "%.400s/sgx/certification/v4/rootcacrl", j->base);
	if (!intel && pccs_http_get(j->http, j->r, url, NULL, 2 * CRL_MAX, e))
		return -1;
	if (intel || j->r->status == 404) {
		if (root_crl_url(j, c->qe_identity_issuer_chain, url, sizeof url, e) ||
		    pccs_http_get(j->http, j->r, url, NULL, 2 * CRL_MAX, e))
			return -1;
	}
	return expect_ok(j->r, url, false, e) || keep_crl(j, &c->root_ca_crl, url, e) ? -1 : 0;
}

// ---- the signed documents

static int keep_signed(struct job *j, const char *url, const char *member, struct span *issuer,
		       struct span *text, struct span *signature, struct err *e)
{
	struct span value;
	uint8_t sig[64];

	if (collateral_signed(span_of(j->r->body, j->r->body_n), member, &value, sig))
		return err_code(e, ERR_AGAIN, "collateral.answer",
				"fetch %.200s: the answer is not {%s, signature}", url, member);
	return keep(issuer, j->r->chain, j->r->chain_n, &j->store, e) ||
	       keep(text, value.p, value.n, &j->store, e) || keep(signature, sig, sizeof sig, &j->store, e);
}

static int get_tcb_info(struct job *j, struct collateral *c, const struct dcap_platform *p, struct err *e)
{
	static const char *const chain[] = { "SGX-TCB-Info-Issuer-Chain", "TCB-Info-Issuer-Chain", NULL };
	char url[URL_CAP], fmspc[13];

	for (size_t i = 0; i < 6; i++)
		snprintf(fmspc + 2 * i, 3, "%02X", p->fmspc[i]);
	snprintf(url, sizeof url, "%.400s/%s/certification/v4/tcb?fmspc=%s", j->base,
		 p->is_tdx ? "tdx" : "sgx", fmspc);
	if (pccs_http_get(j->http, j->r, url, chain, TCB_MAX, e))
		return -1;
	if (j->r->status == 404)
		return err_code(e, ERR_AGAIN, "collateral.unknown_platform",
				"%.200s knows no platform with the FMSPC %s", j->base, fmspc);
	return expect_ok(j->r, url, true, e) || keep_signed(j, url, "tcbInfo", &c->tcb_info_issuer_chain,
							    &c->tcb_info, &c->tcb_info_signature, e);
}

static int get_identity(struct job *j, struct collateral *c, bool is_tdx, struct err *e)
{
	static const char *const chain[] = { "SGX-Enclave-Identity-Issuer-Chain", NULL };
	char url[URL_CAP];

	snprintf(url, sizeof url, "%.400s/%s/certification/v4/qe/identity?update=standard", j->base,
		 is_tdx ? "tdx" : "sgx");
	return pccs_http_get(j->http, j->r, url, chain, IDENTITY_MAX, e) || expect_ok(j->r, url, true, e) ||
	       keep_signed(j, url, "enclaveIdentity", &c->qe_identity_issuer_chain, &c->qe_identity,
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
		return err_code(e, ERR_AGAIN, "collateral.answer", "collateral is too long");
	}
	*json = (char *)w.p;
	*n = w.n;
	return 0;
}

int pccs_fetch(struct pccs_http *h, const char *base, const struct dcap_platform *platform, char **json,
	       size_t *n, struct err *e)
{
	struct collateral c = { 0 };
	auto_free struct pccs_reply *r = malloc(sizeof *r);
	auto_free uint8_t *store = malloc(DCAP_COLLATERAL_MAX);
	struct job j = { h, base, r, wr_to(store, DCAP_COLLATERAL_MAX) };

	if (!r || !store || !h->curl)
		return err_set(e, ERR_SYSTEM, "out of memory");
	// First what only genuine platforms have: a made-up one costs a single request.
	if (get_tcb_info(&j, &c, platform, e) || get_identity(&j, &c, platform->is_tdx, e) ||
	    get_pck_crl(&j, &c, platform->processor_ca, e) || get_root_crl(&j, &c, e))
		return -1;
	return write_json(&c, json, n, e);
}
