#include "tee/bootlog.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

// Files of sysfs and securityfs tell no size: read to the end.
static int slurp(const char *path, uint8_t **out, size_t *n, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_free uint8_t *raw = malloc(TEE_BOOT_LOG_MAX + 1);
	ssize_t got = 0;

	*n = 0;
	if (fd < 0 || !raw)
		return err_errno(e, "open event log %s", path);
	while (*n <= TEE_BOOT_LOG_MAX && (got = read(fd, raw + *n, TEE_BOOT_LOG_MAX + 1 - *n)) > 0)
		*n += (size_t)got;
	if (got < 0)
		return err_errno(e, "read event log %s", path);
	if (*n > TEE_BOOT_LOG_MAX)
		return err_code(e, ERR_INPUT, "log.malformed", "event log %s is too large", path);
	*out = TAKE(raw);
	return 0;
}

int bootlog_load(bool tpm, const char *path, struct tee_log *out, struct err *e)
{
	struct fault f = { 0 };
	size_t n;

	*out = (struct tee_log){ 0 };
	if (slurp(path, &out->raw, &n, e))
		return -1;
	out->log.e = calloc(EVENTLOG_MAX, sizeof *out->log.e);
	out->log.cap = out->log.e ? EVENTLOG_MAX : 0;
	struct span bytes = span_of(out->raw, n);
	if (tpm ? eventlog_read_tpm(&out->log, bytes, &f) : eventlog_read_ccel(&out->log, bytes, &f)) {
		tee_log_free(out);
		return err_code(e, ERR_INPUT, f.code, "event log %s: %s at %zu", path, f.text, f.at);
	}
	eventlog_name_acpi(&out->log, tpm);
	return 0;
}

void tee_log_free(struct tee_log *log)
{
	free(log->log.e);
	free(log->raw);
	free(log->text);
	free(log->digests);
	*log = (struct tee_log){ 0 };
}
