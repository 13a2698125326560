// The collateral client against a PCCS that misbehaves: what is kept and for how long, what is refused and
// with which code, one fetch for many askers, and that older collateral is told from newer (QV-13).
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/file.h"
#include "base/sb.h"
#include "base/time.h"
#include "collateral.h"
#include "core/codec/pem.h"
#include "crypto/engine.h"
#include "crypto/intel_root.h"
#include "pccs_server.h"
#include "quote.h"
#include "ratls/pccs.h"
#include "ratls/pccs_disk.h"
#include "ratls/pccs_fetch.h"
#include "ratls/pccs_seen.h"
#include "ratls/trust.h"

enum { HOUR = 3600, DAY = 24 * HOUR, PATIENCE_MS = 10000 };

static char dir[] = "/tmp/pccs-test-XXXXXX";
static struct pki pki;
static struct pccs_server server;
static uint8_t quote[QUOTE_CAP];
static size_t quote_n;
static struct dcap_platform platform;
static atomic_llong clock_offset;
static struct engine *engine;
static pthread_mutex_t engine_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t fake_clock(void)
{
	return (uint64_t)((long long)time(NULL) + clock_offset);
}

static void must(int r, const struct err *e)
{
	if (r)
		fail_msg("%s [%s]", e->text, e->code);
}

static int set_up(void **state)
{
	static struct quote_signer signer;
	struct quote_body body;
	char path[64];
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/pki", dir);
	must(pki_make(path, time(NULL), &e) || pki_load(&pki, path, &e), &e);
	must(quote_signer_init(&signer, &pki, &pki, &pki, 8, &e), &e);
	quote_body_init(&body);
	must(quote_sign(&signer, &body, quote, &quote_n, &e), &e);
	assert_int_equal(dcap_platform(span_of(quote, quote_n), &platform), REASON_OK);
	engine = engine_new(&e);
	assert_non_null(engine);
	must(engine_add_root(engine, span_of(pki.cert[PKI_ROOT].der, pki.cert[PKI_ROOT].n), &e), &e);
	pccs_server_start(&server, &pki);
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	engine_free(engine);
	pki_free(&pki);
	return file_remove_tree(dir, &e);
}

static int each(void **state)
{
	(void)state;
	server.behaviour = GOOD;
	server.delay_ms = 0;
	server.offset = 0;
	server.root_crl_at = NULL;
	clock_offset = 0;
	return 0;
}

static struct pccs *open_pccs(const char *cache, bool compat)
{
	struct pccs_config c = { .url = server.url,
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
	struct dcap_input in = { .quote = span_of(quote, quote_n),
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
static enum pccs_source ask(struct pccs *p, bool *older, struct err *e)
{
	struct pccs_answer a = { 0 };
	enum pccs_source source = PCCS_NOTHING;
	uint64_t expires;

	while (!pccs_get(p, &a, &platform, e)) {
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

static void expect_source(struct pccs *p, enum pccs_source want)
{
	struct err e = { 0 };
	enum pccs_source got = ask(p, NULL, &e);

	if (got != want)
		fail_msg("source %d instead of %d: %s [%s]", got, want, e.text, e.code);
}

static void expect_code(struct pccs *p, const char *code)
{
	struct err e = { 0 };

	assert_int_equal(ask(p, NULL, &e), PCCS_NOTHING);
	assert_string_equal(e.code, code);
}

static void wait_for_fetches(struct pccs *p, uint64_t n)
{
	for (int i = 0; pccs_stats(p).fetches < n; i++) {
		assert_true(i < PATIENCE_MS);
		time_sleep_ms(1);
	}
	while (server.connections)
		time_sleep_ms(1);
	time_sleep_ms(20); // until the last answer has been put together
}

static void answers_are_kept(void **state)
{
	struct pccs *p = open_pccs(NULL, false);
	int before = server.requests;

	(void)state;
	expect_source(p, PCCS_FETCHED);
	assert_int_equal(server.requests, before + 4);
	for (int i = 0; i < 10; i++)
		expect_source(p, PCCS_MEMORY);
	assert_int_equal(server.requests, before + 4);
	pccs_free(p);
}

static void *one_asker(void *arg)
{
	struct err e = { 0 };

	return (void *)(uintptr_t)ask(arg, NULL, &e);
}

static void concurrent_misses_make_one_fetch(void **state)
{
	struct pccs *p = open_pccs(NULL, false);
	int before = server.requests;
	pthread_t t[8];
	void *source;

	(void)state;
	server.delay_ms = 50;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, one_asker, p), 0);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(t[i], &source), 0);
		assert_int_not_equal((uintptr_t)source, PCCS_NOTHING);
	}
	assert_int_equal(pccs_stats(p).fetches, 1);
	assert_int_equal(server.requests, before + 4);
	server.behaviour = BROKEN; // a failure is shared, too
	struct pccs *q = open_pccs(NULL, false);

	before = server.requests;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, one_asker, q), 0);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(t[i], &source), 0);
		assert_int_equal((uintptr_t)source, PCCS_NOTHING);
	}
	assert_int_equal(server.requests, before + 1);
	pccs_free(p);
	pccs_free(q);
}

static void refreshed_in_the_background(void **state)
{
	struct pccs *p = open_pccs(NULL, false);

	(void)state;
	expect_source(p, PCCS_FETCHED);
	clock_offset = 11 * HOUR;
	expect_source(p, PCCS_MEMORY);
	assert_int_equal(pccs_stats(p).fetches, 1);
	clock_offset = 12 * HOUR + 1; // half of 24 hours
	expect_source(p, PCCS_MEMORY);
	wait_for_fetches(p, 2);
	expect_source(p, PCCS_CANDIDATE);
	expect_source(p, PCCS_MEMORY);
	server.behaviour = GARBAGE; // what the refresh brings is no use: the old one serves on
	clock_offset = 25 * HOUR;
	expect_source(p, PCCS_MEMORY);
	wait_for_fetches(p, 3);
	expect_source(p, PCCS_MEMORY);
	pccs_free(p);
}

static void served_on_while_the_source_fails(void **state)
{
	struct pccs *p = open_pccs(NULL, false);

	(void)state;
	expect_source(p, PCCS_FETCHED);
	server.behaviour = BROKEN;
	clock_offset = 25 * HOUR; // older than a day: the source is asked first
	expect_source(p, PCCS_MEMORY);
	assert_true(pccs_stats(p).failures >= 1);
	clock_offset = 29 * DAY;
	expect_source(p, PCCS_MEMORY);
	clock_offset = 30 * DAY + HOUR; // past nextUpdate: never
	expect_code(p, "collateral.fetch");
	pccs_free(p);
}

static void failures_are_kept_for_seconds(void **state)
{
	struct pccs *p = open_pccs(NULL, false);
	int before = server.requests;

	(void)state;
	server.behaviour = BROKEN;
	for (int i = 0; i < 5; i++)
		expect_code(p, "collateral.fetch");
	assert_int_equal(server.requests, before + 1);
	server.behaviour = GOOD;
	clock_offset = 6;
	expect_source(p, PCCS_FETCHED);
	pccs_free(p);
}

static void hostile_answers_are_refused(void **state)
{
	static const struct {
		enum behaviour how;
		const char *code;
	} cases[] = {
		{ SILENT, "collateral.fetch" },       { DRIPPING, "collateral.fetch" },
		{ HUGE_BODY, "collateral.answer" },   { HUGE_HEAD, "collateral.answer" },
		{ REDIRECTING, "collateral.answer" }, { NO_CHAIN, "collateral.answer" },
		{ TWO_CHAINS, "collateral.answer" },  { BAD_PERCENT, "collateral.answer" },
		{ BAD_HEX, "collateral.answer" },     { BAD_NUL, "collateral.answer" },
		{ OTHER_ITEM, "collateral.answer" },  { GARBAGE, "collateral.answer" },
		{ CUT, "collateral.fetch" },          { NOT_FOUND, "collateral.unknown_platform" },
		{ BROKEN, "collateral.fetch" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pccs_config c = { .url = server.url, .total_ms = 500 };
		struct err e = { 0 };
		struct pccs *p = pccs_new(&c, &e);
		uint64_t from = time_mono_ms();

		server.behaviour = cases[i].how;
		assert_int_equal(ask(p, NULL, &e), PCCS_NOTHING);
		if (strcmp(e.code, cases[i].code) != 0)
			fail_msg("behaviour %d: %s [%s]", cases[i].how, e.text, e.code);
		assert_true(time_mono_ms() - from < 5000);
		pccs_free(p);
	}
}

static void expired_documents_are_not_used(void **state)
{
	struct pccs *p = open_pccs(NULL, false);
	int before = server.requests;

	(void)state;
	server.offset = -40 * DAY;
	expect_code(p, "crl.time");
	expect_code(p, "crl.time"); // and not fetched again at once
	assert_int_equal(server.requests, before + 4);
	server.offset = 3 * DAY; // not valid yet
	clock_offset = 10;
	expect_code(p, "crl.time");
	server.offset = 0;
	clock_offset = 20;
	expect_source(p, PCCS_FETCHED);
	pccs_free(p);
}

static void qv_13_older_collateral_is_refused(void **state)
{
	char cache[64];

	(void)state;
	snprintf(cache, sizeof cache, "%s/qv13", dir);
	struct pccs *p = open_pccs(cache, false);

	expect_source(p, PCCS_FETCHED);
	server.offset = -5 * DAY; // still valid
	clock_offset = 25 * HOUR; // asked again, and refused: the newer one serves on
	expect_source(p, PCCS_MEMORY);
	pccs_free(p);

	p = open_pccs(cache,
		      false); // the record outlives the process; so does what was kept, but not for ever
	clock_offset = 26 * HOUR;
	expect_source(p, PCCS_DISK);
	pccs_free(p);
	struct err e;
	char path[128];

	snprintf(path, sizeof path, "%s/tdx-d57ac0000000-platform.json", cache);
	must(file_remove(path, &e), &e);
	p = open_pccs(cache, false);
	expect_code(p, "collateral.downgrade");
	pccs_free(p);

	p = open_pccs(cache, true);
	bool older = false;

	assert_int_equal(ask(p, &older, &e), PCCS_FETCHED);
	assert_true(older);
	older = false;
	assert_int_equal(ask(p, &older, &e), PCCS_MEMORY);
	assert_true(older);
	assert_false(file_exists(path)); // not kept for those who are strict
	server.offset = 0;
	clock_offset += 25 * HOUR;
	assert_int_equal(ask(p, &older, &e), PCCS_FETCHED);
	assert_false(older);
	pccs_free(p);
}

static void qv_13_in_a_verdict(void **state)
{
	struct trust_config c = { .pccs_url = server.url, .insecure_development = true };
	char cache[64], root[64];
	struct trust_expect x = { 0 };
	static struct trust_result out;
	struct err e = { 0 };

	(void)state;
	snprintf(cache, sizeof cache, "%s/verdict", dir);
	snprintf(root, sizeof root, "%s/pki/root.der", dir);
	c.cache_dir = cache;
	c.development_root = root;
	struct trust *t = trust_new(&c, &e);

	assert_non_null(t);
	(void)!trust_check_quote(t, &out, span_of(quote, quote_n), span_str("[]"), &x, &e);
	assert_true(verdict_find(&out.verdict, "collateral")->ok);
	assert_null(verdict_find(&out.verdict, "collateral_age"));
	trust_free(t);
	char path[128];

	snprintf(path, sizeof path, "%s/tdx-d57ac0000000-platform.json", cache);
	must(file_remove(path, &e), &e);
	server.offset = -5 * DAY;
	t = trust_new(&c, &e);
	assert_int_equal(trust_check_quote(t, &out, span_of(quote, quote_n), span_str("[]"), &x, &e), -1);
	assert_string_equal(e.code, "collateral.downgrade");
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_string_equal(verdict_find(&out.verdict, "collateral")->code, "collateral.downgrade");
	trust_free(t);
	c.collateral_compat = true;
	t = trust_new(&c, &e);
	(void)!trust_check_quote(t, &out, span_of(quote, quote_n), span_str("[]"), &x, &e);
	assert_true(verdict_find(&out.verdict, "collateral")->ok);
	assert_true(verdict_find(&out.verdict, "collateral_age")->ok);
	assert_string_equal(verdict_find(&out.verdict, "collateral_age")->value, "older than seen before");
	trust_free(t);
}

// The requester brings collateral along: valid, and older than what was seen.
static void qv_13_offered_by_the_requester(void **state)
{
	struct trust_config c = { .pccs_url = server.url, .insecure_development = true };
	struct sb older = { 0 }, newer = { 0 };
	static struct trust_result out;
	char cache[64], root[64];
	struct err e = { 0 };

	(void)state;
	snprintf(cache, sizeof cache, "%s/offered", dir);
	snprintf(root, sizeof root, "%s/pki/root.der", dir);
	c.cache_dir = cache;
	c.development_root = root;
	must(collateral_json(&pki, &(struct collateral_opts){ 0 }, time(NULL), &newer, &e), &e);
	must(collateral_json(&pki, &(struct collateral_opts){ 0 }, time(NULL) - 5 * DAY, &older, &e), &e);
	struct trust *t = trust_new(&c, &e);
	struct trust_expect x = { .collateral = span_of(newer.p, newer.n) };

	(void)!trust_check_quote(t, &out, span_of(quote, quote_n), span_str("[]"), &x, &e);
	assert_true(verdict_find(&out.verdict, "collateral")->ok);
	x.collateral = span_of(older.p, older.n);
	assert_int_equal(trust_check_quote(t, &out, span_of(quote, quote_n), span_str("[]"), &x, &e), -1);
	assert_string_equal(e.code, "collateral.downgrade");
	assert_false(out.verdict.ok || out.has_quote);
	trust_free(t);
	c.collateral_compat = true;
	t = trust_new(&c, &e);
	(void)!trust_check_quote(t, &out, span_of(quote, quote_n), span_str("[]"), &x, &e);
	assert_true(verdict_find(&out.verdict, "collateral_age")->ok);
	trust_free(t);
	sb_free(&older);
	sb_free(&newer);
}

static void facts(struct pccs_facts *f, uint64_t major, uint64_t minor)
{
	for (size_t i = 0; i < PCCS_DOCS; i++) {
		snprintf(f->doc[i].name, PCCS_NAME, "0011223344556677 doc %zu", i);
		f->doc[i].major = major;
		f->doc[i].minor = minor;
	}
}

static void qv_13_each_document_counts(void **state)
{
	char cache[64], path[80];
	struct pccs_facts f, g;
	struct err e = { 0 };

	(void)state;
	snprintf(cache, sizeof cache, "%s/seen", dir);
	must(file_mkdirs(cache, 0700, &e), &e);
	struct pccs_seen *s = pccs_seen_new(cache, &e);

	facts(&f, 17, 1000);
	pccs_seen_record(s, &f);
	for (size_t i = 0; i < PCCS_DOCS; i++) {
		g = f;
		g.doc[i].major = 16; // issued later, of an older evaluation
		g.doc[i].minor = 2000;
		assert_int_equal(pccs_seen_check(s, &g, &e), -1);
		assert_string_equal(e.code, "collateral.downgrade");
		g.doc[i] = f.doc[i];
		g.doc[i].minor = 999;
		assert_int_equal(pccs_seen_check(s, &g, &e), -1);
		g.doc[i].major = 18; // a newer evaluation, issued earlier
		assert_int_equal(pccs_seen_check(s, &g, &e), 0);
	}
	facts(&g, 3, 5);
	for (size_t i = 0; i < PCCS_DOCS; i++)
		g.doc[i].name[0] = 'f'; // another root
	assert_int_equal(pccs_seen_check(s, &g, &e), 0);
	struct pccs_seen *other = pccs_seen_new(cache, &e); // of another process

	facts(&g, 18, 1);
	pccs_seen_record(other, &g);
	facts(&g, 17, 5000); // learns what the other recorded
	pccs_seen_record(s, &g);
	assert_int_equal(pccs_seen_check(s, &g, &e), -1);
	pccs_seen_free(other);
	pccs_seen_free(s);
	snprintf(path, sizeof path, "%s/newest.json", cache);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	must(file_write(path, 0600, "{\"a\":[1]}", 9, &e), &e);
	assert_null(pccs_seen_new(cache, &e));
	assert_string_equal(e.code, "collateral.newest");
}

static void files_are_not_trusted(void **state)
{
	static const char *const contents[] = { "", "{", "{}", "garbage", NULL };
	char cache[64], path[128];
	struct stat st;
	struct err e;

	(void)state;
	snprintf(cache, sizeof cache, "%s/cache", dir);
	snprintf(path, sizeof path, "%s/tdx-d57ac0000000-platform.json", cache);
	struct pccs *p = open_pccs(cache, false);

	expect_source(p, PCCS_FETCHED);
	pccs_free(p);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	p = open_pccs(cache, false);
	expect_source(p, PCCS_DISK);
	expect_source(p, PCCS_MEMORY);
	pccs_free(p);
	for (size_t i = 0; contents[i]; i++) {
		must(file_write_str(path, 0600, contents[i], &e), &e);
		p = open_pccs(cache, false);
		expect_source(p, PCCS_FETCHED);
		pccs_free(p);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	p = open_pccs(cache, false);
	expect_source(p, PCCS_FETCHED);
	pccs_free(p);
	p = open_pccs(cache, false); // older than a day: the source first, the file when it fails
	clock_offset = 2 * DAY;
	expect_source(p, PCCS_FETCHED);
	pccs_free(p);
	server.behaviour = BROKEN;
	p = open_pccs(cache, false);
	clock_offset = 5 * DAY;
	expect_source(p, PCCS_DISK);
	pccs_free(p);
}

static _Noreturn void write_for_ever(const char *cache, const char *const text[2], const size_t n[2])
{
	struct err e;

	for (size_t i = 0;; i++)
		if (pccs_disk_write(cache, &platform, text[i % 2], n[i % 2], &e))
			_exit(1);
}

static void killed_while_writing(void **state)
{
	struct sb one = { 0 }, two = { 0 };
	char cache[64];
	struct err e;

	(void)state;
	snprintf(cache, sizeof cache, "%s/killed", dir);
	must(file_mkdirs(cache, 0700, &e), &e);
	must(collateral_json(&pki, &(struct collateral_opts){ 0 }, time(NULL), &one, &e), &e);
	must(collateral_json(&pki, &(struct collateral_opts){ 0 }, time(NULL) - 100, &two, &e), &e);
	const char *const text[2] = { one.p, two.p };
	const size_t n[2] = { one.n, two.n };

	must(pccs_disk_write(cache, &platform, one.p, one.n, &e), &e);
	for (int i = 0; i < 25; i++) {
		pid_t pid = fork();
		char *got = NULL;
		uint64_t when;
		size_t len;

		if (!pid)
			write_for_ever(cache, text, n);
		time_sleep_ms((uint64_t)(2 + i % 7));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		must(pccs_disk_read(cache, &platform, &got, &len, &when, &e), &e);
		assert_true((len == one.n && !memcmp(got, one.p, len)) ||
			    (len == two.n && !memcmp(got, two.p, len)));
		free(got);
	}
	struct pccs *p = open_pccs(cache, false);

	expect_source(p, PCCS_DISK);
	pccs_free(p);
	sb_free(&one);
	sb_free(&two);
}

// ---- the root CRL's place

static int fetch(const char *url, char **json, size_t *n, struct err *e)
{
	struct pccs_http http = { .curl = curl_easy_init(),
				  .connect_ms = 1000,
				  .deadline = time_mono_ms() + 2000 };
	char *base = pccs_base_url(url);
	int r = pccs_fetch(&http, base, &platform, json, n, e);

	free(base);
	curl_easy_cleanup(http.curl);
	return r;
}

// The same certificate with another URL of the same length in it: nothing verifies it here.
static void patch_url(struct pki_cert *c, const char *to)
{
	static const char was[] = "http://127.0.0.1/sgx/certification/v4/rootcacrl";
	uint8_t *at = memmem(c->der, c->n, was, sizeof was - 1);
	char text[sizeof was];

	assert_non_null(at);
	snprintf(text, sizeof text, "%s%s", to, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	memcpy(at, text, sizeof was - 1);
}

static void root_crl_where_the_root_says(void **state)
{
	struct pki_cert was = pki.cert[PKI_ROOT];
	struct err e = { 0 };
	char url[100], *json = NULL;
	size_t n;

	(void)state;
	assert_true(pccs_crl_point(intel_root(), url, sizeof url));
	assert_string_equal(url, "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der");
	assert_false(pccs_crl_point(intel_root(), url, 20));
	assert_false(pccs_crl_point(span_of("\x30\x00", 2), url, sizeof url));
	server.behaviour = NO_ROOT_CRL;
	server.root_crl_at = "GET /crl/";
	snprintf(url, sizeof url, "http://127.0.0.1:%u/crl/", server.port);
	patch_url(&pki.cert[PKI_ROOT], url);
	must(fetch(server.url, &json, &n, &e), &e);
	free(json);
	static const char *const elsewhere[] = { "http://10.1.2.3/crl/",
						 "ftp://127.0.0.1/crl/",
						 "http://a@127.0.0.1/crl/",
						 "http://intel.com.example/",
						 "http://xtrustedservices.intel.com/",
						 NULL };

	for (size_t i = 0; elsewhere[i]; i++) {
		int before = server.requests;

		pki.cert[PKI_ROOT] = was;
		patch_url(&pki.cert[PKI_ROOT], elsewhere[i]);
		assert_int_equal(fetch(server.url, &json, &n, &e), -1);
		assert_string_equal(e.code, "collateral.answer");
		assert_int_equal(server.requests, before + 4);
	}
	pki.cert[PKI_ROOT] = was;
}

static void made_up_platforms_are_limited(void **state)
{
	struct pccs *p = open_pccs(NULL, false);
	struct dcap_platform other = platform;
	int before, busy = 0;
	struct err e;

	(void)state;
	expect_source(p, PCCS_FETCHED);
	before = server.requests;
	for (unsigned i = 0; i < 100; i++) {
		struct pccs_answer a = { 0 };

		other.fmspc[0] = (uint8_t)i;
		other.fmspc[1] = 0xff;
		assert_int_equal(pccs_get(p, &a, &other, &e), -1);
		busy += !strcmp(e.code, "collateral.busy");
	}
	assert_true(busy > 50);
	assert_true(server.requests - before < 50); // one each: the first request says that it is unknown
	expect_source(p, PCCS_MEMORY);
	pccs_free(p);
}

static void percent_decoding_is_strict(void **state)
{
	static const char *const bad[] = { "%",   "%4",  "a%4",  "%zz", "%0g", "%00",
					   "%7f", "%80", "\x80", "%e4", NULL };
	char out[8];
	size_t n;

	(void)state;
	assert_int_equal(pccs_percent_decode(out, sizeof out, &n, "a%20b%0A+", 9), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(out, "a b\n+", 5);
	for (size_t i = 0; bad[i]; i++)
		assert_int_equal(pccs_percent_decode(out, sizeof out, &n, bad[i], strlen(bad[i])), -1);
	assert_int_equal(pccs_percent_decode(out, sizeof out, &n, "123456789", 9), -1);
	assert_int_equal(pccs_percent_decode(out, sizeof out, &n, "", 0), 0);
}

static void configuration_is_checked(void **state)
{
	struct pccs_config c = { .url = "ftp://example.org" };
	struct err e;

	(void)state;
	assert_null(pccs_new(&c, &e));
	assert_string_equal(e.code, "config.pccs_url");
	c = (struct pccs_config){ .cache_dir = "/dev/null/x" };
	assert_null(pccs_new(&c, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(answers_are_kept, each),
		cmocka_unit_test_setup(concurrent_misses_make_one_fetch, each),
		cmocka_unit_test_setup(refreshed_in_the_background, each),
		cmocka_unit_test_setup(served_on_while_the_source_fails, each),
		cmocka_unit_test_setup(failures_are_kept_for_seconds, each),
		cmocka_unit_test_setup(hostile_answers_are_refused, each),
		cmocka_unit_test_setup(expired_documents_are_not_used, each),
		cmocka_unit_test_setup(qv_13_older_collateral_is_refused, each),
		cmocka_unit_test_setup(qv_13_in_a_verdict, each),
		cmocka_unit_test_setup(qv_13_offered_by_the_requester, each),
		cmocka_unit_test_setup(qv_13_each_document_counts, each),
		cmocka_unit_test_setup(files_are_not_trusted, each),
		cmocka_unit_test_setup(killed_while_writing, each),
		cmocka_unit_test_setup(root_crl_where_the_root_says, each),
		cmocka_unit_test_setup(made_up_platforms_are_limited, each),
		cmocka_unit_test_setup(percent_decoding_is_strict, each),
		cmocka_unit_test_setup(configuration_is_checked, each),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
