// evidence_files - the evidence kept under tests/evidence, for the tests that judge it. EVIDENCE_DIR is set
// by the build.
#pragma once
#include "core/codec/json.h"

#define file_read evidence_file_read                      // lib/base has one of this name, too
struct span file_read(const char *dir, const char *name); // whole file; the test fails when it is not there
struct span file_hex(struct span text);                   // decodes hex text (white space at the end allowed)
struct span file_keep(const void *p, size_t n);           // a copy that file_free_all frees
void file_free_all(void);                                 // everything that came from the calls above
void file_name(char *out, size_t cap, struct json obj, const char *member); // a member that is a string
