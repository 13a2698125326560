// faketdx - the kernel's side of a TD in tests: a folder with the ABI of configfs-tsm and of the measurement
// registers, where a quote is signed by `dstack-softtee quote` and RTMR3 extends. For tests only.
//
//     faketdx serve --tree DIR --pki DIR --ccel FILE [--quote-args "--mrtd HEX ..."]
//                             prints "ready", runs until it is killed; RTMR0-2 are replayed from the log, or
//                             given
//     faketdx emit --version 1|2 NAME=HEX...             runtime events, through lib/tee as in a guest
#include <fcntl.h>
#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "tee/runtime.h"

enum { REPORT_DATA = 64, EVENTS = 4096, ARGS = 64 };

struct tree {
	const char *dir, *pki, *ccel;
	char *quote_args; // words, NULL: none
	uint8_t rtmr[4][TEE_DIGEST];
	unsigned generation;
};

static int put(const struct tree *t, const char *name, const void *p, size_t n, struct err *e)
{
	auto_free char *path = str_format("%s/%s", t->dir, name);
	return file_write(path, 0600, p, n, e);
}

static int get(const struct tree *t, const char *name, void *p, size_t n, struct err *e)
{
	auto_free char *path = str_format("%s/%s", t->dir, name), *text = NULL;
	size_t got;

	if (file_read(path, 1 << 16, &text, &got, e))
		return -1;
	if (got != n)
		return err_set(e, ERR_SYSTEM, "%s has %zu bytes", name, got);
	memcpy(p, text, n);
	return 0;
}

static int sign(const struct tree *t, const char *report_data, const char *out, struct err *e)
{
	char rtmr[4][2 * TEE_DIGEST + 1];
	pid_t pid;
	int status;

	for (int i = 0; i < 4; i++)
		hex_encode(rtmr[i], t->rtmr[i], TEE_DIGEST);
	const char *argv[ARGS] = { "dstack-softtee", "quote", "--dir", t->pki,    "--report-data",
				   report_data,      "--out", out,     "--rtmr3", rtmr[3] };
	size_t n = 10;
	auto_free char *words = t->quote_args ? strdup(t->quote_args) : NULL;
	if (words) {
		char *rest;
		for (char *w = strtok_r(words, " \n", &rest); w && n < ARGS - 1;
		     w = strtok_r(NULL, " \n", &rest))
			argv[n++] = w;
	} else {
		static const char *const names[] = { "--rtmr0", "--rtmr1", "--rtmr2" };
		for (int i = 0; i < 3; i++) {
			argv[n++] = names[i];
			argv[n++] = rtmr[i];
		}
	}
	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ))
		return err_set(e, ERR_SYSTEM, "start dstack-softtee");
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(e, ERR_SYSTEM, "dstack-softtee failed");
	return 0;
}

// A TEE that takes its time: as many milliseconds as the file `delay` says.
static void take_time(const struct tree *t)
{
	auto_free char *path = str_format("%s/delay", t->dir), *text = NULL;
	struct err none;
	uint64_t ms;
	size_t n;

	if (!file_read(path, 16, &text, &n, &none) && str_u64(text, &ms))
		time_sleep_ms(ms);
}

static int answer_quote(struct tree *t, struct err *e)
{
	uint8_t report_data[REPORT_DATA];
	char text[2 * REPORT_DATA + 1], number[16];
	auto_free char *out = str_format("%s/quote.new", t->dir), *quote = NULL;
	size_t n;

	if (get(t, "inblob", report_data, sizeof report_data, e))
		return -1;
	take_time(t);
	hex_encode(text, report_data, sizeof report_data);
	if (sign(t, text, out, e) || file_read(out, 1 << 16, &quote, &n, e) || put(t, "outblob", quote, n, e))
		return -1;
	snprintf(number, sizeof number, "%u\n", ++t->generation);
	return put(t, "generation", number, strlen(number), e);
}

static int extend(struct tree *t, struct err *e)
{
	uint8_t digest[TEE_DIGEST];

	if (get(t, "rtmr3:sha384", digest, sizeof digest, e))
		return -1;
	register_extend(t->rtmr[3], digest);
	return put(t, "rtmr3:sha384", t->rtmr[3], sizeof t->rtmr[3], e);
}

// RTMR0-2 as the firmware's log says, so that a replay agrees with the quotes.
static int replay(struct tree *t, struct err *e)
{
	auto_free char *bytes = NULL;
	auto_free struct event *events = calloc(EVENTS, sizeof *events);
	struct eventlog log = { .e = events, .cap = events ? EVENTS : 0 };
	struct fault f = { 0 };
	size_t n;

	if (file_read(t->ccel, TEE_BOOT_LOG_MAX, &bytes, &n, e))
		return -1;
	if (eventlog_read_ccel(&log, span_of(bytes, n), &f) || eventlog_replay(t->rtmr, &log, &f))
		return err_code(e, ERR_INPUT, f.code, "%s: %s", t->ccel, f.text);
	memset(t->rtmr[3], 0, sizeof t->rtmr[3]);
	return 0;
}

static int prepare(struct tree *t, struct err *e)
{
	static const uint8_t zero[REPORT_DATA];

	return replay(t, e) || file_mkdirs(t->dir, 0700, e) || put(t, "provider", "tdx_guest\n", 10, e) ||
			       put(t, "generation", "0\n", 2, e) || put(t, "inblob", zero, sizeof zero, e) ||
			       put(t, "outblob", "", 0, e) || put(t, "rtmr3:sha384", zero, TEE_DIGEST, e)
		       ? -1
		       : 0;
}

static int serve(struct tree *t, struct err *e)
{
	union {
		char bytes[4096];
		struct inotify_event align;
	} b;

	if (prepare(t, e))
		return -1;
	auto_close int watch = inotify_init1(IN_CLOEXEC);
	if (watch < 0 || inotify_add_watch(watch, t->dir, IN_MODIFY | IN_CLOSE_WRITE) < 0)
		return err_errno(e, "watch %s", t->dir);
	puts("ready");
	fflush(stdout);
	for (ssize_t n; (n = read(watch, b.bytes, sizeof b.bytes)) > 0;) {
		for (ssize_t at = 0; at < n;) {
			struct inotify_event *ev = (struct inotify_event *)(void *)(b.bytes + at);
			at += (ssize_t)(sizeof *ev + ev->len);
			if (ev->mask & IN_MODIFY && !strcmp(ev->name, "inblob") && answer_quote(t, e))
				return -1;
			if (ev->mask & IN_CLOSE_WRITE && !strcmp(ev->name, "rtmr3:sha384") && extend(t, e))
				return -1;
		}
	}
	return err_errno(e, "watch %s", t->dir);
}

static int emit(int version, char **pairs, struct err *e)
{
	struct tee *t = tee_open("tdx", e);
	int rc = t ? runtime_set_version(runtime_dir(), version, e) : -1;

	for (; !rc && *pairs; pairs++) {
		char *eq = strchr(*pairs, '=');
		uint8_t payload[1024];
		size_t n;
		if (!eq || hex_read(payload, sizeof payload, eq + 1, strlen(eq + 1), &n))
			rc = err_set(e, ERR_INPUT, "want NAME=HEX, not %s", *pairs);
		else {
			*eq = 0;
			rc = runtime_emit(t, runtime_dir(), *pairs, payload, n, e);
		}
	}
	if (t)
		tee_close(t);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "tree", required_argument, NULL, 't' },       { "pki", required_argument, NULL, 'p' },
		{ "ccel", required_argument, NULL, 'c' },       { "version", required_argument, NULL, 'v' },
		{ "quote-args", required_argument, NULL, 'q' }, { 0 }
	};
	struct tree t = { 0 };
	struct err e = { 0 };
	int version = 1;

	for (int o; (o = getopt_long(argc, argv, "", opts, NULL)) != -1;) {
		if (o == 't')
			t.dir = optarg;
		else if (o == 'p')
			t.pki = optarg;
		else if (o == 'c')
			t.ccel = optarg;
		else if (o == 'q')
			t.quote_args = optarg;
		else if (o == 'v')
			version = atoi(optarg);
		else
			return 2;
	}
	const char *verb = optind < argc ? argv[optind] : "";
	int rc = !strcmp(verb, "serve") && t.dir && t.pki && t.ccel ? serve(&t, &e)
		 : !strcmp(verb, "emit")                            ? emit(version, argv + optind + 1, &e)
					 : err_set(&e, ERR_INPUT, "see the head of faketdx.c");
	if (rc)
		fprintf(stderr, "faketdx: %s\n", e.text);
	return rc ? err_exit(&e) : 0;
}
