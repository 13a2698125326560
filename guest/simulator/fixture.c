#include "fixture.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "core/attest/envelope.h"
#include "core/attest/quote.h"

enum { ARENA_MAX = 64 << 20 };

static int get(const struct evidence_source *s, uint8_t report_data[static TEE_REPORT_DATA],
	       struct tee_quote *quote, struct tee_log *log, size_t *runtime_at, struct err *e)
{
	const struct fixture *x = (const struct fixture *)s;

	*log = (struct tee_log){ 0 };
	log->log.e = calloc(x->log.n + 1, sizeof *log->log.e);
	if (!log->log.e)
		return err_set(e, ERR_SYSTEM, "out of memory");
	memcpy(log->log.e, x->log.e, x->log.n * sizeof *log->log.e);
	log->log.n = x->log.n;
	log->log.cap = x->log.n + 1;
	*runtime_at = x->runtime_at;
	memcpy(quote->bytes, x->quote.p, x->quote.n);
	quote->n = x->quote.n;
	uint8_t *there = quote->bytes + x->report_data_at;
	if (x->patch)
		memcpy(there, report_data, TEE_REPORT_DATA);
	else
		memcpy(report_data, there, TEE_REPORT_DATA);
	return x->sign && x->patch ? x->sign(x->signer, quote->bytes, e) : 0;
}

static int set_quote(struct fixture *x, const struct envelope *env, struct err *e)
{
	struct quote q;
	struct td_report td;

	if (env->kind != ENVELOPE_TDX || env->quote.n > TEE_QUOTE_MAX || quote_parse(&q, env->quote) ||
	    quote_td(&q, &td))
		return err_code(e, ERR_INPUT, "simulator.attestation", "it has no TDX quote");
	x->quote = env->quote;
	x->report_data_at = (size_t)(quote_report_data(&q).p - env->quote.p);
	return 0;
}

// A runtime event with the digest, and for version 2 the preimage, that belong to it.
static int add_runtime(struct fixture *x, struct event ev, struct err *e)
{
	uint8_t *digest = arena_alloc(x->a, EVENT_DIGEST);
	struct fault f = { 0 };

	if (!digest)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (event_digest(digest, &ev, &f))
		return err_code(e, ERR_INPUT, "simulator.attestation", "a runtime event: %s", f.text);
	ev.digest = span_of(digest, EVENT_DIGEST);
	if (ev.version == 2) {
		struct wr size = wr_to(NULL, 0);
		event_preimage_v2(&size, ev.name, ev.payload);
		uint8_t *text = arena_alloc(x->a, size.n + 1);
		struct wr w = wr_to(text, text ? size.n : 0);
		event_preimage_v2(&w, ev.name, ev.payload);
		if (w.bad)
			return err_set(e, ERR_SYSTEM, "out of memory");
		ev.preimage = span_of(text, w.n);
	}
	x->log.e[x->log.n++] = ev;
	return 0;
}

static int set_events(struct fixture *x, const struct envelope *env, struct err *e)
{
	size_t cap = env->log.n + env->runtime.n;

	x->log = (struct eventlog){ .e = arena_array(x->a, cap + 1, sizeof *x->log.e), .cap = cap + 1 };
	if (!x->log.e)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (size_t i = 0; i < env->log.n; i++)
		if (env->log.e[i].imr != 3)
			x->log.e[x->log.n++] = env->log.e[i];
	x->runtime_at = x->log.n;
	for (size_t i = 0; i < env->runtime.n; i++)
		if (add_runtime(x, env->runtime.e[i], e))
			return -1;
	return 0;
}

static int set_config(struct fixture *x, const struct envelope *env, struct wr *scratch, struct err *e)
{
	struct span vm_config = envelope_vm_config(env, scratch);

	x->source.config = arena_dup(x->a, env->config.p, env->config.n);
	x->source.vm_config = arena_dup(x->a, vm_config.p, vm_config.n);
	return x->source.config && x->source.vm_config ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int decode(struct fixture *x, struct span bytes, struct err *e)
{
	struct event *events = arena_array(x->a, 2 * EVENTLOG_MAX, sizeof *events);
	uint8_t *room = arena_alloc(x->a, 2 * bytes.n + 1);
	struct wr scratch = wr_to(room, room ? 2 * bytes.n : 0);
	struct envelope env = { 0 };
	struct fault f = { 0 };

	if (!events || !room)
		return err_set(e, ERR_SYSTEM, "out of memory");
	env.log = (struct eventlog){ .e = events, .cap = EVENTLOG_MAX };
	env.runtime = (struct eventlog){ .e = events + EVENTLOG_MAX, .cap = EVENTLOG_MAX };
	if (envelope_read(&env, &scratch, bytes, &f))
		return err_code(e, ERR_INPUT, "simulator.attestation", "%s", f.text ? f.text : "malformed");
	return set_quote(x, &env, e) || set_events(x, &env, e) || set_config(x, &env, &scratch, e) ? -1 : 0;
}

int fixture_read(struct fixture *x, const char *path, bool patch, struct err *e)
{
	auto_free char *bytes = NULL;
	size_t n = 0;

	*x = (struct fixture){ .source.get = get, .patch = patch, .a = arena_new(ARENA_MAX) };
	if (!x->a)
		return err_set(e, ERR_SYSTEM, "out of memory");
	int rc = file_read(path, ENVELOPE_MAX, &bytes, &n, e);
	const char *kept = rc ? NULL : arena_dup(x->a, bytes, n);
	if (!rc && !kept)
		rc = err_set(e, ERR_SYSTEM, "out of memory");
	if (!rc)
		rc = decode(x, span_of(kept, n), e);
	if (!rc)
		return 0;
	fixture_free(x);
	return err_wrap(e, "read the attestation %s", path);
}

void fixture_sign_with(struct fixture *x, struct span quote, size_t at,
		       int (*sign)(const void *signer, uint8_t *quote, struct err *e), const void *signer)
{
	x->quote = quote;
	x->report_data_at = at;
	x->sign = sign;
	x->signer = signer;
}

void fixture_free(struct fixture *x)
{
	arena_free(x->a);
	*x = (struct fixture){ 0 };
}
