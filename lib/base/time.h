// time - clocks, and times as text.
#pragma once
#include <stdbool.h>
#include <stdint.h>

uint64_t time_now(void);     // seconds since 1970
uint64_t time_now_ms(void);  // milliseconds since 1970
uint64_t time_mono_ms(void); // monotonic: for deadlines and elapsed times
uint64_t time_mono_us(void);
void time_sleep_ms(uint64_t ms);

enum { TIME_TEXT = 25 };
char *time_text(char out[static TIME_TEXT], uint64_t ms); // "2026-11-22T15:12:09.123Z", returns out
bool time_parse(const char *s, uint64_t *out);            // "2026-11-22T15:12:09Z" to seconds
