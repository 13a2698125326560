// blockdev - the disks of this machine, told by what is on them, never by their names.
#pragma once
#include <stdbool.h>
#include "base/err.h"

enum { DEV_PATH = 80 };

// The one block device (disk or partition) with this FAT label. Codes: share.missing, share.ambiguous.
int blockdev_by_fat_label(const char *label, char out[static DEV_PATH], struct err *e);

// The data disk: PARTLABEL dstack-data, else the one writable whole disk that is LUKS or begins with 16 MiB
// of zeros. Codes: disk.missing, disk.ambiguous.
enum data_state { DATA_BLANK, DATA_LUKS };
int blockdev_data(char out[static DEV_PATH], enum data_state *state, struct err *e);

// The FAT label in a boot sector, upper case without the blanks behind it; false when it is no FAT.
bool fat_label(const unsigned char sector[static 512], char out[static 12]);
