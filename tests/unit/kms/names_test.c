// Which names an app may have in a certificate (spec 70 KM-10, CH-06).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "../../../kms/certs/names.h"

#define APP   "00112233445566778899aabbccddeeff00112233"
#define INST  "ffffffffffffffffffffffffffffffffffffff01"
#define OTHER "0123456789012345678901234567890123456789"

static const char *const own[] = { "kms.example.org", "10.0.2.2", "2001:db8::1" };
static const struct name_owner who = { APP, INST };

static void allows(const struct name_rules *r, const char *name)
{
	struct err e = { 0 };

	if (name_check(r, name, &who, &e))
		fail_msg("%s: %s", name, e.text);
}

static void refuses(const struct name_rules *r, const char *name)
{
	struct err e = { 0 };

	if (!name_check(r, name, &who, &e))
		fail_msg("%s was allowed", name);
	assert_string_equal(e.code, "csr.san");
}

static void km_10_names_of_the_kms(void **state)
{
	const struct name_rules r = { .own = own, .n_own = 3 };

	(void)state;
	refuses(&r, "kms.example.org");
	refuses(&r, "KMS.Example.ORG");
	refuses(&r, "*.example.org");
	refuses(&r, "10.0.2.2");
	refuses(&r, "2001:db8:0:0::1");
	allows(&r, "app.example.org");
	allows(&r, "*.app.example.org");
	allows(&r, "10.0.2.3");
	allows(&r, "localhost");
	allows(&r, "xkms.example.org");
}

static void km_10_forms(void **state)
{
	const struct name_rules r = { .own = own, .n_own = 3 };
	static const char *const bad[] = {
		"",           ".",       "a..b",          "-a.example",      "a_b.example", "*",
		"*.com",      "a.*.com", "*a.com",        "a.com.",          " a.com",      "a.com\n",
		"*.10.0.0.1", "a/b.com", "https://a.com", "kms.example.org."
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refuses(&r, bad[i]);
	char label[80] = "";
	memset(label, 'a', 64);
	refuses(&r, label);
}

static void km_10_names_of_other_apps(void **state)
{
	const struct name_rules r = { .own = own, .n_own = 3 };

	(void)state;
	allows(&r, APP ".example.net");
	allows(&r, INST ".example.net");
	allows(&r, APP "-8080.example.net");
	allows(&r, "00112233445566778899AABBCCDDEEFF00112233.example.net");
	refuses(&r, OTHER ".example.net");
	refuses(&r, OTHER "-443s.example.net");
	refuses(&r, "a." OTHER ".example.net");
	refuses(&r, "*." OTHER ".example.net");
	allows(&r, OTHER "0.example.net"); // 41 digits are no id
	const struct name_owner bare = { APP, "" };
	struct err e = { 0 };
	assert_int_equal(name_check(&r, INST ".example.net", &bare, &e), -1);
	assert_int_equal(name_check(&r, APP ".example.net", &bare, &e), 0);
}

static void km_10_app_domains(void **state)
{
	const struct name_rules r = {
		.own = own, .n_own = 3, .domains = { "apps.example.net" }, .n_domains = 1
	};

	(void)state;
	refuses(&r, "*.apps.example.net");
	refuses(&r, "apps.example.net");
	refuses(&r, "Apps.Example.Net");
	refuses(&r, "shop.apps.example.net");
	refuses(&r, APP ".shop.apps.example.net");
	refuses(&r, OTHER ".apps.example.net");
	allows(&r, APP ".apps.example.net");
	allows(&r, INST "-8080.APPS.example.net");
	allows(&r, "api." APP ".apps.example.net");
	allows(&r, "notapps.example.net");
	allows(&r, "example.net");
	allows(&r, "xapps.example.net");
}

static void km_10_allowed_names(void **state)
{
	const struct name_rules r = { .own = own,
				      .n_own = 3,
				      .allowed = { "*.shop.test", "one.test", "{app_id}.x.test",
						   "{instance_id}.y.test", "192.0.2.1" },
				      .n_allowed = 5 };

	(void)state;
	allows(&r, "a.shop.test");
	allows(&r, "a.b.Shop.test");
	allows(&r, "*.shop.test");
	allows(&r, "ONE.test");
	allows(&r, APP ".x.test");
	allows(&r, INST ".y.test");
	allows(&r, "192.0.2.1");
	refuses(&r, "shop.test");
	refuses(&r, "xshop.test");
	refuses(&r, "two.test");
	refuses(&r, "*.one.test");
	refuses(&r, APP ".y.test");
	refuses(&r, "192.0.2.2");
	refuses(&r, "localhost");
	const struct name_owner bare = { APP, "" };
	struct err e = { 0 };
	assert_int_equal(name_check(&r, ".y.test", &bare, &e), -1);
}

static void ch_06_subjects(void **state)
{
	const struct name_rules r = {
		.own = own, .n_own = 3, .domains = { "apps.example.net" }, .n_domains = 1
	};
	static const char *const bad[] = { "kms.example.org",   "*.example.org", "10.0.2.2",
					   "Dstack KMS CA",     "dstack app ca", "shop.apps.example.net",
					   OTHER ".example.net" };
	static const char *const good[] = { "", "guest", "My App, version 2", "app.example.org",
					    "RA-TLS TEMP Cert" };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(name_check_subject(&r, bad[i], &who, &e), -1);
		assert_string_equal(e.code, "csr.subject");
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(name_check_subject(&r, good[i], &who, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(km_10_names_of_the_kms),    cmocka_unit_test(km_10_forms),
		cmocka_unit_test(km_10_names_of_other_apps), cmocka_unit_test(km_10_app_domains),
		cmocka_unit_test(km_10_allowed_names),       cmocka_unit_test(ch_06_subjects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
