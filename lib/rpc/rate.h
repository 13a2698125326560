// rate - how often each client may ask, and all together: token buckets, in bounded memory.
//
// A bucket holds up to `burst` tokens and gains `per_s` a second; a request takes one of its client's and one
// of everybody's, or is refused and takes none. Of many clients the one that was quiet longest is forgotten,
// which gives it a full bucket: against a flood from everywhere the common bucket stands. The caller says the
// time; not locked.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { RATE_KEY = 16, RATE_CLIENTS = 1024 };

struct rate_limits {
	uint32_t per_s, burst;         // of one client; per_s 0: no limit
	uint32_t all_per_s, all_burst; // of all; all_per_s 0: no limit
};

struct rate;

struct rate *rate_new(const struct rate_limits *l); // NULL when out of memory
void rate_free(struct rate *r);
bool rate_allow(struct rate *r, const uint8_t client[static RATE_KEY], uint64_t now_ms);
