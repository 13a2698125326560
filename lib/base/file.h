// file - whole files, read with a bound and written so that a crash leaves the old one or the new one.
//
// Reads take regular files only, never follow a link in the last component, and stop at `max`. Writes go to a
// temporary file beside the target, created with its final mode, then fsync, rename, fsync of the folder.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/secret.h"

// *out is owned and has a NUL behind its *n bytes. ERR_ABSENT: no such file. Codes: file.not_regular,
// file.too_large, file.absent.
int file_read(const char *path, size_t max, char **out, size_t *n, struct err *e);
int file_read_at(int dir, const char *name, size_t max, char **out, size_t *n, struct err *e);
int file_read_secret(const char *path, size_t max, struct secret **out,
		     struct err *e); // refuses modes that let others read

int file_write(const char *path, mode_t mode, const void *p, size_t n, struct err *e);
int file_write_str(const char *path, mode_t mode, const char *s, struct err *e);
int file_write_new(const char *path, mode_t mode, const void *p, size_t n,
		   struct err *e);                             // ERR_DENIED, file.exists
int file_mkdirs(const char *path, mode_t mode, struct err *e); // parents too; existing is fine
bool file_exists(const char *path);
int file_remove(const char *path, struct err *e);      // absent is fine
int file_remove_tree(const char *path, struct err *e); // never follows links; absent is fine
