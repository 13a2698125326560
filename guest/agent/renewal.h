// renewal - when something that expires is to be made anew: with a third of its life left, and after a
// failure later and later (1 s, 2 s, ... 5 min), while what is there serves on to its end.
//
// `now` is the time of day in seconds, which certificates live by; `mono_ms` a clock that only goes forward.
// The caller locks.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { RENEWAL_RETRY_MS = 1000, RENEWAL_RETRY_MAX_MS = 300000 };

struct renewal {
	uint64_t made, end; // end 0: there is none
	uint64_t retry_ms;  // not before
	unsigned failures;  // in a row
};

bool renewal_good(const struct renewal *r, uint64_t now); // it is there and has not expired
bool renewal_due(const struct renewal *r, uint64_t now, uint64_t mono_ms);
void renewal_made(struct renewal *r, uint64_t now, uint64_t end);
void renewal_failed(struct renewal *r, uint64_t mono_ms);
