// Judges that die, lie, dawdle or talk nonsense: what the network process makes of it.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../../kms/judge/judge_wire.h"
#include "../../../kms/judge/judges.h"
#include "base/time.h"

enum { SEATS = 2, LIMIT_MS = 200 };

static struct world {
	struct judges *judges;
	int end[SEATS + 4]; // the judges' ends of their sockets
	uint32_t n, lost;
	int asked_again;
	void (*act)(int fd);
	pthread_t thread[SEATS + 4];
} w;

static void again(void *arg)
{
	(void)arg;
	w.asked_again++;
}

static int no_collateral(void *arg, const struct dcap_platform *p, struct span *json, struct err *e)
{
	(void)arg, (void)p, (void)json;
	return err_code(e, ERR_AGAIN, "collateral.fetch", "none here");
}

static const struct judge_source from = { .again = again, .collateral = no_collateral };

static void *judge(void *arg)
{
	int fd = (int)(intptr_t)arg;

	w.act(fd);
	shutdown(fd, SHUT_RDWR);
	return NULL;
}

static int sit(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	w.end[w.n] = pair[1];
	assert_int_equal(pthread_create(&w.thread[w.n], NULL, judge, (void *)(intptr_t)pair[1]), 0);
	w.n++;
	return pair[0];
}

// The supervisor: another one of the same kind.
static void lost(void *arg, uint32_t seat, uint32_t serial)
{
	(void)arg, (void)seat, (void)serial;
	w.lost++;
}

static void begin(void (*act)(int fd))
{
	int fds[SEATS];
	uint32_t serials[SEATS] = { 1, 2 };

	w = (struct world){ .act = act };
	for (int i = 0; i < SEATS; i++)
		fds[i] = sit();
	w.judges = judges_new(fds, serials, SEATS, LIMIT_MS, lost, NULL);
	assert_non_null(w.judges);
}

static void end(void)
{
	judges_free(w.judges);
	for (uint32_t i = 0; i < w.n; i++) {
		shutdown(w.end[i], SHUT_RDWR);
		pthread_join(w.thread[i], NULL);
		close(w.end[i]);
	}
}

static void ask(const char *evidence, struct judge_answer *out)
{
	struct verify_input in = { .evidence = span_str(evidence) };

	judges_run(w.judges, &from, &in, out);
}

static bool read_question(int fd)
{
	struct judge_msg m;
	char room[64];

	return !judge_wire_take(fd, &m, sizeof m, NULL) && m.kind == JUDGE_ASK && m.n <= sizeof room &&
	       !judge_wire_take(fd, room, m.n, NULL);
}

static void tell(int fd, const struct judge_answer *a)
{
	struct judge_msg m = { .kind = JUDGE_ANSWER, .n = sizeof *a };

	(void)(judge_wire_send(fd, &m, sizeof m, NULL) || judge_wire_send(fd, a, sizeof *a, NULL));
}

static struct judge_answer *refusal(void)
{
	struct judge_answer *a = calloc(1, sizeof *a);

	assert_non_null(a);
	verdict_init(&a->result.verdict);
	a->rc = err_code(&a->err, ERR_UNTRUSTED, "quote.signature", "no");
	return a;
}

static void say_no(int fd)
{
	struct judge_answer *a = refusal();

	while (read_question(fd))
		tell(fd, a);
	free(a);
}

static void test_answers(void **state)
{
	struct judge_answer *a = calloc(1, sizeof *a);

	(void)state;
	begin(say_no);
	for (int i = 0; i < 5; i++) {
		ask("evidence", a);
		assert_string_equal(a->err.code, "quote.signature");
	}
	assert_int_equal(w.lost, 0);
	end();
	free(a);
}

// Whatever ends or spoils a conversation: asked of the other one, then refused, and not asked again.
static void refused_for_good(void (*act)(int fd))
{
	struct judge_answer *a = calloc(1, sizeof *a);

	begin(act);
	ask("bad", a);
	assert_int_equal(a->rc, -1);
	assert_int_equal(a->err.class, ERR_UNTRUSTED);
	assert_string_equal(a->err.code, "kms.judge_ended");
	assert_false(a->result.verdict.ok);
	assert_int_equal(w.lost, 2);
	assert_int_equal(w.asked_again, 2);
	assert_int_equal(judges_lost(w.judges), 2);
	ask("bad", a);
	assert_string_equal(a->err.code, "kms.judge_ended");
	assert_int_equal(w.lost, 2);
	end();
	free(a);
}

static void die(int fd)
{
	(void)read_question(fd);
}

static void dawdle(int fd)
{
	char c;

	(void)read_question(fd);
	(void)!read(fd, &c, 1); // till it is given up
}

static void lie_about_counts(int fd)
{
	struct judge_answer *a = refusal();

	a->result.verdict.n = 1u << 20;
	if (read_question(fd))
		tell(fd, a);
	free(a);
}

static void lie_without_end(int fd)
{
	struct judge_answer *a = refusal();

	memset(a->err.text, 'x', sizeof a->err.text);
	if (read_question(fd))
		tell(fd, a);
	free(a);
}

static void yes_without_verdict(int fd)
{
	struct judge_answer *a = calloc(1, sizeof *a);

	if (a && read_question(fd))
		tell(fd, a); // rc 0, nothing shown
	free(a);
}

static void no_truth(int fd)
{
	struct judge_answer *a = refusal();

	memset(&a->result.has_quote, 7, 1);
	if (read_question(fd))
		tell(fd, a);
	free(a);
}

static void nonsense(int fd)
{
	struct judge_msg m = { .kind = 77 };

	if (read_question(fd))
		(void)!judge_wire_send(fd, &m, sizeof m, NULL);
}

static void ask_forever(int fd)
{
	struct judge_msg m;

	if (!read_question(fd))
		return;
	do
		m = (struct judge_msg){ .kind = JUDGE_COLLATERAL };
	while (!judge_wire_send(fd, &m, sizeof m, NULL) && !judge_wire_take(fd, &m, sizeof m, NULL));
}

static void too_many_bytes(int fd)
{
	struct judge_msg m = { .kind = JUDGE_OFFERED, .n = UINT32_MAX };

	if (read_question(fd))
		(void)!judge_wire_send(fd, &m, sizeof m, NULL);
}

static void test_rb_06_bad_judges(void **state)
{
	static void (*const bad[])(
		int) = { die,      dawdle,      lie_about_counts, lie_without_end,    no_truth,
			 nonsense, ask_forever, too_many_bytes,   yes_without_verdict };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refused_for_good(bad[i]);
}

static void test_rb_06_another_sits_down(void **state)
{
	struct judge_answer *a = calloc(1, sizeof *a);

	(void)state;
	begin(die);
	ask("bad", a);
	assert_int_equal(w.lost, 2);
	w.act = say_no;
	judges_seat(w.judges, 0, 3, sit());
	judges_seat(w.judges, 9, 3, sit()); // no such seat
	ask("good", a);
	assert_string_equal(a->err.code, "quote.signature");
	ask("bad", a); // known
	assert_string_equal(a->err.code, "kms.judge_ended");
	end();
	free(a);
}

// One that ended before it was asked is nobody's fault.
static void test_rb_06_ended_before(void **state)
{
	struct judge_answer *a = calloc(1, sizeof *a);

	(void)state;
	begin(say_no);
	shutdown(w.end[0], SHUT_RDWR);
	ask("good", a);
	assert_string_equal(a->err.code, "quote.signature");
	assert_int_equal(w.lost, 1);
	assert_int_equal(w.asked_again, 0);
	end();
	free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_rb_06_bad_judges),
		cmocka_unit_test(test_rb_06_another_sits_down),
		cmocka_unit_test(test_rb_06_ended_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
