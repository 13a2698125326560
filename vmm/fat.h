// fat - writes the guest's share: a FAT32 disk image with a handful of files in its root folder.
//
// The image is sparse, deterministic (fixed serial number and times) and complete in one pass; nothing here
// reads a FAT. Names keep their case and length (VFAT long names). Microsoft FAT specification, 2005.
#pragma once
#include <stddef.h>

#include "base/err.h"

enum { FAT_FILES_MAX = 32, FAT_SPACE = 120 * 1024 * 1024 }; // bytes of content that fit for certain

struct fat_file {
	const char *name; // [A-Za-z0-9._-], 1 to 64 characters
	const void *p;
	size_t n;
};

// Write the image to the empty file `fd`. `label` has at most 11 capital letters and digits.
int fat_write(int fd, const char *label, const struct fat_file *files, size_t n, struct err *e);
