// page - the released verify.html as built, for programs that hand it out: `dstack verify --emit-page`, the
// verifier service.
#pragma once
#include "core/codec/buf.h"

struct span verify_page(void);
