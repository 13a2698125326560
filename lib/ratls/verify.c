#include "ratls/verify.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum { CONTEXT = (sizeof(struct verify) + 15) & ~(size_t)15 };

static size_t scratch_size(const struct verify_input *in)
{
	size_t n = in->evidence.n, beside = in->event_log.n + in->vm_config.n;

	n = n < VERIFY_EVIDENCE_MAX ? n
				    : VERIFY_EVIDENCE_MAX; // what is larger is refused before it is decoded
	return VERIFY_SCRATCH(n + (beside < VERIFY_EVIDENCE_MAX ? beside : VERIFY_EVIDENCE_MAX));
}

struct verify *evidence_new(const struct verify_input *in, struct err *e)
{
	struct verify *v = malloc(CONTEXT + VERIFY_LOG_MAX + scratch_size(in));

	if (!v)
		err_set(e, ERR_SYSTEM, "out of memory");
	return v;
}

// gzip into a bounded buffer, so a bomb costs no more than that.
static bool inflate_log(struct span in, uint8_t out[VERIFY_LOG_MAX], struct span *log)
{
	z_stream z = { 0 };

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return false;
	z.next_in = (uint8_t *)(uintptr_t)in.p;
	z.avail_in = (unsigned)in.n;
	z.next_out = out;
	z.avail_out = VERIFY_LOG_MAX;
	bool ok = inflate(&z, Z_FINISH) == Z_STREAM_END && !z.avail_in && z.total_out;

	*log = span_of(out, VERIFY_LOG_MAX - z.avail_out);
	inflateEnd(&z);
	return ok;
}

bool evidence_read(struct verify *v, const struct verify_input *in)
{
	uint8_t *log = (uint8_t *)v + CONTEXT, *scratch = log + VERIFY_LOG_MAX;
	struct verify_input with = *in;

	if (verify_read(v, in, scratch, scratch_size(in)) == VERIFY_INFLATE &&
	    inflate_log(v->compressed, log, &with.inflated))
		verify_read(v, &with, scratch, scratch_size(in));
	return v->next == VERIFY_BEGIN;
}

static uint32_t try_root(struct engine *g, struct verify *v, size_t i)
{
	const struct sig_check *checks;

	if (verify_is_snp(v)) {
		const struct snp_trusted *t = &engine_snp_roots(g)->root[i];
		verify_begin_snp(v, span_of(t->der, t->n), t->anchor);
	} else {
		verify_begin(v, engine_collateral(g, verify_collateral(v), i));
	}
	size_t n = verify_checks(v, &checks);

	return engine_run(g, checks, n, verify_found(v));
}

enum reason evidence_check(struct engine *g, struct verify *v)
{
	enum reason furthest = REASON_OK;
	uint32_t passed = 0;
	size_t best = 0, n = verify_is_snp(v) ? engine_snp_roots(g)->n : engine_roots(g);

	if (!n) {
		verify_no_root(v);
		return REASON_ROOT_OTHER;
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t p = try_root(g, v, i);
		enum reason why = verify_signed(v, p);

		if (why == REASON_OK)
			return why;
		if (i && why <= furthest)
			continue;
		furthest = why;
		passed = p;
		best = i;
	}
	if (best + 1 != n) { // so that what it says is that of the best try
		(void)try_root(g, v, best);
		(void)verify_signed(v, passed);
	}
	return furthest;
}
