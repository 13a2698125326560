#include "base/version.h"

const char version_text[] = DSTACK_VERSION;
const char version_rev[] = DSTACK_REV;
