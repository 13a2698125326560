// image - a guest image: a folder with metadata.json, the files it names and their checksums.
//
// The guest does not trust us and measures all it runs; checking here turns a damaged image into a clear
// refusal before a VM starts. What digest.txt covers is hashed once per version of each file (device, inode,
// size, time); the root image is left to dm-verity. spec 60 section 1.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { IMAGE_CMDLINE = 4096, IMAGE_PATH = 1024 };

struct image {
	char name[65], version[33], ovmf_variant[33];
	char kernel[IMAGE_PATH], initrd[IMAGE_PATH], rootfs[IMAGE_PATH],
		bios[IMAGE_PATH]; // "" where not named
	char cmdline[IMAGE_CMDLINE];
	char digest[65];   // os_image_hash: what digest.txt says and sha256sum.txt hashes to
	char *description; // metadata.json as it is; owned
	bool is_dev;
	char *checksums, *measurement; // sha256sum.txt and measurement.tdx.cbor, NULL when absent; owned
	size_t checksums_n, measurement_n;
};

// Codes: image.absent, image.metadata, image.digest.
int image_load(struct image *out, const char *folder, const char *name, struct err *e);
// Hash everything that sha256sum.txt lists, unless `verified` already knows these very files.
struct image_memory;
int image_verify(const struct image *im, struct image_memory *memory, const char *folder, struct err *e);
// MRTD of the image's firmware by the TDX algorithm, remembered in the same way. Nothing launches a TD where
// it is needed here, so there is one definition for every QEMU: each page added and extended in turn.
int image_mrtd(uint8_t out[static 48], const struct image *im, struct image_memory *memory, struct err *e);
void image_free(struct image *im);
#define auto_image __attribute__((cleanup(image_free))) struct image

struct image_memory *image_memory_new(void);
void image_memory_free(struct image_memory *m);
