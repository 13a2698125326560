// image_folder - an image being unpacked beside its place: a hidden folder that becomes dir/<hash> when all
// of it was compared, and vanishes otherwise.
#pragma once
#include <stdint.h>

#include "ratls/untar.h"

struct image_folder;

struct image_folder *image_folder_new(const char *dir, struct err *e);
void image_folder_free(struct image_folder *f); // removes it unless it was finished
int image_folder_feed(struct image_folder *f, const void *p, size_t n, struct err *e);
// Codes: image.hash (sha256sum.txt is not the one named), image.manifest, image.file, image.archive.
int image_folder_finish(struct image_folder *f, const uint8_t os_image_hash[32], struct err *e);
void image_folder_sweep(const char *dir); // left-overs of killed processes
