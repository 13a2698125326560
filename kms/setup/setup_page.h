// setup_page - the page of the set-up (kms/setup/page), made part of the program by its build.py.
//
// One file that loads nothing: the headers allow its own style, its own script and calls to its own origin.
#pragma once
#include <stddef.h>

extern const char setup_page[], setup_page_headers[]; // the headers are whole lines
extern const size_t setup_page_size;
