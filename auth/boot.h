// boot - the boot info of a webhook request, from its texts. What is not said is not assumed: an anchor that
// is not named is Intel's only because a KMS that accepts another root says so.
#pragma once
#include "auth.pb-c.h"
#include "base/err.h"
#include "core/verify/bootinfo.h"

// Sizes are exact, 0x and either case are fine; instance and image may be empty. Code: auth.request.
int boot_read(struct boot_info *out, const Auth__BootInfo *in, struct err *e);
