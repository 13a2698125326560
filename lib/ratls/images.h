// images - guest images on disk, found by identity: os_image_hash = SHA-256(sha256sum.txt) (spec 60 section
// 1).
//
// A folder of image folders. Nothing in one is used before its hash is that of the manifest, and the
// manifest's that of the identity asked for. What was computed is kept, so a second question costs no
// reading. Files are read whole, bounded, links are not followed.
#pragma once
#include "base/err.h"
#include "core/verify/verify.h"

struct images;

struct images *images_new(const char *dir, struct err *e);         // NULL dir: no images
int images_also(struct images *s, const char *dir, struct err *e); // a second folder, looked into last
void images_free(struct images *s);
void images_forget(struct images *s); // what was computed: a folder may have been changed or removed

// ERR_ABSENT image.unknown: no such image here. ERR_UNTRUSTED: the folder's files are not those of its
// manifest.
int images_find(struct images *s, struct verify_image *out, const uint8_t os_image_hash[32], uint64_t memory,
		struct err *e);

// Everything of one folder that is to be measured, read from its files and metadata.json without a manifest:
// for `dstack image measure`.
int image_measure(const char *dir, struct measurement_tdx *out, struct err *e);

// A fault of the core as an error.
int err_fault(struct err *e, enum err_class c, const struct fault *f);
