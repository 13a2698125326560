// sig - one signature check of the core (core/verdict/check.h) run with OpenSSL, any algorithm, nothing kept.
// Programs go through crypto/engine.h, which remembers what held; tests compare other engines with this one.
#pragma once
#include "core/verdict/check.h"

bool sig_verify(const struct sig_check *c);
