// wipe - memory that is freed is zeroed first, whoever frees it: libevent's and OpenSSL's buffers hold
// answers with keys in them for a moment, too.
//
// The program's free and realloc stand before the C library's (glibc allows that). Off until wipe_begin, and
// in the judges, which hold nothing secret; absent under sanitizers, which have their own. spec 70 KM-16.
#pragma once

void wipe_begin(void);
