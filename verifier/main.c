// dstack-verifier - answers whether evidence is what it claims to be. spec: docs/verifier.md.
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "certificate.h"
#include "jail.h"
#include "service.h"

enum { STOP_S = 10 };

// ---- once

// The report beside the file and as one line on standard output. 0: valid, 1: not.
static int once(struct checker *k, const char *path, bool cert, struct err *e)
{
	auto_free char *text = NULL;
	auto_sb out = { 0 };
	bool valid;
	size_t n;

	if (file_read(path, REQUEST_MAX, &text, &n, e))
		return -1;
	if (cert)
		valid = certificate_check(k, span_of(text, n), &out);
	else if (check_body(k, span_of(text, n), &out, &valid, e))
		return err_wrap(e, "%s", path);
	char *report = str_format("%s.%s", path, cert ? "ratls-verification.json" : "verification.json");
	int r = report && !out.bad ? file_write(report, 0644, out.p, out.n, e)
				   : err_set(e, ERR_SYSTEM, "out of memory");

	free(report);
	if (!r)
		printf("%s\n", out.p);
	return r ? r : !valid;
}

// ---- for ever

struct daemon {
	struct event_base *base;
	struct service *service;
	struct checker *checker;
};

static void on_done(void *arg)
{
	event_base_loopbreak(((struct daemon *)arg)->base);
}

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	(void)what;
	log_info("verifier", "stopping signal=%d", (int)sig);
	downloads_stop(d->checker->downloads); // an answer that cannot be waited for
	service_stop(d->service, STOP_S, on_done, d);
}

static int loop(struct daemon *d, const struct verifier_config *c, struct err *e)
{
	struct event *on[2] = { evsignal_new(d->base, SIGTERM, on_stop, d),
				evsignal_new(d->base, SIGINT, on_stop, d) };
	int r = 0;

	for (size_t i = 0; i < 2 && !r; i++)
		if (!on[i] || event_add(on[i], NULL))
			r = err_set(e, ERR_SYSTEM, "watch signals");
	if (!r)
		r = service_listen(d->service, c->address, e) || jail_enter(e) ? -1 : 0;
	if (!r) {
		log_info("verifier", "ready address=%s version=%s", c->address, version_text);
		event_base_dispatch(d->base);
	}
	for (size_t i = 0; i < 2; i++)
		if (on[i])
			event_free(on[i]);
	return r;
}

static int serve(struct checker *k, const struct verifier_config *c, struct err *e)
{
	struct daemon d = { .base = event_base_new(), .checker = k };

	if (!d.base)
		return err_set(e, ERR_SYSTEM, "start event loop");
	d.service = service_new(d.base, k, c, e);
	int r = d.service ? loop(&d, c, e) : -1;

	service_free(d.service);
	event_base_free(d.base);
	return r;
}

static int run(const char *request, const char *cert, const struct verifier_config *c, struct err *e)
{
	struct checker k;

	if (*c->root)
		log_warn("verifier",
			 "INSECURE DEVELOPMENT is on: evidence under root=%s is accepted, and marked",
			 c->root);
	if (checker_init(&k, c, e))
		return -1;
	int r = (request || cert) && jail_enter(e) ? -1
		: request                          ? once(&k, request, false, e)
		: cert                             ? once(&k, cert, true, e)
						   : serve(&k, c, e);

	checker_free(&k);
	return r;
}

int main(int argc, char **argv)
{
	const char *request = NULL, *cert = NULL;
	const struct config_option options[] = {
		{ "verify", "FILE", "verify one request, write FILE.verification.json, exit 0 or 1",
		  &request },
		{ "verify-cert", "FILE", "verify an RA-TLS certificate, write FILE.ratls-verification.json",
		  &cert },
	};
	struct config_args a = {
		.program = "dstack-verifier",
		.summary = "Verifies evidence of dstack's confidential VMs.",
		.file_doc = "; also DSTACK_VERIFIER_* variables",
		.keys = verifier_config_keys,
		.n_keys = verifier_config_n_keys,
		.file_optional = true,
		.option = options,
		.n_options = sizeof options / sizeof *options,
	};
	struct verifier_config c;
	struct err e = { 0 };
	int status = config_args(&a, argc, argv);

	if (status >= 0)
		return status;
	if (request && cert) {
		fprintf(stderr, "dstack-verifier: --verify and --verify-cert exclude each other\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (verifier_config_read(&c, a.file, environ, &e)) {
		log_error("verifier", "%s code=%s", e.text, *e.code ? e.code : "none");
		return err_exit(&e);
	}
	status = a.check ? 0 : run(request, cert, &c, &e);
	verifier_config_free(&c);
	if (status >= 0)
		return status;
	log_error("verifier", "%s code=%s", e.text, *e.code ? e.code : "none");
	return err_exit(&e);
}
