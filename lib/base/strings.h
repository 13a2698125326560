// strings - numbers, hex and quoting for text that came from elsewhere.
//
// Readers refuse signs, blanks, overflow and trailing bytes; nothing is accepted "as far as it parses".
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool str_u64(const char *s, uint64_t *out);             // decimal, whole string
bool str_u64_n(const char *s, size_t n, uint64_t *out); // the same over n bytes
bool str_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out);
bool str_seconds(const char *s, uint64_t *out); // "90", "90s", "5m", "2h", "1d"
bool str_bytes(const char *s, uint64_t *out);   // "512", "64K", "20M", "2G", "1T" (1024 steps)
bool str_starts(const char *s, const char *head);
bool str_ends(const char *s, const char *tail);
bool str_is_utf8(const void *p, size_t n);
size_t str_utf8_next(const void *p, size_t n); // bytes of the first character, 0 when it is malformed

// An owned string, NULL when out of memory.
char *str_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *str_dup_n(const void *p, size_t n); // adds the NUL

// Bytes of a peer, fit to print: in quotes, the rest escaped, cut to `cap` with "...". Returns `out`.
char *str_quote(char *out, size_t cap, const void *p, size_t n);
// The same for use inside one expression, at most 95 characters: err_set(e, ..., "name %s", STR_Q(p, n)).
#define STR_Q(p, n) str_quote((char[96]){ 0 }, 96, p, n)
#define STR_QZ(s)   str_quote((char[96]){ 0 }, 96, s, __builtin_strlen(s))

void hex_encode(char *out, const void *p, size_t n);                       // 2 n + 1 bytes, lower case
int hex_read(void *out, size_t cap, const char *s, size_t n, size_t *len); // -1: odd, not hex, too long
bool hex_exact(void *out, size_t want, const char *s);                     // exactly `want` bytes
char *hex_dup(const void *p, size_t n);                                    // owned, NULL when out of memory
#define STR_HEX(p, n) str_hex((char[2 * 64 + 1]){ 0 }, p, n)               // n at most 64, for printing
char *str_hex(char *out, const void *p, size_t n);                         // hex_encode that returns out
