#include "app_quote.h"

#include "info.h"
#include "report_data.h"
#include "service.h"
#include "sign.h"

struct app_quote {
	struct arena *a; // holds this too
	struct log_state log;
	Guest__GetQuoteResponse answer;
};

static void quote_free(struct app_quote *q)
{
	if (q)
		arena_free(q->a);
}

void app_quote_free(struct agent *g)
{
	for (size_t i = 0; i < sizeof g->app_quotes / sizeof *g->app_quotes; i++) {
		quote_free(g->app_quotes[i]);
		g->app_quotes[i] = NULL;
	}
}

static int fill(struct agent *g, struct app_quote *q, struct span pub, struct err *e)
{
	uint8_t data[TEE_REPORT_DATA];

	if (report_data_of_key(pub, data, e))
		return -1;
	struct evidence *v = evidence_get_first(g, data, q->a, e);
	if (!v)
		return -1;
	int rc = service_show_quote(g, v, q->a, &q->answer, e);
	evidence_done(v);
	return rc;
}

static struct app_quote *quote_new(struct agent *g, struct span pub, struct err *e)
{
	struct arena *a = arena_new(0);
	struct app_quote *q = a ? arena_alloc(a, sizeof *q) : NULL;

	if (!q) {
		arena_free(a);
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	q->a = a;
	q->log = log_state_now(); // before: an event in between makes it stale, not wrong
	guest__get_quote_response__init(&q->answer);
	if (!fill(g, q, pub, e))
		return q;
	quote_free(q);
	return NULL;
}

// Called and returned with the lock held, so that one caller makes it.
static struct app_quote *current(struct agent *g, struct span pub, struct err *e)
{
	struct app_quote **kept = &g->app_quotes[pub.n == K256_PUB];

	if (*kept && log_state_is((*kept)->log))
		return *kept;
	struct app_quote *q = quote_new(g, pub, e);
	if (!q)
		return NULL;
	quote_free(*kept);
	return *kept = q;
}

int app_quote_fill(struct agent *g, const char *algorithm, struct arena *a, Guest__GetQuoteResponse *out,
		   struct err *e)
{
	struct derived_key d;

	if (custody_signing_key(g->custody, algorithm, &d, e))
		return -1;
	pthread_mutex_lock(&g->lock);
	const struct app_quote *q = current(g, span_of(d.public, d.public_n), e);
	if (q) {
		const Guest__GetQuoteResponse *r = &q->answer;
		out->quote = pb_bytes(a, r->quote.data, r->quote.len);
		out->report_data = pb_bytes(a, r->report_data.data, r->report_data.len);
		out->attestation = pb_bytes(a, r->attestation.data, r->attestation.len);
		out->event_log = arena_str(a, r->event_log);
		out->vm_config = r->vm_config; // lives as long as the agent
	}
	pthread_mutex_unlock(&g->lock);
	if (!q)
		return -1;
	return arena_bad(a) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}
