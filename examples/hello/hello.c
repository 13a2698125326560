// hello - the smallest useful dstack app: it shows who it is, that its secret arrived, and that its volume
// lasts.
//
// Serves the same text on plain HTTP :8080 and on TLS :8443. The TLS certificate comes from the guest agent
// (GetTlsKey with usage_ra_tls), so whoever connects can check from the certificate alone what code answers.
#include "agent.h"

#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLAIN_PORT = 8080, TLS_PORT = 8443, REQUEST_SECONDS = 20, CHILDREN_MAX = 32 };

static const char counter_file[] = "/data/visits";

struct app {
	char *id;             // from the agent
	char secret_hash[65]; // SHA-256 of $SECRET in hex: shows that it arrived without showing it
};

static void hash_secret(char out[65])
{
	const char *secret = getenv("SECRET");
	unsigned char sum[SHA256_DIGEST_LENGTH];

	if (!secret) {
		snprintf(out, 65, "none");
		return;
	}
	SHA256((const unsigned char *)secret, strlen(secret), sum);
	for (size_t i = 0; i < sizeof sum; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

// The counter lives on the named volume; a lock lets both listeners count, a rename keeps it whole.
static unsigned long count_visit(void)
{
	unsigned long n = 0;
	FILE *lock = fopen("/data/lock", "w"), *f;

	if (!lock || flock(fileno(lock), LOCK_EX))
		return 0;
	if ((f = fopen(counter_file, "r"))) {
		if (fscanf(f, "%lu", &n) != 1)
			n = 0;
		fclose(f);
	}
	n++;
	if ((f = fopen("/data/visits.new", "w"))) {
		fprintf(f, "%lu\n", n);
		fflush(f);
		fsync(fileno(f));
		fclose(f);
		rename("/data/visits.new", counter_file);
	}
	fclose(lock);
	return n;
}

static int page(char *out, size_t cap, const struct app *app)
{
	char body[512];
	int n = snprintf(body, sizeof body, "hello from dstack\napp_id: %s\nsecret_sha256: %s\nvisits: %lu\n",
			 app->id, app->secret_hash, count_visit());

	return snprintf(out, cap,
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: "
			"close\r\n\r\n%s",
			n, body);
}

static int has_request(const char *got)
{
	return strstr(got, "\r\n\r\n") != NULL;
}

static void serve_plain(int fd, const struct app *app)
{
	char in[8192] = { 0 }, out[2048];
	size_t n = 0;
	ssize_t got;

	while (!has_request(in) && n < sizeof in - 1 && (got = read(fd, in + n, sizeof in - 1 - n)) > 0)
		n += (size_t)got;
	if (has_request(in))
		dprintf(fd, "%.*s", page(out, sizeof out, app), out);
}

static void serve_tls(int fd, SSL_CTX *tls, const struct app *app)
{
	char in[8192] = { 0 }, out[2048];
	size_t n = 0;
	int got;
	SSL *ssl = SSL_new(tls);

	if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1) {
		while (!has_request(in) && n < sizeof in - 1 &&
		       (got = SSL_read(ssl, in + n, (int)(sizeof in - 1 - n))) > 0)
			n += (size_t)got;
		if (has_request(in))
			SSL_write(ssl, out, page(out, sizeof out, app));
		SSL_shutdown(ssl);
	}
	SSL_free(ssl);
}

static int listen_on(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 64)) {
		perror("listen");
		exit(1);
	}
	return fd;
}

// One process a connection, at most CHILDREN_MAX of them, each with REQUEST_SECONDS to live.
static void serve(int port, SSL_CTX *tls, const struct app *app)
{
	int listener = listen_on(port), children = 0;

	for (;;) {
		int fd = accept(listener, NULL, NULL);
		while (waitpid(-1, NULL, children >= CHILDREN_MAX ? 0 : WNOHANG) > 0)
			children--;
		if (fd < 0)
			continue;
		pid_t child = fork();
		if (child == 0) {
			alarm(REQUEST_SECONDS);
			if (tls)
				serve_tls(fd, tls, app);
			else
				serve_plain(fd, app);
			_exit(0);
		}
		children += child > 0;
		close(fd);
	}
}

static SSL_CTX *tls_from(const char *key_pem, const char *leaf_pem, const char *ca_pem)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
	BIO *key = BIO_new_mem_buf(key_pem, -1), *leaf = BIO_new_mem_buf(leaf_pem, -1);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
	X509 *cert = PEM_read_bio_X509(leaf, NULL, NULL, NULL);

	if (!tls || SSL_CTX_use_certificate(tls, cert) != 1 || SSL_CTX_use_PrivateKey(tls, pkey) != 1) {
		ERR_print_errors_fp(stderr);
		exit(1);
	}
	if (ca_pem) {
		BIO *ca = BIO_new_mem_buf(ca_pem, -1);
		SSL_CTX_add_extra_chain_cert(tls, PEM_read_bio_X509(ca, NULL, NULL, NULL));
		BIO_free(ca);
	}
	SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
	EVP_PKEY_free(pkey);
	X509_free(cert);
	BIO_free(key);
	BIO_free(leaf);
	return tls;
}

// PID 1 of a container has no default action for SIGTERM.
static void stop(int sig)
{
	kill(0, SIGKILL);
	_exit(128 + sig);
}

int main(void)
{
	struct app app = { 0 };

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, stop);
	setvbuf(stdout, NULL, _IOLBF, 0);
	hash_secret(app.secret_hash);
	char *info = agent_ask("Info", "{}");
	char *tls_key = agent_ask("GetTlsKey",
				  "{\"subject\":\"hello\",\"usage_ra_tls\":true,\"usage_server_auth\":true,"
				  "\"with_app_info\":true}");
	if (!info || !tls_key)
		return 1;
	app.id = json_text(info, "app_id", 0);
	char *key = json_text(tls_key, "key", 0), *leaf = json_text(tls_key, "certificate_chain", 0),
	     *ca = json_text(tls_key, "certificate_chain", 1);
	if (!app.id || !key || !leaf) {
		fprintf(stderr, "the agent's answer lacks app_id, key or certificate_chain\n");
		return 1;
	}
	SSL_CTX *tls = tls_from(key, leaf, ca);
	printf("hello: app %s on :%d and :%d (TLS)\n", app.id, PLAIN_PORT, TLS_PORT);
	fflush(stdout); // before the fork, and so that the container's log has it now
	if (fork() == 0)
		serve(TLS_PORT, tls, &app);
	serve(PLAIN_PORT, NULL, &app);
}
