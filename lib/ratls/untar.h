// untar - the files of a gzip-compressed tar archive, fed piece by piece, into one folder (POSIX ustar).
//
// Built for archives that others made: only regular files and folders are allowed, names without "..", not
// absolute, plain; sizes and number are bounded while unpacking. Only files at the top are written; what lies
// in folders is passed over. Each written file is hashed. Nothing is believed that the caller does not
// compare.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	UNTAR_FILES = 64,
	UNTAR_ENTRIES = 1000,
	UNTAR_NAME = 128,
	UNTAR_FILE_MAX = 512 << 20, // bytes of one written file
};
#define UNTAR_TOTAL_MAX (8ull << 30) // unpacked, with what is passed over

struct untar_file {
	char name[UNTAR_NAME];
	uint8_t sha256[32];
	uint64_t size;
};

struct untar;

// `dir`: an open folder, empty, which must outlive it.
struct untar *untar_new(int dir, struct err *e);
void untar_free(struct untar *u);
// Codes: image.archive for what may not be in one, image.too_large.
int untar_feed(struct untar *u, const void *p, size_t n, struct err *e);
// All was fed: the archive must be whole. The files written, in order.
int untar_end(struct untar *u, const struct untar_file **files, size_t *n, struct err *e);
