// sb - a text buffer that grows up to a cap, and JSON written into it.
//
// Failure (out of memory, cap reached) is sticky: write straight down, test `bad` once. The text is always
// terminated by NUL. JSON strings come out as pure ASCII (\uXXXX), which every client of ours can count.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb {
	char *p;
	size_t n, cap, max; // max 0: 64 MiB
	bool bad;
};

void sb_free(struct sb *b); // wipes
#define auto_sb __attribute__((cleanup(sb_free))) struct sb
char *sb_take(struct sb *b); // the owned text, NULL when bad

void sb_put(struct sb *b, const void *p, size_t n);
void sb_str(struct sb *b, const char *s);
void sb_chr(struct sb *b, char c);
void sb_fmt(struct sb *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sb_hex(struct sb *b, const void *p, size_t n);
void sb_base64(struct sb *b, const void *p, size_t n);

// JSON: sb_json_key writes the comma where one is due: `{"a":1` + sb_json_key(b, "b") -> `{"a":1,"b":`.
void sb_json_str(struct sb *b, const char *s); // invalid UTF-8 becomes U+FFFD
void sb_json_str_n(struct sb *b, const void *p, size_t n);
void sb_json_key(struct sb *b, const char *key);
void sb_json_next(struct sb *b); // a comma where one is due, before an array item
