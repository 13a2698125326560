#include "metrics.h"

#include <stdio.h>
#include <string.h>

static const uint32_t bounds_ms[METRICS_BUCKETS] = { 1,   2,   5,    10,   20,    50,   100,
						     200, 500, 1000, 2000, 10000, 60000 };
static const char *const names[METRICS_METHODS] = {
	"GetAppKey", "GetKmsKey", "SignCert", "GetAppEnvEncryptPubKey", "GetTempCaCert", "GetMeta", "other"
};

static void observe(struct histogram *h, uint64_t us)
{
	size_t i = 0;

	while (i < METRICS_BUCKETS && us > (uint64_t)bounds_ms[i] * 1000)
		i++;
	atomic_fetch_add_explicit(&h->le[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_us, us, memory_order_relaxed);
}

static bool is_ours(const struct err *e)
{
	return e->class == ERR_AGAIN || e->class == ERR_SYSTEM || e->class == ERR_BUG;
}

void metrics_call(void *arg, const char *method, const struct err *e, uint64_t us)
{
	struct metrics *m = arg;
	size_t i = 0;

	while (i < METRICS_OTHER && strcmp(names[i], method))
		i++;
	observe(&m->method[i], us);
	if (e)
		atomic_fetch_add(is_ours(e) ? &m->failed[i] : &m->refused[i], 1);
}

void metrics_policy(struct metrics *m, const struct err *e, uint64_t us)
{
	observe(&m->policy, us);
	atomic_fetch_add(!e ? &m->allowed : is_ours(e) ? &m->unavailable : &m->denied, 1);
}

static unsigned long total(const struct histogram *h)
{
	unsigned long n = 0;

	for (size_t i = 0; i <= METRICS_BUCKETS; i++)
		n += atomic_load_explicit(&h->le[i], memory_order_relaxed);
	return n;
}

// `label` is `method="GetMeta"` or "".
static void write_histogram(struct sb *b, const char *name, const char *label, const struct histogram *h)
{
	const char *comma = *label ? "," : "";
	unsigned long n = 0;

	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		n += atomic_load_explicit(&h->le[i], memory_order_relaxed);
		sb_fmt(b, "%s_bucket{%s%sle=\"%g\"} %lu\n", name, label, comma, bounds_ms[i] / 1e3, n);
	}
	n += atomic_load_explicit(&h->le[METRICS_BUCKETS], memory_order_relaxed);
	sb_fmt(b, "%s_bucket{%s%sle=\"+Inf\"} %lu\n", name, label, comma, n);
	sb_fmt(b, "%s_sum%s%s%s %.6f\n", name, *label ? "{" : "", label, *label ? "}" : "",
	       (double)atomic_load_explicit(&h->sum_us, memory_order_relaxed) / 1e6);
	sb_fmt(b, "%s_count%s%s%s %lu\n", name, *label ? "{" : "", label, *label ? "}" : "", n);
}

void metrics_value(struct sb *out, const char *type, const char *name, double value)
{
	sb_fmt(out, "# TYPE %s %s\n%s %.15g\n", name, type, name, value);
}

// GetAppKey, GetKmsKey and SignCert: what upstream counts.
static void write_upstream(struct sb *out, const struct metrics *m)
{
	unsigned long requests = 0, failures = 0;

	for (size_t i = METRICS_APP_KEY; i <= METRICS_SIGN_CERT; i++) {
		requests += total(&m->method[i]);
		failures += atomic_load(&m->refused[i]) + atomic_load(&m->failed[i]);
	}
	metrics_value(out, "counter", "dstack_kms_attestation_requests_total", (double)requests);
	metrics_value(out, "counter", "dstack_kms_attestation_failures_total", (double)failures);
}

void metrics_write(struct sb *out, const struct metrics *m)
{
	char label[64];

	write_upstream(out, m);
	sb_str(out, "# TYPE dstack_kms_requests_total counter\n");
	for (size_t i = 0; i < METRICS_METHODS; i++) {
		unsigned long refused = atomic_load(&m->refused[i]), failed = atomic_load(&m->failed[i]),
			      all = total(&m->method[i]), ok = all - refused - failed;
		const unsigned long count[3] = { all >= refused + failed ? ok : 0, refused, failed };
		static const char *const result[3] = { "ok", "refused", "failed" };
		for (size_t k = 0; k < 3; k++)
			sb_fmt(out, "dstack_kms_requests_total{method=\"%s\",result=\"%s\"} %lu\n", names[i],
			       result[k], count[k]);
	}
	sb_str(out, "# TYPE dstack_kms_request_duration_seconds histogram\n");
	for (size_t i = 0; i < METRICS_METHODS; i++) {
		snprintf(label, sizeof label, "method=\"%s\"", names[i]);
		write_histogram(out, "dstack_kms_request_duration_seconds", label, &m->method[i]);
	}
	sb_str(out, "# TYPE dstack_kms_policy_decisions_total counter\n");
	sb_fmt(out,
	       "dstack_kms_policy_decisions_total{result=\"allowed\"} %lu\n"
	       "dstack_kms_policy_decisions_total{result=\"denied\"} %lu\n"
	       "dstack_kms_policy_decisions_total{result=\"unavailable\"} %lu\n",
	       atomic_load(&m->allowed), atomic_load(&m->denied), atomic_load(&m->unavailable));
	sb_str(out, "# TYPE dstack_kms_policy_duration_seconds histogram\n");
	write_histogram(out, "dstack_kms_policy_duration_seconds", "", &m->policy);
}
