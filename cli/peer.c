#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/cleanup.h"
#include "crypto/ssl.h"

enum { CONNECT_MS = 10000, TLS_SECONDS = 15, NAME_MAX_ = 256 };

struct place {
	char host[NAME_MAX_], port[8];
};

// HOST[:PORT], [v6]:PORT; `text` ends at `n`.
static int read_place(struct place *p, const char *text, size_t n, const char *port, struct err *e)
{
	bool v6 = n && text[0] == '[';
	const char *close = v6 ? memchr(text, ']', n) : NULL;
	const char *from = v6 ? text + 1 : text, *end = text + n;
	const char *colon = v6 ? (close && close + 1 < end ? close + 1 : NULL) : memchr(text, ':', n);
	size_t host_n = (size_t)((v6 ? close : colon ? colon : end) - from);

	if ((v6 && !close) || !host_n || host_n >= sizeof p->host || (colon && *colon != ':'))
		return err_code(e, ERR_INPUT, "cli.address", "'%.*s' is not HOST[:PORT]", (int)n, text);
	memcpy(p->host, from, host_n);
	p->host[host_n] = 0;
	size_t port_n = colon ? (size_t)(end - colon - 1) : strlen(port);

	if (!port_n || port_n >= sizeof p->port)
		return err_code(e, ERR_INPUT, "cli.address", "'%.*s' has no usable port", (int)n, text);
	memcpy(p->port, colon ? colon + 1 : port, port_n);
	p->port[port_n] = 0;
	return 0;
}

static int read_url(struct place *p, const char *url, struct err *e)
{
	if (strncmp(url, "https://", 8) != 0)
		return err_code(e, ERR_INPUT, "cli.address", "'%.200s' is not an https URL", url);
	return read_place(p, url + 8, strcspn(url + 8, "/?#"), "443", e);
}

int peer_host(char *out, size_t cap, const char *url, struct err *e)
{
	struct place p;

	if (read_url(&p, url, e))
		return -1;
	snprintf(out, cap, "%s", p.host);
	return 0;
}

static int connect_one(const struct addrinfo *a)
{
	struct timeval limit = { TLS_SECONDS, 0 };
	auto_close int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { fd, POLLOUT, 0 };
	int why = 0;
	socklen_t n = sizeof why;

	if (fd < 0 || (connect(fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS))
		return -1;
	if (poll(&p, 1, CONNECT_MS) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) || why) {
		errno = why ? why : ETIMEDOUT;
		return -1;
	}
	if (fcntl(fd, F_SETFL, 0) || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit))
		return -1;
	return take_fd(&fd);
}

static int dial(const struct place *p, struct err *e)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int why = getaddrinfo(p->host, p->port, &want, &list), fd = -1;

	if (why)
		return err_code(e, ERR_AGAIN, "cli.connect", "look up %s: %s", p->host, gai_strerror(why));
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = connect_one(a);
	if (fd < 0)
		err_code(e, ERR_AGAIN, "cli.connect", "connect to %s port %s: %s", p->host, p->port,
			 strerror(errno));
	freeaddrinfo(list);
	return fd;
}

static X509 *handshake(int fd, char *name, struct err *e)
{
	auto_sslctx SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = ctx ? SSL_new(ctx) : NULL;
	X509 *cert = NULL;

	if (!ssl || !SSL_set_min_proto_version(ssl, TLS1_2_VERSION) || !SSL_set_tlsext_host_name(ssl, name) ||
	    !SSL_set_fd(ssl, fd)) {
		err_ssl(e, ERR_SYSTEM, "prepare TLS");
	} else if (SSL_connect(ssl) != 1) {
		err_ssl(e, ERR_AGAIN, "TLS handshake with %s", name);
		snprintf(e->code, sizeof e->code, "cli.tls");
	} else {
		cert = SSL_get1_peer_certificate(ssl);
		if (!cert)
			err_code(e, ERR_UNTRUSTED, "ratls.no_evidence", "%s showed no certificate", name);
		SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	return cert;
}

X509 *peer_certificate(const char *url, const char *connect, struct err *e)
{
	struct place named, at;

	if (read_url(&named, url, e) || (connect && read_place(&at, connect, strlen(connect), named.port, e)))
		return NULL;
	auto_close int fd = dial(connect ? &at : &named, e);

	return fd < 0 ? NULL : handshake(fd, named.host, e);
}
