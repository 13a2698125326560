#include "pccs_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/file.h"
#include "crypto/engine.h"

struct pccs_fixture fx = { .dir = "/tmp/pccs-test-XXXXXX" };
static struct engine *engine;
static pthread_mutex_t engine_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t fake_clock(void)
{
	return (uint64_t)((long long)time(NULL) + fx.clock_offset);
}

void must(int r, const struct err *e)
{
	if (r)
		fail_msg("%s [%s]", e->text, e->code);
}

int fx_set_up(void **state)
{
	static struct quote_signer signer;
	struct quote_body body;
	char path[64];
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(fx.dir));
	snprintf(path, sizeof path, "%s/pki", fx.dir);
	must(pki_make(path, time(NULL), &e) || pki_load(&fx.pki, path, &e), &e);
	must(quote_signer_init(&signer, &fx.pki, &fx.pki, &fx.pki, 8, &e), &e);
	quote_body_init(&body);
	must(quote_sign(&signer, &body, fx.quote, &fx.quote_n, &e), &e);
	assert_int_equal(dcap_platform(span_of(fx.quote, fx.quote_n), &fx.platform), REASON_OK);
	engine = engine_new(&e);
	assert_non_null(engine);
	must(engine_add_root(engine, span_of(fx.pki.cert[PKI_ROOT].der, fx.pki.cert[PKI_ROOT].n), &e), &e);
	pccs_server_start(&fx.server, &fx.pki);
	return 0;
}

int fx_tear_down(void **state)
{
	struct err e;

	(void)state;
	engine_free(engine);
	pki_free(&fx.pki);
	return file_remove_tree(fx.dir, &e);
}

int fx_each(void **state)
{
	(void)state;
	fx.server.behaviour = GOOD;
	fx.server.delay_ms = 0;
	fx.server.offset = 0;
	fx.server.root_crl_at = NULL;
	fx.clock_offset = 0;
	return 0;
}

struct pccs *open_pccs(const char *cache, bool compat)
{
	struct pccs_config c = { .url = fx.server.url,
				 .cache_dir = cache,
				 .compat = compat,
				 .connect_ms = 1000,
				 .total_ms = 2000,
				 .clock = fake_clock };
	struct err e;
	struct pccs *p = pccs_new(&c, &e);

	if (!p)
		fail_msg("%s [%s]", e.text, e.code);
	return p;
}

static int verify(const struct pccs_answer *a, uint64_t *expires, struct err *e)
{
	struct dcap_input in = { .quote = span_of(fx.quote, fx.quote_n),
				 .collateral = span_of(a->json, a->n),
				 .now = fake_clock() };
	static struct dcap_result q;

	pthread_mutex_lock(&engine_lock);
	int r = dcap_verify(engine, &in, &q, e);

	*expires = q.expires;
	pthread_mutex_unlock(&engine_lock);
	return r;
}

// As trust does it. Which source it was, or PCCS_NOTHING and the reason.
enum pccs_source ask(struct pccs *p, bool *older, struct err *e)
{
	struct pccs_answer a = { 0 };
	enum pccs_source source = PCCS_NOTHING;
	uint64_t expires;

	while (!pccs_get(p, &a, &fx.platform, e)) {
		if (verify(&a, &expires, e)) {
			pccs_refused(p, &a, e);
		} else if (!pccs_verified(p, &a, expires, e)) {
			source = a.source;
			break;
		}
	}
	if (older)
		*older = a.older;
	pccs_release(&a);
	return source;
}

void expect_source(struct pccs *p, enum pccs_source want)
{
	struct err e = { 0 };
	enum pccs_source got = ask(p, NULL, &e);

	if (got != want)
		fail_msg("source %d instead of %d: %s [%s]", got, want, e.text, e.code);
}

void expect_code(struct pccs *p, const char *code)
{
	struct err e = { 0 };

	assert_int_equal(ask(p, NULL, &e), PCCS_NOTHING);
	assert_string_equal(e.code, code);
}
