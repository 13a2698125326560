#include "policy/policy.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "policy/backend.h"

void policy_ask(struct policy *p, const struct boot_info *b, enum policy_kind kind, policy_done *done,
		void *arg)
{
	p->ask(p, b, kind, done, arg);
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t more;
	bool done;
	struct policy_answer answer;
};

static void on_answer(void *arg, const struct policy_answer *a)
{
	struct waiter *w = arg;

	pthread_mutex_lock(&w->lock);
	w->answer = *a;
	w->done = true;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

int policy_allow(struct policy *p, const struct boot_info *b, enum policy_kind kind, struct err *e)
{
	struct waiter w = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

	policy_ask(p, b, kind, on_answer, &w);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.more, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_cond_destroy(&w.more);
	pthread_mutex_destroy(&w.lock);
	if (w.answer.rc)
		*e = w.answer.err;
	return w.answer.rc;
}

int policy_epochs_check(const struct policy_epochs *p, uint64_t epoch, uint64_t now, struct err *e)
{
	if (!p->given)
		return 0;
	if (epoch < p->min || epoch > p->current)
		return err_code(e, ERR_DENIED, "epoch.not_served",
				"the policy serves epochs %llu to %llu, not %llu", (unsigned long long)p->min,
				(unsigned long long)p->current, (unsigned long long)epoch);
	for (size_t i = 0; i < p->n_revoked; i++)
		if (p->revoked[i].epoch == epoch && now >= p->revoked[i].at)
			return err_code(e, ERR_DENIED, "epoch.revoked",
					"epoch %llu revoked at %llu by the policy", (unsigned long long)epoch,
					(unsigned long long)p->revoked[i].at);
	return 0;
}

void policy_info(struct policy *p, struct policy_info *out)
{
	memset(out, 0, sizeof *out);
	p->info(p, out);
}

void policy_info_wait(struct policy *p, struct policy_info *out, unsigned ms)
{
	uint64_t end = time_mono_ms() + ms;

	for (policy_info(p, out); out->pending && time_mono_ms() < end; policy_info(p, out))
		usleep(5000);
}

void policy_stop(struct policy *p)
{
	if (p && p->stop)
		p->stop(p);
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	policy_stop(p);
	p->free(p);
}
