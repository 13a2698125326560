// app-compose.json and the environment: what deploy measures and seals.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../cli/compose.h"
#include "../../../cli/signer.h"
#include "base/strings.h"
#include "core/codec/json.h"

static struct err e;

static void takes_variables(void **state)
{
	struct env_list envs = { 0 };

	(void)state;
	setenv("FROM_SHELL", "x=y", 1);
	assert_int_equal(env_add(&envs, "A=1", &e), 0);
	assert_int_equal(env_add(&envs, "B_2=", &e), 0);
	assert_int_equal(env_add(&envs, "C=a=b", &e), 0);
	assert_int_equal(env_add(&envs, "FROM_SHELL", &e), 0);
	assert_int_equal(envs.n, 4);
	assert_string_equal(envs.at[1].value, "");
	assert_string_equal(envs.at[2].value, "a=b");
	assert_string_equal(envs.at[3].value, "x=y");
	env_free(&envs);
	assert_int_equal(envs.n, 0);
}

static void refuses_bad_names(void **state)
{
	static const char *const bad[] = {
		"", "=1", "1A=1", "A B=1", "A-B=1", "é=1", "SURELY_NOT_SET_ANYWHERE"
	};
	struct env_list envs = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(env_add(&envs, bad[i], &e), -1);
		assert_int_equal(e.class, ERR_INPUT);
	}
	assert_int_equal(env_add(&envs, "A=1", &e), 0);
	assert_int_equal(env_add(&envs, "A=2", &e), -1);
	env_free(&envs);
}

static void reads_env_files(void **state)
{
	char path[] = "/tmp/compose-test-XXXXXX";
	int fd = mkstemp(path);
	struct env_list envs = { 0 };

	(void)state;
	assert_true(fd >= 0);
	dprintf(fd, "# comment\n\nKEY=value with blanks\n  INDENTED=1\r\n");
	assert_int_equal(env_add_file(&envs, path, &e), 0);
	assert_int_equal(envs.n, 2);
	assert_string_equal(envs.at[0].value, "value with blanks");
	assert_string_equal(envs.at[1].key, "INDENTED");
	assert_string_equal(envs.at[1].value, "1");
	env_free(&envs);
	unlink(path);
	assert_int_equal(env_add_file(&envs, path, &e), -1);
}

static void env_is_json(void **state)
{
	struct env_list envs = { 0 };
	uint8_t *out;
	size_t n;
	struct json doc;

	(void)state;
	assert_int_equal(env_add(&envs, "K=quote \" and \\ and\ttab", &e), 0);
	assert_int_equal(env_json(&envs, &out, &n, &e), 0);
	assert_int_equal(json_parse(&doc, span_of(out, n), NULL), 0);
	assert_memory_equal(out, "{\"env\":[{\"key\":\"K\",\"value\":\"quote \\\" and \\\\ and\\ttab\"}]}",
			    n);
	free(out);
	env_free(&envs);
}

static void compose_is_its_bytes(void **state)
{
	struct env_list envs = { 0 };
	struct compose one, two;
	struct json doc, v;
	char text[256];
	static const char yaml[] = "services:\n  a:\n    image: \"x@sha256:00\"\n";

	(void)state;
	assert_int_equal(env_add(&envs, "SECRET=never in the compose file", &e), 0);
	assert_int_equal(
		compose_make(&one, &(struct compose_spec){ "app", span_str(yaml), &envs, COMPOSE_KMS, false },
			     &e),
		0);
	assert_int_equal(
		compose_make(&two, &(struct compose_spec){ "app", span_str(yaml), &envs, COMPOSE_KMS, false },
			     &e),
		0);
	assert_int_equal(one.n, two.n);
	assert_memory_equal(one.text, two.text, one.n);
	assert_memory_equal(one.hash, two.hash, 32);
	assert_null(strstr(one.text, "never in"));
	assert_int_equal(json_parse(&doc, span_of(one.text, one.n), NULL), 0);
	assert_true(json_get(doc, "docker_compose_file", &v));
	assert_int_equal(json_cstr(v, text, sizeof text), 0);
	assert_string_equal(text, yaml);
	assert_true(json_get(doc, "allowed_envs", &v));
	assert_int_equal(json_count(v), 1);
	compose_free(&two);
	assert_int_equal(
		compose_make(&two,
			     &(struct compose_spec){ "other", span_str(yaml), &envs, COMPOSE_KMS, false },
			     &e),
		0);
	assert_memory_not_equal(one.hash, two.hash, 32);
	compose_free(&one);
	compose_free(&two);
	env_free(&envs);
}

static void who_gives_the_keys(void **state)
{
	static const char yaml[] = "services: {}\n";
	struct env_list envs = { 0 };
	struct compose c;
	enum compose_keys keys;

	(void)state;
	assert_int_equal(compose_keys_read(&keys, "local"), 0);
	assert_int_equal(keys, COMPOSE_LOCAL);
	assert_int_equal(
		compose_make(&c, &(struct compose_spec){ "a", span_str(yaml), &envs, keys, true }, &e), 0);
	assert_non_null(strstr(c.text, "\"kms_enabled\":false,\"gateway_enabled\":false,"
				       "\"local_key_provider_enabled\":true,"));
	assert_non_null(strstr(c.text, "\"no_instance_id\":true"));
	assert_null(strstr(c.text, "\"key_provider\""));
	compose_free(&c);
	assert_int_equal(compose_keys_read(&keys, "none"), 0);
	assert_int_equal(
		compose_make(&c, &(struct compose_spec){ "a", span_str(yaml), &envs, keys, false }, &e), 0);
	assert_non_null(strstr(c.text, "\"key_provider\":\"none\""));
	assert_null(strstr(c.text, "emit_event"));
	compose_free(&c);
	const struct compose_spec events = { "a", span_str(yaml), &envs, COMPOSE_KMS, .emit_event = true };
	assert_int_equal(compose_make(&c, &events, &e), 0);
	assert_string_equal(strstr(c.text, "\"storage_fs\""), "\"storage_fs\":\"ext4\",\"emit_event\":true}");
	compose_free(&c);
	assert_int_equal(compose_keys_read(&keys, "tpm"), -1);
	assert_int_equal(env_add(&envs, "A=b", &e), 0);
	assert_int_equal(
		compose_make(&c, &(struct compose_spec){ "a", span_str(yaml), &envs, COMPOSE_LOCAL, false },
			     &e),
		-1);
	assert_string_equal(e.code, "cli.env_without_kms");
	env_free(&envs);
}

static void hb_08_signed_by_the_deployer(void **state)
{
	static const char yaml[] = "services: {}\n";
	char dir[] = "/tmp/compose-test-XXXXXX", path[64];
	struct env_list envs = { 0 };
	struct signer s, again;
	struct compose c;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(signer_open(&s, dir, NULL, &e), 0); // made at first use
	assert_int_equal(signer_open(&again, dir, NULL, &e), 0);
	assert_memory_equal(s.pub, again.pub, sizeof s.pub);
	snprintf(path, sizeof path, "%s/deployer.key", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(signer_open(&again, "/nowhere", path, &e), 0);
	assert_memory_equal(s.pub, again.pub, sizeof s.pub);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(signer_open(&again, dir, NULL, &e), -1); // others may have read it
	assert_int_equal(chmod(path, 0600), 0);
	FILE *f = fopen(path, "w");
	fputs("abc\n", f);
	fclose(f);
	assert_int_equal(signer_open(&again, dir, NULL, &e), -1);
	assert_string_equal(e.code, "cli.env_signer");
	assert_int_equal(signer_open(&again, dir, "/nowhere", &e), -1);
	unlink(path);
	assert_int_equal(signer_open(&again, dir, "none", &e), 0);
	assert_false(again.on);
	assert_int_equal(access(path, F_OK), -1); // and none was made
	rmdir(dir);

	struct compose_spec spec = { "a", span_str(yaml), &envs, COMPOSE_KMS, .env_signer = s.pub };
	assert_int_equal(compose_make(&c, &spec, &e),
			 0); // no variables: nothing to sign, the same bytes as ever
	assert_null(strstr(c.text, "env_signers"));
	assert_non_null(strstr(c.text, "{\"manifest_version\":2,"));
	compose_free(&c);
	assert_int_equal(env_add(&envs, "A=b", &e), 0);
	assert_int_equal(compose_make(&c, &spec, &e), 0);
	assert_non_null(strstr(c.text, "{\"manifest_version\":\"3\","));
	char hex[65], want[120];
	hex_encode(hex, s.pub, sizeof s.pub);
	snprintf(want, sizeof want, ",\"requirements\":{\"env_signers\":[\"%s\"]}}", hex);
	assert_string_equal(strstr(c.text, ",\"requirements\""), want);
	compose_free(&c);
	env_free(&envs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hb_08_signed_by_the_deployer),
		cmocka_unit_test(who_gives_the_keys),
		cmocka_unit_test(takes_variables),
		cmocka_unit_test(refuses_bad_names),
		cmocka_unit_test(reads_env_files),
		cmocka_unit_test(env_is_json),
		cmocka_unit_test(compose_is_its_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
