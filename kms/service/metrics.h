// metrics - what a KMS counts, as Prometheus text. Upstream's two names are kept; the others are ours.
//
// Nothing in it names an app or a guest. Calls are counted on the loop's thread, policy by any.
#pragma once
#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sb.h"

enum { METRICS_BUCKETS = 13 };

struct histogram {
	atomic_ulong le[METRICS_BUCKETS + 1]; // not yet summed up; the last is what is longer
	atomic_ulong sum_us;
};

enum metrics_method {
	METRICS_APP_KEY,
	METRICS_KMS_KEY,
	METRICS_SIGN_CERT,
	METRICS_ENV_KEY,
	METRICS_TEMP_CA,
	METRICS_META,
	METRICS_OTHER,
	METRICS_METHODS
};

struct metrics {
	struct histogram method[METRICS_METHODS], policy;
	atomic_ulong refused[METRICS_METHODS], failed[METRICS_METHODS]; // the caller's fault; ours
	atomic_ulong allowed, denied, unavailable;                      // policy's answers
};

// As rpc_server_watch calls it; `arg` is the struct.
void metrics_call(void *arg, const char *method, const struct err *e, uint64_t us);
void metrics_policy(struct metrics *m, const struct err *e, uint64_t us); // e NULL: allowed
void metrics_write(struct sb *out, const struct metrics *m);
// One value with its type line.
void metrics_value(struct sb *out, const char *type, const char *name, double value);
