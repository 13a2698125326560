// out - results on stdout: JSON text and tables for people.
#pragma once
#include <stdbool.h>
#include <stdio.h>

void out_json_text(FILE *f, const char *s); // a JSON string with its quotes, pure ASCII controls escaped

// A table whose columns are as wide as their widest cell; rows are NULL-terminated arrays of cells.
enum { OUT_COLUMNS_MAX = 10 };
void out_table(FILE *f, const char *const *const *rows, size_t n);
