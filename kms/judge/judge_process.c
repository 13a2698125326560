// The process that reads strangers' evidence: one question at a time, no files, no network, no keys.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "crypto/engine.h"
#include "../process/jail.h"
#include "judge_wire.h"

struct asker {
	int fd;
	struct judge_msg m;
	uint8_t *json; // collateral in use
};

// The other side is gone: so is the reason to be.
static void send_or_end(int fd, const void *p, size_t n)
{
	if (judge_wire_send(fd, p, n, NULL))
		_exit(0);
}

static void take_or_end(int fd, void *p, size_t n)
{
	if (judge_wire_take(fd, p, n, NULL))
		_exit(0);
}

static void *room(size_t n)
{
	void *p = n <= JUDGE_BYTES_MAX ? malloc(n + 1) : NULL;

	if (!p)
		_exit(1);
	return p;
}

static void ask(struct asker *a, enum judge_kind kind, struct span more)
{
	a->m.kind = kind;
	a->m.n = (uint32_t)more.n;
	send_or_end(a->fd, &a->m, sizeof a->m);
	send_or_end(a->fd, more.p, more.n);
}

static int result(struct asker *a, struct err *e)
{
	take_or_end(a->fd, &a->m, sizeof a->m);
	if (a->m.rc)
		*e = a->m.err;
	return a->m.rc;
}

static int ask_collateral(void *arg, const struct dcap_platform *p, struct span *json, struct err *e)
{
	struct asker *a = arg;

	a->m.platform = *p;
	ask(a, JUDGE_COLLATERAL, span_of(NULL, 0));
	int rc = result(a, e);
	if (rc)
		return rc > 0 ? 1 : -1;
	uint8_t *was = a->json;
	a->json = room(a->m.n);
	take_or_end(a->fd, a->json, a->m.n);
	free(was);
	*json = span_of(a->json, a->m.n);
	return 0;
}

static void say_refused(void *arg, const struct err *why)
{
	struct asker *a = arg;

	a->m.err = *why;
	ask(a, JUDGE_REFUSED, span_of(NULL, 0));
}

static int ask_verified(void *arg, uint64_t expires, bool *older, struct err *e)
{
	struct asker *a = arg;

	a->m.verified.expires = expires;
	ask(a, JUDGE_VERIFIED, span_of(NULL, 0));
	int rc = result(a, e);
	*older = a->m.verified.older;
	return rc;
}

static int ask_offered(void *arg, const struct dcap_result *q, struct span json, bool *older, struct err *e)
{
	struct asker *a = arg;

	a->m.offered = *q;
	ask(a, JUDGE_OFFERED, json);
	int rc = result(a, e);
	*older = a->m.verified.older;
	return rc;
}

static int ask_image(void *arg, struct verify_image *out, const uint8_t hash[static 32], uint64_t memory,
		     struct err *e)
{
	struct asker *a = arg;

	memcpy(a->m.wanted.hash, hash, 32);
	a->m.wanted.memory = memory;
	ask(a, JUDGE_IMAGE, span_of(NULL, 0));
	int rc = result(a, e);
	if (!rc)
		*out = a->m.found;
	return rc;
}

static void read_question(const struct judge_msg *m, uint8_t *bytes, struct verify_input *in)
{
	struct span *const parts[JUDGE_PARTS] = { &in->evidence, &in->event_log, &in->vm_config, &in->expect,
						  &in->collateral };
	size_t at = 0;

	*in = (struct verify_input){ .form = m->ask.form,
				     .binding = m->ask.binding,
				     .now = m->ask.now,
				     .boottime = m->ask.boottime,
				     .any_tcb = m->ask.any_tcb,
				     .allow_service_td = m->ask.allow_service_td,
				     .intel_components = m->ask.intel_components };
	for (size_t i = 0; i < JUDGE_PARTS; i++) {
		if (m->ask.part[i] > m->n - at)
			_exit(1);
		*parts[i] = span_of(bytes + at, m->ask.part[i]);
		at += m->ask.part[i];
	}
}

static void judge_one(int fd, struct engine *g, struct judge_answer *out)
{
	struct asker a = { .fd = fd };
	struct judge_source from = { &a, NULL, ask_collateral, say_refused, ask_verified, ask_offered, NULL };
	struct verify_input in;

	take_or_end(fd, &a.m, sizeof a.m);
	if (a.m.kind != JUDGE_ASK)
		_exit(1);
	uint8_t *bytes = room(a.m.n);
	take_or_end(fd, bytes, a.m.n);
	read_question(&a.m, bytes, &in);
	if (a.m.ask.has_images)
		from.image = ask_image;
	judge_run(g, NULL, &from, &in, out);
	ask(&a, JUDGE_ANSWER, span_of(out, sizeof *out));
	free(bytes);
	free(a.json);
}

void judge_process(int fd, struct engine *g)
{
	static struct judge_answer answer;
	struct err e = { 0 };

	signal(SIGINT, SIG_IGN); // a terminal's Ctrl-C goes to the group; it ends with its socket
	signal(SIGTERM, SIG_IGN);
	prctl(PR_SET_NAME, "kms-judge");
	if (jail_judge(&e))
		_exit(1);
	for (;;)
		judge_one(fd, g, &answer);
}
