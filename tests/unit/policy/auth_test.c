// dstack-auth's reading of a request: what a KMS writes comes back whole; what is malformed is refused by
// member.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../auth/boot.h"
#include "base/sb.h"
#include "base/strings.h"
#include "guest.h"
#include "rpc/pbjson.h"

static struct boot_info full(void)
{
	struct boot_info b = guest();

	b.has_instance_id = true;
	memset(b.instance_id, 0x17, sizeof b.instance_id);
	b.key_provider_info_n = 5;
	memcpy(b.key_provider_info, "{\"a\"}", 5);
	b.n_advisory_ids = 2;
	snprintf(b.advisory_ids[0], sizeof b.advisory_ids[0], "INTEL-SA-00837");
	snprintf(b.advisory_ids[1], sizeof b.advisory_ids[1], "INTEL-SA-00960");
	return b;
}

static int read_text(struct boot_info *out, const char *text, struct err *e)
{
	auto_arena *a = arena_new(0);
	const Auth__BootInfo *in = pbjson_read(&auth__boot_info__descriptor, span_str(text), a, e);

	assert_non_null(in);
	return boot_read(out, in, e);
}

static void write_text(char *text, size_t cap, const struct boot_info *b)
{
	struct wr w = wr_to(text, cap);

	boot_info_write_json(&w, b);
	wr_u8(&w, 0);
	assert_false(w.bad);
}

static void what_a_kms_writes(void **state)
{
	struct boot_info b = full(), back;
	char text[8192], again[8192];
	struct err e;

	(void)state;
	write_text(text, sizeof text, &b);
	assert_int_equal(read_text(&back, text, &e), 0);
	write_text(again, sizeof again, &back);
	assert_string_equal(text, again);
	assert_string_equal(back.anchor, "intel");
	b.has_instance_id = b.has_os_image_hash = false;
	b.n_advisory_ids = b.key_provider_info_n = 0;
	write_text(text, sizeof text, &b);
	assert_int_equal(read_text(&back, text, &e), 0);
	write_text(again, sizeof again, &back);
	assert_string_equal(text, again);
}

// `member` with another value, in a request that is sound otherwise.
static void with(char *out, size_t cap, const char *member, const char *value)
{
	struct boot_info b = full();
	char text[8192], key[64];

	write_text(text, sizeof text, &b);
	snprintf(key, sizeof key, "\"%s\":", member);
	char *at = strstr(text, key);
	assert_non_null(at);
	at += strlen(key);
	size_t old = *at == '[' ? strcspn(at, "]") + 1 : strcspn(at + 1, "\"") + 2;
	snprintf(out, cap, "%.*s%s%s", (int)(at - text), text, value, at + old);
}

static void malformed_members(void **state)
{
	static const char *const bad[][2] = {
		{ "appId", "\"\"" },
		{ "appId", "\"22\"" },
		{ "appId", "\"222222222222222222222222222222222222222g\"" },
		{ "composeHash", "\"0x\"" },
		{ "mrAggregated", "\"00\"" },
		{ "mrSystem", "\"00\"" },
		{ "deviceId", "\"00\"" },
		{ "instanceId", "\"00\"" },
		{ "osImageHash", "\"00\"" },
		{ "keyProviderInfo", "\"0\"" },
		{ "teeVariant", "\"a\\nb\"" },
		{ "tcbStatus", "\"UpToDateUpToDateUpToDateUpToDateUpToDateUpToDateUpToDate\"" },
		{ "advisoryIds", "[\"INTEL-SA-0000000000000000000000000001\"]" },
	};
	char text[8192], want[64];
	struct boot_info b;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		with(text, sizeof text, bad[i][0], bad[i][1]);
		assert_int_equal(read_text(&b, text, &e), -1);
		assert_string_equal(e.code, "auth.request");
		snprintf(want, sizeof want, "request: %s is not", bad[i][0]);
		assert_non_null(strstr(e.text, want));
	}
}

static void who_vouches(void **state)
{
	struct boot_info b;
	struct err e;
	char text[8192];

	(void)state;
	with(text, sizeof text, "teeVariant", "\"dstack-tdx\",\"anchor\":\"development\"");
	assert_int_equal(read_text(&b, text, &e), 0);
	assert_string_equal(b.anchor, "development");
	with(text, sizeof text, "teeVariant", "\"dstack-tdx\",\"anchor\":\"Intel\"");
	assert_int_equal(read_text(&b, text, &e), -1);
	assert_string_equal(e.code, "auth.request");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_kms_writes),
		cmocka_unit_test(malformed_members),
		cmocka_unit_test(who_vouches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
