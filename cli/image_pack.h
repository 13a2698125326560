// image_pack - an image as the archive that a KMS or a verifier downloads: mr_<os_image_hash>.tar.gz.
//
// What is in it is what is measured: sha256sum.txt and the files it names. The same image gives the same
// bytes. Who downloads it checks every hash, so it may lie anywhere.
#pragma once
#include "base/err.h"

// Into the folder `to`; a whole one there stays. Codes: image.manifest.
int image_pack(const char *dir, const char *to, struct err *e);
// Serve the archives of a folder as GET /mr_<64 hex digits>.tar.gz at "tcp:ADDRESS:PORT" until ended.
int image_serve(const char *dir, const char *address, struct err *e);
