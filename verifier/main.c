// dstack-verifier - answers whether evidence is what it claims to be. spec: docs/verifier.md.
#include <event2/event.h>
#include <getopt.h>
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

enum { STOP_S = 10, OPT_CHECK = 256, OPT_HELP_CONFIG, OPT_LOG, OPT_LEVEL, OPT_VERSION, OPT_VERIFY, OPT_CERT };

struct args {
	const char *file, *request, *cert;
	bool check, json;
	enum log_level level;
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: dstack-verifier [-c FILE] [options]\nVerifies evidence of dstack's confidential "
		"VMs.\n\n"
		"  -c, --config FILE     configuration (TOML); also DSTACK_VERIFIER_* variables\n"
		"      --verify FILE     verify one request, write FILE.verification.json, exit 0 or 1\n"
		"      --verify-cert FILE  verify an RA-TLS certificate, write FILE.ratls-verification.json\n"
		"      --check           read and check the configuration, then exit\n"
		"      --help-config     print every key with its default and meaning\n"
		"      --log FORMAT      text (default) or json\n"
		"      --log-level L     error, warn, info (default) or debug\n"
		"      --version         print the version\n"
		"  -h, --help            print this\n");
}

static bool option(struct args *a, int o)
{
	switch (o) {
	case 'c':
		a->file = optarg;
		return true;
	case OPT_VERIFY:
		a->request = optarg;
		return !a->cert;
	case OPT_CERT:
		a->cert = optarg;
		return !a->request;
	case OPT_CHECK:
		a->check = true;
		return true;
	case OPT_LOG:
		a->json = !strcmp(optarg, "json");
		return a->json || !strcmp(optarg, "text");
	case OPT_LEVEL:
		return log_level_parse(optarg, &a->level);
	default:
		return false;
	}
}

// -1: go on; else the status to exit with.
static int parse_args(struct args *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "verify", required_argument, NULL, OPT_VERIFY },
		{ "verify-cert", required_argument, NULL, OPT_CERT },
		{ "check", no_argument, NULL, OPT_CHECK },
		{ "help-config", no_argument, NULL, OPT_HELP_CONFIG },
		{ "log", required_argument, NULL, OPT_LOG },
		{ "log-level", required_argument, NULL, OPT_LEVEL },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};

	for (int o; (o = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
		if (o == OPT_VERSION) {
			printf("dstack-verifier %s (%s)\n", version_text, version_rev);
			return 0;
		}
		if (o == 'h') {
			usage(stdout);
			return 0;
		}
		if (o == OPT_HELP_CONFIG) {
			config_help(stdout, verifier_config_keys, verifier_config_n_keys);
			return 0;
		}
		if (!option(a, o)) {
			usage(stderr);
			return 2;
		}
	}
	if (optind == argc)
		return -1;
	usage(stderr);
	return 2;
}

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

static int run(const struct args *a, const struct verifier_config *c, struct err *e)
{
	struct checker k;

	if (*c->root)
		log_warn("verifier",
			 "INSECURE DEVELOPMENT is on: evidence under root=%s is accepted, and marked",
			 c->root);
	if (checker_init(&k, c, e))
		return -1;
	bool one_shot = a->request || a->cert;
	int r = one_shot && jail_enter(e) ? -1
		: a->request              ? once(&k, a->request, false, e)
		: a->cert                 ? once(&k, a->cert, true, e)
					  : serve(&k, c, e);

	checker_free(&k);
	return r;
}

int main(int argc, char **argv)
{
	struct args a = { .level = LOG_LEVEL_INFO };
	struct verifier_config c;
	struct err e = { 0 };
	int status = parse_args(&a, argc, argv);

	if (status >= 0)
		return status;
	log_setup(a.json, a.level);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (verifier_config_read(&c, a.file, environ, &e)) {
		log_error("verifier", "%s code=%s", e.text, *e.code ? e.code : "none");
		return err_exit(&e);
	}
	status = a.check ? 0 : run(&a, &c, &e);
	verifier_config_free(&c);
	if (status >= 0)
		return status;
	log_error("verifier", "%s code=%s", e.text, *e.code ? e.code : "none");
	return err_exit(&e);
}
