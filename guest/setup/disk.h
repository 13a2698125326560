// disk - the encrypted data disk: made at the first boot, opened at later ones, closed at shutdown.
//
// LUKS2, opened with a detached copy of its header that header.h has checked, so that what was checked is
// what is used. The pass phrase is the lower-case hex text of the disk key (spec 60 section 8). At the first
// boot the header reaches the disk last: a disk with a header always has a complete file system.
#pragma once
#include "base/err.h"
#include "blockdev.h"
#include "core/codec/buf.h"

#define DISK_NAME   "dstack-data"
#define DISK_MAPPED "/dev/mapper/" DISK_NAME

struct crypt_pbkdf_type;

// Open or make the disk and mount it on `at`. `private_dir` is a folder in memory. *is_new tells which.
// Codes: disk.missing, disk.ambiguous, disk.header, disk.key, disk.format, disk.filesystem, disk.mount.
// A disk that only opens with one of the `n` older keys is given the current one (rekey.h).
int disk_setup(const char *private_dir, const char *at, const uint8_t key[static 32],
	       const uint8_t (*older)[32], size_t n, bool *is_new, struct err *e);
int disk_swap(const char *at, uint64_t size, struct err *e); // a swap file on it, made anew
int disk_close(struct err *e);                               // unmounted before

extern const struct crypt_pbkdf_type disk_pbkdf;

// Parts, for tests. `header` is a file of HEADER_AREA bytes.
int disk_format(const char *header, const char *device, const char *pass, struct err *e);
int disk_copy_header(const char *from, const char *to, struct err *e);
