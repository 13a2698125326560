#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../words.h"
#include "api.h"
#include "base/cleanup.h"
#include "base/strings.h"
#include "base/time.h"

enum { PIECE = 16 * 1024, POLL_MS = 250, HEARTBEAT_MS = 60000, LINES = 10000 };

// One reader of one log. The file is opened anew for each look: it may be rotated or not be there yet.
struct reader {
	const struct daemon *daemon;
	char id[65];
	struct http_conn *conn;
	struct event *timer;
	char path[700];
	off_t at;
	ino_t ino;
	bool follow, keep_ansi;
	enum words_strip strip;
	uint64_t last_ms;
};

static bool param(struct span query, const char *name, char *out, size_t cap)
{
	return words_param(query.p, query.n, name, out, cap);
}

static bool on(struct span query, const char *name)
{
	char v[8];

	return param(query, name, v, sizeof v) && (!*v || !strcmp(v, "true") || !strcmp(v, "1"));
}

// The offset where the last `lines` lines begin.
static off_t tail(int fd, off_t size, uint64_t lines)
{
	char block[PIECE];
	uint64_t seen = 0;

	for (off_t end = size; end > 0;) {
		size_t n = end > PIECE ? PIECE : (size_t)end;

		end -= (off_t)n;
		if (pread(fd, block, n, end) != (ssize_t)n)
			return 0;
		for (size_t i = n; i-- > 0;)
			if (block[i] == '\n' && end + (off_t)i + 1 < size && ++seen == lines)
				return end + (off_t)i + 1;
	}
	return 0;
}

static void more(struct http_conn *c, void *arg)
{
	struct timeval again = { .tv_usec = POLL_MS * 1000 };
	struct reader *r = arg;
	auto_close int fd = open(r->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char block[PIECE];
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		if (r->follow && vm_find(r->daemon, r->id)) {
			event_add(r->timer, &again);
			return;
		}
		http_write(c, "no such log yet\n", 16);
		http_end(c);
		return;
	}
	if (st.st_size < r->at || (r->ino && st.st_ino != r->ino))
		r->at = 0; // rotated
	r->ino = st.st_ino;
	ssize_t n = pread(fd, block, sizeof block, r->at);
	if (n > 0) {
		r->at += n;
		r->last_ms = time_mono_ms();
		size_t k = r->keep_ansi ? (size_t)n : words_strip(&r->strip, block, (size_t)n);
		if (k)
			http_write(c, block, k);
		else
			event_active(r->timer, EV_TIMEOUT, 0);
		return;
	}
	if (!r->follow) {
		http_end(c);
		return;
	}
	event_add(r->timer, &again);
	if (time_mono_ms() - r->last_ms > HEARTBEAT_MS) {
		r->last_ms = time_mono_ms();
		http_write(c, "[vmm heartbeat]\n", 16);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	http_wake(((struct reader *)arg)->conn);
}

static void gone(void *arg)
{
	struct reader *r = arg;

	event_free(r->timer);
	free(r);
}

static const char *file_of(const char *channel)
{
	static const char *const files[][2] = { { "", "serial.log" },       { "serial", "serial.log" },
						{ "stdout", "stderr.log" }, { "stderr", "stderr.log" },
						{ "runner", "runner.log" }, { "tee", "tee.log" } };

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (!strcmp(channel, files[i][0]))
			return files[i][1];
	return NULL;
}

static void refuse(struct http_conn *c, int status, const char *text)
{
	http_reply(c, status, "text/plain", text, strlen(text));
}

static void logs(struct http_conn *c, void *arg)
{
	struct daemon *d = arg;
	struct span query = http_request(c)->query;
	char id[80], channel[32], lines[24], text[64];
	uint64_t count = LINES;
	struct err ignored = { 0 };

	param(query, "id", id, sizeof id);
	param(query, "ch", channel, sizeof channel);
	const struct vm *v = check_vm_id(id, &ignored) ? NULL : vm_find(d, id);
	const char *file = file_of(channel);
	if (!v) {
		refuse(c, 404, "VM not found");
		return;
	}
	if (!file) {
		snprintf(text, sizeof text, "Unknown channel %s", STR_QZ(channel));
		refuse(c, 400, text);
		return;
	}
	if (param(query, "lines", lines, sizeof lines) && !str_uint(lines, 0, 1000000, &count)) {
		refuse(c, 400, "lines is not a number up to 1000000");
		return;
	}
	struct reader *r = calloc(1, sizeof *r);
	if (!r || !(r->timer = evtimer_new(d->base, on_timer, r))) {
		free(r);
		refuse(c, 500, "out of memory");
		return;
	}
	r->conn = c;
	r->daemon = d;
	memcpy(r->id, v->m.id, sizeof r->id);
	r->follow = on(query, "follow");
	r->keep_ansi = on(query, "ansi");
	r->last_ms = time_mono_ms();
	snprintf(r->path, sizeof r->path, "%s/%s", v->dir, file);
	auto_close int fd = open(r->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd >= 0 && !fstat(fd, &st)) {
		r->at = count ? tail(fd, st.st_size, count) : st.st_size;
		r->ino = st.st_ino;
	}
	http_stream(c, 200, "text/plain", more, gone, r);
}

int logs_mount(struct rpc_server *s, struct daemon *d)
{
	return rpc_server_raw(s, "/logs", logs, d);
}
