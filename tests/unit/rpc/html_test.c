// html: values stay text, parts are found, and a page that wants what is not there is no page.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/html.h"

static const char page[] = "a comment {{1}}\n"
			   "<!-- part one -->\n"
			   "<p title=\"{{1}}\">{{2}}{{1}}</p>\n"
			   "<!-- part one-more -->\n"
			   "more {{x}}\n"
			   "<!-- part last -->\n"
			   "end {{9";

static void text(const char *in, const char *want)
{
	auto_sb b = { 0 };

	sb_str(&b, "");
	html_text(&b, in);
	assert_false(b.bad);
	assert_string_equal(b.p, want);
}

static void test_text(void **state)
{
	(void)state;
	text("", "");
	text("plain caf\xC3\xA9 \xE2\x82\xAC\n\t", "plain caf\xC3\xA9 \xE2\x82\xAC\n\t");
	text("<a href='x' b=\"y\">&amp;</a>",
	     "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;amp;&lt;/a&gt;");
	text("a\1\r\x7F"
	     "b\xC2\x85"
	     "c\xC2\xA0",
	     "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
	     "b\xEF\xBF\xBD"
	     "c\xC2\xA0");
	text("\xFF\xC0\xBC\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

static void test_every_byte(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		auto_sb b = { 0 };
		html_text(&b, (char[]){ (char)c, 0 });
		assert_false(b.bad);
		assert_null(strpbrk(b.p, "<>\"'"));
		assert_true(*b.p != '&' || b.n > 3);
	}
}

static void test_parts(void **state)
{
	auto_sb b = { 0 };

	(void)state;
	HTML_PART(&b, page, "one", "<1>", "{{1}}");
	assert_false(b.bad);
	assert_string_equal(b.p, "<p title=\"&lt;1&gt;\">{{1}}&lt;1&gt;</p>\n");
}

static void test_what_is_no_part(void **state)
{
	static const char *const names[] = { "on", "ne", "", "one", "one-more", "last", "two" };
	static const char *const one[] = { "a" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names;
	     i++) { // `one` wants two values, the last are malformed
		auto_sb b = { 0 };
		html_part(&b, page, names[i], one, 1);
		assert_true(b.bad);
	}
	auto_sb b = { 0 };
	HTML_PART(&b, page, "one", "a", NULL);
	assert_true(b.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_what_is_no_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
