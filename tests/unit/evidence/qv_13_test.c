// QV-13, collateral that is older than what was seen; and what is kept on disk.
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

#include "base/file.h"
#include "base/sb.h"
#include "base/time.h"
#include "collateral.h"
#include "pccs_fixture.h"
#include "ratls/pccs_disk.h"
#include "ratls/pccs_seen.h"
#include "ratls/trust.h"

static void qv_13_older_collateral_is_refused(void **state)
{
	char cache[64];

	(void)state;
	snprintf(cache, sizeof cache, "%s/qv13", fx.dir);
	struct pccs *p = open_pccs(cache, false);

	expect_source(p, PCCS_FETCHED);
	fx.server.offset = -5 * DAY; // still valid
	fx.clock_offset = 25 * HOUR; // asked again, and refused: the newer one serves on
	expect_source(p, PCCS_MEMORY);
	pccs_free(p);

	p = open_pccs(cache,
		      false); // the record outlives the process; so does what was kept, but not for ever
	fx.clock_offset = 26 * HOUR;
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
	fx.server.offset = 0;
	fx.clock_offset += 25 * HOUR;
	assert_int_equal(ask(p, &older, &e), PCCS_FETCHED);
	assert_false(older);
	pccs_free(p);
}

static void qv_13_in_a_verdict(void **state)
{
	struct trust_config c = { .pccs_url = fx.server.url, .insecure_development = true };
	char cache[64], root[64];
	struct trust_expect x = { 0 };
	static struct trust_result out;
	struct err e = { 0 };

	(void)state;
	snprintf(cache, sizeof cache, "%s/verdict", fx.dir);
	snprintf(root, sizeof root, "%s/pki/root.der", fx.dir);
	c.cache_dir = cache;
	c.development_root = root;
	struct trust *t = trust_new(&c, &e);

	assert_non_null(t);
	(void)!trust_check_quote(t, &out, span_of(fx.quote, fx.quote_n), span_str("[]"), &x, &e);
	assert_true(verdict_find(&out.verdict, "collateral")->ok);
	assert_null(verdict_find(&out.verdict, "collateral_age"));
	trust_free(t);
	char path[128];

	snprintf(path, sizeof path, "%s/tdx-d57ac0000000-platform.json", cache);
	must(file_remove(path, &e), &e);
	fx.server.offset = -5 * DAY;
	t = trust_new(&c, &e);
	assert_int_equal(trust_check_quote(t, &out, span_of(fx.quote, fx.quote_n), span_str("[]"), &x, &e),
			 -1);
	assert_string_equal(e.code, "collateral.downgrade");
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_string_equal(verdict_find(&out.verdict, "collateral")->code, "collateral.downgrade");
	trust_free(t);
	c.collateral_compat = true;
	t = trust_new(&c, &e);
	(void)!trust_check_quote(t, &out, span_of(fx.quote, fx.quote_n), span_str("[]"), &x, &e);
	assert_true(verdict_find(&out.verdict, "collateral")->ok);
	assert_true(verdict_find(&out.verdict, "collateral_age")->ok);
	assert_string_equal(verdict_find(&out.verdict, "collateral_age")->value, "older than seen before");
	trust_free(t);
}

// The requester brings collateral along: valid, and older than what was seen.
static void qv_13_offered_by_the_requester(void **state)
{
	struct trust_config c = { .pccs_url = fx.server.url, .insecure_development = true };
	struct sb older = { 0 }, newer = { 0 };
	static struct trust_result out;
	char cache[64], root[64];
	struct err e = { 0 };

	(void)state;
	snprintf(cache, sizeof cache, "%s/offered", fx.dir);
	snprintf(root, sizeof root, "%s/pki/root.der", fx.dir);
	c.cache_dir = cache;
	c.development_root = root;
	must(collateral_json(&fx.pki, &(struct collateral_opts){ 0 }, time(NULL), &newer, &e), &e);
	must(collateral_json(&fx.pki, &(struct collateral_opts){ 0 }, time(NULL) - 5 * DAY, &older, &e), &e);
	struct trust *t = trust_new(&c, &e);
	struct trust_expect x = { .collateral = span_of(newer.p, newer.n) };

	(void)!trust_check_quote(t, &out, span_of(fx.quote, fx.quote_n), span_str("[]"), &x, &e);
	assert_true(verdict_find(&out.verdict, "collateral")->ok);
	x.collateral = span_of(older.p, older.n);
	assert_int_equal(trust_check_quote(t, &out, span_of(fx.quote, fx.quote_n), span_str("[]"), &x, &e),
			 -1);
	assert_string_equal(e.code, "collateral.downgrade");
	assert_false(out.verdict.ok || out.has_quote);
	trust_free(t);
	c.collateral_compat = true;
	t = trust_new(&c, &e);
	(void)!trust_check_quote(t, &out, span_of(fx.quote, fx.quote_n), span_str("[]"), &x, &e);
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
	snprintf(cache, sizeof cache, "%s/seen", fx.dir);
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
	snprintf(cache, sizeof cache, "%s/cache", fx.dir);
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
	fx.clock_offset = 2 * DAY;
	expect_source(p, PCCS_FETCHED);
	pccs_free(p);
	fx.server.behaviour = BROKEN;
	p = open_pccs(cache, false);
	fx.clock_offset = 5 * DAY;
	expect_source(p, PCCS_DISK);
	pccs_free(p);
}

static _Noreturn void write_for_ever(const char *cache, const char *const text[2], const size_t n[2])
{
	struct err e;

	for (size_t i = 0;; i++)
		if (pccs_disk_write(cache, &fx.platform, text[i % 2], n[i % 2], &e))
			_exit(1);
}

static void killed_while_writing(void **state)
{
	struct sb one = { 0 }, two = { 0 };
	char cache[64];
	struct err e;

	(void)state;
	snprintf(cache, sizeof cache, "%s/killed", fx.dir);
	must(file_mkdirs(cache, 0700, &e), &e);
	must(collateral_json(&fx.pki, &(struct collateral_opts){ 0 }, time(NULL), &one, &e), &e);
	must(collateral_json(&fx.pki, &(struct collateral_opts){ 0 }, time(NULL) - 100, &two, &e), &e);
	const char *const text[2] = { one.p, two.p };
	const size_t n[2] = { one.n, two.n };

	must(pccs_disk_write(cache, &fx.platform, one.p, one.n, &e), &e);
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
		must(pccs_disk_read(cache, &fx.platform, &got, &len, &when, &e), &e);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(qv_13_older_collateral_is_refused, fx_each),
		cmocka_unit_test_setup(qv_13_in_a_verdict, fx_each),
		cmocka_unit_test_setup(qv_13_offered_by_the_requester, fx_each),
		cmocka_unit_test_setup(qv_13_each_document_counts, fx_each),
		cmocka_unit_test_setup(files_are_not_trusted, fx_each),
		cmocka_unit_test_setup(killed_while_writing, fx_each),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, fx_set_up, fx_tear_down);
}
