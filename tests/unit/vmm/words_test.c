// What the VMM picks out of text that guests and callers write.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "words.h"

static void check(const char *log, const char *want)
{
	char out[96];

	assert_true(words_last(out, sizeof out, log, strlen(log)));
	assert_string_equal(out, want);
}

static void last_words(void **state)
{
	char out[96];

	(void)state;
	check("[ 4.3] Kernel panic - not syncing: Attempted to kill init!\r\n",
	      "guest.panic: Kernel panic - not syncing: Attempted to kill init!");
	check("[ 4.3] Kernel panic - not syncing: dm-verity device corrupted\n",
	      "guest.verity: root image is corrupted: dm-verity device corrupted");
	check("dstack-init: [0.50] root verity active\ndstack-init: init.root: no disk\n",
	      "init.root: no disk");
	check("dstack-boot: [8.6] set-up done\ndstack-boot: [9.9] app.compose: failed\n",
	      "app.compose: failed");
	// What our programs say goes before the panic that follows from it; of two, the later.
	check("dstack-init: init.a: one\ndstack-init: init.b: two\nKernel panic - not syncing: x\n",
	      "init.b: two");
	check("dstack-init: init.a: \x1b[1mbold\x1b[0m\x01", "init.a: [1mbold[0m");
	assert_false(words_last(out, sizeof out, "dstack-init: [0.5] all fine\n", 27));
	assert_false(words_last(out, sizeof out, "dstack-init: [0.5", 17));
	assert_false(words_last(out, sizeof out, "dstack-init: init.", 18));
	assert_false(words_last(out, sizeof out, "", 0));
}

static void terminal_sequences(void **state)
{
	enum words_strip s = STRIP_PLAIN;
	char a[] = "one\x1b[2", b[] = "J two\x1b[01;01Hthree\x1b", c[] = "7four";

	(void)state;
	assert_int_equal(words_strip(&s, a, strlen(a)), 3);
	assert_memory_equal(a, "one", 3);
	assert_int_equal(words_strip(&s, b, strlen(b)), 9);
	assert_memory_equal(b, " twothree", 9);
	assert_int_equal(words_strip(&s, c, strlen(c)), 4);
	assert_memory_equal(c, "four", 4);
}

static void parameters(void **state)
{
	static const char query[] = "follow&id=vm%2d1&lines=10&empty=&bad=%zz&nul=%00&cut=%4";
	char out[16];

	(void)state;
	assert_true(words_param(query, sizeof query - 1, "follow", out, sizeof out));
	assert_string_equal(out, "");
	assert_true(words_param(query, sizeof query - 1, "id", out, sizeof out));
	assert_string_equal(out, "vm-1");
	assert_true(words_param(query, sizeof query - 1, "id", out, 3));
	assert_string_equal(out, "vm");
	assert_true(words_param(query, sizeof query - 1, "empty", out, sizeof out));
	assert_false(words_param(query, sizeof query - 1, "bad", out, sizeof out));
	assert_false(words_param(query, sizeof query - 1, "nul", out, sizeof out));
	assert_false(words_param(query, sizeof query - 1, "cut", out, sizeof out));
	assert_false(words_param(query, sizeof query - 1, "d", out, sizeof out));
	assert_false(words_param("", 0, "id", out, sizeof out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_words),
		cmocka_unit_test(terminal_sequences),
		cmocka_unit_test(parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
