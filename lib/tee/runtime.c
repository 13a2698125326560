#include "tee/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"

#define LOG_FILE     "runtime_events.log"
#define VERSION_FILE "runtime_event_version"
#define LOCK_FILE    "runtime_event.lock"
#define INTENT_FILE  "runtime_event.intent"

enum { INTENT_MAX = 2 * RUNTIME_PAYLOAD_MAX };

const char *runtime_dir(void)
{
	const char *dir = getenv("DSTACK_RUNTIME_LOG_DIR");

	return dir && *dir ? dir : RUNTIME_DIR;
}

static int open_dir(const char *dir, struct err *e)
{
	if (file_mkdirs(dir, 0755, e))
		return -1;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_errno(e, "open %s", dir) : fd;
}

static int lock(int dirfd, struct err *e)
{
	int fd = openat(dirfd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(e, "open %s", LOCK_FILE);
	while (flock(fd, LOCK_EX))
		if (errno != EINTR) {
			err_errno(e, "lock %s", LOCK_FILE);
			close(fd);
			return -1;
		}
	return fd;
}

// A whole file; *out is NULL when it does not exist.
static int slurp(int dirfd, const char *name, size_t cap, char **out, size_t *n, struct err *e)
{
	*out = NULL;
	*n = 0;
	if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
		return 0;
	return file_read_at(dirfd, name, cap, out, n, e);
}

static int put_file(int dirfd, const char *name, int flags, const void *p, size_t n, struct err *e)
{
	auto_close int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n || fsync(fd))
		return err_errno(e, "write %s", name);
	return 0;
}

static int read_version(int dirfd, struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	if (slurp(dirfd, VERSION_FILE, 16, &text, &n, e))
		return -1;
	if (!n)
		return err_code(e, ERR_INPUT, "runtime.version_unset",
				"the event log version is not set yet");
	if (n > 2 || (n == 2 && text[1] != '\n') || (text[0] != '1' && text[0] != '2'))
		return err_code(e, ERR_SYSTEM, "runtime.version", "%s is damaged", VERSION_FILE);
	return text[0] - '0';
}

int runtime_set_version(const char *dir, int version, struct err *e)
{
	struct err why;
	char text = (char)('0' + version);

	if (version != 1 && version != 2)
		return err_code(e, ERR_INPUT, "runtime.version", "event_log_version must be 1 or 2, not %d",
				version);
	auto_close int dirfd = open_dir(dir, e);
	if (dirfd < 0)
		return -1;
	auto_close int held = lock(dirfd, e);
	if (held < 0)
		return -1;
	int now = read_version(dirfd, &why);
	if (now == version)
		return 0;
	if (now > 0)
		return err_code(e, ERR_DENIED, "runtime.version",
				"event log version is %d for this boot: restart the CVM to change it", now);
	if (strcmp(why.code, "runtime.version_unset")) {
		*e = why;
		return -1;
	}
	return put_file(dirfd, VERSION_FILE, O_EXCL, &text, 1, e);
}

static int append_line(int dirfd, struct span line, struct err *e)
{
	auto_free char *text = str_format("%.*s\n", (int)line.n, (const char *)line.p);

	return text ? put_file(dirfd, LOG_FILE, O_APPEND, text, line.n + 1, e)
		    : err_set(e, ERR_SYSTEM, "out of memory");
}

// What an intent record holds: the register before and after, how long the log was, and the line that belongs
// there once the register is `after`.
struct intent {
	struct span before, after, line;
	uint64_t log_size;
};

static bool intent_read(struct intent *i, struct span bytes)
{
	struct rd r = rd_from(bytes.p, bytes.n);

	i->before = rd_bytes(&r, TEE_DIGEST);
	i->after = rd_bytes(&r, TEE_DIGEST);
	i->log_size = rd_le64(&r);
	i->line = rd_bytes(&r, rd_left(&r));
	return !r.bad && i->line.n;
}

static int log_size(int dirfd, uint64_t *out, struct err *e)
{
	struct stat st;

	*out = 0;
	if (fstatat(dirfd, LOG_FILE, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : err_errno(e, "%s", LOG_FILE);
	*out = (uint64_t)st.st_size;
	return 0;
}

// The log as it was before the line, whole or in part, was added.
static int cut_log(int dirfd, uint64_t size, struct err *e)
{
	uint64_t now;

	if (log_size(dirfd, &now, e))
		return -1;
	if (now < size)
		return err_code(e, ERR_SYSTEM, "runtime.out_of_step",
				"the runtime event log has lost events: restart the CVM");
	if (now == size)
		return 0;
	auto_close int fd = openat(dirfd, LOG_FILE, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 || ftruncate(fd, (off_t)size) || fsync(fd) ? err_errno(e, "cut %s", LOG_FILE) : 0;
}

// After a crash between register and log, finish or forget what the intent record says. It may have come at
// any point, so the line may be missing, there in part, or there.
static int repair(struct tee *t, int dirfd, struct err *e)
{
	auto_free char *bytes = NULL;
	uint8_t now[TEE_DIGEST];
	struct intent i;
	size_t n;

	if (slurp(dirfd, INTENT_FILE, INTENT_MAX, &bytes, &n, e))
		return -1;
	if (!bytes)
		return 0;
	if (intent_read(&i, span_of(bytes, n))) { // else it was cut off before the register was touched
		if (tee_rtmr3(t, now, e))
			return -1;
		bool done = span_eq(i.after, span_of(now, sizeof now));
		if (!done && !span_eq(i.before, span_of(now, sizeof now)))
			return err_code(e, ERR_SYSTEM, "runtime.out_of_step",
					"RTMR3 and the runtime event log disagree: restart the CVM");
		if (cut_log(dirfd, i.log_size, e) || (done && append_line(dirfd, i.line, e)))
			return -1;
	}
	return unlinkat(dirfd, INTENT_FILE, 0) ? err_errno(e, "remove %s", INTENT_FILE) : 0;
}

static int write_intent(struct tee *t, int dirfd, const uint8_t digest[static TEE_DIGEST], struct span line,
			struct err *e)
{
	auto_free uint8_t *bytes = malloc(INTENT_MAX);
	uint8_t before[TEE_DIGEST], after[TEE_DIGEST];
	struct wr w = wr_to(bytes, bytes ? INTENT_MAX : 0);
	uint64_t size;

	if (tee_rtmr3(t, before, e) || log_size(dirfd, &size, e))
		return -1;
	memcpy(after, before, sizeof after);
	register_extend(after, digest);
	wr_put(&w, before, sizeof before);
	wr_put(&w, after, sizeof after);
	wr_le64(&w, size);
	wr_span(&w, line);
	return w.bad ? err_set(e, ERR_SYSTEM, "runtime event is too large")
		     : put_file(dirfd, INTENT_FILE, O_TRUNC, bytes, w.n, e);
}

static void write_line(struct sb *b, const struct event *ev)
{
	sb_str(b, "{\"event\":");
	sb_json_str_n(b, ev->name.p, ev->name.n);
	sb_str(b, ",\"payload\":\"");
	sb_base64(b, ev->payload.p, ev->payload.n);
	sb_str(b, ev->version == 2 ? "\",\"version\":2}" : "\"}");
}

static int emit_locked(struct tee *t, int dirfd, const char *name, struct span payload, struct err *e)
{
	uint8_t digest[TEE_DIGEST];
	struct fault f = { 0 };
	auto_sb line = { .max = INTENT_MAX };
	int version = read_version(dirfd, e);

	if (version < 0)
		return -1;
	struct event ev = event_runtime(span_str(name), payload, (uint8_t)version);
	if (event_name_check(ev.name, ev.version, &f) || event_digest(digest, &ev, &f))
		return err_code(e, ERR_INPUT, "runtime.name", "%s", f.text);
	if (payload.n > RUNTIME_PAYLOAD_MAX)
		return err_code(e, ERR_INPUT, "runtime.too_large", "payload of %zu bytes", payload.n);
	write_line(&line, &ev);
	struct span text = span_of(line.p, line.n);
	if (line.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (repair(t, dirfd, e) || write_intent(t, dirfd, digest, text, e) || tee_extend(t, digest, e) ||
	    append_line(dirfd, text, e))
		return -1;
	return unlinkat(dirfd, INTENT_FILE, 0) ? err_errno(e, "remove %s", INTENT_FILE) : 0;
}

int runtime_emit(struct tee *t, const char *dir, const char *name, const void *payload, size_t n,
		 struct err *e)
{
	auto_close int dirfd = open_dir(dir, e);
	auto_close int held = dirfd < 0 ? -1 : lock(dirfd, e);

	if (held < 0 || emit_locked(t, dirfd, name, span_of(payload, n), e))
		return err_wrap(e, "runtime event %s", name);
	return 0;
}

// One line; names and payloads go to `w`, which never needs more room than the lines have.
static int read_line(struct span line, struct wr *w, struct event *out)
{
	struct json obj, name, payload, version;
	uint64_t v = 1;
	size_t namen;
	struct span b64;

	if (json_parse(&obj, line, NULL) || !json_get(obj, "event", &name) ||
	    !json_get(obj, "payload", &payload) || json_plain(payload, &b64) ||
	    json_string(name, w->p + w->n, w->cap - w->n, &namen))
		return -1;
	struct span as_name = span_of(w->p + w->n, namen);
	w->n += namen;
	if (json_get(obj, "version", &version) && (json_u64(version, 2, &v) || v < 1))
		return -1;
	size_t at = w->n;
	if (base64_decode(w, b64))
		return -1;
	*out = event_runtime(as_name, span_of(w->p + at, w->n - at), (uint8_t)v);
	return 0;
}

static int read_lines(struct span text, struct tee_log *out, struct err *e)
{
	struct wr w = wr_to(malloc(text.n + 1), text.n + 1);

	out->raw = w.p;
	while (text.n && w.p) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		size_t len = end ? (size_t)(end - text.p) : 0;

		if (out->log.n == out->log.cap || !end ||
		    read_line(span_of(text.p, len), &w, &out->log.e[out->log.n]))
			return err_code(e, ERR_SYSTEM, "runtime.log",
					"runtime event log: line %zu is damaged", out->log.n + 1);
		out->log.n++;
		text = span_sub(text, len + 1, text.n - len - 1);
	}
	return w.p ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

// Verifiers of the JSON form want to see digests, and preimages of version 2.
static int add_digests(struct tee_log *out, struct err *e)
{
	struct wr size = wr_to(NULL, 0);
	struct fault f;

	size.n = out->log.n * TEE_DIGEST;
	for (size_t i = 0; i < out->log.n; i++)
		if (out->log.e[i].version == 2)
			event_preimage_v2(&size, out->log.e[i].name, out->log.e[i].payload);
	out->digests = malloc(size.n + 1);
	if (!out->digests)
		return err_set(e, ERR_SYSTEM, "out of memory");
	struct wr w = wr_to(out->digests, size.n);
	for (size_t i = 0; i < out->log.n; i++) {
		struct event *ev = &out->log.e[i];
		uint8_t digest[TEE_DIGEST];

		if (event_digest(digest, ev, &f))
			return err_code(e, ERR_SYSTEM, "runtime.log", "runtime event log: %s", f.text);
		ev->digest = span_of(w.p + w.n, TEE_DIGEST);
		wr_put(&w, digest, sizeof digest);
		if (ev->version != 2)
			continue;
		size_t at = w.n;
		event_preimage_v2(&w, ev->name, ev->payload);
		ev->preimage = span_of(w.p + at, w.n - at);
	}
	return w.bad ? err_set(e, ERR_BUG, "runtime event log") : 0;
}

static int read_log(int dirfd, struct tee_log *out, struct err *e)
{
	auto_free char *text = NULL;
	size_t n = 0;

	out->log.e = calloc(EVENTLOG_MAX, sizeof *out->log.e);
	out->log.cap = out->log.e ? EVENTLOG_MAX : 0;
	if (slurp(dirfd, LOG_FILE, RUNTIME_LOG_MAX, &text, &n, e) || read_lines(span_of(text, n), out, e) ||
	    add_digests(out, e)) {
		tee_log_free(out);
		return -1;
	}
	return 0;
}

// The log, in step with the register; and, before anybody can add to it, a quote when one is wanted.
static int read_in_step(struct tee *t, const char *dir, const uint8_t *report_data, struct tee_quote *quote,
			struct tee_log *out, struct err *e)
{
	auto_close int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int held = -1;

	*out = (struct tee_log){ 0 };
	if (dirfd < 0 && errno != ENOENT)
		return err_errno(e, "open %s", dir);
	if (dirfd >= 0) {
		held = lock(dirfd, e);
		if (held < 0 || repair(t, dirfd, e))
			return -1;
	}
	if (quote && tee_quote(t, report_data, quote, e))
		return -1;
	return dirfd < 0 ? 0 : read_log(dirfd, out, e);
}

int runtime_read(struct tee *t, const char *dir, struct tee_log *out, struct err *e)
{
	return read_in_step(t, dir, NULL, NULL, out, e);
}

int runtime_quote(struct tee *t, const char *dir, const uint8_t report_data[static TEE_REPORT_DATA],
		  struct tee_quote *quote, struct tee_log *out, size_t *runtime_at, struct err *e)
{
	struct tee_log runtime;

	if (tee_boot_log(t, out, e))
		return -1;
	if (read_in_step(t, dir, report_data, quote, &runtime, e)) {
		tee_log_free(out);
		return -1;
	}
	*runtime_at = out->log.n;
	bool fits = runtime.log.n <= out->log.cap - out->log.n;
	for (size_t i = 0; fits && i < runtime.log.n; i++)
		out->log.e[out->log.n++] = runtime.log.e[i];
	out->text = TAKE(runtime.raw);
	out->digests = TAKE(runtime.digests);
	tee_log_free(&runtime);
	if (!fits) {
		tee_log_free(out);
		return err_code(e, ERR_SYSTEM, "runtime.log", "more events than a log may have");
	}
	return 0;
}
