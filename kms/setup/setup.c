#include "setup.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "bootstrap.h"
#include "../process/jail.h"
#include "onboard.h"
#include "rpc/client.h"

static int make_at_once(struct onboard *o, struct err *e)
{
	const struct kms_config *c = o->config;
	const char *domain = *c->bootstrap_domain ? c->bootstrap_domain : c->names[0];
	struct bootstrap_info made;

	if (bootstrap_run(c, &o->self, domain, &made, e))
		return -1;
	bootstrap_info_free(&made);
	return 0;
}

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	(void)sig, (void)what;
	event_base_loopbreak(arg);
}

static int serve(struct onboard *o, struct err *e)
{
	struct event_base *base = event_base_new();
	struct event *on[2] = { NULL, NULL };
	int rc = -1;

	if (base) {
		on[0] = evsignal_new(base, SIGTERM, on_stop, base);
		on[1] = evsignal_new(base, SIGINT, on_stop, base);
	}
	if (!base || !on[0] || !on[1] || event_add(on[0], NULL) || event_add(on[1], NULL))
		err_set(e, ERR_SYSTEM, "start event loop");
	else if (!onboard_start(o, base, e) && !jail_service(e)) {
		event_base_dispatch(base);
		rc = o->finished ? 0
				 : err_code(e, ERR_AGAIN, "setup.unfinished", "stopped before it was set up");
	}
	onboard_stop(o);
	for (int i = 0; i < 2; i++)
		if (on[i])
			event_free(on[i]);
	if (base)
		event_base_free(base);
	return rc;
}

static int in_child(const struct kms_config *c, struct err *e)
{
	struct onboard o = { 0 };

	if (prctl(PR_SET_PDEATHSIG, SIGTERM))
		return err_errno(e, "set-up: prctl");
	if (secret_process(e) || rpc_client_setup() || onboard_init(&o, c, e))
		return e->class ? -1 : err_set(e, ERR_SYSTEM, "start the HTTP client");
	int rc = c->bootstrap ? make_at_once(&o, e) : serve(&o, e);
	onboard_free(&o);
	return rc;
}

static int child(int fd, const struct kms_config *c)
{
	struct err e = { 0 };
	int rc = in_child(c, &e);

	if (rc && e.class == ERR_NONE)
		err_set(&e, ERR_BUG, "the set-up failed");
	if (!rc)
		e = (struct err){ 0 };
	return write(fd, &e, sizeof e) == (ssize_t)sizeof e && !rc ? 0 : 1;
}

int setup_run(const struct kms_config *c, struct err *e)
{
	struct err got = { 0 };
	ssize_t n;
	int ends[2];

	if (!c->bootstrap && !*c->onboard_address)
		return err_code(e, ERR_ABSENT, "kms.no_keys",
				"%s has no keys, and neither bootstrap nor onboarding is configured",
				c->keys.dir);
	if (pipe(ends))
		return err_errno(e, "set-up: pipe");
	pid_t pid = fork();
	if (!pid) {
		close(ends[0]);
		_exit(child(ends[1], c));
	}
	close(ends[1]);
	do
		n = pid < 0 ? -1 : read(ends[0], &got, sizeof got);
	while (n < 0 && errno == EINTR);
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof got)
		return err_set(e, ERR_SYSTEM, "the set-up ended without a word");
	if (got.class == ERR_NONE)
		return 0;
	*e = got;
	return -1;
}
