#include "base/time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t ms_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t time_now(void)
{
	return ms_of(CLOCK_REALTIME) / 1000;
}

uint64_t time_now_ms(void)
{
	return ms_of(CLOCK_REALTIME);
}

uint64_t time_mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t time_mono_ms(void)
{
	return ms_of(CLOCK_MONOTONIC);
}

void time_sleep_ms(uint64_t ms)
{
	nanosleep(&(struct timespec){ .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 },
		  NULL);
}

char *time_text(char out[static TIME_TEXT], uint64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	struct tm t;
	char day[24];

	if (!gmtime_r(&s, &t) || !strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &t))
		day[0] = 0;
	snprintf(out, TIME_TEXT, "%.19s.%03uZ", day, (unsigned)(ms % 1000));
	return out;
}

bool time_parse(const char *s, uint64_t *out)
{
	struct tm t = { 0 };
	const char *end = strlen(s) == 20 ? strptime(s, "%Y-%m-%dT%H:%M:%SZ", &t) : NULL;

	if (!end || *end)
		return false;
	time_t v = timegm(&t);
	if (v < 0)
		return false;
	*out = (uint64_t)v;
	return true;
}
