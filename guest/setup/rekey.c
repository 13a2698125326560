#include "rekey.h"

#include <errno.h>
#include <fcntl.h>
#include <libcryptsetup.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "disk.h"
#include "header.h"

static int fail(struct err *e, int rc, const char *what)
{
	return err_code(e, rc == -EPERM ? ERR_DENIED : ERR_SYSTEM, rc == -EPERM ? "disk.key" : "disk.format",
			"%s: %s", what, strerror(-rc));
}

static int copy_part(int from, int to, uint64_t at, uint64_t n, struct err *e)
{
	enum { STEP = 1 << 20 };
	auto_free uint8_t *b = malloc(STEP);

	for (uint64_t end = at + n; b && at < end;) {
		size_t want = end - at < STEP ? (size_t)(end - at) : STEP;
		ssize_t got = pread(from, b, want, (off_t)at);
		if (got <= 0 || pwrite(to, b, (size_t)got, (off_t)at) != got)
			return err_errno(e, "write the encryption header");
		at += (uint64_t)got;
	}
	return !b || fsync(to) ? err_errno(e, "write the encryption header") : 0;
}

// The new key area first, then one header after the other, then what is left of the old key.
static int carry_over(const char *header, const char *device, uint64_t area, uint64_t area_n, struct err *e)
{
	auto_close int in = open(header, O_RDONLY | O_CLOEXEC);
	auto_close int out = open(device, O_WRONLY | O_CLOEXEC);
	uint8_t first[16];

	if (in < 0 || out < 0 || pread(in, first, sizeof first, 0) != (ssize_t)sizeof first)
		return err_errno(e, "write the encryption header");
	struct rd r = rd_from(first + 8, 8);
	uint64_t size = rd_be64(&r); // of one header: checked before
	return copy_part(in, out, area, area_n, e) || copy_part(in, out, size, size, e) ||
			       copy_part(in, out, 0, size, e) || copy_part(in, out, 0, HEADER_AREA, e)
		       ? -1
		       : 0;
}

static int check_copy(const char *header, struct err *e)
{
	auto_free char *area = NULL;
	size_t n;

	return file_read(header, HEADER_AREA, &area, &n, e) ? -1 : header_check(span_of(area, n), e);
}

static struct crypt_device *load(const char *header, const char *device, struct err *e)
{
	struct crypt_device *cd = NULL;
	int rc = crypt_init_data_device(&cd, header, device);

	rc = rc < 0 ? rc : crypt_load(cd, CRYPT_LUKS2, NULL);
	if (rc >= 0)
		return cd;
	crypt_free(cd);
	fail(e, rc, "encrypted disk");
	return NULL;
}

int rekey_disk(const char *header, const char *device, const char *old, const char *pass, struct err *e)
{
	struct crypt_device *cd = load(header, device, e);
	uint64_t area = 0, area_n = 0;

	if (!cd)
		return -1;
	// One of two slots is in use, the other takes over.
	int was = crypt_keyslot_status(cd, 0) == CRYPT_SLOT_INACTIVE ? 1 : 0, slot = 1 - was;
	int rc = crypt_set_pbkdf_type(cd, &disk_pbkdf);
	if (rc >= 0)
		rc = crypt_keyslot_add_by_passphrase(cd, slot, old, strlen(old), pass, strlen(pass));
	// The new one is tried before the old one goes.
	if (rc >= 0)
		rc = crypt_activate_by_passphrase(cd, NULL, slot, pass, strlen(pass), 0);
	if (rc >= 0)
		rc = crypt_keyslot_destroy(cd, was);
	if (rc >= 0)
		rc = crypt_keyslot_area(cd, slot, &area, &area_n);
	crypt_free(cd);
	if (rc < 0)
		return fail(e, rc, "change the disk's key");
	if (area > HEADER_AREA || area_n > HEADER_AREA - area)
		return err_code(e, ERR_BUG, "disk.header", "key area at %llu", (unsigned long long)area);
	return check_copy(header, e) || carry_over(header, device, area, area_n, e) ? -1 : 0;
}

// In the copy, the header that is not to be used loses its magic; loading makes it anew from the other.
static int drop_header(const char *header, uint64_t at, struct err *e)
{
	static const uint8_t zero[4096];
	auto_close int fd = open(header, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, zero, sizeof zero, (off_t)at) != (ssize_t)sizeof zero || fsync(fd))
		return err_errno(e, "mend the encryption header");
	return 0;
}

int rekey_mend(const char *header, const char *device, struct err *e)
{
	auto_free char *area = NULL;
	uint64_t drop;
	size_t n;

	if (file_read(header, HEADER_AREA, &area, &n, e) || header_odd_one(span_of(area, n), &drop, e) ||
	    drop_header(header, drop, e))
		return -1;
	struct crypt_device *cd = load(header, device, e);
	if (!cd)
		return -1;
	crypt_free(cd);
	// Its partner is on the disk as it is here, so only the mended one changes there.
	return check_copy(header, e) || carry_over(header, device, 0, 0, e) ? -1 : 0;
}
