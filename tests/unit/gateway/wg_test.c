// lib/wg: keys and texts, the two reply parsers, and a real tunnel of two wireguard-go in two namespaces.
#include "wg/backend.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static void keys(void **state)
{
	(void)state;
	struct err e = { 0 };
	uint8_t priv[WG_KEY], pub[WG_KEY], again[WG_KEY];
	char text[WG_KEY_TEXT];

	// RFC 7748 section 6.1, Alice
	static const uint8_t alice[WG_KEY] = { 0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d,
					       0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45,
					       0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a,
					       0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a };
	assert_int_equal(wg_key_public(pub, alice, &e), 0);
	wg_key_text(text, pub);
	assert_string_equal(text, "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
	assert_int_equal(wg_key_parse(again, text, &e), 0);
	assert_memory_equal(again, pub, WG_KEY);

	assert_int_equal(wg_key_new(priv, &e), 0);
	assert_int_equal(priv[0] & 7, 0);
	assert_int_equal(priv[31] & 0xc0, 0x40);
	wg_key_text(text, priv);
	assert_int_equal(wg_key_parse(again, text, &e), 0);
	assert_memory_equal(again, priv, WG_KEY);

	static const char *const bad[] = { "",
					   "hSDw",
					   "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmp=",
					   "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmoA",
					   "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo=",
					   "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(wg_key_parse(again, bad[i], &e), -1);
}

static void texts(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct wg_cidr c;
	struct sockaddr_in a;

	assert_int_equal(wg_cidr_parse(&c, "10.8.0.1/16", &e), 0);
	assert_int_equal(ntohl(c.ip.s_addr), 0x0a080001);
	assert_int_equal(c.prefix, 16);
	assert_int_equal(wg_cidr_parse(&c, "10.8.0.1", &e), 0);
	assert_int_equal(c.prefix, 32);
	assert_int_equal(wg_cidr_parse(&c, "0.0.0.0/0", &e), 0);
	assert_int_equal(wg_endpoint_parse(&a, "192.0.2.1:51820", &e), 0);
	assert_int_equal(ntohs(a.sin_port), 51820);
	static const char *const bad[] = { "",         "10.8.0.1/",   "10.8.0.1/33", "10.8.0.1/ 8",
					   "10.8.0/8", "10.8.0.1/08", "10.8.0.1/-1", "::1/64" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(wg_cidr_parse(&c, bad[i], &e), -1);
	static const char *const nope[] = { "",   "192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536",
					    "a:1" };
	for (size_t i = 0; i < sizeof nope / sizeof *nope; i++)
		assert_int_equal(wg_endpoint_parse(&a, nope[i], &e), -1);
}

#define KEY_A "188515093e952f5f22e865cef3012e72f8b5f0b598ac0309d5dacce3b70fcf52"
#define KEY_B "58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376"

static int parse(const char *text, struct wg_list *l, long *code)
{
	struct err e = { 0 };

	return wg_uapi_parse(l, code, text, strlen(text), &e);
}

static void uapi_replies(void **state)
{
	(void)state;
	struct wg_peer out[2];
	struct wg_list l = { .out = out, .cap = 2 };
	long code = 0;

	assert_int_equal(
		parse("private_key=" KEY_A "\nlisten_port=12912\npublic_key=" KEY_A
		      "\nendpoint=192.0.2.7:9182\nallowed_ip=10.8.0.2/32\nallowed_ip=fd00::/8\n"
		      "last_handshake_time_sec=1700000000\nlast_handshake_time_nsec=5\ntx_bytes=38333\n"
		      "rx_bytes=2224\npersistent_keepalive_interval=25\nprotocol_version=1\n"
		      "public_key=" KEY_B "\nendpoint=[abcd:23::33%2]:51820\nerrno=0\n\n",
		      &l, &code),
		0);
	assert_int_equal(l.n, 2);
	assert_false(l.full);
	assert_int_equal(out[0].key[0], 0x18);
	assert_int_equal(out[0].handshake, 1700000000);
	assert_int_equal(out[0].rx, 2224);
	assert_int_equal(out[0].tx, 38333);
	assert_int_equal(out[0].keepalive, 25);
	assert_int_equal(out[0].allowed_n, 1);
	assert_int_equal(ntohl(out[0].allowed[0].ip.s_addr), 0x0a080002);
	assert_int_equal(ntohs(out[0].endpoint.sin_port), 9182);
	assert_int_equal(out[1].endpoint.sin_family, 0);
	assert_int_equal(out[1].handshake, 0);

	assert_int_equal(parse("errno=-98\n\n", NULL, &code), 0);
	assert_int_equal(code, -98);

	l = (struct wg_list){ .out = out, .cap = 1 };
	assert_int_equal(
		parse("public_key=" KEY_A "\npublic_key=" KEY_B "\nrx_bytes=1\nerrno=0\n\n", &l, &code), 0);
	assert_int_equal(l.n, 1);
	assert_true(l.full);

	static const char *const bad[] = { "",
					   "errno=0\n",
					   "\n",
					   "errno=x\n\n",
					   "errno=0\n\nmore",
					   "errno=0\nrx_bytes=1\n\n",
					   "public_key=12\nerrno=0\n\n",
					   "public_key=" KEY_A "\nrx_bytes=99999999999999999999\nerrno=0\n\n",
					   "public_key=" KEY_A "\nallowed_ip=10.0.0.1/40\nerrno=0\n\n",
					   "novalue\nerrno=0\n\n" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		l = (struct wg_list){ .out = out, .cap = 2 };
		assert_int_equal(parse(bad[i], &l, &code), -1);
	}
}

// The tree that we send the kernel is the tree that it answers with, so one tests the other.
static void kernel_messages(void **state)
{
	(void)state;
	static char room[8192];
	struct err e = { 0 };
	struct wg_change c[40] = { 0 };
	struct wg_peer out[40];
	struct wg_list l = { .out = out, .cap = 40 };

	for (size_t i = 0; i < 40; i++) {
		c[i].key[0] = (uint8_t)(i + 1);
		c[i].allowed_n = 2;
		c[i].keepalive = 25;
		assert_int_equal(wg_cidr_parse(&c[i].allowed[0], "10.8.0.2/32", &e), 0);
		assert_int_equal(wg_cidr_parse(&c[i].allowed[1], "10.9.0.0/16", &e), 0);
		assert_int_equal(wg_endpoint_parse(&c[i].endpoint, "192.0.2.1:51820", &e), 0);
	}
	c[1].remove = true;
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);
	mnl_nlmsg_put_extra_header(m, sizeof(struct genlmsghdr));
	size_t sent = wg_kernel_put_peers(m, sizeof room, c, 40);
	assert_in_range(sent, 30, 40);
	assert_int_equal(wg_kernel_parse(&l, m, m->nlmsg_len), 0);
	assert_int_equal(l.n, sent);
	assert_int_equal(out[0].allowed_n, 2);
	assert_int_equal(out[0].allowed[1].prefix, 16);
	assert_int_equal(out[0].keepalive, 25);
	assert_int_equal(ntohs(out[0].endpoint.sin_port), 51820);
	assert_int_equal(out[1].allowed_n, 0);
	assert_int_equal(out[1].endpoint.sin_family, 0);
	// Cut anywhere it is refused or gives fewer peers, never a crash (the fuzzer goes deeper).
	for (uint32_t n = 0; n < m->nlmsg_len; n += 3) {
		l = (struct wg_list){ .out = out, .cap = 40 };
		assert_int_equal(wg_kernel_parse(&l, room, n), -1);
	}
}

static void sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void sh(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (system(line))
		fail_msg("%s", line);
}

struct side {
	int ns;
	struct wg *w;
	uint8_t priv[WG_KEY], pub[WG_KEY];
	struct wg_change peer;
};

static int namespace_new(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	sh("ip link set lo up");
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void enter(const struct side *s)
{
	assert_int_equal(setns(s->ns, CLONE_NEWNET), 0);
}

static void bring_up(struct side *s, const char *name, const char *address, const struct side *other,
		     const char *endpoint, const char *allowed)
{
	struct err e = { 0 };
	struct wg_cidr a;

	enter(s);
	s->w = wg_open(name, WG_AUTO, &e);
	if (!s->w)
		fail_msg("%s", e.text);
	assert_true(wg_was_made(s->w));
	assert_int_equal(wg_set_key(s->w, s->priv, 51820, &e), 0);
	s->peer.allowed_n = 1;
	s->peer.keepalive = 25;
	memcpy(s->peer.key, other->pub, WG_KEY);
	assert_int_equal(wg_cidr_parse(&s->peer.allowed[0], allowed, &e), 0);
	if (endpoint)
		assert_int_equal(wg_endpoint_parse(&s->peer.endpoint, endpoint, &e), 0);
	if (wg_change_peers(s->w, &s->peer, 1, &e))
		fail_msg("%s", e.text);
	assert_int_equal(wg_cidr_parse(&a, address, &e), 0);
	if (wg_link_up(s->w, a, 0, &e))
		fail_msg("%s", e.text);
}

// One datagram from a to b by their tunnel addresses.
static bool datagram(const struct side *a, const struct side *b, const char *to)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(7) };
	char got[4] = "";

	enter(b);
	int in = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, to, &at.sin_addr);
	assert_int_equal(bind(in, (void *)&at, sizeof at), 0);
	enter(a);
	int out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = in, .events = POLLIN };
	bool here = false;
	for (int i = 0; i < 10 && !here; i++) {
		sendto(out, "ping", 4, 0, (void *)&at, sizeof at);
		here = poll(&p, 1, 300) == 1 && recv(in, got, 4, 0) == 4 && memcmp(got, "ping", 4) == 0;
	}
	close(in);
	close(out);
	return here;
}

static void tunnel(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct side a = { 0 }, b = { 0 };
	struct wg_peer seen[4];
	struct wg_cidr net;
	char na[WG_NAME_MAX + 1], nb[WG_NAME_MAX + 1];

	snprintf(na, sizeof na, "wgta%d", getpid());
	snprintf(nb, sizeof nb, "wgtb%d", getpid());
	assert_int_equal(wg_key_new(a.priv, &e) | wg_key_public(a.pub, a.priv, &e), 0);
	assert_int_equal(wg_key_new(b.priv, &e) | wg_key_public(b.pub, b.priv, &e), 0);
	a.ns = namespace_new();
	b.ns = namespace_new();
	sh("ip link add va type veth peer name vb && ip addr add 192.0.2.2/24 dev vb && ip link set vb up && "
	   "ip link set va netns /proc/self/fd/%d",
	   dup(a.ns)); // the copy is not close-on-exec
	enter(&a);
	sh("ip addr add 192.0.2.1/24 dev va && ip link set va up");

	bring_up(&a, na, "10.8.0.1/16", &b, NULL, "10.8.0.2/32");
	bring_up(&b, nb, "10.8.0.2/32", &a, "192.0.2.1:51820", "10.8.0.1/32");
	assert_int_equal(wg_cidr_parse(&net, "10.8.0.0/16", &e), 0);
	if (wg_route_add(b.w, net, &e) || wg_route_add(b.w, net, &e)) // twice is fine
		fail_msg("%s", e.text);
	assert_true(datagram(&b, &a, "10.8.0.1"));

	assert_int_equal(wg_peers(a.w, seen, 4, &e), 1);
	assert_memory_equal(seen[0].key, b.pub, WG_KEY);
	assert_in_range(seen[0].handshake, time(NULL) - 30, time(NULL) + 1);
	assert_true(seen[0].rx > 0 && seen[0].tx > 0);
	assert_int_equal(seen[0].allowed_n, 1);
	assert_int_equal(seen[0].endpoint.sin_family, AF_INET);

	// A second handle adopts what is there; its address can change; a peer can go and come back.
	enter(&a);
	struct wg *again = wg_open(na, WG_AUTO, &e);
	assert_non_null(again);
	assert_false(wg_was_made(again));
	assert_int_equal(wg_cidr_parse(&net, "10.8.0.9/16", &e), 0);
	assert_int_equal(wg_link_up(again, net, 1380, &e), 0);
	sh("ip -4 -o addr show dev %s | grep -q 10.8.0.9/16 && ! ip -4 -o addr show dev %s | grep -q "
	   "10.8.0.1/16",
	   na, na);
	struct wg_change gone = { .remove = true };
	memcpy(gone.key, b.pub, WG_KEY);
	assert_int_equal(wg_change_peers(again, &gone, 1, &e), 0);
	assert_int_equal(wg_peers(again, seen, 4, &e), 0);
	assert_int_equal(wg_change_peers(again, &a.peer, 1, &e), 0);
	assert_int_equal(wg_peers(again, seen, 4, &e), 1);
	assert_int_equal(wg_peers(again, seen, 0, &e), -1);

	// 300 peers at once, in several requests.
	static struct wg_change many[300];
	static struct wg_peer back[400];
	for (size_t i = 0; i < 300; i++) {
		many[i].key[1] = (uint8_t)(i >> 8);
		many[i].key[2] = (uint8_t)i;
		many[i].key[0] = 8;
		many[i].allowed_n = 1;
		many[i].allowed[0] =
			(struct wg_cidr){ .ip.s_addr = htonl(0x0a090000 + (uint32_t)i), .prefix = 32 };
	}
	assert_int_equal(wg_change_peers(again, many, 300, &e), 0);
	assert_int_equal(wg_peers(again, back, 400, &e), 301);
	wg_close(again);

	assert_null(wg_open("Bad Name", WG_AUTO, &e));
	assert_string_equal(e.code, "wg.name");
	assert_null(wg_open("lo", WG_AUTO, &e));
	assert_string_equal(e.code, "wg.not_ours");

	enter(&b);
	assert_int_equal(wg_delete(b.w, &e), 0);
	enter(&a);
	assert_int_equal(wg_delete(a.w, &e), 0);
	wg_close(a.w);
	wg_close(b.w);
	assert_false(wg_uapi_alive(na));
	assert_false(wg_uapi_alive(nb));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),         cmocka_unit_test(texts),
		cmocka_unit_test(uapi_replies), cmocka_unit_test(kernel_messages),
		cmocka_unit_test(tunnel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
