#include "supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "crypto/engine.h"
#include "jail.h"
#include "../judge/judge_wire.h"
#include "../keys/keyproc_wire.h"
#include "pass.h"
#include "rpc/server.h"
#include "../service/service.h"

enum {
	KEY_ROOM = 512 * 1024, // as much as may wait at the key process
	JUDGE_ROOM = 256 * 1024,
	ENDS_MAX = 10, // of network and key processes in
	ENDS_MS = 60000,
	AT_ONCE = 8,    // after so many of them the next one waits
	PAUSE_MS = 500, // that long
	STOP_MS = 15000,
};

struct judge_child {
	pid_t pid;
	uint32_t serial;
};

struct supervisor {
	const struct kms_config *config;
	int (*net_main)(const struct kms_config *, const struct net_ends *);
	struct engine *engine; // of the judges: born with it
	sigset_t was;          // signals, for the children
	int signals, listener, admin;
	pid_t self, keys, net; // 0: none
	int to_keys, to_net;   // -1: none
	struct judge_child judge[JUDGES_MAX];
	size_t n_judges;
	uint32_t serials;
	bool was_ready, stopping;
	int status; // of the network process that ended it
	uint64_t ends[ENDS_MAX], n_ends;
	uint64_t due, stop_by; // monotonic ms; due: a network process is to be started, 0: none
};

// ---- what a child does first

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

// Of all descriptors, only these and the standard ones stay.
static void keep_only(int *fds, size_t n)
{
	unsigned from = 3;

	qsort(fds, n, sizeof *fds, by_number);
	for (size_t i = 0; i < n; i++) {
		if (fds[i] < (int)from)
			continue;
		if (fds[i] > (int)from)
			close_range(from, (unsigned)fds[i] - 1, 0);
		from = (unsigned)fds[i] + 1;
	}
	close_range(from, ~0U, 0);
}

// The end of the supervisor is the end of its children, also when it is killed.
static void be_child(const struct supervisor *s, int *fds, size_t n)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != s->self)
		_exit(1);
	keep_only(fds, n);
	sigprocmask(SIG_SETMASK, &s->was, NULL);
}

static int pair_of(int type, int room, int ends[2], struct err *e)
{
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends))
		return err_errno(e, "socketpair");
	for (int i = 0; room && i < 2; i++)
		setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	return 0;
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

// ---- starting them

static int start_keys(struct supervisor *s, struct err *e)
{
	int ends[2];

	drop(&s->to_keys);
	if (pair_of(SOCK_SEQPACKET, 0, ends, e))
		return -1;
	pid_t pid = fork();
	if (!pid) {
		be_child(s, &ends[1], 1);
		prctl(PR_SET_NAME, "kms-keys");
		keyproc_run(ends[1], &s->config->keys);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_errno(e, "start the key process");
	}
	s->keys = pid;
	s->to_keys = ends[0];
	return 0;
}

// A socket that leads to the key process; what led there before does not any more.
static int ask_keys(struct supervisor *s, struct err *e)
{
	const struct kms_pass m = { .kind = PASS_ASKER };
	int ends[2];

	if (pair_of(SOCK_SEQPACKET, KEY_ROOM, ends, e))
		return -1;
	// When it has just ended, its successor gets a socket of its own.
	(void)kms_pass(s->to_keys, &m, ends[1]);
	close(ends[1]);
	return ends[0];
}

static int start_judge(struct supervisor *s, size_t seat, struct err *e)
{
	struct judge_child *j = &s->judge[seat];
	int ends[2];

	*j = (struct judge_child){ 0 };
	if (pair_of(SOCK_STREAM, JUDGE_ROOM, ends, e))
		return -1;
	pid_t pid = fork();
	if (!pid) {
		be_child(s, &ends[1], 1);
		judge_process(ends[1], s->engine);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_errno(e, "start a judge");
	}
	*j = (struct judge_child){ pid, ++s->serials };
	return ends[0];
}

static void net_child(struct supervisor *s, struct net_ends *n)
{
	int fds[JUDGES_MAX + 4], k = 0;

	fds[k++] = n->listener;
	fds[k++] = n->control;
	fds[k++] = n->keys;
	if (n->admin >= 0)
		fds[k++] = n->admin;
	for (size_t i = 0; i < n->n_judges; i++)
		fds[k++] = n->judge[i];
	be_child(s, fds, (size_t)k);
	prctl(PR_SET_NAME, "kms-net");
	_exit(s->net_main(s->config, n));
}

static int fork_net(struct supervisor *s, struct net_ends *n, struct err *e)
{
	int control[2];

	if (pair_of(SOCK_SEQPACKET, 0, control, e))
		return -1;
	n->control = control[1];
	s->net = fork();
	if (!s->net)
		net_child(s, n);
	close(control[1]);
	s->to_net = control[0];
	return s->net < 0 ? err_errno(e, "start the network process") : 0;
}

// A network process with judges of its own.
static int start_net(struct supervisor *s, struct err *e)
{
	struct net_ends n = {
		.listener = s->listener, .admin = s->admin, .n_judges = s->n_judges, .again = s->was_ready
	};
	int rc = 0;

	drop(&s->to_net);
	for (size_t i = 0; i < s->n_judges; i++) {
		if (s->judge[i].pid)
			kill(s->judge[i].pid, SIGKILL); // reaped as one that is nobody's
		n.judge[i] = rc ? -1 : start_judge(s, i, e);
		n.serial[i] = s->judge[i].serial;
		rc |= n.judge[i] < 0;
	}
	n.keys = rc ? -1 : ask_keys(s, e);
	rc = rc || n.keys < 0 || fork_net(s, &n, e) ? -1 : 0;
	for (size_t i = 0; i < s->n_judges; i++)
		drop(&n.judge[i]);
	drop(&n.keys);
	return rc;
}

// ---- when one has ended

// Too many: no more of them.
static bool too_many(struct supervisor *s)
{
	uint64_t now = time_mono_ms(), *oldest = &s->ends[s->n_ends % ENDS_MAX];
	bool many = s->n_ends >= ENDS_MAX && now - *oldest < ENDS_MS;

	*oldest = now;
	s->n_ends++;
	return many;
}

static size_t lately(const struct supervisor *s)
{
	size_t n = 0;

	for (size_t i = 0; i < ENDS_MAX && i < s->n_ends; i++)
		n += time_mono_ms() - s->ends[i] < ENDS_MS;
	return n;
}

static void replace_judge(struct supervisor *s, size_t seat)
{
	struct kms_pass m = { .kind = PASS_JUDGE, .seat = (uint32_t)seat };
	struct err e = { 0 };
	int fd = start_judge(s, seat, &e);

	m.serial = s->judge[seat].serial;
	if (fd < 0)
		log_error("kms", "no judge: %s", e.text);
	else
		(void)kms_pass(s->to_net, &m, fd); // it may be ending itself
	if (fd >= 0)
		close(fd);
}

static int replace_keys(struct supervisor *s, struct err *e)
{
	const struct kms_pass m = { .kind = PASS_KEYS };

	if (start_keys(s, e))
		return -1;
	int fd = s->net ? ask_keys(s, e) : -1;
	if (fd < 0)
		return s->net ? -1 : 0;
	int rc = kms_pass(s->to_net, &m, fd);
	close(fd);
	return rc && s->net ? err_set(e, ERR_SYSTEM, "the key process could not be handed over") : 0;
}

static const char *how(int status)
{
	static char text[32];

	if (WIFSIGNALED(status))
		snprintf(text, sizeof text, "signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof text, "status %d", WEXITSTATUS(status));
	return text;
}

static int crash_loop(struct err *e)
{
	return err_code(e, ERR_SYSTEM, "kms.crash_loop",
			"more than %d processes of this KMS ended within a minute", ENDS_MAX);
}

static int keys_ended(struct supervisor *s, int status, struct err *e)
{
	s->keys = 0;
	if (s->stopping || !s->was_ready) // the network process says why, if it asks
		return 0;
	log_error("kms", "the key process ended (%s); another one is started", how(status));
	return too_many(s) ? crash_loop(e) : replace_keys(s, e);
}

static int net_ended(struct supervisor *s, int status, struct err *e)
{
	s->net = 0;
	drop(&s->to_net);
	if (s->stopping || !s->was_ready) {
		bool told = s->stopping && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
		s->status = told ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		s->stopping = true;
		return 0;
	}
	log_error("kms", "the network process ended (%s); another one is started", how(status));
	if (too_many(s))
		return crash_loop(e);
	s->due = time_mono_ms() + (lately(s) > AT_ONCE ? PAUSE_MS : 0);
	return 0;
}

static int reap(struct supervisor *s, struct err *e)
{
	int status, rc = 0;
	pid_t pid;

	while (!rc && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->keys)
			rc = keys_ended(s, status, e);
		else if (pid == s->net)
			rc = net_ended(s, status, e);
		for (size_t i = 0; i < s->n_judges; i++)
			if (pid == s->judge[i].pid) {
				s->judge[i].pid = 0;
				if (s->net && !s->stopping)
					replace_judge(s, i);
			}
	}
	return rc;
}

// ---- the loop

static void stop(struct supervisor *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->stop_by = time_mono_ms() + STOP_MS;
	s->due = 0;
	drop(&s->listener); // who comes now is turned away
	drop(&s->admin);
	if (s->net)
		kill(s->net, SIGTERM);
}

static int on_signals(struct supervisor *s, struct err *e)
{
	struct signalfd_siginfo i;
	int rc = 0;

	while (!rc && read(s->signals, &i, sizeof i) == (ssize_t)sizeof i) {
		if (i.ssi_signo == SIGCHLD)
			rc = reap(s, e);
		else
			stop(s);
	}
	return rc;
}

static void on_message(struct supervisor *s)
{
	struct kms_pass m;
	int fd;

	if (kms_take(s->to_net, &m, &fd)) {
		drop(&s->to_net); // it is ending; SIGCHLD follows
		return;
	}
	if (fd >= 0)
		close(fd);
	if (m.kind == PASS_READY)
		s->was_ready = true;
	else if (m.kind == PASS_LOST && m.seat < s->n_judges && s->judge[m.seat].pid &&
		 s->judge[m.seat].serial == m.serial)
		kill(s->judge[m.seat].pid, SIGKILL);
}

static int wait_ms(const struct supervisor *s)
{
	uint64_t now = time_mono_ms(), at = s->stopping ? s->stop_by : s->due;

	return !at ? -1 : at > now ? (int)(at - now) : 0;
}

static bool is_over(const struct supervisor *s)
{
	return s->stopping && !s->net;
}

static int run(struct supervisor *s, struct err *e)
{
	int rc = 0;

	while (!rc && !is_over(s)) {
		struct pollfd p[2] = { { s->signals, POLLIN, 0 }, { s->to_net, POLLIN, 0 } };
		if (poll(p, 2, wait_ms(s)) < 0 && errno != EINTR)
			return err_errno(e, "poll");
		if (p[1].revents)
			on_message(s);
		if (p[0].revents)
			rc = on_signals(s, e);
		if (s->stopping && s->net && s->stop_by && time_mono_ms() >= s->stop_by)
			kill(s->net, SIGKILL);
		if (!rc && s->due && time_mono_ms() >= s->due) {
			s->due = 0;
			rc = start_net(s, e);
		}
	}
	return rc;
}

// ---- its life

static int watch(struct supervisor *s, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, &s->was);
	signal(SIGPIPE, SIG_IGN);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? err_errno(e, "watch signals") : 0;
}

static int listen_all(struct supervisor *s, struct err *e)
{
	const struct kms_config *c = s->config;

	s->listener = rpc_socket(c->address, 0, e);
	if (s->listener >= 0 && *c->admin_address) {
		s->admin = rpc_socket(c->admin_address, 0, e);
		return s->admin < 0 ? err_wrap(e, "admin listener") : 0;
	}
	return s->listener < 0 ? -1 : 0;
}

// Addresses are taken when the keys and the log are. When those cannot be had, the network process is told so
// and says it.
static int listen_when_ready(struct supervisor *s, struct err *e)
{
	struct kms_pass m;
	int fd;

	if (kms_take(s->to_keys, &m, &fd) || m.kind != PASS_READY || m.seat)
		return 0;
	return listen_all(s, e);
}

static int begin(struct supervisor *s, struct err *e)
{
	const struct kms_config *c = s->config;

	// One more than threads that release keys, so that other questions never wait for those.
	s->n_judges = (size_t)c->workers + 1;
	s->engine = service_engine(c, e);
	return !s->engine || watch(s, e) || start_keys(s, e) || listen_when_ready(s, e) ||
			       jail_supervisor(e) || start_net(s, e)
		       ? -1
		       : 0;
}

// Whoever is left has nobody to serve.
static void end_all(struct supervisor *s)
{
	if (s->net)
		kill(s->net, SIGKILL);
	for (size_t i = 0; i < s->n_judges; i++)
		if (s->judge[i].pid)
			kill(s->judge[i].pid, SIGKILL);
	drop(&s->to_keys); // it ends by itself, between two records
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	drop(&s->to_net);
	drop(&s->listener);
	drop(&s->admin);
	drop(&s->signals);
	engine_free(s->engine);
}

int supervise(const struct kms_config *c, int (*net)(const struct kms_config *c, const struct net_ends *ends),
	      struct err *e)
{
	struct supervisor s = { .config = c,
				.net_main = net,
				.self = getpid(),
				.signals = -1,
				.listener = -1,
				.admin = -1,
				.to_keys = -1,
				.to_net = -1 };
	int rc = begin(&s, e) ? -1 : run(&s, e);

	end_all(&s);
	return rc ? -1 : s.status;
}
