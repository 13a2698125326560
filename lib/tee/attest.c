#include "tee/attest.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "core/attest/envelope.h"

static int write_envelope(const struct envelope *env, uint8_t **out, size_t *n, struct err *e)
{
	struct fault f = { 0 };
	struct wr dry = wr_to(NULL, 0);

	(void)envelope_write(&dry, env, &f); // tells the size
	if (dry.n == 0 || dry.n > ENVELOPE_MAX)
		return err_code(e, ERR_BUG, f.code ? f.code : "", "attestation envelope of %zu bytes", dry.n);
	auto_free uint8_t *bytes = malloc(dry.n);
	struct wr w = wr_to(bytes, bytes ? dry.n : 0);
	f = (struct fault){ 0 };
	if (!bytes || envelope_write(&w, env, &f) || w.bad)
		return err_code(e, ERR_BUG, f.code ? f.code : "", "attestation envelope: %s",
				f.text ? f.text : "too large");
	*n = w.n;
	*out = TAKE(bytes);
	return 0;
}

int tee_attest(struct tee *t, const char *dir, const uint8_t report_data[static TEE_REPORT_DATA],
	       struct span vm_config, bool strip, uint8_t **out, size_t *n, struct err *e)
{
	auto_free struct tee_quote *q = malloc(sizeof *q);
	auto_free struct envelope *env = calloc(1, sizeof *env);
	struct tee_log log;
	size_t runtime_at;

	if (!q || !env)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (runtime_quote(t, dir, report_data, q, &log, &runtime_at, e))
		return -1;
	env->kind = ENVELOPE_TDX;
	env->quote = span_of(q->bytes, q->n);
	memcpy(env->report_data, report_data, TEE_REPORT_DATA);
	env->config = vm_config;
	env->runtime =
		(struct eventlog){ log.log.e + runtime_at, log.log.n - runtime_at, log.log.n - runtime_at };
	// stripping works on the platform's log in place, so the runtime events get an array of their own
	auto_free struct event *copy = calloc(env->runtime.n + 1, sizeof *copy);
	int rc = copy ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
	if (!rc) {
		if (env->runtime.n)
			memcpy(copy, env->runtime.e, env->runtime.n * sizeof *copy);
		env->runtime.e = copy;
		env->log = log.log;
		if (strip)
			envelope_strip(env);
		rc = write_envelope(env, out, n, e);
	}
	tee_log_free(&log);
	return rc;
}
