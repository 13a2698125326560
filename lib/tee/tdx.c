// The genuine driver. Quotes: configfs-tsm, else the quoting service when /etc/tdx-attest.conf names it.
// RTMR3: the kernel's measurements folder, else the device's ioctl. Boot log: the ACPI table CCEL.
// The environment overrides of spec 50 sections 10 and 14.1 are authoritative: a bad one is an error.
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"
#include "tee/bootlog.h"
#include "tee/driver.h"
#include "tee/qgs.h"

#define TSM_REPORTS   "/sys/kernel/config/tsm/report"
#define TSM_ENTRY     TSM_REPORTS "/com.intel.dcap"
#define TDX_DEVICE    "/dev/tdx_guest"
#define TDX_REGISTERS "/sys/devices/virtual/misc/tdx_guest/measurements"
#define TDX_CCEL      "/sys/firmware/acpi/tables/data/CCEL"
#define TDX_CONF      "/etc/tdx-attest.conf"

enum {
	PATH_CAP = 300,
	OVERRIDE_MAX = 240,
	QUOTE_MIN = 1021, // spec 50 section 10.1: between 1020 and 8192, exclusive
	QUOTE_MAX = 8191,
	GENERATION_WAIT_MS = 5000,
	BUSY_TRIES = 3,
	EXTEND_WAIT_MS = 1000,
	REPORT_RTMR3 = 512 + 208 + 3 * TEE_DIGEST, // in TDREPORT: TDINFO at 512, its rtmr0 at 208
};

struct report_req {
	uint8_t report_data[64], report[1024];
};
struct extend_req {
	uint8_t data[48], index;
};
#define TDX_GET_REPORT  _IOWR('T', 1, struct report_req)
#define TDX_EXTEND_RTMR _IOR('T', 3, struct extend_req)
_Static_assert(TDX_GET_REPORT == 0xC4405401 && TDX_EXTEND_RTMR == 0x80315403, "spec 50 section 10.2");

struct tdx {
	char entry[PATH_CAP];     // the TSM report entry, "" when quotes come from the service
	char register3[PATH_CAP]; // the register's file, "" when the ioctl is used
	char service[64];         // the quoting service's address
	const char *ccel;
};

static const char * override(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

// A small text file's content; false when it is not there.
static bool read_text(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);

	if (fd >= 0)
		close(fd);
	out[n < 0 ? 0 : n] = 0;
	return n >= 0;
}

static bool entry_is_tdx(const char *entry)
{
	char path[PATH_CAP + 16], provider[64];

	snprintf(path, sizeof path, "%s/provider", entry);
	return read_text(path, provider, sizeof provider) && !strncmp(provider, "tdx_guest", 9);
}

bool tdx_is_here(void)
{
	return override("DCAP_TDX_QUOTE_CONFIGFS_PATH") || override("DCAP_TDX_RTMR_SYSFS_PATH") ||
	       access(TDX_DEVICE, F_OK) == 0 || entry_is_tdx(TSM_ENTRY);
}

// Where quotes come from, in the order of spec 50 section 10.
static int find_quotes(struct tdx *t, struct err *e)
{
	const char *path = override("DCAP_TDX_QUOTE_CONFIGFS_PATH");
	char conf[4096];

	if (path) {
		if (path[0] != '/' || strlen(path) >= OVERRIDE_MAX)
			return err_code(e, ERR_INPUT, "tee.override",
					"DCAP_TDX_QUOTE_CONFIGFS_PATH must be an absolute path");
		snprintf(t->entry, sizeof t->entry, "%s", path);
		return 0;
	}
	if (access(TSM_REPORTS, F_OK) == 0) {
		snprintf(t->entry, sizeof t->entry, "%s", TSM_ENTRY);
		if (mkdir(TSM_ENTRY, 0700) && errno != EEXIST)
			return err_errno(e, "make TSM report entry %s", TSM_ENTRY);
		for (int i = 0; i < 100 && !entry_is_tdx(TSM_ENTRY); i++)
			time_sleep_ms(10);
		return entry_is_tdx(TSM_ENTRY)
			       ? 0
			       : err_code(e, ERR_ABSENT, "tee.absent", "TSM provider is not tdx_guest");
	}
	uint32_t port = read_text(TDX_CONF, conf, sizeof conf) ? qgs_conf_port(conf) : 0;
	if (!port)
		return err_code(e, ERR_ABSENT, "tee.absent", "no TDX quotes: neither %s nor a port in %s",
				TSM_REPORTS, TDX_CONF);
	snprintf(t->service, sizeof t->service, "vsock:2:%u", port);
	return 0;
}

static int find_registers(struct tdx *t, struct err *e)
{
	const char *dir = override("DCAP_TDX_RTMR_SYSFS_PATH");

	if (dir && (dir[0] != '/' || strlen(dir) >= OVERRIDE_MAX))
		return err_code(e, ERR_INPUT, "tee.override",
				"DCAP_TDX_RTMR_SYSFS_PATH must be an absolute path");
	snprintf(t->register3, sizeof t->register3, "%s/rtmr3:sha384", dir ? dir : TDX_REGISTERS);
	if (access(t->register3, F_OK) == 0)
		return 0;
	if (dir)
		return err_errno(e, "TDX register %s", t->register3);
	t->register3[0] = 0;
	return access(TDX_DEVICE, F_OK) == 0
		       ? 0
		       : err_code(e, ERR_ABSENT, "tee.absent", "no TDX registers: neither %s nor %s",
				  TDX_REGISTERS, TDX_DEVICE);
}

void *tdx_open(struct err *e)
{
	struct tdx *t = calloc(1, sizeof *t);
	const char *ccel = getenv("DSTACK_CCEL_FILE");

	if (!t) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	t->ccel = ccel ? ccel : TDX_CCEL;
	if (t->ccel[0] != '/')
		err_code(e, ERR_INPUT, "tee.override", "DSTACK_CCEL_FILE must be an absolute path");
	else if (!find_quotes(t, e) && !find_registers(t, e))
		return t;
	free(t);
	return NULL;
}

static int generation(const struct tdx *t, unsigned long *out, struct err *e)
{
	char path[PATH_CAP + 16], text[32], *end;

	snprintf(path, sizeof path, "%s/generation", t->entry);
	if (!read_text(path, text, sizeof text))
		return err_errno(e, "read %s", path);
	errno = 0;
	*out = strtoul(text, &end, 10);
	if (errno || end == text)
		return err_set(e, ERR_SYSTEM, "%s is not a number", path);
	return 0;
}

// The kernel answers EBUSY while another writer is at work.
static int write_inblob(int fd, const uint8_t report_data[static TEE_REPORT_DATA], struct err *e)
{
	unsigned wait = 50;

	for (int i = 0; i < BUSY_TRIES * 2; i++, wait *= 2) {
		if (pwrite(fd, report_data, TEE_REPORT_DATA, 0) == TEE_REPORT_DATA)
			return 0;
		if (errno != EBUSY && errno != EINTR)
			break;
		time_sleep_ms(wait < 2000 ? wait : 2000);
	}
	return err_errno(e, "write report data");
}

static int read_outblob(const struct tdx *t, struct tee_quote *out, struct err *e)
{
	char path[PATH_CAP + 16];
	ssize_t got = -1;

	snprintf(path, sizeof path, "%s/outblob", t->entry);
	for (int i = 0; i < BUSY_TRIES; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		out->n = 0;
		while (fd >= 0 && out->n < sizeof out->bytes &&
		       (got = read(fd, out->bytes + out->n, sizeof out->bytes - out->n)) > 0)
			out->n += (size_t)got;
		int reason = errno;
		if (fd >= 0)
			close(fd);
		errno = reason;
		if (fd >= 0 && got >= 0)
			break;
		if (errno != EBUSY && errno != EINTR && errno != ETIMEDOUT)
			break;
		time_sleep_ms(200);
	}
	if (got < 0)
		return err_errno(e, "read %s", path);
	if (out->n < QUOTE_MIN || out->n > QUOTE_MAX)
		return err_code(e, ERR_SYSTEM, "tee.quote", "quote of %zu bytes", out->n);
	return 0;
}

static int wait_generation(const struct tdx *t, unsigned long was, struct err *e)
{
	unsigned long now = was;

	for (int i = 0; i < GENERATION_WAIT_MS / 10; i++) {
		if (generation(t, &now, e))
			return -1;
		if (now != was)
			break;
		time_sleep_ms(10);
	}
	if (now != was + 1)
		return err_code(e, ERR_AGAIN, "tee.busy", "TSM report generation went from %lu to %lu", was,
				now);
	return 0;
}

static int quote_by_configfs(const struct tdx *t, const uint8_t report_data[static TEE_REPORT_DATA],
			     struct tee_quote *out, struct err *e)
{
	char path[PATH_CAP + 16];
	unsigned long before, after;

	snprintf(path, sizeof path, "%s/inblob", t->entry);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "open %s", path);
	int rc = flock(fd, LOCK_EX) ? err_errno(e, "lock %s", path) : 0;
	if (!rc && (generation(t, &before, e) || write_inblob(fd, report_data, e) ||
		    wait_generation(t, before, e) || read_outblob(t, out, e) || generation(t, &after, e)))
		rc = -1;
	if (!rc && after != before + 1)
		rc = err_code(e, ERR_AGAIN, "tee.busy", "another process asked for a quote at the same time");
	close(fd);
	return rc;
}

static int device_call(unsigned long request, void *arg, struct err *e)
{
	int fd = open(TDX_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "open %s", TDX_DEVICE);
	int rc = ioctl(fd, request, arg);
	int reason = errno;
	close(fd);
	errno = reason;
	return rc ? err_errno(e, "%s", TDX_DEVICE) : 0;
}

static int tdx_quote(void *state, const uint8_t report_data[static TEE_REPORT_DATA], struct tee_quote *out,
		     struct err *e)
{
	const struct tdx *t = state;
	struct report_req req = { 0 };

	if (t->entry[0])
		return quote_by_configfs(t, report_data, out, e);
	memcpy(req.report_data, report_data, sizeof req.report_data);
	if (device_call(TDX_GET_REPORT, &req, e))
		return -1;
	return qgs_quote(t->service, req.report, out, e);
}

static int tdx_rtmr3(void *state, uint8_t out[static TEE_DIGEST], struct err *e)
{
	const struct tdx *t = state;
	struct report_req req = { 0 };

	if (!t->register3[0]) {
		if (device_call(TDX_GET_REPORT, &req, e))
			return -1;
		memcpy(out, req.report + REPORT_RTMR3, TEE_DIGEST);
		return 0;
	}
	int fd = open(t->register3, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, TEE_DIGEST);
	if (n < 0)
		err_errno(e, "read %s", t->register3);
	else if (n != TEE_DIGEST)
		err_set(e, ERR_SYSTEM, "%s has %zd bytes", t->register3, n);
	if (fd >= 0)
		close(fd);
	return n == TEE_DIGEST ? 0 : -1;
}

// The register is read back: a write that the kernel took but that did not extend must not pass as done.
static int extend_by_file(struct tdx *t, const uint8_t digest[static TEE_DIGEST], struct err *e)
{
	uint8_t both[2 * TEE_DIGEST], want[TEE_DIGEST], now[TEE_DIGEST];

	if (tdx_rtmr3(t, both, e))
		return -1;
	memcpy(both + TEE_DIGEST, digest, TEE_DIGEST);
	SHA384(both, sizeof both, want);
	int fd = open(t->register3, O_WRONLY | O_CLOEXEC);
	ssize_t put = fd < 0 ? -1 : write(fd, digest, TEE_DIGEST);
	if (put < 0)
		err_errno(e, "write %s", t->register3);
	else if (put != TEE_DIGEST)
		err_set(e, ERR_SYSTEM, "write %s: only %zd bytes taken", t->register3, put);
	if (fd >= 0)
		close(fd);
	if (put != TEE_DIGEST)
		return -1;
	for (int i = 0; i < EXTEND_WAIT_MS / 10; i++) {
		struct err ignored; // a reader may see the file of the fake tree while it is being written

		if (!tdx_rtmr3(t, now, &ignored) && !memcmp(now, want, TEE_DIGEST))
			return 0;
		time_sleep_ms(10);
	}
	return err_code(e, ERR_SYSTEM, "tee.extend", "%s does not show the extension", t->register3);
}

static int tdx_extend(void *state, const uint8_t digest[static TEE_DIGEST], struct err *e)
{
	struct extend_req req = { .index = 3 };

	if (((struct tdx *)state)->register3[0])
		return extend_by_file(state, digest, e);
	memcpy(req.data, digest, sizeof req.data);
	return device_call(TDX_EXTEND_RTMR, &req, e);
}

static int tdx_boot_log(void *state, struct tee_log *out, struct err *e)
{
	return bootlog_load(false, ((const struct tdx *)state)->ccel, out, e);
}

const struct tee_driver tdx_driver = {
	.name = "tdx",
	.quote = tdx_quote,
	.extend = tdx_extend,
	.rtmr3 = tdx_rtmr3,
	.boot_log = tdx_boot_log,
	.close = free,
};
