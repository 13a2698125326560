#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "../words.h"
#include "private.h"

enum { TAIL = 64 * 1024, CHECK_S = 2 };

static const char LOG[] = "serial.log";

static void segment(char out[static 64], const char *name, unsigned i)
{
	snprintf(out, 64, "%s.%u", name, i);
}

static int copy_file(const char *from, const char *to)
{
	auto_close int in = open(from, O_RDONLY | O_CLOEXEC);
	auto_close int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t n = -1;

	if (in >= 0 && out >= 0)
		while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
			;
	return (int)n;
}

// QEMU keeps the log open for appending, so it is copied and emptied, not moved.
static void rotate(const char *name, unsigned backups)
{
	char older[64], newer[64];

	for (unsigned i = backups; i > 1; i--) {
		segment(older, name, i);
		segment(newer, name, i - 1);
		rename(newer, older);
	}
	segment(newer, name, 1);
	if (backups && copy_file(name, newer))
		log_warn("vmm", "%s could not be kept", name);
	if (truncate(name, 0))
		log_warn("vmm", "%s could not be emptied", name);
}

int serial_begin(const struct runner *r, struct err *e)
{
	static const char *const logs[] = { "serial.log", "stderr.log", "tee.log" };
	char when[TIME_TEXT];
	struct stat st;

	for (size_t i = 0; i < sizeof logs / sizeof *logs; i++)
		if (!lstat(logs[i], &st) && st.st_size)
			rotate(logs[i], r->launch.log_backups);
	auto_close int fd = open(LOG, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "open %s", LOG);
	time_text(when, time_now_ms());
	if (dprintf(fd, "===== boot @ %.19sZ =====\n\n", when) < 0)
		return err_errno(e, "write %s", LOG);
	return 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	const struct runner *r = arg;
	struct stat st;

	(void)fd, (void)what;
	if (!stat(LOG, &st) && (uint64_t)st.st_size > r->launch.log_max)
		rotate(LOG, r->launch.log_backups);
}

void serial_watch(struct runner *r)
{
	struct timeval every = { .tv_sec = CHECK_S };

	r->log_timer = event_new(r->base, -1, EV_PERSIST, on_timer, r);
	if (r->log_timer)
		event_add(r->log_timer, &every);
}

void serial_link_pty(void)
{
	auto_free char *text = NULL;
	struct err ignored = { 0 };
	char pty[32] = "";
	size_t n;

	if (!access("serial.pty", F_OK) || file_read("stderr.log", 1 << 20, &text, &n, &ignored))
		return;
	const char *at = strstr(text, "redirected to /dev/pts/");
	if (at)
		snprintf(pty, sizeof pty, "/dev/pts/%.*s", (int)strspn(at + 23, "0123456789"), at + 23);
	unlink("serial.pty");
	if (*pty && symlink(pty, "serial.pty"))
		log_warn("vmm", "no serial.pty");
}

bool serial_last_words(char *out, size_t cap)
{
	auto_free char *text = calloc(1, TAIL + 1);
	auto_close int fd = open(LOG, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (!text || fd < 0 || fstat(fd, &st))
		return false;
	off_t from = st.st_size > TAIL ? st.st_size - TAIL : 0;
	ssize_t n = pread(fd, text, TAIL, from);
	return n > 0 && words_last(out, cap, text, (size_t)n);
}
