// judges - the processes that judge evidence, as the network process asks them.
//
// lib/ratls/trust calls judges_run instead of judging itself. A judge that ends, answers what is no answer or
// takes longer than its time is given up; the supervisor has another one there at once. What it was asked is
// asked of another one, once; evidence that ends both is refused, for ten minutes without being looked at.
// What judges may do: jail.h; what is said: judge_wire.h.
#pragma once
#include <stdatomic.h>

#include "ratls/judge.h"

enum { JUDGES_MAX = 32 };

struct judges;

// `lost` is called, by any thread, when the judge in that seat is to be replaced; `serial` is its own.
struct judges *judges_new(const int *fds, const uint32_t *serials, size_t n, int limit_ms,
			  void (*lost)(void *arg, uint32_t seat, uint32_t serial), void *arg);
void judges_free(struct judges *j);
// A fresh one; takes `fd`.
void judges_seat(struct judges *j, uint32_t seat, uint32_t serial, int fd);
judge_fn judges_run;                    // arg: the struct judges. Codes: kms.no_judge, kms.judge_ended
uint64_t judges_lost(struct judges *j); // so far
