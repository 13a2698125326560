#include "tee/tee.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tee/driver.h"

struct tee {
	const struct tee_driver *driver;
	void *state;
	pthread_mutex_t turn; // spec 50 section 10: one lock around quoting
};

static const struct tee_driver *choose(const char *which, struct err *e)
{
	if (!strcmp(which, "tdx"))
		return &tdx_driver;
	if (!strcmp(which, "soft"))
		return &soft_driver;
	if (!strcmp(which, "auto"))
		return tdx_is_here() ? &tdx_driver : &soft_driver;
	err_code(e, ERR_INPUT, "tee.unknown", "tee %s: expected auto, tdx or soft", which);
	return NULL;
}

struct tee *tee_open(const char *which, struct err *e)
{
	const struct tee_driver *driver = choose(which, e);

	if (!driver)
		return NULL;
	void *state = driver == &tdx_driver ? tdx_open(e) : soft_open(e);
	if (!state)
		return NULL;
	struct tee *t = calloc(1, sizeof *t);
	if (!t) {
		driver->close(state);
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	t->driver = driver;
	t->state = state;
	pthread_mutex_init(&t->turn, NULL);
	return t;
}

void tee_close(struct tee *t)
{
	if (!t)
		return;
	t->driver->close(t->state);
	pthread_mutex_destroy(&t->turn);
	free(t);
}

const char *tee_name(const struct tee *t)
{
	return t->driver->name;
}

int tee_quote(struct tee *t, const uint8_t report_data[static TEE_REPORT_DATA], struct tee_quote *out,
	      struct err *e)
{
	pthread_mutex_lock(&t->turn);
	int rc = t->driver->quote(t->state, report_data, out, e);
	pthread_mutex_unlock(&t->turn);
	return rc ? err_wrap(e, "%s quote", t->driver->name) : 0;
}

int tee_extend(struct tee *t, const uint8_t digest[static TEE_DIGEST], struct err *e)
{
	pthread_mutex_lock(&t->turn);
	int rc = t->driver->extend(t->state, digest, e);
	pthread_mutex_unlock(&t->turn);
	return rc ? err_wrap(e, "%s extend RTMR3", t->driver->name) : 0;
}

int tee_rtmr3(struct tee *t, uint8_t out[static TEE_DIGEST], struct err *e)
{
	pthread_mutex_lock(&t->turn);
	int rc = t->driver->rtmr3(t->state, out, e);
	pthread_mutex_unlock(&t->turn);
	return rc ? err_wrap(e, "%s read RTMR3", t->driver->name) : 0;
}

int tee_boot_log(struct tee *t, struct tee_log *out, struct err *e)
{
	return t->driver->boot_log(t->state, out, e);
}

int tee_root(struct tee *t, uint8_t out[static TEE_ROOT_MAX], size_t *n, struct err *e)
{
	*n = 0;
	return t->driver->root ? t->driver->root(t->state, out, n, e) : 0;
}
