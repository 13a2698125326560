#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <libcryptsetup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/strings.h"
#include "header.h"
#include "rekey.h"
#include "run.h"

enum { PASS = 64, SECTOR = 512, ITERATIONS = 1000, COPY_STEP = 1 << 20 };

static void quiet(int level, const char *text, void *arg)
{
	(void)arg;
	if (level == CRYPT_LOG_ERROR)
		log_warn("disk", "cryptsetup: %.*s", (int)strcspn(text, "\n"), text);
}

static int crypt_error(struct err *e, const char *code, int rc, const char *what)
{
	return err_code(e, ERR_SYSTEM, code, "%s: %s", what, strerror(-rc));
}

// Of a header file and the disk that it describes.
static struct crypt_device *device_open(const char *header, const char *device, struct err *e)
{
	struct crypt_device *cd = NULL;
	int rc = crypt_init_data_device(&cd, header, device);

	crypt_set_log_callback(NULL, quiet, NULL);
	if (rc < 0) {
		crypt_error(e, "disk.format", rc, "encrypted disk");
		return NULL;
	}
	return cd;
}

// The key has 256 random bits already: a slow derivation would buy nothing (spec 61 section 9).
const struct crypt_pbkdf_type disk_pbkdf = { .type = CRYPT_KDF_PBKDF2,
					     .hash = "sha256",
					     .iterations = ITERATIONS,
					     .flags = CRYPT_PBKDF_NO_BENCHMARK };

int disk_format(const char *header, const char *device, const char *pass, struct err *e)
{
	struct crypt_params_luks2 params = { .pbkdf = &disk_pbkdf,
					     .data_device = device,
					     .sector_size = SECTOR };
	auto_close int fd = open(header, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || ftruncate(fd, HEADER_AREA))
		return err_errno(e, "header file");
	struct crypt_device *cd = device_open(header, device, e);
	if (!cd)
		return -1;
	int rc = crypt_set_data_offset(cd, HEADER_AREA / SECTOR);
	if (rc >= 0)
		rc = crypt_format(cd, CRYPT_LUKS2, "aes", "xts-plain64", NULL, NULL, HEADER_KEY, &params);
	if (rc >= 0)
		rc = crypt_keyslot_add_by_volume_key(cd, 0, NULL, 0, pass, PASS);
	crypt_free(cd);
	return rc < 0 ? crypt_error(e, "disk.format", rc, "encrypt the data disk") : 0;
}

static int copy_all(int from, int to, struct err *e)
{
	auto_free uint8_t *b = malloc(COPY_STEP);

	for (off_t at = 0; b && at < HEADER_AREA; at += COPY_STEP)
		if (pread(from, b, COPY_STEP, at) != COPY_STEP || pwrite(to, b, COPY_STEP, at) != COPY_STEP)
			return err_errno(e, "copy encryption header");
	return !b || fsync(to) ? err_errno(e, "copy encryption header") : 0;
}

int disk_copy_header(const char *from, const char *to, struct err *e)
{
	auto_close int in = open(from, O_RDONLY | O_CLOEXEC);
	auto_close int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (in < 0 || out < 0)
		return err_errno(e, "copy encryption header");
	return copy_all(in, out, e);
}

static int check_copy(const char *header, struct err *e)
{
	char *area;
	size_t n;

	if (file_read(header, HEADER_AREA, &area, &n, e))
		return -1;
	int rc = header_check(span_of(area, n), e);
	free(area);
	return rc;
}

static int activate(const char *header, const char *device, const char *pass, struct err *e)
{
	struct crypt_device *cd = device_open(header, device, e);

	if (!cd)
		return -1;
	int rc = crypt_load(cd, CRYPT_LUKS2, NULL);
	if (rc >= 0)
		rc = crypt_activate_by_passphrase(cd, DISK_NAME, CRYPT_ANY_SLOT, pass, PASS, 0);
	crypt_free(cd);
	if (rc == -EPERM)
		return err_code(
			e, ERR_DENIED, "disk.key",
			"the data disk does not open with this instance's key: it belongs to another one");
	return rc < 0 ? crypt_error(e, "disk.header", rc, "open the data disk") : 0;
}

static int mkfs(struct err *e)
{
	const char *const argv[] = { "mkfs.ext4", "-q", "-F", "-L", "dstack-data", DISK_MAPPED, NULL };
	char said[RUN_SAID];
	int rc = run(argv, said, e);

	if (rc < 0)
		return -1;
	return rc ? err_code(e, ERR_SYSTEM, "disk.filesystem", "mkfs.ext4: %s", said) : 0;
}

// 0 and 1 (repaired) are good ends of e2fsck. Growing is for disks that the host made larger.
static int check_filesystem(struct err *e)
{
	const char *const fsck[] = { "e2fsck", "-f", "-p", DISK_MAPPED, NULL };
	const char *const grow[] = { "resize2fs", DISK_MAPPED, NULL };
	char said[RUN_SAID];
	int rc = run(fsck, said, e);

	if (rc < 0)
		return -1;
	if (rc > 1)
		return err_code(e, ERR_SYSTEM, "disk.filesystem", "e2fsck found damage (%d): %s", rc, said);
	rc = run(grow, said, e);
	if (rc > 0)
		log_warn("disk", "resize2fs: %s", said);
	return rc < 0 ? -1 : 0;
}

static int mount_data(const char *at, struct err *e)
{
	if (file_mkdirs(at, 0755, e))
		return -1;
	if (mount(DISK_MAPPED, at, "ext4", MS_NOATIME, "")) {
		err_errno(e, "mount the data disk on %s", at);
		snprintf(e->code, sizeof e->code, "disk.mount");
		return -1;
	}
	return 0;
}

static int first_boot(const char *device, const char *header, const char *at, const char *pass, struct err *e)
{
	if (disk_format(header, device, pass, e) || check_copy(header, e) ||
	    activate(header, device, pass, e) || mkfs(e) || mount_data(at, e))
		return -1;
	sync();
	return disk_copy_header(header, device, e);
}

// A crash while the key was changed may leave two headers that differ.
static int take_header(const char *device, const char *header, struct err *e)
{
	struct err why;

	if (disk_copy_header(device, header, e))
		return -1;
	if (!check_copy(header, e))
		return 0;
	if (rekey_mend(header, device, &why))
		return -1;
	log_warn("disk", "the encryption header was mended: %s", e->text);
	return 0;
}

struct keys {
	const uint8_t *key;
	const uint8_t (*older)[32];
	size_t n;
};

// With the newest key that fits. Which one it is is only known by trying; the current one stays afterwards.
static int open_with(const char *header, const char *device, const struct keys *k, const char *pass,
		     struct err *e)
{
	int rc = activate(header, device, pass, e);

	for (size_t i = 0; rc && !strcmp(e->code, "disk.key") && i < k->n; i++) {
		char old[PASS + 1];
		struct err why;

		hex_encode(old, k->older[i], 32);
		if (!activate(header, device, old, &why)) {
			rc = 0;
			if (rekey_disk(header, device, old, pass, &why))
				log_warn("disk", "opened with an earlier epoch's key, which stays: %s",
					 why.text);
			else
				log_info("disk",
					 "opened with an earlier epoch's key, changed to the current one");
		}
		secret_wipe(old, sizeof old);
	}
	return rc;
}

static int later_boot(const char *device, const char *header, const char *at, const struct keys *k,
		      const char *pass, struct err *e)
{
	return take_header(device, header, e) || open_with(header, device, k, pass, e) ||
			       check_filesystem(e) || mount_data(at, e)
		       ? -1
		       : 0;
}

int disk_setup(const char *private_dir, const char *at, const uint8_t key[static 32],
	       const uint8_t (*older)[32], size_t n, bool *is_new, struct err *e)
{
	const struct keys k = { key, older, n };
	char device[DEV_PATH], pass[PASS + 1];
	auto_free char *header = str_format("%s/luks-header", private_dir);
	enum data_state state;

	if (!header || blockdev_data(device, &state, e))
		return header ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	*is_new = state == DATA_BLANK;
	hex_encode(pass, key, 32);
	int rc = *is_new ? first_boot(device, header, at, pass, e)
			 : later_boot(device, header, at, &k, pass, e);
	secret_wipe(pass, sizeof pass);
	unlink(header);
	return rc;
}

int disk_swap(const char *at, uint64_t size, struct err *e)
{
	static const uint64_t page = 4096;
	uint8_t head[4096] = { 0 };
	uint32_t last = (uint32_t)(size / page - 1), version = 1;
	auto_free char *path = str_format("%s/swap", at);
	auto_close int fd = -1;

	if (!path || size < 10 * page || size / page > UINT32_MAX)
		return err_code(e, ERR_INPUT, "disk.swap", "swap of %llu bytes", (unsigned long long)size);
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	memcpy(head + 1024, &version, 4);
	memcpy(head + 1028, &last, 4);
	memcpy(head + page - 10, "SWAPSPACE2", 10);
	if (fd < 0 || posix_fallocate(fd, 0, (off_t)(size / page * page)) ||
	    pwrite(fd, head, page, 0) != (ssize_t)page || fsync(fd) || swapon(path, 0))
		return err_errno(e, "swap file");
	return 0;
}

int disk_close(struct err *e)
{
	int rc = crypt_deactivate(NULL, DISK_NAME);

	return rc < 0 && rc != -ENODEV ? crypt_error(e, "disk.close", rc, "close the data disk") : 0;
}
