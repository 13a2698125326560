#include "network.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sb.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/attest/certext.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "gateway.h"
#include "kms.h"
#include "kms.pb-c.h"
#include "notify.h"
#include "ratls/issue.h"
#include "rpc/client.h"
#include "setup.h"
#include "tee/attest.h"
#include "wg/wg.h"

#define INTERFACE "dstack-wg0"
#define KEY_FILE  "/run/dstack/wg.key"
#define CONF_FILE "/etc/wireguard/" INTERFACE ".conf"

enum {
	LISTEN_PORT = 9182,
	MTU = 1400,
	KEEPALIVE = 25,
	SERVERS_MAX = 32,
	CALL_SECONDS = 60,
	CERT_DAYS = 10,
	RENEW_BEFORE = 600,
	ROUND_MAX = 16 << 20,
	DAY = 86400,
	POLL_SECONDS = 10,
	RENEW_SECONDS = 180,
	RETRY_MIN = 30,
	RETRY_MAX = 120,
};

// Kept by the checker from one registration to the next.
struct client_cert {
	EVP_PKEY *key;
	char *chain; // PEM, leaf first; owned
	char key_pem[P256_PEM_MAX];
	bool quoted; // carries evidence
	uint64_t not_after;
};

static int request_cert(struct setup *s, EVP_PKEY *key, bool with_quote, struct sb *csr, uint8_t *sig,
			size_t *sign, struct err *e)
{
	uint8_t spki[P256_SPKI], report_data[RATLS_REPORT_DATA];
	auto_free uint8_t *evidence = NULL;
	size_t n;

	if (p256_spki(key, spki, e))
		return -1;
	ratls_report_data(span_of(spki, sizeof spki), report_data);
	if (tee_attest(s->tee, s->run_dir, report_data, span_str(s->sys.vm_config), false, &evidence, &n, e))
		return -1;
	struct csr c = { .version = 2,
			 .pubkey = span_of(spki, sizeof spki),
			 .subject = span_str("dstack-guest-agent"),
			 .client_auth = true,
			 .ext_quote = with_quote,
			 .ext_app_info = true,
			 .has_not_after = true,
			 .not_after = (uint64_t)time(NULL) + CERT_DAYS * DAY,
			 .attestation = span_of(evidence, n) };
	struct wr dry = wr_to(NULL, 0);
	csr_write(&dry, &c);
	auto_free uint8_t *bytes = malloc(dry.n);
	struct wr w = wr_to(bytes, bytes ? dry.n : 0);
	csr_write(&w, &c);
	if (w.bad)
		return err_set(e, ERR_SYSTEM, "certificate request");
	sb_put(csr, bytes, w.n);
	return p256_sign(key, span_of(bytes, w.n), sig, sign, e);
}

static int sign_cert(struct setup *s, bool with_quote, struct client_cert *out, struct err *e)
{
	struct ratls_identity id = { 0 };
	Kms__SignCertRequest req = KMS__SIGN_CERT_REQUEST__INIT;
	Kms__SignCertResponse *r;
	uint8_t sig[P256_SIG_MAX];
	auto_sb csr = { 0 }, chain = { 0 };
	size_t sign;

	out->key = p256_new(e);
	if (!out->key || p256_to_pem(out->key, out->key_pem, e) ||
	    request_cert(s, out->key, with_quote, &csr, sig, &sign, e) || csr.bad ||
	    ratls_identity_new(span_str(s->keys.temp_ca_cert), span_str(s->keys.temp_ca_key), NULL, NULL, &id,
			       e))
		return -1;
	req.api_version = 2;
	req.csr = (ProtobufCBinaryData){ csr.n, (uint8_t *)csr.p };
	req.signature = (ProtobufCBinaryData){ sign, sig };
	req.vm_config = (char *)(uintptr_t)s->sys.vm_config;
	auto_rpc_client *c = kms_client(s, &s->keys, &id, CALL_SECONDS, e);
	int rc = !c || rpc_client_call(c, "SignCert", &req.base, &kms__sign_cert_response__descriptor,
				       s->arena, (void **)&r, e)
			 ? err_wrap(e, "certificate for the gateway")
			 : 0;
	ratls_identity_free(&id);
	for (size_t i = 0; !rc && i < r->n_certificate_chain; i++)
		sb_str(&chain, r->certificate_chain[i]);
	if (!rc)
		out->chain = sb_take(&chain);
	out->quoted = with_quote;
	out->not_after = (uint64_t)time(NULL) + CERT_DAYS * DAY;
	return rc || out->chain ? rc : err_code(e, ERR_INPUT, "gateway.reply", "KMS gave no certificate");
}

static void cert_free(struct client_cert *c)
{
	EVP_PKEY_free(c->key);
	free(c->chain);
	OPENSSL_cleanse(c, sizeof *c);
}

static int call_gateway(struct setup *s, const char *url, const struct client_cert *cert,
			const char *public_key, Gateway__RegisterCvmResponse **out, struct err *e)
{
	const struct gateway_call c = { .chain_pem = span_str(cert->chain),
					.key_pem = span_str(cert->key_pem),
					.ca_cert = s->keys.ca_cert,
					.app_ids = s->keys.gateway_app_id,
					.public_key = public_key,
					.compose = &s->compose };

	return gateway_register(&c, url, s->arena, out, e);
}

// A gateway that wants evidence says so; then once more with a certificate that carries it.
static int try_gateway(struct setup *s, const char *url, struct client_cert *cert, const char *public_key,
		       Gateway__RegisterCvmResponse **out, struct err *e)
{
	int rc = call_gateway(s, url, cert, public_key, out, e);

	if (!rc || cert->quoted || !strstr(e->text, "no attestation provided"))
		return rc;
	cert_free(cert);
	return sign_cert(s, true, cert, e) ? -1 : call_gateway(s, url, cert, public_key, out, e);
}

static int wireguard_key(uint8_t key[static WG_KEY], struct err *e)
{
	auto_secret *kept = NULL;

	if (file_exists(KEY_FILE)) {
		if (file_read_secret(KEY_FILE, WG_KEY, &kept, e) || kept->n != WG_KEY)
			return kept ? err_code(e, ERR_SYSTEM, "gateway.key", "%s is damaged", KEY_FILE) : -1;
		memcpy(key, kept->b, WG_KEY);
		return 0;
	}
	return file_mkdirs("/run/dstack", 0755, e) || wg_key_new(key, e) ||
			       file_write(KEY_FILE, 0600, key, WG_KEY, e)
		       ? -1
		       : 0;
}

static int read_servers(const Gateway__WireGuardConfig *in, struct wg_change *out, size_t *n, struct err *e)
{
	*n = 0;
	for (size_t i = 0; i < in->n_servers && *n < SERVERS_MAX; i++) {
		struct wg_change *c = &out[(*n)++];

		*c = (struct wg_change){ .allowed_n = 1, .keepalive = KEEPALIVE };
		if (wg_key_parse(c->key, in->servers[i]->pk, e) ||
		    wg_cidr_parse(&c->allowed[0], in->servers[i]->ip, e) ||
		    wg_endpoint_parse(&c->endpoint, in->servers[i]->endpoint, e))
			return err_wrap(e, "gateway's answer");
		c->allowed[0].prefix =
			32; // the wire says in which network it is ("10.8.0.1/16"): one peer, one address
	}
	return *n ? 0 : err_code(e, ERR_INPUT, "gateway.reply", "the gateway named no WireGuard server");
}

// For people and for upstream's tools; nothing here reads it.
static void write_conf(const Gateway__WireGuardConfig *in, const uint8_t key[static WG_KEY])
{
	char text[WG_KEY_TEXT];
	auto_sb b = { 0 };
	struct err ignored;

	wg_key_text(text, key);
	sb_fmt(&b, "[Interface]\nPrivateKey = %s\nListenPort = %d\nAddress = %s/32\n", text, LISTEN_PORT,
	       in->client_ip);
	for (size_t i = 0; i < in->n_servers; i++)
		sb_fmt(&b,
		       "\n[Peer]\nPublicKey = %s\nAllowedIPs = %.*s/32\nEndpoint = %s\nPersistentKeepalive = "
		       "%d\n",
		       in->servers[i]->pk, (int)strcspn(in->servers[i]->ip, "/"), in->servers[i]->ip,
		       in->servers[i]->endpoint, KEEPALIVE);
	if (!b.bad && !file_mkdirs("/etc/wireguard", 0700, &ignored))
		(void)!file_write(CONF_FILE, 0600, b.p, b.n, &ignored);
	OPENSSL_cleanse(text, sizeof text);
}

static int apply(const Gateway__RegisterCvmResponse *r, const uint8_t key[static WG_KEY], struct err *e)
{
	static struct wg_change changes[SERVERS_MAX];
	struct wg_cidr own;
	size_t n;

	if (!r->wg || wg_cidr_parse(&own, r->wg->client_ip, e) || own.prefix != 32)
		return r->wg ? err_code(e, ERR_INPUT, "gateway.reply", "the gateway gave no proper address")
			     : err_code(e, ERR_INPUT, "gateway.reply",
					"the gateway gave no WireGuard settings");
	if (read_servers(r->wg, changes, &n, e))
		return -1;
	struct wg *w = wg_open(INTERFACE, WG_AUTO, e);
	if (!w)
		return -1;
	int rc = wg_set_key(w, key, LISTEN_PORT, e) || wg_change_peers(w, changes, n, e) ||
		 wg_link_up(w, own, MTU, e);
	for (size_t i = 0; !rc && i < n; i++)
		rc = wg_route_add(w, changes[i].allowed[0], e);
	wg_close(w);
	if (rc)
		return err_wrap(e, "WireGuard");
	write_conf(r->wg, key);
	log_info("setup", "registered with the gateway ip=%s domain=%s", r->wg->client_ip,
		 r->agent && r->agent->domain ? r->agent->domain : "");
	return 0;
}

static int register_with(struct setup *s, struct client_cert *cert, struct err *e)
{
	uint8_t key[WG_KEY], public_key[WG_KEY];
	char public_text[WG_KEY_TEXT];
	Gateway__RegisterCvmResponse *r = NULL;
	int rc = -1;

	if (!s->keys.url)
		return err_code(e, ERR_INPUT, "gateway.no_kms", "a gateway needs the key provider kms");
	if (!s->sys.gateway_urls.n)
		return err_code(e, ERR_INPUT, "gateway.no_url",
				"the app wants a gateway but the host named none");
	if (gateway_check_named(s->keys.gateway_app_id, e))
		return -1;
	if (cert->not_after < time_now() + RENEW_BEFORE) {
		cert_free(cert);
		if (sign_cert(s, false, cert, e))
			return -1;
	}
	if (wireguard_key(key, e) || wg_key_public(public_key, key, e))
		return -1;
	wg_key_text(public_text, public_key);
	for (size_t i = 0; rc && cert->chain && i < s->sys.gateway_urls.n; i++) {
		rc = try_gateway(s, s->sys.gateway_urls.v[i], cert, public_text, &r, e)
			     ? err_wrap(e, "gateway %s", s->sys.gateway_urls.v[i])
			     : 0;
		if (rc && i + 1 < s->sys.gateway_urls.n) // the last one's error is reported by who called
			log_warn("setup", "%s code=%s", e->text, e->code);
	}
	if (!rc)
		rc = apply(r, key, e);
	else
		cert_free(cert); // it may be what was refused: the next attempt has a new one
	OPENSSL_cleanse(key, sizeof key);
	return rc;
}

int network_register(struct setup *s, struct err *e)
{
	struct client_cert cert = { 0 };
	int rc = register_with(s, &cert, e);

	cert_free(&cert);
	return rc;
}

// One registration with memory of its own: the checker lives as long as the guest.
static int register_again(struct setup *s, struct client_cert *cert, struct err *e)
{
	struct arena *kept = s->arena;

	s->arena = arena_new(ROUND_MAX);
	int rc = s->arena ? register_with(s, cert, e) : err_set(e, ERR_SYSTEM, "out of memory");
	arena_free(s->arena);
	s->arena = kept;
	return rc;
}

// Seconds since the newest handshake with any gateway; -1 when there is no interface yet.
static int64_t handshake_age(uint64_t started)
{
	struct wg_peer peers[SERVERS_MAX];
	struct err ignored;
	uint64_t newest = started;

	if (!file_exists(CONF_FILE))
		return -1;
	struct wg *w = wg_open(INTERFACE, WG_AUTO, &ignored);
	if (!w)
		return -1;
	long n = wg_peers(w, peers, SERVERS_MAX, &ignored);
	wg_close(w);
	for (long i = 0; i < n; i++)
		if (peers[i].handshake > newest)
			newest = peers[i].handshake;
	return (int64_t)(time_now() - newest);
}

// Spec 60 section 9, rules of the checker: at once when there is nothing; after 180 s without a handshake;
// every 180 s anyway. Failures wait longer and longer, up to two minutes.
int network_checker(struct setup *s)
{
	uint64_t started = time_now(), last = started, wait = 0;
	unsigned failures = 0;
	struct client_cert cert = { 0 };
	bool told = !file_exists(CONF_FILE); // the boot's attempt failed, and the host was told so

	if (!s->compose.gateway)
		return 0;
	struct err why;
	if (!s->keys.url || !s->sys.gateway_urls.n || gateway_check_named(s->keys.gateway_app_id, &why))
		return 3;
	for (;;) {
		int64_t age = handshake_age(started);
		uint64_t since = time_now() - last;
		struct err e = { 0 };

		if ((age < 0 && (!failures || since >= wait)) ||
		    (age >= 0 && since >= (failures ? wait : RENEW_SECONDS))) {
			last = time_now();
			if (register_again(s, &cert, &e)) {
				wait = failures < 2 ? (uint64_t)RETRY_MIN << failures : RETRY_MAX;
				failures++;
				log_warn("gateway-checker", "%s code=%s retry_s=%llu", e.text, e.code,
					 (unsigned long long)wait);
			} else {
				failures = 0;
				started = time_now();
				if (told)
					notify("boot.error", ""); // mended
				told = false;
			}
		}
		time_sleep_ms(POLL_SECONDS * 1000);
	}
}
