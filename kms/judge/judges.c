#include "judges.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "judge_wire.h"

// ROUNDS: more questions than any evidence makes a judge ask.
enum { WAIT_S = 30, TRIES = 2, FATAL_KEPT = 64, FATAL_S = 600, ROUNDS = 64 };

struct seat {
	int fd; // -1: the next one is on its way
	uint32_t serial;
	bool busy;
	int next_fd; // came while the seat was busy; -1: none
	uint32_t next_serial;
};

// Evidence that ended two judges.
struct fatal {
	uint8_t key[32];
	uint64_t until; // monotonic ms; 0: none
};

struct judges {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct seat seat[JUDGES_MAX];
	size_t n;
	int limit_ms;
	void (*lost)(void *arg, uint32_t seat, uint32_t serial);
	void *arg;
	uint64_t n_lost;
	struct fatal fatal[FATAL_KEPT];
	size_t n_fatal; // ever kept
};

struct judges *judges_new(const int *fds, const uint32_t *serials, size_t n, int limit_ms,
			  void (*lost)(void *arg, uint32_t seat, uint32_t serial), void *arg)
{
	struct judges *j = n <= JUDGES_MAX ? calloc(1, sizeof *j) : NULL;
	pthread_condattr_t attr;

	if (!j)
		return NULL;
	*j = (struct judges){ .n = n, .limit_ms = limit_ms, .lost = lost, .arg = arg };
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->freed, &attr);
	pthread_condattr_destroy(&attr);
	for (size_t i = 0; i < n; i++)
		j->seat[i] = (struct seat){ .fd = fds[i], .serial = serials[i], .next_fd = -1 };
	return j;
}

void judges_free(struct judges *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->n; i++)
		for (int k = 0; k < 2; k++) {
			int fd = k ? j->seat[i].next_fd : j->seat[i].fd;
			if (fd >= 0)
				close(fd);
		}
	pthread_mutex_destroy(&j->lock);
	pthread_cond_destroy(&j->freed);
	free(j);
}

uint64_t judges_lost(struct judges *j)
{
	pthread_mutex_lock(&j->lock);
	uint64_t n = j->n_lost;
	pthread_mutex_unlock(&j->lock);
	return n;
}

// ---- seats

// With the lock, when nobody talks to it.
static void follow(struct judges *j, struct seat *s, int fd, uint32_t serial)
{
	if (s->fd >= 0) {
		close(s->fd);
		j->n_lost++;
	}
	s->fd = fd;
	s->serial = serial;
	pthread_cond_broadcast(&j->freed);
}

void judges_seat(struct judges *j, uint32_t seat, uint32_t serial, int fd)
{
	if (seat >= j->n) {
		close(fd);
		return;
	}
	struct seat *s = &j->seat[seat];
	pthread_mutex_lock(&j->lock);
	if (!s->busy) {
		follow(j, s, fd, serial);
	} else { // who asks the one that ended will notice
		if (s->next_fd >= 0)
			close(s->next_fd);
		s->next_fd = fd;
		s->next_serial = serial;
	}
	pthread_mutex_unlock(&j->lock);
}

static struct seat *take(struct judges *j)
{
	struct timespec until;
	struct seat *s = NULL;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&j->lock);
	for (;;) {
		// The first free one: those that have judged lately know the signatures.
		for (size_t i = 0; i < j->n && !s; i++)
			if (j->seat[i].fd >= 0 && !j->seat[i].busy)
				s = &j->seat[i];
		if (s || pthread_cond_timedwait(&j->freed, &j->lock, &until))
			break;
	}
	if (s)
		s->busy = true;
	pthread_mutex_unlock(&j->lock);
	return s;
}

static void give_back(struct judges *j, struct seat *s, bool well)
{
	uint32_t serial = s->serial;

	pthread_mutex_lock(&j->lock);
	s->busy = false;
	if (s->next_fd >= 0) {
		follow(j, s, s->next_fd, s->next_serial);
		s->next_fd = -1;
	} else if (!well) {
		close(s->fd);
		s->fd = -1;
		j->n_lost++;
		j->lost(j->arg, (uint32_t)(s - j->seat), serial);
	}
	pthread_cond_broadcast(&j->freed);
	pthread_mutex_unlock(&j->lock);
}

// Did it end before it was asked? Then the evidence is not to blame.
static bool has_ended(const struct seat *s)
{
	char c;

	return recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

// ---- one conversation

struct talk {
	int fd, left_ms;
	const struct judge_source *from;
	struct judge_msg m;
	uint8_t *bytes; // of a message
};

static int put(struct talk *t, struct span more)
{
	t->m.n = (uint32_t)more.n;
	return judge_wire_send(t->fd, &t->m, sizeof t->m, &t->left_ms) ||
			       judge_wire_send(t->fd, more.p, more.n, &t->left_ms)
		       ? -1
		       : 0;
}

static int reply(struct talk *t, int rc, const struct err *e, struct span more)
{
	t->m.rc = rc;
	t->m.err = *e;
	return put(t, rc ? span_of(NULL, 0) : more);
}

static int on_collateral(struct talk *t)
{
	struct dcap_platform p = t->m.platform;
	struct err e = { 0 };
	struct span json = { 0 };

	if (t->m.n || !judge_well_formed_platform(&p))
		return -1;
	int rc = t->from->collateral(t->from->arg, &p, &json, &e);
	if (!rc && json.n > JUDGE_PART_MAX)
		rc = err_code(&e, ERR_AGAIN, "collateral.answer", "collateral of %zu bytes", json.n);
	return reply(t, rc, &e, json);
}

static int on_refused(struct talk *t)
{
	if (t->m.n || !judge_well_formed_error(&t->m.err))
		return -1;
	t->from->refused(t->from->arg, &t->m.err);
	return 0;
}

static int on_verified(struct talk *t)
{
	struct err e = { 0 };
	bool older = false;

	if (t->m.n)
		return -1;
	int rc = t->from->verified(t->from->arg, t->m.verified.expires, &older, &e);
	t->m.verified.older = older;
	return reply(t, rc, &e, span_of(NULL, 0));
}

static int take_bytes(struct talk *t, size_t max)
{
	free(t->bytes);
	t->bytes = t->m.n <= max ? malloc(t->m.n + 1) : NULL;
	return t->bytes ? judge_wire_take(t->fd, t->bytes, t->m.n, &t->left_ms) : -1;
}

static int on_offered(struct talk *t)
{
	struct dcap_result q = t->m.offered;
	struct err e = { 0 };
	bool older = false;

	if (!judge_well_formed_quote(&q) || take_bytes(t, JUDGE_PART_MAX))
		return -1;
	int rc = t->from->offered(t->from->arg, &q, span_of(t->bytes, t->m.n), &older, &e);
	t->m.verified.older = older;
	return reply(t, rc, &e, span_of(NULL, 0));
}

static int on_image(struct talk *t)
{
	struct verify_image found = { 0 };
	struct err e = { 0 };
	uint8_t hash[32];

	if (t->m.n || !t->from->image)
		return -1;
	memcpy(hash, t->m.wanted.hash, sizeof hash);
	int rc = t->from->image(t->from->arg, &found, hash, t->m.wanted.memory, &e);
	if (!rc)
		t->m.found = found;
	return reply(t, rc, &e, span_of(NULL, 0));
}

static int question(struct talk *t, const struct verify_input *in)
{
	const struct span parts[JUDGE_PARTS] = { in->evidence, in->event_log, in->vm_config, in->expect,
						 in->collateral };
	size_t n = 0;

	t->m = (struct judge_msg){ .kind = JUDGE_ASK,
				   .ask = { .form = in->form,
					    .binding = in->binding,
					    .now = in->now,
					    .boottime = in->boottime,
					    .any_tcb = in->any_tcb,
					    .allow_service_td = in->allow_service_td,
					    .intel_components = in->intel_components,
					    .has_images = t->from->image != NULL } };
	for (size_t i = 0; i < JUDGE_PARTS; i++) {
		t->m.ask.part[i] = (uint32_t)parts[i].n;
		n += parts[i].n;
	}
	t->m.n = (uint32_t)n;
	if (judge_wire_send(t->fd, &t->m, sizeof t->m, &t->left_ms))
		return -1;
	for (size_t i = 0; i < JUDGE_PARTS; i++)
		if (judge_wire_send(t->fd, parts[i].p, parts[i].n, &t->left_ms))
			return -1;
	return 0;
}

static int on_answer(struct talk *t, struct judge_answer *out)
{
	if (t->m.n != sizeof *out || judge_wire_take(t->fd, out, sizeof *out, &t->left_ms))
		return -1;
	return judge_well_formed(out) ? 0 : -1;
}

// True: it has answered. Only its own time counts, not that of what it asks for.
static bool converse(struct talk *t, const struct verify_input *in, struct judge_answer *out)
{
	static int (*const on[JUDGE_KINDS])(struct talk *) = {
		[JUDGE_COLLATERAL] = on_collateral, [JUDGE_REFUSED] = on_refused,
		[JUDGE_VERIFIED] = on_verified,     [JUDGE_OFFERED] = on_offered,
		[JUDGE_IMAGE] = on_image,
	};

	if (question(t, in))
		return false;
	for (int i = 0; i < ROUNDS; i++) {
		if (judge_wire_take(t->fd, &t->m, sizeof t->m, &t->left_ms) || t->m.kind >= JUDGE_KINDS)
			return false;
		if (t->m.kind == JUDGE_ANSWER)
			return !on_answer(t, out);
		if (!on[t->m.kind] || on[t->m.kind](t))
			return false;
	}
	return false;
}

// ---- evidence that ends judges

static bool hash_of(const struct verify_input *in, uint8_t key[static 32])
{
	const struct span parts[] = { in->evidence, in->event_log, in->vm_config };
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; ok && i < sizeof parts / sizeof *parts; i++) {
		uint64_t n = parts[i].n;
		ok = EVP_DigestUpdate(c, &n, sizeof n) == 1 && EVP_DigestUpdate(c, parts[i].p, n) == 1;
	}
	ok = ok && EVP_DigestFinal_ex(c, key, NULL) == 1;
	EVP_MD_CTX_free(c);
	return ok;
}

static bool is_fatal(struct judges *j, const struct verify_input *in)
{
	uint8_t key[32];
	bool found = false;

	pthread_mutex_lock(&j->lock);
	size_t n = j->n_fatal < FATAL_KEPT ? j->n_fatal : FATAL_KEPT;
	pthread_mutex_unlock(&j->lock);
	if (!n || !hash_of(in, key))
		return false;
	pthread_mutex_lock(&j->lock);
	for (size_t i = 0; i < n && !found; i++)
		found = j->fatal[i].until > time_mono_ms() && !memcmp(j->fatal[i].key, key, sizeof key);
	pthread_mutex_unlock(&j->lock);
	return found;
}

static void keep_fatal(struct judges *j, const struct verify_input *in)
{
	struct fatal f = { .until = time_mono_ms() + FATAL_S * UINT64_C(1000) };

	if (!hash_of(in, f.key))
		return;
	pthread_mutex_lock(&j->lock);
	j->fatal[j->n_fatal++ % FATAL_KEPT] = f;
	pthread_mutex_unlock(&j->lock);
}

static void refuse(struct judge_answer *out, enum err_class class, const char *code, const char *text)
{
	memset(out, 0, sizeof *out);
	verdict_init(&out->result.verdict);
	verdict_fail(&out->result.verdict, "evidence", span_of(NULL, 0), ANCHOR_NONE, code, text);
	(void)verdict_close(&out->result.verdict, (const char *const[]){ "evidence", NULL });
	out->rc = err_code(&out->err, class, code, "%s", text);
}

static void refuse_fatal(struct judge_answer *out)
{
	refuse(out, ERR_UNTRUSTED, "kms.judge_ended",
	       "this evidence ended the processes that judge evidence; it is refused");
}

static bool fits(const struct verify_input *in)
{
	return in->evidence.n <= JUDGE_PART_MAX && in->event_log.n <= JUDGE_PART_MAX &&
	       in->vm_config.n <= JUDGE_PART_MAX && in->expect.n <= JUDGE_PART_MAX &&
	       in->collateral.n <= JUDGE_PART_MAX;
}

void judges_run(void *arg, const struct judge_source *from, const struct verify_input *in,
		struct judge_answer *out)
{
	struct judges *j = arg;

	if (is_fatal(j, in)) {
		refuse_fatal(out);
		return;
	}
	if (!fits(in)) {
		refuse(out, ERR_INPUT, "envelope.size", "the evidence or what came with it is over 2 MiB");
		return;
	}
	for (int tries = 0; tries < TRIES;) {
		struct seat *s = take(j);
		if (!s) {
			refuse(out, ERR_AGAIN, "kms.no_judge", "no process is free to judge the evidence");
			return;
		}
		if (has_ended(s)) {
			give_back(j, s, false);
			continue;
		}
		struct talk t = { .fd = s->fd, .left_ms = j->limit_ms, .from = from };
		bool well = converse(&t, in, out);
		free(t.bytes);
		if (!well)
			log_warn("kms", "a judge was lost serial=%u reason=%s try=%d", s->serial,
				 t.left_ms ? "ended" : "late", ++tries);
		give_back(j, s, well);
		if (well)
			return;
		from->again(from->arg);
	}
	keep_fatal(j, in);
	refuse_fatal(out);
}
