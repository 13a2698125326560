// keymaker - the process that writes new root sets to the disk, for the key process, which may not open
// files.
//
// Forked before the roots are read, so it has none but the set it is given; it may write files and nothing
// else. It dies with the key process.
#pragma once
#include "keyring.h"

// *fd: where to ask. `other` is closed in it.
int keymaker_start(const char *dir, int other, int *fd, struct err *e);
// Returns when the set is on the disk.
int keymaker_put(int fd, uint32_t root, const struct keyring_files *f, const char *statement, struct err *e);
