#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "collateral.h"
#include "net.h"
#include "rpc/http.h"

enum { LIMIT_SECONDS = 5 };

struct answer {
	int status;
	const char *type;
	char chain_header[48]; // "" when there is none
	enum pki_id chain_leaf;
	struct sb body;
};

// A parameter of a query; false when it is not exactly once there.
static bool query(const struct http_head *h, const char *name, struct span *value)
{
	struct span q = h->query;
	size_t namen = strlen(name), found = 0;

	while (q.n) {
		const uint8_t *end = memchr(q.p, '&', q.n);
		size_t len = end ? (size_t)(end - q.p) : q.n;

		if (len > namen && !memcmp(q.p, name, namen) && q.p[namen] == '=') {
			*value = span_of(q.p + namen + 1, len - namen - 1);
			found++;
		}
		q = len < q.n ? span_sub(q, len + 1, q.n - len - 1) : span_of(q.p, 0);
	}
	return found == 1;
}

static bool is_fmspc(struct span s)
{
	return s.n == strlen(PKI_FMSPC) && !strncasecmp((const char *)s.p, PKI_FMSPC, s.n);
}

static int answer_crl(const struct pki *p, const struct http_head *h, int64_t now, struct answer *a,
		      struct err *e)
{
	uint8_t crl[PKI_CRL_MAX];
	struct span ca, encoding;
	size_t n;

	// There is one PCK CA here. The npm package asks for "processor" whatever the certificate says.
	if (!query(h, "ca", &ca) || (!span_is(ca, "platform") && !span_is(ca, "processor")))
		return err_set(e, ERR_ABSENT, "no such CA");
	if (pki_crl(p, PKI_CA, now, crl, &n, e))
		return -1;
	bool hex = !query(h, "encoding", &encoding) || !span_is(encoding, "der");
	a->type = hex ? "text/plain" : "application/pkix-crl";
	if (hex)
		sb_hex(&a->body, crl, n);
	else
		sb_put(&a->body, crl, n);
	snprintf(a->chain_header, sizeof a->chain_header, "SGX-PCK-CRL-Issuer-Chain");
	a->chain_leaf = PKI_CA;
	return 0;
}

static int answer_tcb(const struct pki *p, const struct http_head *h, bool sgx, int64_t now, struct answer *a,
		      struct err *e)
{
	struct collateral_opts o = { .sgx = sgx };
	struct span fmspc;

	if (!query(h, "fmspc", &fmspc) || !is_fmspc(fmspc))
		return err_set(e, ERR_ABSENT, "no such FMSPC");
	snprintf(a->chain_header, sizeof a->chain_header,
		 sgx ? "SGX-TCB-Info-Issuer-Chain" : "TCB-Info-Issuer-Chain");
	a->chain_leaf = PKI_TCB;
	return collateral_tcb_info(p, &o, now, &a->body, e);
}

static int answer_qe(const struct pki *p, bool sgx, int64_t now, struct answer *a, struct err *e)
{
	struct collateral_opts o = { .sgx = sgx };

	snprintf(a->chain_header, sizeof a->chain_header, "SGX-Enclave-Identity-Issuer-Chain");
	a->chain_leaf = PKI_TCB;
	return collateral_qe_identity(p, &o, now, &a->body, e);
}

static int answer_root_crl(const struct pki *p, int64_t now, struct answer *a, struct err *e)
{
	uint8_t crl[PKI_CRL_MAX];
	size_t n;

	a->type = "text/plain";
	if (pki_crl(p, PKI_ROOT, now, crl, &n, e))
		return -1;
	sb_hex(&a->body, crl, n);
	return 0;
}

static int route(const struct pki *p, const struct http_head *h, int64_t now, struct answer *a, struct err *e)
{
	bool sgx = span_is(span_sub(h->path, 0, 4), "/sgx"), tdx = span_is(span_sub(h->path, 0, 4), "/tdx");
	struct span rest = h->path.n > 4 ? span_sub(h->path, 4, h->path.n - 4) : (struct span){ 0 };

	if (!span_is(h->method, "GET"))
		return err_set(e, ERR_INPUT, "only GET");
	if ((sgx || tdx) && span_is(rest, "/certification/v4/tcb"))
		return answer_tcb(p, h, sgx, now, a, e);
	if ((sgx || tdx) && span_is(rest, "/certification/v4/qe/identity"))
		return answer_qe(p, sgx, now, a, e);
	if (sgx && span_is(rest, "/certification/v4/pckcrl"))
		return answer_crl(p, h, now, a, e);
	if (sgx && span_is(rest, "/certification/v4/rootcacrl"))
		return answer_root_crl(p, now, a, e);
	return err_set(e, ERR_ABSENT, "no such document");
}

// Percent-encoded PEM, as Intel's services send it.
static void put_chain(struct sb *out, const struct pki *p, const struct answer *a)
{
	const enum pki_id ids[] = { a->chain_leaf, PKI_ROOT };
	char pem[PKI_CHAIN_MAX];
	struct err ignored;

	if (pki_chain(p, ids, 2, pem, &ignored))
		return;
	sb_fmt(out, "%s: ", a->chain_header);
	for (const char *c = pem; *c; c++) {
		bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			     (*c >= '0' && *c <= '9') || *c == '-' || *c == '.' || *c == '_';

		if (plain)
			sb_chr(out, *c);
		else
			sb_fmt(out, "%%%02X", (unsigned char)*c);
	}
	sb_str(out, "\r\n");
}

void serve_answer(const struct pki *p, const void *head, size_t n, int64_t now, struct sb *out)
{
	struct answer a = { .status = 200, .type = "application/json" };
	struct http_head h;
	struct err why;
	int refused = http_head_parse(&h, head, n);

	if (refused) {
		a.status = refused;
	} else if (route(p, &h, now, &a, &why)) {
		a.status = err_http(&why);
		a.type = "text/plain";
		a.chain_header[0] = 0;
		sb_free(&a.body);
		a.body = (struct sb){ 0 };
		sb_str(&a.body, why.text);
	}
	sb_fmt(out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n",
	       a.status, a.status == 200 ? "OK" : "Refused", a.type, a.body.n);
	if (a.status == 200 && a.chain_header[0])
		put_chain(out, p, &a);
	sb_str(out, "\r\n");
	sb_put(out, a.body.p, a.body.n);
	sb_free(&a.body);
}

static int read_head(int fd, char head[static HTTP_HEAD_MAX], size_t *n)
{
	*n = 0;
	while (*n < HTTP_HEAD_MAX) {
		ssize_t got = recv(fd, head + *n, HTTP_HEAD_MAX - *n, 0);

		if (got <= 0)
			return -1;
		*n += (size_t)got;
		char *end = memmem(head, *n, "\r\n\r\n", 4);
		if (end) {
			*n = (size_t)(end + 4 - head);
			return 0;
		}
	}
	return -1;
}

static void serve_one(const struct pki *p, int fd)
{
	char head[HTTP_HEAD_MAX];
	auto_sb out = { 0 };
	struct err ignored;
	size_t n;

	if (net_limit(fd, LIMIT_SECONDS, &ignored) || read_head(fd, head, &n))
		return;
	serve_answer(p, head, n, (int64_t)time_now(), &out);
	if (!out.bad && !net_write(fd, out.p, out.n, &ignored))
		shutdown(fd, SHUT_WR);
}

int serve_run(const struct pki *p, const char *address, struct err *e)
{
	uint16_t port;

	if (!str_starts(address, "tcp:"))
		return err_set(e, ERR_INPUT, "--listen takes tcp:ADDRESS:PORT");
	auto_close int fd = net_listen_tcp(address + 4, &port, e);
	if (fd < 0)
		return -1;
	log_info("softtee", "collateral service port=%u", port);
	for (;;) {
		auto_close int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (conn >= 0)
			serve_one(p, conn);
		else if (errno != EINTR && errno != ECONNABORTED)
			return err_errno(e, "accept");
	}
}
