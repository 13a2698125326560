// share - what the host gives this boot: a few files, read once, bounded, then out of its reach.
//
// The disk labelled DSTACKSHR is mounted read-only on a private folder, each file is read through one
// descriptor (regular files only, no links, at most its limit) and copied; then the disk is unmounted, so
// that the host cannot change anything under us (spec 60 section 6a).
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "core/codec/buf.h"

enum { SHARE_COMPOSE, SHARE_SYS_CONFIG, SHARE_INSTANCE, SHARE_ENV, SHARE_USER_CONFIG, SHARE_FILES };

struct share {
	struct span file[SHARE_FILES]; // p is NULL when it is not there
};

extern const char *const share_names[SHARE_FILES];

// Codes: share.missing, share.ambiguous, share.mount, share.not_regular, share.too_large.
int share_read_dir(const char *dir, struct arena *a, struct share *out, struct err *e);
int share_read_disk(const char *work_dir, struct arena *a, struct share *out, struct err *e);
