#include "rpc/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WAITING_MAX = 256, THREADS_MAX = 16 };

struct job {
	struct job *next;
	void (*work)(void *), (*done)(void *);
	void *arg;
};

struct queue {
	struct job *first, **last;
	size_t n;
};

struct pool {
	pthread_mutex_t lock; // guards the queues and `stop`
	pthread_cond_t more;
	struct queue todo, finished;
	bool stop;
	int fd; // tells the loop that something finished
	struct event *event;
	unsigned threads;
	pthread_t thread[THREADS_MAX];
};

static void push(struct queue *q, struct job *j)
{
	j->next = NULL;
	*q->last = j;
	q->last = &j->next;
	q->n++;
}

static struct job *pop(struct queue *q)
{
	struct job *j = q->first;

	if (j) {
		q->first = j->next;
		if (!q->first)
			q->last = &q->first;
		q->n--;
	}
	return j;
}

static void *run(void *arg)
{
	struct pool *p = arg;
	uint64_t one = 1;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct job *j = p->stop ? NULL : pop(&p->todo);
		if (!j && p->stop)
			break;
		if (!j) {
			pthread_cond_wait(&p->more, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		j->work(j->arg);
		pthread_mutex_lock(&p->lock);
		push(&p->finished, j);
		if (write(p->fd, &one, sizeof one) < 0)
			continue; // the counter is full: the loop is told already
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void deliver(struct pool *p, struct queue *q)
{
	for (;;) {
		pthread_mutex_lock(&p->lock);
		struct job *j = pop(q);
		pthread_mutex_unlock(&p->lock);
		if (!j)
			return;
		j->done(j->arg);
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
	deliver(p, &p->finished);
}

// Signals are the loop's business.
static unsigned start_threads(struct pool *p, unsigned threads)
{
	sigset_t all, was;
	unsigned n = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	while (n < threads && n < THREADS_MAX && !pthread_create(&p->thread[n], NULL, run, p))
		n++;
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	return n;
}

struct pool *pool_new(struct event_base *base, unsigned threads)
{
	struct pool *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->todo.last = &p->todo.first;
	p->finished.last = &p->finished.first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->event = p->fd < 0 ? NULL : event_new(base, p->fd, EV_READ | EV_PERSIST, on_finished, p);
	if (p->event && !event_add(p->event, NULL))
		p->threads = start_threads(p, threads);
	if (!p->threads) {
		pool_free(p);
		return NULL;
	}
	return p;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);
	deliver(p, &p->finished);
	deliver(p, &p->todo);
	if (p->event)
		event_free(p->event);
	if (p->fd >= 0)
		close(p->fd);
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static bool add(struct pool *p, struct job *j, size_t most)
{
	pthread_mutex_lock(&p->lock);
	bool full = p->todo.n >= most;
	if (!full) {
		push(&p->todo, j);
		pthread_cond_signal(&p->more);
	}
	pthread_mutex_unlock(&p->lock);
	return !full;
}

static struct job *job_new(void (*work)(void *), void (*done)(void *), void *arg)
{
	struct job *j = calloc(1, sizeof *j);

	if (j)
		*j = (struct job){ .work = work, .done = done, .arg = arg };
	return j;
}

int pool_add(struct pool *p, void (*work)(void *), void (*done)(void *), void *arg)
{
	struct job *j = job_new(work, done, arg);

	if (j && add(p, j, WAITING_MAX))
		return 0;
	free(j);
	return -1;
}

void pool_again(struct pool *p, void (*work)(void *), void (*done)(void *), void *arg)
{
	struct job *j = job_new(work, done, arg);

	if (!j)
		abort();
	add(p, j, SIZE_MAX);
}
