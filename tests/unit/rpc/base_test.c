// base: text, buffers, arena, secrets, files, configuration.
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
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/secret.h"
#include "base/strings.h"
#include "base/time.h"

static void test_numbers(void **state)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "+1", "-1", "01", "1x", "0x1", "18446744073709551616", "1_0"
	};
	uint64_t v;

	(void)state;
	assert_true(str_u64("18446744073709551615", &v) && v == UINT64_MAX);
	assert_true(str_u64("0", &v) && v == 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(str_u64(bad[i], &v));
	assert_true(str_seconds("2h", &v) && v == 7200);
	assert_true(str_bytes("20M", &v) && v == 20 << 20);
	assert_false(str_bytes("M", &v));
	assert_false(str_bytes("18446744073709551615T", &v));
	assert_false(str_uint("70000", 1, 65535, &v));
}

static void test_hex_and_quote(void **state)
{
	uint8_t b[4];
	size_t n;

	(void)state;
	assert_int_equal(hex_read(b, 4, "00fFAb9e", 8, &n), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(b, "\x00\xff\xab\x9e", 4);
	for (int c = 1; c < 256; c++) { // every byte, against the C library's idea of a digit
		char s[3] = { '0', (char)c, 0 };
		bool digit = strchr("0123456789abcdefABCDEF", c);
		assert_int_equal(hex_read(b, 4, s, 2, &n), digit ? 0 : -1);
		if (digit)
			assert_int_equal(b[0], strtol(s, NULL, 16));
	}
	assert_int_equal(hex_read(b, 4, "abc", 3, &n), -1);
	assert_int_equal(hex_read(b, 1, "abcd", 4, &n), -1);
	assert_false(hex_exact(b, 2, "abcdef"));

	char out[16];
	assert_string_equal(STR_Q("a\"\n\xff", 4), "\"a\\\"\\x0a\\xff\"");
	assert_string_equal(str_quote(out, sizeof out, "abcdefghijklmnopq", 17), "\"abcdefghij...\"");
	assert_string_equal(str_quote(out, sizeof out, "abcdefghij", 10), "\"abcdefghij\"");
	assert_true(str_is_utf8("\xf0\x9f\x98\x80", 4));
	assert_false(str_is_utf8("\xc0\x80", 2));
	assert_false(str_is_utf8("\xed\xa0\x80", 3));
	assert_false(str_is_utf8("\xf4\x90\x80\x80", 4));
}

static void test_buffers(void **state)
{
	auto_sb b = { 0 };

	(void)state;
	sb_chr(&b, '{');
	sb_json_key(&b, "a");
	sb_json_str(&b, "x\xff\t\xc3\xa9");
	sb_json_key(&b, "b");
	sb_chr(&b, '[');
	for (int i = 0; i < 2; i++) {
		sb_json_next(&b);
		sb_fmt(&b, "%d", i);
	}
	sb_str(&b, "]}");
	assert_string_equal(b.p, "{\"a\":\"x\\ufffd\\t\\u00e9\",\"b\":[0,1]}");
	auto_sb small = { .max = 4 };
	sb_str(&small, "12345");
	assert_true(small.bad);
	assert_null(sb_take(&small));
	auto_sb b64 = { 0 };
	sb_base64(&b64, "hello", 5);
	assert_string_equal(b64.p, "aGVsbG8=");

	auto_arena *a = arena_new(100000);
	for (int i = 0; i < 1000; i++) {
		uint8_t *p = arena_alloc(a, 33);
		assert_non_null(p);
		assert_int_equal(p[32], 0);
		memset(p, 0xff, 33);
	}
	assert_null(arena_alloc(a, 60000));
	assert_true(arena_bad(a));
	assert_null(arena_array(a, SIZE_MAX, 2));
}

static void test_secrets(void **state)
{
	(void)state;
	auto_secret *a = secret_from_hex("0102ff", 6);
	auto_secret *b = secret_dup("\x01\x02\xff", 3);
	assert_non_null(a);
	assert_true(secret_eq(a, b));
	assert_int_equal((uintptr_t)a->b % 8, 0);
	assert_null(secret_from_hex("010", 3));
	b->b[0] ^= 1;
	assert_false(secret_eq(a, b));
}

static char dir[] = "/tmp/dstack-base-XXXXXX";

static void test_files(void **state)
{
	struct err e = { 0 };
	auto_free char *path = str_format("%s/a/b/f", dir), *folder = str_format("%s/a/b", dir);
	auto_free char *link_path = str_format("%s/link", dir), *fifo = str_format("%s/fifo", dir);
	struct stat st;
	size_t n;

	(void)state;
	assert_int_equal(file_mkdirs(folder, 0700, &e), 0);
	assert_int_equal(file_mkdirs(folder, 0700, &e), 0);
	assert_int_equal(file_write(path, 0600, "hello", 5, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(file_write_new(path, 0600, "x", 1, &e), -1);
	assert_string_equal(e.code, "file.exists");

	auto_free char *text = NULL;
	assert_int_equal(file_read(path, 5, &text, &n, &e), 0);
	assert_string_equal(text, "hello");
	auto_free char *none = NULL;
	assert_int_equal(file_read(path, 4, &none, &n, &e), -1);
	assert_string_equal(e.code, "file.too_large");
	assert_int_equal(symlink(path, link_path), 0);
	assert_int_equal(file_read(link_path, 100, &none, &n, &e), -1);
	assert_string_equal(e.code, "file.not_regular");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(file_read(fifo, 100, &none, &n, &e), -1); // and does not hang
	assert_string_equal(e.code, "file.not_regular");
	assert_int_equal(file_read(folder, 100, &none, &n, &e), -1);
	assert_int_equal(file_read("/none", 100, &none, &n, &e), -1);
	assert_int_equal(e.class, ERR_ABSENT);
	auto_free char *proc = NULL; // says size 0
	assert_int_equal(file_read("/proc/self/maps", 1 << 20, &proc, &n, &e), 0);
	assert_true(n > 0);

	auto_secret *s = NULL;
	assert_int_equal(file_read_secret(path, 100, &s, &e), 0);
	assert_int_equal(s->n, 5);
	assert_int_equal(chmod(path, 0644), 0);
	auto_secret *open = NULL;
	assert_int_equal(file_read_secret(path, 100, &open, &e), -1);
	assert_string_equal(e.code, "file.mode");
}

static int files_teardown(void **state)
{
	struct err e;

	(void)state;
	return file_remove_tree(dir, &e) || file_exists(dir) ? -1 : 0;
}

static int files_setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static const struct config_key keys[] = {
	{ "listen", CONFIG_STRING, .def = "unix:/x", .doc = "where to serve" },
	{ "core.workers", CONFIG_INT, .def = "4", .min = 1, .max = 64 },
	{ "core.debug", CONFIG_BOOL },
	{ "core.urls", CONFIG_STRINGS },
	{ "net.forward[].listen", CONFIG_INT, .required = true },
	{ "net.forward[].to", CONFIG_STRING, .def = "127.0.0.1" },
	{ "net.forward[].rule[].name", CONFIG_STRING },
};

static struct config *parse(const char *text, struct err *e)
{
	return config_parse(text, strlen(text), "x.toml", keys, sizeof keys / sizeof *keys, e);
}

static void test_config(void **state)
{
	struct err e = { 0 };
	struct config *c =
		parse("# comment\r\nlisten = \"tcp:\\u0041\\\"\"  # end\n[core]\nworkers = 1_0\ndebug=true\n"
		      "urls = [ 'a\\b', # one\n \"c\",\n]\n[[net.forward]]\nlisten = -5\n"
		      "[[net.forward.rule]]\nname = \"r0\"\n[[net.forward]]\nlisten = 6\nto = \"h\"\n",
		      &e);

	(void)state;
	if (!c)
		fail_msg("%s", e.text);
	assert_string_equal(config_str(c, "listen"), "tcp:A\"");
	assert_int_equal(config_int(c, "core.workers"), 10);
	assert_true(config_bool(c, "core.debug"));
	assert_int_equal(config_count(c, "core.urls"), 2);
	assert_string_equal(config_item(c, 0, "core.urls"), "a\\b");
	assert_null(config_item(c, 2, "core.urls"));
	assert_int_equal(config_count(c, "net.forward"), 2);
	assert_int_equal(config_int(c, "net.forward[%d].listen", 0), -5);
	assert_string_equal(config_str(c, "net.forward[%d].to", 0), "127.0.0.1");
	assert_string_equal(config_str(c, "net.forward[%d].to", 1), "h");
	assert_int_equal(config_count(c, "net.forward[0].rule"), 1);
	assert_int_equal(config_count(c, "net.forward[1].rule"), 0);
	assert_string_equal(config_str(c, "net.forward[0].rule[0].name"), "r0");
	config_free(c);

	c = parse("", &e);
	assert_non_null(c);
	assert_string_equal(config_str(c, "listen"), "unix:/x");
	assert_int_equal(config_int(c, "core.workers"), 4);
	assert_false(config_bool(c, "core.debug"));
	assert_false(config_has(c, "core.workers"));
	config_free(c);
}

static const struct config_key size_keys[] = {
	{ "a.limits.*", CONFIG_SIZE, .def = "10MiB", .doc = "any name" },
	{ "a.limits.fixed", CONFIG_INT, .doc = "but this one is an integer" },
	{ "b.size", CONFIG_SIZE },
};

static struct config *sizes(const char *text, struct err *e)
{
	return config_parse(text, strlen(text), "x.toml", size_keys, sizeof size_keys / sizeof *size_keys, e);
}

// Names that the file chooses, and sizes.
static void test_config_names_and_sizes(void **state)
{
	static const char *const bad[] = { "x = -1\n",      "x = \"\"\n",
					   "x = \"1 M\"\n", "x = \"MiB\"\n",
					   "x = true\n",    "x = \"18446744073709551615KB\"\n",
					   "x.y = 1\n",     "[a.limits.z]\n" };
	struct err e = { 0 };
	struct config *c =
		sizes("[a.limits]\nGetKey = \"64KiB\"\ns-t = 7\nu = \"2 mb\"\n[b]\nsize=\"0\"\n", &e);
	size_t i = 0, n = 0;

	(void)state;
	if (!c)
		fail_msg("%s", e.text);
	static const struct {
		const char *name;
		uint64_t size;
	} want[] = { { "GetKey", 65536 }, { "s-t", 7 }, { "u", 2000000 } };
	for (const char *name; (name = config_name(c, "a.limits", &i)); n++) {
		assert_string_equal(name, want[n].name);
		assert_int_equal(config_size(c, "a.limits.%s", name), want[n].size);
	}
	assert_int_equal(n, 3);
	assert_int_equal(config_size(c, "a.limits.other"), 10 << 20);
	assert_int_equal(config_size(c, "b.size"), 0);
	config_free(c);
	c = sizes("[a]\nlimits = { x = 1, fixed=2 } # both\nb.size = 3 # no: a.b\n", &e);
	assert_null(c);
	assert_string_equal(e.code, "config.unknown_key");
	c = sizes("a = {limits={ x = \"1KB\" , fixed = 2}}\nb = {}", &e);
	if (!c)
		fail_msg("%s", e.text);
	assert_int_equal(config_size(c, "a.limits.x"), 1000);
	assert_int_equal(config_int(c, "a.limits.fixed"), 2);
	config_free(c);
	static const char *const broken[] = { "a = { limits = { x = 1 }",
					      "a = { , }",
					      "a = { limits = {}, }",
					      "a = {\nlimits = {} }",
					      "a = { limits = {} } 1",
					      "a = { limits = {} limits = {} }",
					      "a = { limits = {}, limits = {} }",
					      "[a]\nlimits = {}\n[a.limits]\n",
					      "a={a={a={a={a={a={a={a={a={a={}}}}}}}}}}" };
	for (size_t k = 0; k < sizeof broken / sizeof *broken; k++)
		assert_null(sizes(broken[k], &e));
	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
		char text[80];
		snprintf(text, sizeof text, "%s%s", *bad[k] == '[' ? "" : "[a.limits]\n", bad[k]);
		assert_null(sizes(text, &e));
		assert_true(!strcmp(e.code, "config.type") || !strcmp(e.code, "config.unknown_key"));
	}
	assert_null(sizes("[c.limits]\nx = 1\n", &e));
	assert_string_equal(e.code, "config.unknown_key");
}

static void test_config_refused(void **state)
{
	static const struct {
		const char *text, *code, *says;
	} cases[] = {
		{ "\nnope = 1\n", "config.unknown_key", "x.toml:2: unknown key nope" },
		{ "[nope]\n", "config.unknown_key", "unknown table" },
		{ "[net.forward]\n", "config.unknown_key", "unknown table" },
		{ "[[core]]\n", "config.unknown_key", "unknown table" },
		{ "listen = 1\n", "config.type", "x.toml:1: listen must be a string" },
		{ "[core]\nworkers = \"1\"\n", "config.type", "x.toml:2" },
		{ "core.workers = 65\n", "config.range", "1 to 64" },
		{ "core.urls = [1]\n", "config.type", "array of strings" },
		{ "core.urls = [\"a\", 1]\n", "config.syntax", "different kinds" },
		{ "listen = \"a\"\nlisten = \"b\"\n", "config.duplicate", "x.toml:2" },
		{ "[core]\n[core]\n", "config.duplicate", "x.toml:2" },
		{ "[core]\ndebug = true\n[net]\n[[net.forward]]\nto = \"x\"\n", "config.missing",
		  "x.toml:4: net.forward[0].listen" },
		{ "listen = \"a\n", "config.syntax", "x.toml:1" },
		{ "listen = \"a\" b\n", "config.syntax", "after the value" },
		{ "listen = \"\\x\"\n", "config.syntax", "escape" },
		{ "listen = \"\\ud800\"\n", "config.syntax", "no character" },
		{ "listen = \"\xff\"\n", "config.syntax", "UTF-8" },
		{ "listen = \"\"\"a\"\"\"\n", "config.syntax", "multi-line" },
		{ "listen = { a = 1 }\n", "config.unknown_key", "unknown table [listen]" },
		{ "listen = [{ a = 1 }]\n", "config.syntax", "inline tables in arrays" },
		{ "core.workers = 1.5\n", "config.syntax", "expected" },
		{ "core.workers = 0x10\n", "config.syntax", "expected" },
		{ "core.workers = 01\n", "config.syntax", "expected" },
		{ "core.debug = truely\n", "config.syntax", "expected" },
		{ "\"listen\" = \"a\"\n", "config.syntax", "quoted keys" },
		{ "listen\n", "config.syntax", "expected =" },
		{ "[core\n", "config.syntax", "expected ]" },
		{ "# \x01\n", "config.syntax", "control" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = { 0 };
		struct config *c = parse(cases[i].text, &e);
		if (c || strcmp(e.code, cases[i].code) || !strstr(e.text, cases[i].says))
			fail_msg("%s: %s \"%s\"", cases[i].text, e.code, e.text);
	}
}

static void test_config_json(void **state)
{
	static const char text[] =
		"{\"listen\":\"tcp:x\",\"core\":{\"workers\":7,\"debug\":true,\"urls\":[\"a\",\"b\"]},"
		"\"net\":{\"forward\":[{\"listen\":1},{\"listen\":2,\"to\":null}]}}";
	struct err e = { 0 };
	struct config *c =
		config_parse(text, sizeof text - 1, "x.json", keys, sizeof keys / sizeof *keys, &e);

	(void)state;
	if (!c)
		fail_msg("%s", e.text);
	assert_string_equal(config_str(c, "listen"), "tcp:x");
	assert_int_equal(config_int(c, "core.workers"), 7);
	assert_string_equal(config_item(c, 1, "core.urls"), "b");
	assert_int_equal(config_count(c, "net.forward"), 2);
	assert_int_equal(config_int(c, "net.forward[1].listen"), 2);
	config_free(c);
	static const char nope[] = "{\n\"core\":{\"nope\":1}}";
	assert_null(config_parse(nope, sizeof nope - 1, "x.json", keys, sizeof keys / sizeof *keys, &e));
	assert_string_equal(e.text, "x.json:2: unknown key core.nope");
	assert_null(config_parse("[]", 2, "x.json", keys, sizeof keys / sizeof *keys, &e));
	assert_null(config_parse("{\"listen\":1.5}", 14, "x.json", keys, sizeof keys / sizeof *keys, &e));
}

static void test_times(void **state)
{
	char b[TIME_TEXT];
	uint64_t t;

	(void)state;
	assert_string_equal(time_text(b, 1795361529123), "2026-11-22T15:32:09.123Z");
	assert_true(time_parse("2026-11-22T15:32:09Z", &t) && t == 1795361529);
	assert_false(time_parse("2026-11-22 15:32:09Z", &t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_hex_and_quote),
		cmocka_unit_test(test_buffers),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test_setup_teardown(test_files, files_setup, files_teardown),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_refused),
		cmocka_unit_test(test_config_names_and_sizes),
		cmocka_unit_test(test_config_json),
		cmocka_unit_test(test_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
