// kms_load - many guests that ask a KMS for their keys at the same moment, each with a TLS connection, a key,
// a quote and a certificate of its own.
//
//   bench-kms-load URL-HOST:PORT CA TEMP-CA TEMP-CA-KEY PKI IMAGE APP COMPOSE PID GUESTS
// Evidence is made first, which is not counted. Then all connect at once. A guest is lost when it does not
// get 32 bytes of disk key within the time a guest waits (60 s). Prints how long the guests waited, and the
// CPU time of the KMS's processes (PID and its children) for each release. Exits 1 when one was lost.
#include <event2/bufferevent_ssl.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "guestlike.h"
#include "kms_floor.h"
#include "proc.h"
#include "ratls/issue.h"
#include "ratls/tls.h"

enum { GUESTS_MAX = 5000, WAIT_S = 60, ANSWER_MAX = 65536, ROUNDS = 300 };

static const char request[] = "POST /prpc/GetAppKey?json HTTP/1.1\r\nHost: kms\r\nContent-Length: 17\r\n"
			      "Connection: close\r\n\r\n{\"api_version\":1}";

struct load {
	struct event_base *base;
	struct sockaddr_in to;
	struct ratls_identity ca; // the temporary CA
	struct quote_signer signer;
	struct pki pki;
	struct guestlike_who who;
	char *roots;
	size_t roots_n, open, lost;
	double *waited_ms;
	size_t served;
};

struct guest {
	struct load *l;
	struct ratls_identity id;
	SSL_CTX *tls;
	struct bufferevent *bev;
	uint64_t began;
};

static void die(const char *what, const struct err *e)
{
	fprintf(stderr, "bench-kms-load: %s: %s\n", what, e->text);
	exit(2);
}

static int attest(void *arg, const uint8_t report_data[static RATLS_REPORT_DATA], uint8_t **out, size_t *n,
		  struct err *e)
{
	static struct guestlike g;
	static struct quote_body body;
	static uint8_t quote[QUOTE_CAP];
	struct load *l = arg;
	size_t quote_n = 0;

	*out = malloc(GUESTLIKE_MAX);
	struct wr w = wr_to(*out, *out ? GUESTLIKE_MAX : 0);
	guestlike_make(&g, &l->who);
	if (guestlike_body(&g, &l->who, report_data, &body, e) ||
	    quote_sign(&l->signer, &body, quote, &quote_n, e) ||
	    guestlike_envelope(&g, span_of(quote, quote_n), true, &w, e))
		return -1;
	*n = w.n;
	return 0;
}

static void make_guest(struct load *l, struct guest *g, size_t i, struct span ca, struct span ca_key)
{
	struct err e = { 0 };

	*g = (struct guest){ .l = l };
	memcpy(l->who.instance, &i, sizeof i);
	l->who.has_instance = true;
	if (ratls_identity_new(ca, ca_key, attest, l, &g->id, &e))
		die("make a guest", &e);
	struct tls_conf c = { .cert = g->id.cert,
			      .key = g->id.key,
			      .roots_pem = span_of(l->roots, l->roots_n),
			      .peer = TLS_PEER_REQUIRED,
			      .peer_usage = "kms:rpc" };
	g->tls = tls_ctx_new(&c, &e);
	if (!g->tls)
		die("make a guest", &e);
}

static void ended(struct guest *g, bool served)
{
	struct load *l = g->l;

	if (served)
		l->waited_ms[l->served++] = (double)(time_mono_us() - g->began) / 1000;
	else
		l->lost++;
	bufferevent_free(g->bev);
	if (!--l->open)
		event_base_loopbreak(l->base);
}

static bool has_keys(const char *text)
{
	const char *k = strstr(text, "\"disk_crypt_key\":");

	return str_starts(text, "HTTP/1.1 200") && k &&
	       strspn(strchr(k + 17, '"') + 1, "0123456789abcdef") == 64;
}

static void on_event(struct bufferevent *b, short what, void *arg)
{
	struct guest *g = arg;
	char text[ANSWER_MAX];

	if (what & BEV_EVENT_CONNECTED) {
		bufferevent_write(b, request, sizeof request - 1);
		return;
	}
	ev_ssize_t n = evbuffer_copyout(bufferevent_get_input(b), text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	bool served = n > 0 && has_keys(text);
	if (!served && !g->l->lost)
		fprintf(stderr, "# first lost: event %x, %s\n", (unsigned)what, *text ? text : "no answer");
	ended(g, served);
}

static void connect_guest(struct guest *g)
{
	SSL *ssl = SSL_new(g->tls);
	struct timeval limit = { WAIT_S, 0 };

	g->began = time_mono_us();
	g->bev = bufferevent_openssl_socket_new(g->l->base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
						BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!g->bev)
		exit(2);
	bufferevent_openssl_set_allow_dirty_shutdown(g->bev, 1);
	bufferevent_setcb(g->bev, NULL, NULL, on_event, g);
	bufferevent_enable(g->bev, EV_READ | EV_WRITE);
	bufferevent_set_timeouts(g->bev, &limit, &limit);
	g->l->open++;
	if (bufferevent_socket_connect(g->bev, (struct sockaddr *)&g->l->to, sizeof g->l->to))
		ended(g, false);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void read_args(struct load *l, char **a, struct span *ca, struct span *ca_key)
{
	static char *text[2];
	const char *colon = strchr(a[1], ':');
	struct err e = { 0 };
	uint64_t port;

	if (!colon || !str_u64(colon + 1, &port) || !hex_exact(l->who.app, 20, a[7]) ||
	    !hex_exact(l->who.compose, 32, a[8]))
		exit(2);
	l->to = (struct sockaddr_in){ .sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	l->who.image = a[6];
	if (file_read(a[2], 65536, &l->roots, &l->roots_n, &e) ||
	    file_read(a[3], 65536, &text[0], &ca->n, &e) ||
	    file_read(a[4], 65536, &text[1], &ca_key->n, &e) || guestlike_image(&l->who, &e) ||
	    pki_load(&l->pki, a[5], &e) || quote_signer_init(&l->signer, &l->pki, &l->pki, &l->pki, 4, &e))
		die("setup", &e);
	ca->p = (const uint8_t *)text[0];
	ca_key->p = (const uint8_t *)text[1];
}

// The floor: the handshake, the two signatures of a quote that are new with each guest (its own and the QE
// report's; those of the platform's certificates are kept), the answer's signature.
static void report(struct load *l, double cpu_ns, double seconds)
{
	static const struct kms_work cold = {
		.p256_signatures = 1, .p256_verifications = 4, .agreements = 1, .k256_signatures = 1
	};
	size_t n = l->served;

	qsort(l->waited_ms, n, sizeof *l->waited_ms, by_value);
	printf("kms.load.lost\t%zu\tguests\t%zu\t%.3f\t0\n", l->lost, n + l->lost,
	       (double)l->lost / (double)(n + l->lost));
	if (!n)
		return;
	double ms = cpu_ns / (double)n / 1e6, floor = kms_floor_ns(&cold, ROUNDS) / 1e6;
	double p50 = l->waited_ms[n / 2], p99 = l->waited_ms[n * 99 / 100];
	printf("# %zu at once: %.0f releases/s beside their guests on the same cores\n", n + l->lost,
	       (double)n / seconds);
	printf("kms.load.p99\t%.0f\tms\t%.0f\t%.2f\n", p99, p50, p99 / p50);
	printf("kms.getappkey.cold\t%.3f\tms\t%.3f\t%.2f\n", ms, floor, ms / floor);
	printf("kms.releases.core\t%.0f\t1/s\t%.0f\t%.2f\n", 1000 / ms, 1000 / floor, floor / ms);
}

int main(int argc, char **argv)
{
	static struct load l;
	struct span ca, ca_key;
	uint64_t n = 0;

	if (argc != 11 || !str_u64(argv[10], &n) || !n || n > GUESTS_MAX)
		return fprintf(stderr, "usage: see the head of bench/kms_load.c\n"), 2;
	signal(SIGPIPE, SIG_IGN); // a refused guest may be about to write
	read_args(&l, argv, &ca, &ca_key);
	struct guest *guests = calloc(n, sizeof *guests);
	l.base = event_base_new();
	l.waited_ms = calloc(n, sizeof *l.waited_ms);
	if (!guests || !l.base || !l.waited_ms)
		return 2;
	for (size_t i = 0; i < n; i++)
		make_guest(&l, &guests[i], i, ca, ca_key);
	double before = proc_tree_cpu_ns(argv[9]);
	uint64_t began = time_mono_us();
	for (size_t i = 0; i < n; i++)
		connect_guest(&guests[i]);
	event_base_dispatch(l.base);
	double seconds = (double)(time_mono_us() - began) / 1e6;
	report(&l, proc_tree_cpu_ns(argv[9]) - before, seconds);
	return l.lost ? 1 : 0;
}
