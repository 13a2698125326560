// Seals on policy questions and answers: known bytes, and nothing that was changed, old or of another
// question passes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/strings.h"
#include "policy/seal.h"

static const char key_text[] = "0123456789abcdef0123456789abcdef", path[] = "/bootAuth/app",
		  body[] = "{\"a\":1}";
static const char stamp_text[] = "1700000000.000102030405060708090a0b0c0d0e0f";
// python3: hmac.new(key, b"dstack-policy-question\n/bootAuth/app\n" + stamp + b"\n" + body,
// "sha256").hexdigest()
static const char question_seal[] = "55f3143665876be19f5638422a8c61c192dffd5a36563c4336b13f5ee8a79fda";
static const char answer_seal[] = "ff5279cf6e7711941dabec4a820c9953d47839ba080f3d353659612cc3c69e7f";
enum { NOW = 1700000000 };

static struct secret *key_of(const char *text)
{
	struct secret *s = secret_dup(text, strlen(text));

	assert_non_null(s);
	return s;
}

static bool passes(const struct secret *key, const char *p, const char *b, const char *header, uint64_t now)
{
	char stamp[SEAL_STAMP];
	struct err e = { 0 };
	int rc = policy_seal_check_question(key, span_str(p), span_str(b), span_str(header), now, stamp, &e);

	if (rc)
		assert_string_equal(e.code, "auth.seal");
	return !rc;
}

static void known_bytes(void **state)
{
	auto_secret *key = key_of(key_text);
	char header[256], seal[SEAL_HEX + 1];

	(void)state;
	snprintf(header, sizeof header, "%s.%s", stamp_text, question_seal);
	assert_true(passes(key, path, body, header, NOW));
	assert_true(policy_seal_answer(key, span_str(path), stamp_text, span_str("yes"), seal));
	assert_string_equal(seal, answer_seal);
	assert_true(policy_seal_answer_holds(key, path, stamp_text, span_str("yes"), span_str(answer_seal)));
}

static void gv_07_nothing_changed_passes(void **state)
{
	auto_secret *key = key_of(key_text), *other = key_of("0123456789abcdef0123456789abcdeF");
	char stamp[SEAL_STAMP], q[SEAL_QUESTION], bad[SEAL_QUESTION + 2];

	(void)state;
	assert_int_equal(policy_seal_question(key, path, span_str(body), NOW, stamp, q), 0);
	assert_true(passes(key, path, body, q, NOW));
	assert_true(passes(key, path, body, q, NOW + SEAL_SKEW_S));
	assert_true(passes(key, path, body, q, NOW - SEAL_SKEW_S));
	assert_false(passes(key, path, body, q, NOW + SEAL_SKEW_S + 1));
	assert_false(passes(key, path, body, q, NOW - SEAL_SKEW_S - 1));
	assert_false(passes(other, path, body, q, NOW));
	assert_false(passes(key, "/bootAuth/kms", body, q, NOW));
	assert_false(passes(key, path, "{\"a\":2}", q, NOW));
	assert_false(passes(key, path, "", q, NOW));
	size_t n = strlen(q);
	for (size_t i = 0; i < n; i++) {
		memcpy(bad, q, n + 1);
		bad[i] = (char)(bad[i] == '1' ? '2' : '1');
		assert_false(passes(key, path, body, bad, NOW));
		memcpy(bad, q, n + 1);
		bad[i] = 0; // cut
		assert_false(passes(key, path, body, bad, NOW));
	}
	snprintf(bad, sizeof bad, "%s0", q);
	assert_false(passes(key, path, body, bad, NOW));
}

static void gv_07_an_answer_is_to_its_question(void **state)
{
	auto_secret *key = key_of(key_text), *other = key_of("0123456789abcdef0123456789abcdeF");
	char one[SEAL_STAMP], two[SEAL_STAMP], q[SEAL_QUESTION], seal[SEAL_HEX + 1];
	const struct span yes = span_str("{\"isAllowed\":true}");

	(void)state;
	assert_int_equal(policy_seal_question(key, path, span_str(body), NOW, one, q), 0);
	assert_int_equal(policy_seal_question(key, path, span_str(body), NOW, two, q), 0);
	assert_string_not_equal(one, two);
	assert_true(policy_seal_answer(key, span_str(path), one, yes, seal));
	assert_true(policy_seal_answer_holds(key, path, one, yes, span_str(seal)));
	assert_false(policy_seal_answer_holds(key, path, two, yes, span_str(seal))); // an old answer
	assert_false(policy_seal_answer_holds(key, "/bootAuth/kms", one, yes, span_str(seal)));
	assert_false(policy_seal_answer_holds(other, path, one, yes, span_str(seal)));
	assert_false(
		policy_seal_answer_holds(key, path, one, span_str("{\"isAllowed\":truE}"), span_str(seal)));
	assert_false(policy_seal_answer_holds(key, path, one, yes, span_of(seal, 63)));
	assert_false(policy_seal_answer_holds(key, path, one, yes, span_of("", 0)));
	// The question's own seal, sent back.
	assert_false(policy_seal_answer_holds(key, path, two, span_str(body), span_str(q + strlen(two) + 1)));
}

static void op_06_short_or_open_key_files(void **state)
{
	char dir[] = "/tmp/seal-XXXXXX", file[64];
	struct err e = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/key", dir);
	assert_int_equal(file_write_str(file, 0600, "0123456789abcdef0123456789abcdef\nmore\n", &e), 0);
	auto_secret *key = policy_seal_key(file, &e);
	assert_non_null(key);
	assert_int_equal(key->n, 32);
	assert_int_equal(file_write_str(file, 0600, "0123456789abcdef0123456789abcde\n", &e), 0);
	assert_null(policy_seal_key(file, &e));
	assert_string_equal(e.code, "config.policy");
	assert_int_equal(file_write_str(file, 0600, "", &e), 0);
	assert_null(policy_seal_key(file, &e));
	assert_int_equal(file_write_str(file, 0600, "\n", &e), 0);
	assert_null(policy_seal_key(file, &e));
	assert_int_equal(chmod(file, 0644), 0);
	assert_null(policy_seal_key(file, &e));
	assert_int_equal(file_remove_tree(dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_bytes),
		cmocka_unit_test(gv_07_nothing_changed_passes),
		cmocka_unit_test(gv_07_an_answer_is_to_its_question),
		cmocka_unit_test(op_06_short_or_open_key_files),
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
