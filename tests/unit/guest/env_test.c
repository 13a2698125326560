// The sealed environment: who may send it (HB-08), bytes that do not open (HB-09), values byte by byte
// (HB-10), names that steer programs (HB-11), older ones (HB-12).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/envname.h"
#include "base/file.h"
#include "base/strings.h"
#include "compose.h"
#include "crypto/envsign.h"
#include "crypto/seal.h"
#include "env.h"
#include "sender.h"

#include <sys/stat.h>
#include <unistd.h>

static struct arena *arena;
static struct err e;
static const uint8_t seed[ED25519_SEED] = { 1 }, stranger[ED25519_SEED] = { 2 };
static const uint8_t app[ENVSIGN_APP] = { 0xAA }, other_app[ENVSIGN_APP] = { 0xAB };
static const uint8_t key[SEAL_KEY] = { 5 };
static const char *const names[] = { "A", "B", "C" };
static const struct texts allowed = { (const char **)(uintptr_t)names, 3 };

static int setup(void **state)
{
	(void)state;
	arena = arena_new(64 << 20);
	return arena ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static struct span sealed(const char *plain)
{
	size_t n = strlen(plain) + SEAL_OVERHEAD;
	uint8_t pub[SEAL_KEY], *box = arena_alloc(arena, n);

	assert_int_equal(seal_public(key, pub, &e), 0);
	assert_int_equal(seal_encrypt(pub, span_str(plain), box, &e), 0);
	return span_of(box, n);
}

static struct span signed_by(const uint8_t *who, const uint8_t *for_app, uint64_t version, struct span box)
{
	uint8_t *out = arena_alloc(arena, ENVSIGN_HEAD + box.n);

	assert_int_equal(envsign_write(who, for_app, version, box, out, &e), 0);
	return span_of(out, ENVSIGN_HEAD + box.n);
}

static struct span copy_of(struct span s)
{
	return span_of(arena_dup(arena, s.p, s.n), s.n);
}

static uint8_t *bytes_of(struct span s)
{
	return (uint8_t *)(uintptr_t)s.p;
}

static struct compose of_deployer(void)
{
	struct compose c = { .n_env_signers = 1 };

	assert_int_equal(ed25519_public(seed, c.env_signers[0], &e), 0);
	return c;
}

static void judged(const struct compose *c, struct span file, const char *code)
{
	struct sender s;

	e = (struct err){ 0 };
	int rc = sender_judge(c, app, file, &s, &e);
	assert_string_equal(rc ? e.code : "", code);
}

static void hb_08_only_its_signers_for_this_app(void **state)
{
	struct compose c = of_deployer();
	struct span box = sealed("{\"env\":[{\"key\":\"A\",\"value\":\"1\"}]}");
	struct span good = signed_by(seed, app, 7, box);
	struct sender s;

	(void)state;
	assert_int_equal(sender_judge(&c, app, good, &s, &e), 0);
	assert_int_equal(s.version, 7);
	assert_int_equal(s.box.n, box.n);
	assert_memory_equal(s.box.p, box.p, box.n);
	judged(&c, box, "env.unsigned"); // a stranger with the app's public key
	judged(&c, (struct span){ 0 }, "env.missing");
	judged(&c, signed_by(stranger, app, 7, box), "env.signer");
	judged(&c, signed_by(seed, other_app, 7, box), "env.signature");
	struct span forged = signed_by(stranger, app, 7, box); // with the deployer's name on it
	memcpy(bytes_of(forged) + ENVSIGN_TAG + 8, c.env_signers[0], ED25519_PUB);
	judged(&c, forged, "env.signature");
	c.n_env_signers = 2;
	assert_int_equal(ed25519_public(stranger, c.env_signers[1], &e), 0);
	judged(&c, signed_by(stranger, app, 7, box), ""); // a second one
}

// Every single byte of it is covered: by the tag, the list of signers, the signature, or what is signed.
static void hb_08_every_byte_is_covered(void **state)
{
	struct compose c = of_deployer();
	struct span good = signed_by(seed, app, 7, sealed("{\"env\":[]}"));
	struct sender s;

	(void)state;
	for (size_t i = 0; i < good.n; i++) {
		struct span bad = copy_of(good);
		bytes_of(bad)[i] ^= 1;
		assert_int_equal(sender_judge(&c, app, bad, &s, &e), -1);
		assert_string_equal(e.code, i < ENVSIGN_TAG                     ? "env.unsigned"
					    : i < ENVSIGN_TAG + 8               ? "env.signature"
					    : i < ENVSIGN_TAG + 8 + ED25519_PUB ? "env.signer"
										: "env.signature");
	}
}

// Without a signer in the compose file: upstream's anonymous box, as upstream takes it.
static void hb_08_compat_takes_the_anonymous_box(void **state)
{
	struct compose c = { 0 };
	struct span box = sealed("{\"env\":[{\"key\":\"A\",\"value\":\"1\"}]}");
	struct sender s;

	(void)state;
	assert_int_equal(sender_judge(&c, app, box, &s, &e), 0);
	assert_int_equal(s.version, 0);
	assert_ptr_equal(s.box.p, box.p);
	judged(&c, (struct span){ 0 }, "");
}

// Fixed bytes, made with openssl's command (docs/formats/sealed-env.md).
static void hb_08_known_answer(void **state)
{
	static const char head[] =
		"64737461636b2d656e762d76310000000000018bcfe5680003a107bff3ce10be1d70dd18e74bc09967e4d6309ba5"
		"0d5f1ddc8664125531b83d28afb9b1f11a763620f753e4e82ae11112b4c4cf347e2bade02aa4b75a1743d1a09ee4"
		"290986777b158b06b43e4af71391aa832ba44424e7f13c1f7dfdab09";
	uint8_t counted[60], known[ENVSIGN_HEAD + 60], got[sizeof known], its_app[ENVSIGN_APP];
	struct compose c = { .n_env_signers = 1 };
	struct sender s;

	(void)state;
	for (uint8_t i = 0; i < sizeof counted; i++)
		counted[i] = i;
	memset(its_app, 0xAA, sizeof its_app);
	assert_true(hex_exact(known, ENVSIGN_HEAD, head));
	memcpy(known + ENVSIGN_HEAD, counted, sizeof counted);
	assert_int_equal(
		envsign_write(counted, its_app, 1700000000000, span_of(counted, sizeof counted), got, &e), 0);
	assert_memory_equal(got, known, sizeof known);
	assert_int_equal(ed25519_public(counted, c.env_signers[0], &e), 0);
	assert_int_equal(sender_judge(&c, its_app, span_of(known, sizeof known), &s, &e), 0);
	assert_int_equal(s.version, 1700000000000);
}

static void parsed(const char *text, const char *code)
{
	static struct compose c;

	e = (struct err){ 0 };
	int rc = compose_parse(span_str(text), arena, &c, &e);
	assert_string_equal(rc ? e.code : "", code);
}
#define SIGNERS(list) "{\"manifest_version\":\"3\",\"requirements\":{\"env_signers\":" list "}}"
#define KEY           "\"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8\""

static void hb_08_signers_are_keys(void **state)
{
	(void)state;
	parsed(SIGNERS("[" KEY "]"), "");
	parsed(SIGNERS("[]"), "compose.env_signers");
	parsed(SIGNERS("[\"\"]"), "compose.env_signers");
	parsed(SIGNERS("[\"03a1\"]"), "compose.env_signers");
	parsed(SIGNERS("[" KEY ",1]"), "compose.type");
	parsed(SIGNERS(KEY), "compose.type");
	// points of low order, for which anybody makes signatures; no point; the identity; not canonical
	parsed(SIGNERS("[\"0000000000000000000000000000000000000000000000000000000000000000\"]"),
	       "compose.env_signers");
	parsed(SIGNERS("[\"0100000000000000000000000000000000000000000000000000000000000000\"]"),
	       "compose.env_signers");
	parsed(SIGNERS("[\"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a\"]"),
	       "compose.env_signers");
	parsed(SIGNERS("[\"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f\"]"),
	       "compose.env_signers");
	parsed(SIGNERS("[\"0200000000000000000000000000000000000000000000000000000000000000\"]"),
	       "compose.env_signers");
	// a guest that does not know it refuses: it is a requirement, and these need manifest version 3
	parsed("{\"manifest_version\":2,\"requirements\":{\"env_signers\":[" KEY "]}}", "compose.feature");
}

// The launch token is held against the compose file with nothing but the share in hand: no key, no network.
static void hb_08_launch_token_needs_no_key(void **state)
{
	static struct compose c;
	struct compose_machine m = { .platform = "dstack-tdx", .os_version = "0.6.1" };

	(void)state;
	assert_int_equal(compose_parse(span_str("{\"manifest_version\":\"3\",\"requirements\":{"
						"\"launch_token_hash\":\"fe598eb7a87a08b0b2a533604bc0092a5759"
						"794e8bb58af1253440f1555c0ec0\"}}"),
				       arena, &c, &e),
			 0);
	m.user_config = span_str("{\"dstack\":{\"launch_token\":\"00000000000000000000000000000000\"}}");
	assert_int_equal(compose_check(&c, &m, &e), -1);
	assert_string_equal(e.code, "compose.launch_token");
}

static void opened(struct span with, struct span box, const char *code)
{
	struct env_files f;

	e = (struct err){ 0 };
	int rc = env_open(with, box, &allowed, arena, &f, &e);
	assert_string_equal(rc ? e.code : "", code);
	if (rc) // nothing that could pass for an environment
		assert_true(!f.text.p && !f.json.p);
	else
		env_free(&f);
}

static void hb_09_boxes_that_do_not_open(void **state)
{
	struct span with = span_of(key, sizeof key),
		    box = sealed("{\"env\":[{\"key\":\"A\",\"value\":\"1\"}]}");
	struct compose c = { 0 };
	uint8_t shifted[256] = { 0 };

	(void)state;
	opened(with, box, "");
	judged(&c, span_of(box.p, 0), "env.empty"); // there, with nothing in it
	opened(with, span_of(box.p, 0), "env.truncated");
	opened((struct span){ 0 }, box, "env.no_key");
	for (size_t n = 1; n < box.n; n++)
		opened(with, span_of(box.p, n), n < SEAL_OVERHEAD ? "env.truncated" : "env.decrypt");
	for (size_t i = 0; i < box.n; i++) {
		struct span bad = copy_of(box);
		bytes_of(bad)[i] ^= 0x40;
		opened(with, bad, "env.decrypt");
	}
	static const size_t ivs[] = { 0, 8, 11, 13, 16, 24 }; // nonces of another length
	for (size_t i = 0; i < sizeof ivs / sizeof *ivs; i++) {
		memcpy(shifted, box.p, SEAL_KEY);
		memset(shifted + SEAL_KEY, 0, ivs[i]);
		memcpy(shifted + SEAL_KEY, box.p + SEAL_KEY, ivs[i] < 12 ? ivs[i] : 12);
		memcpy(shifted + SEAL_KEY + ivs[i], box.p + SEAL_KEY + 12, box.n - SEAL_KEY - 12);
		opened(with, span_of(shifted, box.n - 12 + ivs[i]), "env.decrypt");
	}
	uint8_t other[SEAL_KEY] = { 0x45 }; // X25519 ignores the three lowest bits
	opened(span_of(other, sizeof other), box, "env.decrypt");
	opened(with, sealed(""), "env.json");
	opened(with, sealed("{}"), "env.json");
	opened(with, sealed("{\"env\":[{\"key\":\"A\",\"value\":\"1\"}]"), "env.json");
}

// RFC 7748 section 6.1: with these the secret is zero whatever the key, so anybody could encrypt.
static void hb_09_points_of_low_order(void **state)
{
	static const char *const low[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	// made with the key 0: AES-256-GCM, nonce 0, of {"env":[]}
	uint8_t box[SEAL_KEY + 12 + 10 + 16] = { 0 };

	(void)state;
	assert_true(
		hex_exact(box + SEAL_KEY + 12, 26, "b58525533b4251355a330c8437a311446c8ba6191d623ea54e6b"));
	for (size_t i = 0; i < sizeof low / sizeof *low; i++) {
		assert_true(hex_exact(box, SEAL_KEY, low[i]));
		opened(span_of(key, sizeof key), span_of(box, sizeof box), "env.decrypt");
	}
}

static void hb_09_envelopes_cut_short(void **state)
{
	struct compose c = of_deployer();
	struct span good = signed_by(seed, app, 7, sealed("{\"env\":[]}"));
	struct span zero = copy_of(good);

	(void)state;
	judged(&c, span_of(good.p, 0), "env.empty");
	for (size_t n = 1; n < good.n; n++)
		judged(&c, span_of(good.p, n),
		       n < ENVSIGN_TAG                    ? "env.unsigned"
		       : n < ENVSIGN_HEAD + SEAL_OVERHEAD ? "env.envelope"
							  : "env.signature");
	memset(bytes_of(zero) + ENVSIGN_TAG, 0, 8);
	judged(&c, zero, "env.envelope");
}

static const char *rendered(const char *value_json)
{
	static struct env_files f;
	auto_free char *plain = str_format("{\"env\":[{\"key\":\"A\",\"value\":\"%s\"},"
					   "{\"key\":\"B\",\"value\":\"neighbour\"}]}",
					   value_json);

	env_free(&f);
	e = (struct err){ 0 };
	return env_render(span_str(plain), &allowed, arena, &f, &e) ? e.code : f.text.p;
}

// What `docker compose --env-file` and systemd read; the guest itself goes by the JSON beside it.
static void hb_10_lines_are_quoted(void **state)
{
	static const struct {
		const char *json, *line;
	} cases[] = {
		{ "plain", "plain" },
		{ "", "" },
		{ "a=b#c", "a=b#c" },
		{ "two words", "\"two words\"" },
		{ "a\\\\", "\"a\\\\\"" }, // a backslash at the end does not take the quote
		{ "a\\\\nb", "\"a\\\\nb\"" },
		{ "a\\nb", "\"a\\nb\"" },
		{ "\\n", "\"\\n\"" },
		{ "a\\nB=evil", "\"a\\nB=evil\"" },
		{ "\\\"\\nB=evil\\n\\\"", "\"\\\"\\nB=evil\\n\\\"\"" },
		{ "$(reboot)", "\"\\$(reboot)\"" },
		{ "`reboot`", "\"\\`reboot\\`\"" },
		{ "${B}", "\"\\${B}\"" },
		{ "it's", "\"it's\"" },
		{ "a\\rb", "\"a\rb\"" },
		{ "\\u00e9\\ud83d\\ude00", "\xc3\xa9\xf0\x9f\x98\x80" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		auto_free char *want = str_format("A=%s\nB=neighbour\n", cases[i].line);
		assert_string_equal(rendered(cases[i].json), want);
	}
}

// Every byte that JSON text can carry comes out of the file that the guest reads as it went in.
static void hb_10_json_is_exact(void **state)
{
	char every[127 + 12 + 1];
	size_t n = 0, back_n;
	auto_sb plain = { 0 };
	char back[sizeof every];
	struct env_files f;
	struct json doc, v;

	(void)state;
	for (char c = 1; c < 127; c++)
		every[n++] = c;
	memcpy(every + n, "\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 11);
	sb_str(&plain, "{\"env\":[{\"key\":\"A\",\"value\":");
	sb_json_str(&plain, every);
	sb_str(&plain, "},{\"key\":\"B\",\"value\":\"neighbour\"}]}");
	assert_int_equal(env_render(span_str(plain.p), &allowed, arena, &f, &e), 0);
	assert_int_equal(json_parse(&doc, span_of(f.json.p, f.json.n), NULL), 0);
	assert_int_equal(json_count(doc), 2);
	assert_true(json_get(doc, "A", &v));
	assert_int_equal(json_string(v, back, sizeof back, &back_n), 0);
	assert_int_equal(back_n, strlen(every));
	assert_memory_equal(back, every, back_n);
	assert_true(json_get(doc, "B", &v) && json_is(v, "neighbour"));
	env_free(&f);
}

static void hb_10_refused_whole(void **state)
{
	enum { LINE = 128 * 1024 };
	auto_free char *big = malloc(1 << 20);

	(void)state;
	assert_string_equal(rendered("a\\u0000b"), "env.value");
	assert_string_equal(rendered("\xff"), "env.json");
	assert_string_equal(rendered("\\ud800"), "env.json");
	memset(big, 'x', 1 << 20);
	big[(1 << 20) - 1] = 0;
	assert_string_equal(rendered(big), "env.too_large"); // 1 MB
	big[LINE - 2] = 0;                                   // "A=" and the NUL: one byte too many
	assert_string_equal(rendered(big), "env.too_large");
	big[LINE - 3] = 0;
	assert_int_equal(strlen(rendered(big)), 2 + LINE - 3 + 1 + strlen("B=neighbour\n"));
	e = (struct err){ 0 };
	uint8_t box[1] = { 0 };
	opened(span_of(key, sizeof key), span_of(box, SEAL_MAX + 1), "env.truncated");
}

static void hb_11_names_that_steer_programs(void **state)
{
	static const char *const bad[] = {
		"LD_PRELOAD",
		"LD_LIBRARY_PATH",
		"LD_AUDIT",
		"PATH",
		"BASH_ENV",
		"DOCKER_HOST",
		"DOCKER_CONFIG",
		"COMPOSE_FILE",
		"COMPOSE_PROJECT_NAME",
		"IFS",
		"ENV",
		"SHELLOPTS",
		"BASHOPTS",
		"PS4",
		"PROMPT_COMMAND",
		"GLIBC_TUNABLES",
		"GCONV_PATH",
		"PYTHONPATH",
		"PYTHONSTARTUP",
		"PERL5LIB",
		"PERL5OPT",
		"BASH_FUNC_say",
		"HOME",
		"CDPATH",
		"GLOBIGNORE",
		"POSIXLY_CORRECT",
		"TMOUT",
		"UID",
		"EUID",
		"PPID",
		"RANDOM",
		"_",
		"SSL_CERT_FILE",
		"HOSTALIASES",
		"GODEBUG",
		"CONTAINERS_CONF",
		"OPENSSL_CONF",
		"PWD",
		"SHLVL",
	};
	static const char *const fine[] = { "SECRET", "key",  "value",     "runner", "path",
					    "TZ",     "LANG", "PATHS",     "HOST",   "HOSTNAME",
					    "_A",     "PORT", "HTTP_PROXY" };
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, "{\"allowed_envs\":[\"FINE\",\"%s\"]}", bad[i]);
		parsed(text, "compose.allowed_envs");
		assert_non_null(strstr(e.text, bad[i]));
	}
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
		snprintf(text, sizeof text, "{\"allowed_envs\":[\"%s\"]}", fine[i]);
		parsed(text, "");
	}
	// what steers programs in containers only passes, with a word from dstack lint
	parsed("{\"allowed_envs\":[\"NODE_OPTIONS\"]}", "");
	assert_int_equal(envname_kind("NODE_OPTIONS"), ENVNAME_APP);
}

static void remembered(uint64_t version, const char *plain, const char *disk, const char *code)
{
	struct compose c = of_deployer();
	struct sender s;

	assert_int_equal(sender_judge(&c, app, signed_by(seed, app, version, sealed(plain)), &s, &e), 0);
	e = (struct err){ 0 };
	int rc = sender_remember(&s, disk, &e);
	assert_string_equal(rc ? e.code : "", code);
}

static void hb_12_versions_do_not_go_back(void **state)
{
	char disk[] = "/tmp/hb12.XXXXXX", path[64];
	struct compose c = of_deployer();
	struct sender s = { 0 };
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(disk));
	assert_int_equal(sender_remember(&s, disk, &e), 0); // an anonymous one leaves no trace
	snprintf(path, sizeof path, "%s/var/lib/dstack/environment.json", disk);
	assert_int_equal(stat(path, &st), -1);

	struct span file = signed_by(seed, app, 10, sealed("{\"env\":[]}"));
	assert_int_equal(sender_judge(&c, app, file, &s, &e), 0);
	assert_int_equal(sender_remember(&s, disk, &e), 0);
	assert_int_equal(sender_remember(&s, disk, &e), 0); // the same at the next boot
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	remembered(9, "{\"env\":[]}", disk, "env.replayed");
	remembered(10, "{\"env\":[]}", disk, "env.replayed"); // another of the same version
	remembered(UINT64_MAX, "{\"env\":[]}", disk, "");
	remembered(11, "{\"env\":[]}", disk, "env.replayed");

	static const char *const broken[] = {
		"", "{}", "[]", "{\"version\":0,\"sha256\":\"\"}", "{\"version\":1,\"sha256\":\"00\"}", "\xff"
	};
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		assert_int_equal(file_write_str(path, 0600, broken[i], &e), 0);
		remembered(UINT64_MAX, "{\"env\":[]}", disk, "env.record");
	}
	assert_int_equal(file_remove_tree(disk, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hb_08_only_its_signers_for_this_app),
		cmocka_unit_test(hb_08_every_byte_is_covered),
		cmocka_unit_test(hb_08_compat_takes_the_anonymous_box),
		cmocka_unit_test(hb_08_known_answer),
		cmocka_unit_test(hb_08_signers_are_keys),
		cmocka_unit_test(hb_08_launch_token_needs_no_key),
		cmocka_unit_test(hb_09_boxes_that_do_not_open),
		cmocka_unit_test(hb_09_points_of_low_order),
		cmocka_unit_test(hb_09_envelopes_cut_short),
		cmocka_unit_test(hb_10_lines_are_quoted),
		cmocka_unit_test(hb_10_json_is_exact),
		cmocka_unit_test(hb_10_refused_whole),
		cmocka_unit_test(hb_11_names_that_steer_programs),
		cmocka_unit_test(hb_12_versions_do_not_go_back),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
