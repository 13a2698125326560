// rekey - another pass phrase for the data disk, so that a crash at any point leaves a disk that one of the
// two opens.
//
// Works on the private copy of the header and carries it to the disk in an order that keeps one whole header
// there at any time: new key area, second header, first header, the rest. What a crash leaves between the two
// headers is mended from the one that is whole. The result is of the one shape that header.h allows.
#pragma once
#include "base/err.h"

// `header` is the private copy of `device`'s header; `old` opens it. Codes: disk.format, disk.header,
// disk.key.
int rekey_disk(const char *header, const char *device, const char *old, const char *pass, struct err *e);
// The copy's two headers differ or one is broken: both are made equal again, in the copy and on the disk.
// disk.header when neither is ours.
int rekey_mend(const char *header, const char *device, struct err *e);
