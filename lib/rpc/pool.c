#include "rpc/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/time.h"
#include "rpc/turns.h"

enum { WAITING_MAX = 256, THREADS_MAX = 16, TICK_MS = 200 };

struct pool_job {
	struct turn turn; // first: a turn is its job
	struct pool_job *next;
	unsigned lane;
	enum pool_end end;
	void (*work)(void *);
	void (*done)(void *, enum pool_end);
	void *arg;
};

struct lane {
	struct pool *pool;
	struct pool_lane conf;
	struct turns *todo;
	struct pool_job *again, **again_last; // let in before: first, and without bounds
	pthread_cond_t more;
	unsigned threads;
	pthread_t thread[THREADS_MAX];
};

struct pool {
	pthread_mutex_t lock; // guards the queues and `stop`
	struct pool_job *finished, **finished_last;
	bool stop;
	int fd; // tells the loop that something finished
	struct event *event, *tick;
	size_t n;
	struct lane lanes[POOL_LANES];
};

static struct pool_job *job_of(struct turn *t)
{
	return (struct pool_job *)(void *)t;
}

// With the lock held.
static void finish(struct pool *p, struct pool_job *j, enum pool_end end)
{
	uint64_t one = 1;

	j->end = end;
	j->next = NULL;
	*p->finished_last = j;
	p->finished_last = &j->next;
	if (write(p->fd, &one, sizeof one) < 0)
		return; // the counter is full: the loop is told already
}

// With the lock held.
static struct pool_job *take(struct lane *l)
{
	struct pool_job *j = l->again;

	if (!j)
		return job_of(turns_take(l->todo));
	l->again = j->next;
	if (!l->again)
		l->again_last = &l->again;
	return j;
}

static void *run(void *arg)
{
	struct lane *l = arg;
	struct pool *p = l->pool;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		struct pool_job *j = take(l);
		if (!j) {
			pthread_cond_wait(&l->more, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		j->work(j->arg);
		pthread_mutex_lock(&p->lock);
		finish(p, j, POOL_DONE);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void deliver(struct pool *p)
{
	for (;;) {
		pthread_mutex_lock(&p->lock);
		struct pool_job *j = p->finished;
		if (j && !(p->finished = j->next))
			p->finished_last = &p->finished;
		pthread_mutex_unlock(&p->lock);
		if (!j)
			return;
		j->done(j->arg, j->end);
		free(j);
	}
}

static void on_finished(evutil_socket_t fd, short what, void *arg)
{
	struct pool *p = arg;
	uint64_t n;

	(void)what;
	if (read(fd, &n, sizeof n) < 0)
		return;
	deliver(p);
}

// What waited too long goes. Ticks only while something waits.
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct pool *p = arg;
	uint64_t now = time_mono_ms();
	size_t waiting = 0;

	(void)fd, (void)what;
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->n; i++) {
		struct lane *l = &p->lanes[i];
		struct turn *t;
		while (l->conf.wait_ms && now > l->conf.wait_ms &&
		       (t = turns_take_older(l->todo, now - l->conf.wait_ms)))
			finish(p, job_of(t), POOL_LATE);
		waiting += l->conf.wait_ms ? turns_waiting(l->todo) : 0;
	}
	pthread_mutex_unlock(&p->lock);
	if (waiting)
		event_add(p->tick, &(struct timeval){ 0, TICK_MS * 1000 });
}

// Signals are the loop's business.
static void start_threads(struct lane *l)
{
	sigset_t all, was;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	while (l->threads < l->conf.threads && l->threads < THREADS_MAX &&
	       !pthread_create(&l->thread[l->threads], NULL, run, l))
		l->threads++;
	pthread_sigmask(SIG_SETMASK, &was, NULL);
}

static bool lane_open(struct pool *p, const struct pool_lane *conf)
{
	struct lane *l = &p->lanes[p->n];

	*l = (struct lane){ .pool = p, .conf = *conf };
	if (!l->conf.waiting_max)
		l->conf.waiting_max = WAITING_MAX;
	if (!l->conf.per_client)
		l->conf.per_client = l->conf.waiting_max;
	l->todo = turns_new(l->conf.waiting_max, l->conf.per_client);
	if (!l->todo)
		return false;
	l->again_last = &l->again;
	pthread_cond_init(&l->more, NULL);
	p->n++;
	return true;
}

struct pool *pool_new_lanes(struct event_base *base, const struct pool_lane *lanes, size_t n)
{
	struct pool *p = calloc(1, sizeof *p);
	bool ok = p && n <= POOL_LANES;

	if (!p)
		return NULL;
	p->finished_last = &p->finished;
	pthread_mutex_init(&p->lock, NULL);
	for (size_t i = 0; ok && i < n; i++)
		ok = lane_open(p, &lanes[i]);
	p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->event = p->fd < 0 ? NULL : event_new(base, p->fd, EV_READ | EV_PERSIST, on_finished, p);
	p->tick = evtimer_new(base, on_tick, p);
	if (!ok || !p->event || !p->tick || event_add(p->event, NULL)) {
		pool_free(p);
		return NULL;
	}
	return p;
}

struct pool *pool_new(struct event_base *base, unsigned threads)
{
	return pool_new_lanes(base, &(struct pool_lane){ .threads = threads }, 1);
}

static void end_lanes(struct pool *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct lane *l = &p->lanes[i];
		for (unsigned k = 0; k < l->threads; k++)
			pthread_join(l->thread[k], NULL);
		for (struct pool_job *j; (j = take(l));)
			finish(p, j, POOL_CLOSED);
	}
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	for (size_t i = 0; i < p->n; i++)
		pthread_cond_broadcast(&p->lanes[i].more);
	pthread_mutex_unlock(&p->lock);
	end_lanes(p);
	deliver(p);
	for (size_t i = 0; i < p->n; i++) {
		turns_free(p->lanes[i].todo);
		pthread_cond_destroy(&p->lanes[i].more);
	}
	if (p->event)
		event_free(p->event);
	if (p->tick)
		event_free(p->tick);
	if (p->fd >= 0)
		close(p->fd);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

struct pool_job *pool_queue(struct pool *p, unsigned lane, const uint8_t client[static POOL_CLIENT],
			    void (*work)(void *), void (*done)(void *, enum pool_end), void *arg)
{
	struct lane *l = &p->lanes[lane < p->n ? lane : 0];
	struct pool_job *j = calloc(1, sizeof *j);
	struct turn *out = NULL;

	if (!l->threads)
		start_threads(l);
	if (!j || !l->threads) {
		free(j);
		return NULL;
	}
	*j = (struct pool_job){ .lane = (unsigned)(l - p->lanes), .work = work, .done = done, .arg = arg };
	pthread_mutex_lock(&p->lock);
	int full = turns_add(l->todo, &j->turn, client, time_mono_ms(), &out);
	if (out)
		finish(p, job_of(out), POOL_FULL);
	if (!full)
		pthread_cond_signal(&l->more);
	pthread_mutex_unlock(&p->lock);
	if (full) {
		free(j);
		return NULL;
	}
	if (l->conf.wait_ms && !event_pending(p->tick, EV_TIMEOUT, NULL))
		event_add(p->tick, &(struct timeval){ 0, TICK_MS * 1000 });
	return j;
}

int pool_add(struct pool *p, void (*work)(void *), void (*done)(void *, enum pool_end), void *arg)
{
	static const uint8_t one[POOL_CLIENT];

	return pool_queue(p, 0, one, work, done, arg) ? 0 : -1;
}

void pool_again(struct pool *p, unsigned lane, void (*work)(void *), void (*done)(void *, enum pool_end),
		void *arg)
{
	struct lane *l = &p->lanes[lane < p->n ? lane : 0];
	struct pool_job *j = calloc(1, sizeof *j);

	if (!j)
		abort();
	*j = (struct pool_job){ .lane = (unsigned)(l - p->lanes), .work = work, .done = done, .arg = arg };
	pthread_mutex_lock(&p->lock);
	*l->again_last = j;
	l->again_last = &j->next;
	pthread_cond_signal(&l->more);
	pthread_mutex_unlock(&p->lock);
}

void pool_leave(struct pool *p, struct pool_job *j)
{
	struct lane *l = &p->lanes[j->lane];

	pthread_mutex_lock(&p->lock);
	if (j->turn.client) {
		turns_remove(l->todo, &j->turn);
		finish(p, j, POOL_LEFT);
	}
	pthread_mutex_unlock(&p->lock);
}
