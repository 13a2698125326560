// What the verifier is told: requests and configuration, read strictly.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/file.h"
#include "config.h"
#include "pki.h"
#include "request.h"

static char dir[] = "/tmp/verifier-input-XXXXXX";

static int set_up(void **state)
{
	char path[64];
	struct err e;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/pki", dir);
	return pki_make(path, time(NULL), &e);
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	return file_remove_tree(dir, &e);
}

static void requests_are_read_strictly(void **state)
{
	static const struct {
		const char *text;
		enum err_class class;
	} cases[] = {
		{ "", ERR_INPUT },
		{ "[]", ERR_INPUT },
		{ "{", ERR_INPUT },
		{ "{\"quote\":1}", ERR_INPUT },
		{ "{\"quote\":\"00\",\"event_log\":[]}", ERR_INPUT },
		{ "{\"attestation\":\"00\",\"debug\":1}", ERR_INPUT },
		{ "{\"quote\":\"00\",\"quote\":\"01\",\"event_log\":\"[]\"}", ERR_INPUT },
		{ "{}", ERR_UNTRUSTED },
		{ "{\"quote\":\"00\"}", ERR_UNTRUSTED },
		{ "{\"quote\":null,\"attestation\":null}", ERR_UNTRUSTED },
		{ "{\"quote\":\"0\",\"event_log\":\"[]\"}", ERR_UNTRUSTED },
		{ "{\"quote\":\"zz\",\"event_log\":\"[]\"}", ERR_UNTRUSTED },
		{ "{\"attestation\":\"0g\",\"quote\":\"00\",\"event_log\":\"[]\"}", ERR_UNTRUSTED },
	};
	struct request r;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(request_read(&r, span_str(cases[i].text), &e), -1);
		assert_int_equal(e.class, cases[i].class);
		assert_string_equal(e.code, e.class == ERR_INPUT ? "verifier.request" : "verifier.evidence");
		request_free(&r);
	}
	assert_int_equal(
		request_read(&r, span_str("{\"attestation\":\"0xAb01\",\"quote\":\"zz\",\"debug\":true}"),
			     &e),
		0);
	assert_int_equal(r.attestation.n, 2); // the others are never mixed in
	assert_memory_equal(r.attestation.p, "\xab\x01", 2);
	assert_true(r.debug && !r.quote.n);
	request_free(&r);
	assert_int_equal(
		request_read(
			&r,
			span_str("{\"quote\":\"04\",\"event_log\":\"[]\",\"other\":{},\"vm_config\":null}"),
			&e),
		0);
	request_free(&r);
	char *big = calloc(1, REQUEST_MAX + 1);

	memset(big, ' ', REQUEST_MAX + 1);
	assert_int_equal(request_read(&r, span_of(big, REQUEST_MAX + 1), &e), -1);
	request_free(&r);
	free(big);
}

static void config_is(const char *text, char **env, const char *code)
{
	struct verifier_config c;
	char path[200];
	struct err e = { 0 };

	snprintf(path, sizeof path, "%s/c.toml", dir);
	assert_int_equal(file_write_str(path, 0600, text, &e), 0);
	int r = verifier_config_read(&c, path, env, &e);

	if (!r)
		verifier_config_free(&c);
	if (strcmp(code, r ? e.code : "") != 0)
		fail_msg("%s: %s [%s]", text, e.text, e.code);
}

static void configuration_fails_closed(void **state)
{
	char text[600], var[300];
	char *env[] = { var, NULL };

	(void)state;
	config_is("", NULL, "");
	config_is("unknown = 1", NULL, "config.unknown_key");
	config_is("[attestation.urls]\nother = \"x\"", NULL, "config.unknown_key");
	config_is("port = 0", NULL, "config.range");
	config_is("address = \"localhost\"", NULL, "config.address");
	config_is("image_download_url = \"https://x/y\"", NULL, "config.image_url");
	config_is("image_download_url = \"ftp://x/{OS_IMAGE_HASH}\"", NULL, "config.image_url");
	config_is("image_download_url = \"\"", NULL, "");
	config_is("allowed_images = [\"00\"]", NULL, "config.type");
	snprintf(text, sizeof text, "[attestation]\ndevelopment_root = \"%s/pki/root.pem\"", dir);
	config_is(text, NULL, "config.development_root");
	snprintf(text, sizeof text, "[attestation.root_ca]\ntdx = \"%s/pki/root.pem\"", dir);
	config_is(text, NULL, "config.root_ca");
	snprintf(var, sizeof var, "DSTACK_VERIFIER_ATTESTATION__INSECURE_ALLOW_EXTERNAL_TRUST_ANCHORS=true");
	config_is(text, env, "");
	snprintf(text, sizeof text, "[attestation.root_ca]\nsev_snp_milan = \"%s/pki/pck.der\"", dir);
	config_is(text, env, "config.root_ca"); // no CA
	snprintf(text, sizeof text, "[attestation.root_ca]\naws_nitro_tpm = \"%s/none\"", dir);
	config_is(text, env, "file.absent");
	snprintf(var, sizeof var, "DSTACK_VERIFIER_PORT=70000");
	config_is("", env, "config.range");
	snprintf(var, sizeof var, "DSTACK_VERIFIER_PORT=9x");
	config_is("", env, "config.type");
	snprintf(var, sizeof var, "DSTACK_VERIFIER_PROT=90");
	config_is("", env, "config.unknown_key");
	snprintf(var, sizeof var, "DSTACK_VERIFIER_PORT=9090");
	config_is("port = 1", env, "");
	snprintf(var, sizeof var, "OTHER=1");
	config_is("", env, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read_strictly),
		cmocka_unit_test(configuration_fails_closed),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
