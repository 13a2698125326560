// download - OS images by identity into the image folder: fetched, unpacked, compared, only then named.
//
// The source is not trusted: size and time are bounded, the archive may hold plain files only, sha256sum.txt
// must hash to the identity asked for and every file it lists must be there with its hash; what it does not
// list is removed. One download for many askers, two at a time, a failure is kept for half a minute.
#pragma once
#include <stdint.h>

#include "base/err.h"

struct downloads;

struct downloads_config {
	const char *dir, *url; // the url with {OS_IMAGE_HASH}, "" for none
	int seconds, redirects;
	int64_t bytes_max; // of an archive; 0: 1 GiB
};
// Makes `dir`, removes what a killed process left in it.
struct downloads *downloads_new(const struct downloads_config *c, struct err *e);
void downloads_free(struct downloads *d);
void downloads_stop(struct downloads *d); // what is under way is broken off, nothing new begins
// 0: dir/<hash in hex> holds the image. Blocks. Codes: image.unknown, image.download, image.archive,
// image.too_large, image.hash, image.file, image.manifest, image.cache_full.
int downloads_get(struct downloads *d, const uint8_t os_image_hash[32], struct err *e);

// The archive in `fd` (from where it stands), for downloads_get and for tests.
int download_unpack(const char *dir, int fd, const uint8_t os_image_hash[32], struct err *e);
