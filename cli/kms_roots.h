// kms_roots - root sets of a KMS, as it says them on the wire.
#pragma once
#include <stdbool.h>

#include "crypto/rotation.h"
#include "kms.pb-c.h"

int kms_root_read(const Kms__RootRotation *m, struct rotation *out, struct err *e);
void kms_root_print(const struct rotation *r, bool attested); // as JSON, no newline
