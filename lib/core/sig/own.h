// own - the core's own engine: one listed signature check (core/verdict/check.h), without any library.
//
// The page's authority, and the second opinion natively. Programs use crypto/engine.h, which runs OpenSSL.
#pragma once
#include "core/verdict/check.h"

bool sig_own(const struct sig_check *c);
