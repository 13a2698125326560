#include "audit.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/log.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "crypto/issue.h"

enum { TICK_MS = 1000, HEAD_MS = 60000, HEAD_RECORDS = 256, MINUTE_MS = 60000 };

// ---- records

static void hash_into(uint8_t out[static 32], uint8_t *has, struct span s)
{
	*has = s.n != 0;
	if (s.n)
		SHA256(s.p, s.n, out);
}

void kms_audit_who_csr(struct audit_entry *x, const struct boot_info *proved, struct span spki,
		       struct span evidence)
{
	*x = (struct audit_entry){ 0 };
	hash_into(x->key, &x->has_key, spki);
	hash_into(x->evidence, &x->has_evidence, evidence);
	x->has_boot = proved != NULL;
	if (proved)
		x->boot = *proved;
}

void kms_audit_who(struct audit_entry *x, const struct boot_info *proved, X509 *cert)
{
	struct span evidence = { 0 };
	uint8_t spki[CERT_SPKI_MAX];
	struct err ignored;
	size_t n = 0;

	if (cert && cert_spki(cert, spki, &n, &ignored))
		n = 0;
	if (cert && cert_ext(cert, CERT_EXT_ATTESTATION, &evidence, &ignored) != 1 &&
	    cert_ext(cert, CERT_EXT_QUOTE, &evidence, &ignored) != 1)
		evidence = span_of(NULL, 0);
	kms_audit_who_csr(x, proved, span_of(spki, n), evidence);
}

// May a peer that proved nothing cause one more record in this minute?
static bool let_in(struct kms_audit *a, struct audit_entry *x)
{
	uint64_t minute = time_mono_ms() / MINUTE_MS;
	bool ok = true;

	pthread_mutex_lock(&a->lock);
	if (minute != a->minute) {
		a->minute = minute;
		a->unproven = 0;
	}
	if (!x->has_boot && a->unproven >= a->unproven_max) {
		a->skipped++;
		ok = false;
	} else {
		a->unproven += !x->has_boot;
		x->skipped = a->skipped;
		a->skipped = 0;
	}
	pthread_mutex_unlock(&a->lock);
	return ok;
}

uint64_t kms_audit_skipped(struct kms_audit *a)
{
	pthread_mutex_lock(&a->lock);
	uint64_t n = a->skipped;
	a->skipped = 0;
	pthread_mutex_unlock(&a->lock);
	return n;
}

int kms_audit_refuse(struct kms_audit *a, struct audit_entry *x, struct err *e)
{
	struct err why;

	if (!let_in(a, x))
		return err_code(e, ERR_AGAIN, "audit.rate",
				"too many refusals of peers without evidence in this minute, at most %llu",
				(unsigned long long)a->unproven_max);
	snprintf(x->code, sizeof x->code, "%s", e->code);
	snprintf(x->reason, sizeof x->reason, "%s", e->text);
	x->ok = 0;
	if (keyproc_record(a->keys, x, NULL, &why))
		*e = why;
	return -1;
}

int kms_audit_change(struct kms_audit *a, enum audit_event event, const uint8_t *digest, const char *what,
		     uint64_t *seq, struct err *e)
{
	struct audit_entry x = { .event = event, .ok = 1, .has_digest = digest != NULL };

	if (digest)
		memcpy(x.digest, digest, sizeof x.digest);
	snprintf(x.reason, sizeof x.reason, "%s", what);
	return keyproc_record(a->keys, &x, seq, e);
}

// ---- the clock

uint64_t kms_audit_now(struct kms_audit *a)
{
	uint64_t now = time_now_ms();

	pthread_mutex_lock(&a->lock);
	if (now > a->now_ms)
		a->now_ms = now;
	now = a->now_ms;
	pthread_mutex_unlock(&a->lock);
	return now / 1000;
}

static int read_high_water(struct kms_audit *a, struct err *e)
{
	auto_free char *text = NULL;
	uint64_t seconds;
	size_t n;

	if (!file_exists(a->high_water))
		return 0;
	if (file_read(a->high_water, 64, &text, &n, e))
		return -1;
	text[strcspn(text, "\n")] = 0;
	if (!str_u64(text, &seconds) || seconds > UINT64_MAX / 1000)
		return err_code(e, ERR_INPUT, "audit.time", "%s is no time", a->high_water);
	if (seconds * 1000 > a->now_ms)
		a->now_ms = seconds * 1000;
	return 0;
}

static int keep_high_water(struct kms_audit *a, struct err *e)
{
	char text[24];

	snprintf(text, sizeof text, "%llu\n", (unsigned long long)kms_audit_now(a));
	return file_write_str(a->high_water, 0600, text, e);
}

// ---- heads on the disk

static int append_line(const char *path, const char *p, size_t n, struct err *e)
{
	auto_close int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n || fsync(fd))
		return err_errno(e, "keep a head in %s", path);
	return 0;
}

// A last line without its end was never a head: it goes before the next one is written.
static int mend_heads(const char *path, struct err *e)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char tail[2 * AUDIT_HEAD_MAX];
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	off_t from = size > (off_t)sizeof tail ? size - (off_t)sizeof tail : 0;
	ssize_t n = size < 0 ? -1 : pread(fd, tail, sizeof tail, from);

	if (n < 0)
		return err_errno(e, "open %s", path);
	while (n && tail[n - 1] != '\n')
		n--;
	return from + n < size && (ftruncate(fd, from + n) || fsync(fd)) ? err_errno(e, "mend %s", path) : 0;
}

static int keep_head(struct kms_audit *a, struct err *e)
{
	char text[AUDIT_HEAD_MAX + 1];
	struct wr w = wr_to(text, sizeof text);
	struct audit_head h;
	uint64_t bytes;

	if (keyproc_head(a->keys, 0, &h, &bytes, e))
		return -1;
	bool due = h.size >= a->head_size + HEAD_RECORDS ||
		   (h.size > a->head_size && (a->stop || time_mono_ms() - a->head_at >= HEAD_MS));
	if (!due)
		return 0;
	audit_head_write(&w, &h);
	wr_u8(&w, '\n');
	if (w.bad || append_line(a->heads, text, w.n, e))
		return w.bad ? err_set(e, ERR_BUG, "a head is too long") : -1;
	a->head_size = h.size;
	a->head_at = time_mono_ms();
	return 0;
}

static void *keep(void *arg)
{
	struct kms_audit *a = arg;
	struct err e;
	bool stop = false, well = true;
	uint64_t kept = 0;

	while (!stop) {
		uint64_t until = time_now_ms() + TICK_MS;
		struct timespec t = { (time_t)(until / 1000), (long)(until % 1000 * 1000000) };

		pthread_mutex_lock(&a->lock);
		if (!a->stop)
			pthread_cond_timedwait(&a->wake, &a->lock, &t);
		stop = a->stop;
		pthread_mutex_unlock(&a->lock);
		bool minute = stop || !kept || time_mono_ms() - kept >= HEAD_MS;
		bool ok = !keep_head(a, &e) && (!minute || !keep_high_water(a, &e));
		if (minute && ok)
			kept = time_mono_ms();
		if (!ok && well)
			log_error("kms", "audit heads cannot be kept: %s", e.text);
		well = ok;
	}
	return NULL;
}

// ---- life

int kms_audit_start(struct kms_audit *a, const char *state_dir, int64_t unproven_per_minute,
		    struct keyproc *keys, struct err *e)
{
	auto_free char *log = str_format("%s/" AUDIT_LOG_NAME, state_dir);

	*a = (struct kms_audit){ .keys = keys, .unproven_max = (uint64_t)unproven_per_minute };
	a->heads = str_format("%s/" AUDIT_HEADS_NAME, state_dir);
	a->high_water = str_format("%s/high-water", state_dir);
	a->now_ms = keys->time_ms;
	a->head_at = time_mono_ms();
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->wake, NULL);
	if (!log || !a->heads || !a->high_water) {
		kms_audit_stop(a);
		return err_set(e, ERR_SYSTEM, "out of memory");
	}
	a->view = audit_view_open(log, e);
	if (!a->view || read_high_water(a, e) || mend_heads(a->heads, e)) {
		kms_audit_stop(a);
		return err_wrap(e, "audit log");
	}
	a->running = !pthread_create(&a->keeper, NULL, keep, a);
	if (!a->running) {
		kms_audit_stop(a);
		return err_set(e, ERR_SYSTEM, "start a thread");
	}
	if (keys->cut)
		log_warn("kms", "audit log: an unfinished record was cut bytes=%llu",
			 (unsigned long long)keys->cut);
	log_info("kms", "audit log records=%llu", (unsigned long long)keys->records);
	return 0;
}

void kms_audit_stop(struct kms_audit *a)
{
	if (a->running) {
		pthread_mutex_lock(&a->lock);
		a->stop = true;
		pthread_cond_signal(&a->wake);
		pthread_mutex_unlock(&a->lock);
		pthread_join(a->keeper, NULL);
	}
	audit_view_close(a->view);
	free(a->heads);
	free(a->high_water);
	if (a->keys) {
		pthread_mutex_destroy(&a->lock);
		pthread_cond_destroy(&a->wake);
	}
	*a = (struct kms_audit){ 0 };
}
