// verity - the dm-verity root: superblock in, active device out.
//
// Trusts only the root hash and size of the measured command line. The superblock comes from the host's
// disk: it gives the salt, everything else in it must be what we build (version 1, SHA-256, 4096/4096).
// Format: cryptsetup's "DMVerity" wiki page; table: the kernel's admin-guide/device-mapper/verity.rst.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { VERITY_SUPERBLOCK = 512, VERITY_TABLE_MAX = 1024 };

struct verity {
	uint64_t blocks; // data blocks of 4096 bytes; the superblock is the block after them
	char salt[513];  // hex, "-" when empty
};

// Check the superblock that lies behind `size` bytes of data.
int verity_parse(struct verity *out, const uint8_t sb[static VERITY_SUPERBLOCK], uint64_t size,
		 struct err *e);

// The device-mapper target line; a wrong block panics the kernel (panic_on_corruption).
int verity_table(char out[static VERITY_TABLE_MAX], const struct verity *v, const char *dev,
		 const char *root_hash, struct err *e);

// Read the superblock of `dev` and activate it as /dev/mapper device `name`. `node` gets /dev/dm-N.
int verity_open(char *node, size_t cap, const char *name, const char *dev, const char *root_hash,
		uint64_t size, struct err *e);
