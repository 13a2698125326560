// turns and pool: clients take turns, the queue is bounded, who asks most gives way; lanes do not wait for
// each other.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "rpc/client_key.h"
#include "rpc/pool.h"
#include "rpc/turns.h"

enum { ITEMS = 1100 };

static struct item {
	struct turn turn; // first
	int client, number;
} items[ITEMS];
static size_t used;

static struct item *ask(struct turns *q, int client, uint64_t now, struct turn **out)
{
	uint8_t key[TURNS_KEY] = { (uint8_t)client, (uint8_t)(client >> 8) };
	struct item *i = &items[used++];

	assert_true(used <= ITEMS);
	*i = (struct item){ .client = client, .number = (int)used };
	return turns_add(q, &i->turn, key, now, out) ? NULL : i;
}

static struct item *take(struct turns *q)
{
	return (struct item *)(void *)turns_take(q);
}

static int fresh(void **state)
{
	(void)state;
	used = 0;
	return 0;
}

// A thousand questions of one client wait; those of two others are answered second and third.
static void ga_07_clients_take_turns(void **state)
{
	struct turns *q = turns_new(2000, 2000);
	struct turn *out;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_non_null(ask(q, 1, 0, &out));
	for (int i = 0; i < 3; i++) {
		assert_non_null(ask(q, 2, 0, &out));
		assert_non_null(ask(q, 3, 0, &out));
	}
	for (int i = 0; i < 9; i++)
		assert_int_equal(take(q)->client, i % 3 + 1);
	assert_int_equal(turns_waiting(q), 997);
	int last = 0;
	for (struct item *i; (i = take(q)); last = i->number) // in the order of asking
		assert_true(i->client == 1 && i->number > last);
	assert_null(turns_take(q));
	turns_free(q);
}

// Ten clients of very different hunger: while all wait, none is served twice before another once.
static void ga_07_equal_shares(void **state)
{
	struct turns *q = turns_new(ITEMS, ITEMS);
	int served[10] = { 0 };
	struct turn *out;

	(void)state;
	for (int c = 0; c < 10; c++)
		for (int i = 0; i < 10 + 18 * c; i++)
			assert_non_null(ask(q, c, 0, &out));
	for (int i = 0; i < 100; i++)
		served[take(q)->client]++;
	for (int c = 0; c < 10; c++)
		assert_int_equal(served[c], 10);
	turns_free(q);
}

static void ga_07_bounded_and_who_has_most_gives_way(void **state)
{
	struct turns *q = turns_new(8, 8);
	struct turn *out;

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_non_null(ask(q, 1, 0, &out));
	assert_null(ask(q, 1, 0, &out)); // it has most itself
	assert_null(out);
	assert_non_null(ask(q, 2, 0, &out));
	assert_non_null(out);
	assert_int_equal(((struct item *)(void *)out)->number, 8); // its last question, not its first
	assert_null(out->client);
	assert_int_equal(turns_waiting(q), 8);
	for (int i = 0; i < 3; i++) {
		assert_non_null(ask(q, 2, 0, &out));
		assert_int_equal(((struct item *)(void *)out)->client, 1);
	}
	assert_null(ask(q, 2, 0, &out)); // four each
	for (int c = 3; c < 7; c++)      // newcomers, as long as somebody has two more than they
		assert_non_null(ask(q, c, 0, &out));
	assert_int_equal(turns_waiting(q), 8);
	int clients = 0;
	for (struct item *i; (i = take(q));)
		clients |= 1 << i->client;
	assert_int_equal(clients, 0x7e);
	turns_free(q);
}

static void ga_07_a_client_has_its_own_bound(void **state)
{
	struct turns *q = turns_new(100, 3);
	struct turn *out;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_non_null(ask(q, 1, 0, &out));
	assert_null(ask(q, 1, 0, &out));
	assert_non_null(ask(q, 2, 0, &out));
	turns_free(q);
}

static void waiting_too_long_and_leaving(void **state)
{
	struct turns *q = turns_new(10, 10);
	struct turn *out;

	(void)state;
	struct item *a = ask(q, 1, 100, &out), *b = ask(q, 2, 200, &out), *c = ask(q, 1, 300, &out);
	assert_null(turns_take_older(q, 100));
	assert_ptr_equal(turns_take_older(q, 250), a);
	assert_ptr_equal(turns_take_older(q, 250), b);
	assert_null(turns_take_older(q, 250));
	turns_remove(q, &c->turn);
	assert_int_equal(turns_waiting(q), 0);
	assert_null(turns_take(q));
	turns_free(q);
}

// ---- the pool

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool open_gate;
static int working;

struct task {
	bool blocks, ran;
	int ended; // POOL_*, -1: not yet
	struct event_base *base;
};

static void work(void *arg)
{
	struct task *t = arg;

	pthread_mutex_lock(&gate);
	working++;
	pthread_cond_broadcast(&moved);
	while (t->blocks && !open_gate)
		pthread_cond_wait(&moved, &gate);
	t->ran = true;
	pthread_mutex_unlock(&gate);
}

static void done(void *arg, enum pool_end how)
{
	struct task *t = arg;

	t->ended = (int)how;
	event_base_loopbreak(t->base);
}

static void until_working(int n)
{
	pthread_mutex_lock(&gate);
	while (working < n)
		pthread_cond_wait(&moved, &gate);
	pthread_mutex_unlock(&gate);
}

static void let_go(void)
{
	pthread_mutex_lock(&gate);
	open_gate = true;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&gate);
}

static struct task new_task(struct event_base *base, bool blocks)
{
	return (struct task){ .blocks = blocks, .ended = -1, .base = base };
}

static void until_ended(const struct task *t)
{
	while (t->ended < 0)
		event_base_loop(t->base, EVLOOP_ONCE);
}

static const uint8_t alice[POOL_CLIENT] = "alice", bob[POOL_CLIENT] = "bob";

static int closed_gate(void **state)
{
	(void)state;
	open_gate = false;
	working = 0;
	return 0;
}

static void ga_07_a_lane_never_waits_for_another(void **state)
{
	static const struct pool_lane lanes[] = { { .threads = 1 }, { .threads = 1 } };
	struct event_base *base = event_base_new();
	struct pool *p = pool_new_lanes(base, lanes, 2);
	struct task slow = new_task(base, true), next = new_task(base, false), quick = next;

	(void)state;
	assert_non_null(pool_queue(p, 1, alice, work, done, &slow));
	assert_non_null(pool_queue(p, 1, alice, work, done, &next));
	until_working(1);
	assert_non_null(pool_queue(p, 0, alice, work, done, &quick));
	until_ended(&quick);
	assert_int_equal(quick.ended, POOL_DONE);
	assert_true(slow.ended < 0 && next.ended < 0);
	let_go();
	until_ended(&next);
	assert_true(slow.ran && slow.ended == POOL_DONE && next.ended == POOL_DONE);
	pool_free(p);
	event_base_free(base);
}

static void every_end_of_a_job(void **state)
{
	static const struct pool_lane lane = { .threads = 1, .waiting_max = 2, .wait_ms = 300 };
	struct event_base *base = event_base_new();
	struct pool *p = pool_new_lanes(base, &lane, 1);
	struct task runs = new_task(base, true), first = new_task(base, false), pushed = first, late = first,
		    left = first, refused = first, rest = first;

	(void)state;
	assert_non_null(pool_queue(p, 0, alice, work, done, &runs));
	until_working(1);
	assert_non_null(pool_queue(p, 0, alice, work, done, &first));
	assert_non_null(pool_queue(p, 0, alice, work, done, &pushed));
	assert_null(pool_queue(p, 0, alice, work, done, &refused));
	struct pool_job *j = pool_queue(p, 0, bob, work, done, &left);
	assert_non_null(j);
	until_ended(&pushed);
	assert_int_equal(pushed.ended, POOL_FULL);
	pool_leave(p, j);
	until_ended(&left);
	assert_int_equal(left.ended, POOL_LEFT);
	assert_non_null(pool_queue(p, 0, bob, work, done, &late));
	until_ended(&late);
	assert_int_equal(late.ended, POOL_LATE);
	until_ended(&first);
	assert_int_equal(first.ended, POOL_LATE);
	assert_int_equal(runs.ended, -1); // what runs is not ended
	assert_non_null(pool_queue(p, 0, bob, work, done, &rest));
	let_go();
	pool_free(p); // waits for what runs
	assert_int_equal(runs.ended, POOL_DONE);
	assert_true(rest.ended == POOL_DONE || rest.ended == POOL_CLOSED);
	assert_true(!first.ran && !pushed.ran && !late.ran && !left.ran && refused.ended == -1);
	event_base_free(base);
}

// ---- who a client is

static void who_a_client_is(void **state)
{
	struct http_peer a = { .kind = HTTP_PEER_UNIX, .pid = 7, .uid = 0 }, b = a;
	uint8_t one[CLIENT_KEY], two[CLIENT_KEY];

	(void)state;
	b.pid = 8;
	client_key_unix(&a, "0::/libpod/one\n", "0::/\n", one); // a container's processes are one client
	client_key_unix(&b, "0::/libpod/one\n", "0::/\n", two);
	assert_memory_equal(one, two, sizeof one);
	client_key_unix(&b, "0::/libpod/two\n", "0::/\n", two);
	assert_memory_not_equal(one, two, sizeof one);
	client_key_unix(&a, "0::/\n", "0::/\n", one); // where groups tell nothing: the process
	client_key_unix(&b, "0::/\n", "0::/\n", two);
	assert_memory_not_equal(one, two, sizeof one);
	client_key_unix(&b, NULL, NULL, one);
	assert_memory_equal(one, two, sizeof one);
	b.uid = 1;
	client_key_unix(&b, NULL, NULL, one);
	assert_memory_not_equal(one, two, sizeof one);
	a = (struct http_peer){ .kind = HTTP_PEER_TCP, .address = { 10, 0, 0, 1 }, .port = 1 };
	b = a;
	b.port = 2; // another connection of the same machine
	client_key(&a, one);
	client_key(&b, two);
	assert_memory_equal(one, two, sizeof one);
	b.address[3] = 2;
	client_key(&b, two);
	assert_memory_not_equal(one, two, sizeof one);
	a.six = b.six = true; // a network of IPv6 is one client
	a.address[15] = 9;
	b.address[3] = 1;
	client_key(&a, one);
	client_key(&b, two);
	assert_memory_equal(one, two, sizeof one);
	b.address[7] = 5;
	client_key(&b, two);
	assert_memory_not_equal(one, two, sizeof one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ga_07_clients_take_turns, fresh),
		cmocka_unit_test_setup(ga_07_equal_shares, fresh),
		cmocka_unit_test_setup(ga_07_bounded_and_who_has_most_gives_way, fresh),
		cmocka_unit_test_setup(ga_07_a_client_has_its_own_bound, fresh),
		cmocka_unit_test_setup(waiting_too_long_and_leaving, fresh),
		cmocka_unit_test_setup(ga_07_a_lane_never_waits_for_another, closed_gate),
		cmocka_unit_test_setup(every_end_of_a_job, closed_gate),
		cmocka_unit_test(who_a_client_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
