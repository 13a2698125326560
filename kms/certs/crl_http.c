// The lists of revoked certificates as files: GET /crl/app-<40 hex digits>.crl, application/pkix-crl.
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/sb.h"
#include "base/strings.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"
#include "rpc/client_key.h"
#include "../service/service.h"

// One request; made on a worker, since a signature may have to be waited for.
struct request {
	struct service *s;
	struct http_conn *conn; // NULL: gone
	struct issued_key key;
	uint8_t client[CLIENT_KEY];
	uint8_t *der;
	size_t n;
	int rc;
	struct err err;
};

static void refuse(struct http_conn *c, const struct err *e)
{
	auto_sb b = { 0 };

	sb_str(&b, "{\"error\":");
	sb_json_str(&b, e->text);
	sb_str(&b, ",\"code\":");
	sb_json_str(&b, e->code);
	sb_str(&b, "}");
	http_reply(c, err_http(e), "application/json", b.bad ? "{}" : b.p, b.bad ? 2 : b.n);
}

static void on_gone(void *arg)
{
	struct request *r = arg;

	r->conn = NULL;
}

static void work(void *arg)
{
	struct request *r = arg;

	r->rc = crls_get(&r->s->crls, &r->key, r->client, &r->der, &r->n, &r->err);
}

static void worked(void *arg, enum pool_end end)
{
	struct request *r = arg;
	struct http_conn *c = r->conn;

	if (end != POOL_DONE)
		r->rc = err_code(&r->err, ERR_AGAIN, "rpc.busy", "too many calls are waiting");
	if (c)
		http_set_data(c, NULL, NULL);
	if (c && !r->rc)
		http_reply(c, 200, "application/pkix-crl", r->der, r->n);
	else if (c)
		refuse(c, &r->err);
	free(r->der);
	free(r);
}

// Whose list, and of which root set: the one that is named, else that of the address.
static int key_of(const struct service *s, struct http_conn *c, struct issued_key *k)
{
	const size_t head = sizeof "/crl/app-" - 1, id = 2 * APP_ID;
	struct span path = http_request(c)->path;
	SSL_CTX *tls = http_ssl(c) ? SSL_get_SSL_CTX(http_ssl(c)) : NULL;
	const struct face *f = tls ? SSL_CTX_get_app_data(tls) : NULL;
	char hex[2 * APP_ID + 1] = "";

	if (path.n < head + id || memcmp(path.p, "/crl/app-", head) != 0)
		return -1;
	memcpy(hex, path.p + head, id);
	struct span rest = span_of(path.p + head + id, path.n - head - id);
	k->root = f ? f->root : 0;
	if (rest.n == 6 && rest.p[0] == '-' && rest.p[1] >= '0' && rest.p[1] <= '9') {
		k->root = rest.p[1] - '0';
		rest = span_of(rest.p + 2, 4);
	}
	return span_is(rest, ".crl") && k->root < atomic_load(&s->faces.n) && hex_exact(k->app, APP_ID, hex)
		       ? 0
		       : -1;
}

static void asked(struct http_conn *c, void *arg)
{
	struct service *s = arg;
	struct request *r = calloc(1, sizeof *r);
	struct err e;

	if (!r || key_of(s, c, &r->key)) {
		free(r);
		err_code(&e, ERR_ABSENT, "rpc.not_found", "no such list: /crl/app-<40 hex digits>.crl");
		refuse(c, &e);
		return;
	}
	r->s = s;
	r->conn = c;
	client_key(http_peer(c), r->client);
	http_set_data(c, r, on_gone);
	if (pool_queue(s->pool, LANE_PUBLIC, r->client, work, worked, r))
		return;
	http_set_data(c, NULL, NULL);
	free(r);
	err_code(&e, ERR_AGAIN, "rpc.busy", "too many calls are waiting");
	refuse(c, &e);
}

// ---- certificates that name their list

// Another number for each certificate, also of the same key: what is revoked is the certificate.
int service_count_cert(struct service *s, uint32_t root, struct audit_entry *x, struct cert_spec *spec,
		       struct err *e)
{
	if (RAND_bytes(x->serial, sizeof x->serial) != 1)
		return err_ssl(e, ERR_SYSTEM, "make a serial number");
	x->serial[0] = (uint8_t)((x->serial[0] & 0x3f) | 0x40); // always 20 bytes
	x->not_after = (uint64_t)spec->not_after;
	x->has_serial = x->ok = 1;
	spec->serial = x->serial;
	return crls_count(&s->crls, root, x, e);
}

const char *service_crl_url(const struct service *s, struct arena *a, const uint8_t app[static APP_ID],
			    uint32_t root)
{
	const char *base = s->config->crl_url;
	size_t n = strlen(base), room = n + sizeof "/crl/app--0.crl" + 2 * APP_ID;
	char *url = n ? arena_alloc(a, room) : NULL;

	while (n && base[n - 1] == '/')
		n--;
	if (url && root)
		snprintf(url, room, "%.*s/crl/app-%s-%u.crl", (int)n, base, STR_HEX(app, APP_ID), root);
	else if (url)
		snprintf(url, room, "%.*s/crl/app-%s.crl", (int)n, base, STR_HEX(app, APP_ID));
	return url;
}

int crls_mount(struct service *s, struct rpc_server *server)
{
	return rpc_server_raw(server, "/crl/*", asked, s);
}
