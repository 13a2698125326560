// What a KMS's birth certificate attests (tests/vectors/kms.json).
#include "../crypto/known.h"

#include "base/strings.h"
#include "crypto/rotation.h"

static struct json all;

static void report_data(void **state)
{
	struct json cases = known(known(all, "bootstrap_report_data"), "cases"), c, message;
	size_t n = 0;

	(void)state;
	for (struct json_iter it = json_iter(cases); json_next(&it, NULL, &c); n++) {
		const size_t head = sizeof "dstack-kms-genereted-keys-v1:" - 1;
		uint8_t spki[91], pub[33], out[64];
		char text[512];
		size_t len;
		assert_true(json_get(c, "message_utf8", &message));
		assert_int_equal(json_cstr(message, text, sizeof text), 0);
		assert_int_equal(hex_read(spki, 91, text + head, 182, &len), 0);
		assert_int_equal(hex_read(pub, 33, text + head + 183, 66, &len), 0);
		rotation_report_data(spki, pub, out);
		known_is(c, "report_data", out, 64);
	}
	assert_true(n >= 6);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(report_data) };

	if (argc != 2)
		return 2;
	all = known_open(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
