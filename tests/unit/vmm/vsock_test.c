// The vsock back end, driven through its queues as a guest would.
#include <errno.h>
#include <event2/event.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend.h"
#include "vsock/conn.h"
#include "vsock/ring.h"

enum { CID = 77, PORT = 10000 };

struct world {
	struct event_base *base;
	struct vhost *vhost;
	struct frontend fe;
	int service;                           // our end of the last connection a guest opened
	int kept[2 * VSOCK_CONNS_MAX], n_kept; // and of the ones before
};

static int dial(void *arg, uint32_t port)
{
	struct world *w = arg;
	int ends[2];

	if (port != PORT || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends))
		return -1;
	if (w->service >= 0)
		w->kept[w->n_kept++] = w->service;
	w->service = ends[0];
	return ends[1];
}

static int direct(void *arg, uint32_t request, const void *payload, size_t n, const int *fds, size_t nfds)
{
	struct world *w = arg;
	struct vhost_head head = { request, 1, (uint32_t)n };
	uint8_t reply[sizeof head + VHOST_PAYLOAD_MAX];
	int mine[VHOST_FDS_MAX];
	struct err e = { 0 };

	for (size_t i = 0; i < nfds; i++)
		mine[i] = dup(fds[i]);
	return vhost_message(w->vhost, &head, payload, mine, nfds, reply, &e) < 0 ? -1 : 0;
}

static void turn(struct world *w)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct err e = { 0 };

	*state = w;
	w->service = -1;
	w->base = event_base_new();
	w->vhost = vhost_new(w->base, CID, dial, w, &e);
	w->fe.send = direct;
	w->fe.arg = w;
	return fe_open(&w->fe) || fe_set_up(&w->fe);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	vhost_free(w->vhost);
	event_base_free(w->base);
	fe_close(&w->fe);
	if (w->service >= 0)
		close(w->service);
	while (w->n_kept)
		close(w->kept[--w->n_kept]);
	free(w);
	return 0;
}

static struct vpkt packet(uint16_t op, uint32_t from, uint32_t to, uint32_t len)
{
	return (struct vpkt){ .src_cid = CID,
			      .dst_cid = 2,
			      .src_port = from,
			      .dst_port = to,
			      .len = len,
			      .type = VPKT_STREAM,
			      .op = op,
			      .buf_alloc = 65536 };
}

static void expect(struct world *w, uint16_t op, uint32_t to)
{
	struct vpkt head;
	uint8_t data[FE_SLOT];

	turn(w);
	assert_true(fe_receive(&w->fe, &head, data, sizeof data));
	assert_int_equal(head.op, op);
	assert_int_equal(head.dst_port, to);
	assert_int_equal(head.dst_cid, CID);
	assert_int_equal(head.src_cid, 2);
}

static void expect_nothing(struct world *w)
{
	struct vpkt head;
	uint8_t data[FE_SLOT];

	turn(w);
	assert_false(fe_receive(&w->fe, &head, data, sizeof data));
}

static void open_conn(struct world *w, uint32_t from)
{
	struct vpkt p = packet(VPKT_REQUEST, from, PORT, 0);

	assert_true(fe_send(&w->fe, &p, NULL));
	expect(w, VPKT_RESPONSE, from);
}

static void carries_both_ways(void **state)
{
	struct world *w = *state;
	struct vpkt p = packet(VPKT_RW, 5, PORT, 5), head;
	char got[16];

	open_conn(w, 5);
	assert_true(fe_send(&w->fe, &p, "hello"));
	turn(w);
	assert_int_equal(read(w->service, got, sizeof got), 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(write(w->service, "world!", 6), 6);
	turn(w);
	assert_true(fe_receive(&w->fe, &head, got, sizeof got));
	assert_int_equal(head.op, VPKT_RW);
	assert_int_equal(head.len, 6);
	assert_int_equal(head.fwd_cnt, 5); // what the host side has taken
	assert_memory_equal(got, "world!", 6);
}

static void refuses_what_is_not_there(void **state)
{
	struct world *w = *state;
	struct vpkt p = packet(VPKT_REQUEST, 5, 9, 0);

	assert_true(fe_send(&w->fe, &p, NULL)); // a port without service
	expect(w, VPKT_RST, 5);
	p = packet(VPKT_RW, 6, PORT, 1); // no connection
	assert_true(fe_send(&w->fe, &p, "x"));
	expect(w, VPKT_RST, 6);
	p = packet(VPKT_RST, 6, PORT, 0); // never a reset for a reset
	assert_true(fe_send(&w->fe, &p, NULL));
	expect_nothing(w);
	p = packet(VPKT_REQUEST, 7, PORT, 0);
	p.src_cid = CID + 1; // somebody else's address
	assert_true(fe_send(&w->fe, &p, NULL));
	expect(w, VPKT_RST, 7);
	p = packet(VPKT_REQUEST, 8, PORT, 0);
	p.type = 2; // seqpacket was not offered
	assert_true(fe_send(&w->fe, &p, NULL));
	expect(w, VPKT_RST, 8);
	open_conn(w, 9);
	p = packet(VPKT_REQUEST, 9, PORT, 0); // the same connection again
	assert_true(fe_send(&w->fe, &p, NULL));
	expect(w, VPKT_RST, 9);
	p = packet(99, 9, PORT, 0);
	assert_true(fe_send(&w->fe, &p, NULL));
	expect(w, VPKT_RST, 9);
	assert_int_equal(vsock_count(vhost_vsock(w->vhost)), 0);
}

static void holds_the_guest_to_its_credit(void **state)
{
	struct world *w = *state;
	static char block[8000];
	struct vpkt p = packet(VPKT_RW, 5, PORT, sizeof block);
	int small = 4096, sent = 0;

	open_conn(w, 5);
	setsockopt(w->service, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	// Nobody reads on the host: once the socket is full, 64 KiB are held and not a byte more.
	struct vpkt head = { 0 };
	for (; sent < 1000 && head.op != VPKT_RST; sent++) {
		assert_true(fe_send(&w->fe, &p, block));
		turn(w);
		while (fe_receive(&w->fe, &head, NULL, 0) && head.op != VPKT_RST)
			;
	}
	assert_int_equal(head.op, VPKT_RST);
	assert_true(sent * (int)sizeof block > 65536);
	assert_int_equal(vsock_count(vhost_vsock(w->vhost)), 0);
}

static void stops_without_credit(void **state)
{
	struct world *w = *state;
	struct vpkt p = packet(VPKT_REQUEST, 5, PORT, 0), head;
	char block[1000] = { 0 }, got[FE_SLOT];

	p.buf_alloc = 100;
	assert_true(fe_send(&w->fe, &p, NULL));
	expect(w, VPKT_RESPONSE, 5);
	assert_int_equal(write(w->service, block, sizeof block), sizeof block);
	turn(w);
	assert_true(fe_receive(&w->fe, &head, got, sizeof got));
	assert_int_equal(head.len, 100);
	expect_nothing(w);
	p = packet(VPKT_CREDIT_UPDATE, 5, PORT, 0);
	p.buf_alloc = 100;
	p.fwd_cnt = 60;
	assert_true(fe_send(&w->fe, &p, NULL));
	turn(w);
	assert_true(fe_receive(&w->fe, &head, got, sizeof got));
	assert_int_equal(head.len, 60);
	p.fwd_cnt = 5000; // more than was sent: nonsense, no credit comes of it
	assert_true(fe_send(&w->fe, &p, NULL));
	expect_nothing(w);
}

static void passes_shutdown(void **state)
{
	struct world *w = *state;
	struct vpkt p, head;
	char got[16];

	open_conn(w, 5);
	p = packet(VPKT_SHUTDOWN, 5, PORT, 0);
	p.flags = VPKT_SHUT_SEND; // half close
	assert_true(fe_send(&w->fe, &p, NULL));
	turn(w);
	assert_int_equal(read(w->service, got, sizeof got), 0);
	assert_int_equal(write(w->service, "late", 4), 4);
	turn(w);
	assert_true(fe_receive(&w->fe, &head, got, sizeof got));
	assert_int_equal(head.len, 4);
	close(w->service);
	w->service = -1;
	expect(w, VPKT_RST, 5); // both sides are done

	open_conn(w, 6);
	close(w->service); // the host side first
	w->service = -1;
	turn(w);
	assert_true(fe_receive(&w->fe, &head, got, sizeof got));
	assert_int_equal(head.op, VPKT_SHUTDOWN);
	assert_int_equal(head.flags, VPKT_SHUT_SEND);
	p = packet(VPKT_SHUTDOWN, 6, PORT, 0);
	p.flags = VPKT_SHUT_BOTH;
	assert_true(fe_send(&w->fe, &p, NULL));
	expect(w, VPKT_RST, 6);
	assert_int_equal(vsock_count(vhost_vsock(w->vhost)), 0);
}

static void reaches_into_the_guest(void **state)
{
	struct world *w = *state;
	struct vpkt head, p;
	char got[32];
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(vsock_dial_guest(vhost_vsock(w->vhost), ends[1], 8000), 0);
	turn(w);
	assert_true(fe_receive(&w->fe, &head, got, sizeof got));
	assert_int_equal(head.op, VPKT_REQUEST);
	assert_int_equal(head.dst_port, 8000);
	p = packet(VPKT_RESPONSE, 8000, head.src_port, 0);
	assert_true(fe_send(&w->fe, &p, NULL));
	turn(w);
	assert_int_equal(read(ends[0], got, sizeof got), 8);
	assert_memory_equal(got, "OK 8000\n", 8);
	p = packet(VPKT_RST, 8000, head.src_port, 0);
	assert_true(fe_send(&w->fe, &p, NULL));
	turn(w);
	assert_int_equal(read(ends[0], got, sizeof got), 0);
	close(ends[0]);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(vsock_dial_guest(vhost_vsock(w->vhost), ends[1], 8001), 0);
	turn(w);
	assert_true(fe_receive(&w->fe, &head, got, sizeof got));
	p = packet(VPKT_RST, 8001, head.src_port, 0); // nobody listens
	assert_true(fe_send(&w->fe, &p, NULL));
	turn(w);
	assert_int_equal(read(ends[0], got, sizeof got), 0);
	close(ends[0]);
}

static void caps_connections(void **state)
{
	struct world *w = *state;

	for (uint32_t i = 0; i < VSOCK_CONNS_MAX; i++)
		open_conn(w, 100 + i);
	struct vpkt p = packet(VPKT_REQUEST, 99, PORT, 0);
	assert_true(fe_send(&w->fe, &p, NULL));
	expect(w, VPKT_RST, 99);
	vsock_reset(vhost_vsock(w->vhost));
	open_conn(w, 99);
}

// The rings themselves: what a guest may write there, and what it must not.
static struct vring_desc *tx_desc(struct world *w)
{
	return (struct vring_desc *)(void *)(w->fe.mem + FE_TX_DESC);
}

static void offer_raw(struct world *w, uint16_t index, uint16_t count)
{
	struct vring_avail *a = (struct vring_avail *)(void *)(w->fe.mem + FE_TX_AVAIL);

	a->ring[a->idx % FE_RING] = index;
	a->idx = (uint16_t)(a->idx + count);
	vhost_run(w->vhost);
	turn(w);
}

static void survives_broken_rings(void **state)
{
	static const struct {
		struct vring_desc d;
		uint16_t index, count;
	} cases[] = {
		{ { FE_GPA + FE_TX_DATA, 44, 0, 0 }, FE_RING, 1 },               // no such descriptor
		{ { FE_GPA + FE_TX_DATA, 44, VRING_DESC_F_NEXT, 0 }, 0, 1 },     // a loop
		{ { FE_GPA + FE_TX_DATA, 44, VRING_DESC_F_NEXT, 999 }, 0, 1 },   // leads out
		{ { FE_GPA + FE_TX_DATA, 44, VRING_DESC_F_WRITE, 0 }, 0, 1 },    // wrong direction
		{ { FE_GPA + FE_TX_DATA, 44, VRING_DESC_F_INDIRECT, 0 }, 0, 1 }, // not offered
		{ { FE_GPA + FE_MEMORY - 10, 44, 0, 0 }, 0, 1 },                 // past the end
		{ { 0, 44, 0, 0 }, 0, 1 },                                       // before the start
		{ { UINT64_MAX - 3, 44, 0, 0 }, 0, 1 },                          // wraps around
		{ { FE_GPA + FE_TX_DATA, UINT32_MAX, 0, 0 }, 0, 1 },             // too long
		{ { FE_GPA + FE_TX_DATA, 44, 0, 0 }, 0, FE_RING + 1 },           // more than there can be
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct world *w = *state;

		open_conn(w, 5);
		tx_desc(w)[0] = cases[i].d;
		offer_raw(w, cases[i].index, cases[i].count);
		assert_int_equal(vsock_count(vhost_vsock(w->vhost)), 0); // the device stopped
		tear_down(state);
		assert_int_equal(set_up(state), 0);
	}
}

static void ignores_short_packets(void **state)
{
	struct world *w = *state;

	tx_desc(w)[0] = (struct vring_desc){ FE_GPA + FE_TX_DATA, 10, 0, 0 };
	offer_raw(w, 0, 1);
	w->fe.tx_next = 1;
	open_conn(w, 5); // the device goes on
}

static void checks_messages(void **state)
{
	struct world *w = *state;
	uint64_t table[5] = { 9, FE_GPA, FE_MEMORY, FE_UVA, 0 };
	uint32_t pair[2] = { 7, 16 };
	uint64_t addr[5] = { 1, 0x1000, 0x2000, 0x3000, 0 };
	uint32_t config[3] = { 250, 100, 0 };

	assert_int_equal(direct(w, 5, table, sizeof table, &w->fe.fd, 1), -1); // nine regions, one file
	table[0] = 1;
	assert_int_equal(direct(w, 5, table, sizeof table, NULL, 0), -1);
	table[2] = FE_MEMORY * 2; // longer than the file
	assert_int_equal(direct(w, 5, table, sizeof table, &w->fe.fd, 1), -1);
	table[2] = FE_MEMORY;
	table[4] = UINT64_MAX; // offset that wraps
	assert_int_equal(direct(w, 5, table, sizeof table, &w->fe.fd, 1), -1);
	assert_int_equal(direct(w, 8, pair, sizeof pair, NULL, 0), -1); // queue 7
	pair[0] = 1;
	pair[1] = 17; // not a power of two
	assert_int_equal(direct(w, 8, pair, sizeof pair, NULL, 0), -1);
	assert_int_equal(direct(w, 9, addr, sizeof addr, NULL, 0), -1); // outside the memory
	assert_int_equal(direct(w, 9, addr, 4, NULL, 0), -1);
	assert_int_equal(direct(w, 24, config, sizeof config, NULL, 0), -1);
	assert_int_equal(direct(w, 99, NULL, 0, NULL, 0), -1);
}

static void answers_config(void **state)
{
	struct world *w = *state;
	uint32_t ask[3 + 2] = { 0, 8, 0, 0, 0 };
	struct vhost_head head = { 24, 1, sizeof ask };
	uint8_t reply[sizeof head + VHOST_PAYLOAD_MAX];
	uint64_t cid;
	struct err e = { 0 };

	assert_int_equal(vhost_message(w->vhost, &head, ask, NULL, 0, reply, &e), sizeof head + sizeof ask);
	memcpy(&cid, reply + sizeof head + 12, sizeof cid);
	assert_int_equal(cid, CID);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(carries_both_ways),
		T(refuses_what_is_not_there),
		T(holds_the_guest_to_its_credit),
		T(stops_without_credit),
		T(passes_shutdown),
		T(reaches_into_the_guest),
		T(caps_connections),
		T(survives_broken_rings),
		T(ignores_short_packets),
		T(checks_messages),
		T(answers_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
