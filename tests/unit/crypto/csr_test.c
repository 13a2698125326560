// Certificate requests: encodings of tests/vectors/kms.json, signatures, and malformed requests.
#include "known.h"

#include "core/codec/fault.h"
#include "crypto/csr.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

static struct json all;

static void text_is(struct json config, const char *name, struct span got)
{
	char want[512];

	assert_int_equal(json_cstr(known(config, name), want, sizeof want), 0);
	assert_true(span_is(got, want));
}

static void flag_is(struct json config, const char *name, bool got)
{
	bool want;

	assert_int_equal(json_bool(known(config, name), &want), 0);
	assert_int_equal(want, got);
}

static void config_is(struct json config, const struct csr *c)
{
	struct json org = known(config, "org_name"), san;
	size_t i = 0;

	assert_int_equal(json_kind(org) != JSON_NULL, c->has_org);
	if (c->has_org)
		text_is(config, "org_name", c->org);
	text_is(config, "subject", c->subject);
	for (struct json_iter it = json_iter(known(config, "alt")); json_next(&it, NULL, &san); i++) {
		char want[300];
		assert_int_equal(json_cstr(san, want, sizeof want), 0);
		assert_true(i < c->n_names && span_is(c->names[i], want));
	}
	assert_int_equal(i, c->n_names);
	flag_is(config, "server", c->server_auth);
	flag_is(config, "client", c->client_auth);
	flag_is(config, "quote", c->ext_quote);
}

static void version_2(void **state)
{
	struct json v;
	struct fault f;

	(void)state;
	for (struct json_iter it = json_iter(known(all, "csr_v2_scale")); json_next(&it, NULL, &v);) {
		struct span in = known_bytes(v, "scale");
		struct csr c;
		uint8_t *again = malloc(in.n);
		struct wr w = wr_to(again, in.n);

		assert_int_equal(csr_read(&c, in, 2, &f), 0);
		known_is(v, "pubkey", c.pubkey.p, c.pubkey.n);
		known_is(v, "attestation", c.attestation.p, c.attestation.n);
		config_is(known(v, "config"), &c);
		flag_is(known(v, "config"), "app_info", c.ext_app_info);
		csr_write(&w, &c);
		assert_false(w.bad);
		assert_true(span_eq(span_of(again, w.n), in));
		free(again);
	}
}

static void version_1(void **state)
{
	struct json v;
	struct fault f;

	(void)state;
	for (struct json_iter it = json_iter(known(all, "csr_v1_scale")); json_next(&it, NULL, &v);) {
		struct span in = known_bytes(v, "scale");
		struct csr c;

		assert_int_equal(csr_read(&c, in, 1, &f), 0);
		known_is(v, "pubkey", c.pubkey.p, c.pubkey.n);
		known_is(v, "quote", c.quote.p, c.quote.n);
		text_is(v, "event_log_json", c.event_log);
		config_is(known(v, "config"), &c);
		for (size_t n = 0; n < in.n; n++)
			assert_int_equal(csr_read(&c, span_of(in.p, n), 1, &f), -1);
		assert_int_equal(csr_read(&c, in, 3, &f), -1);
		assert_string_equal(f.code, "csr.version");
	}
}

static struct span written(const struct csr *c, uint8_t *buf, size_t cap)
{
	struct wr w = wr_to(buf, cap);

	csr_write(&w, c);
	assert_false(w.bad);
	return span_of(buf, w.n);
}

static void signatures(void **state)
{
	struct err e;
	auto_pkey EVP_PKEY *k = p256_new(&e), *other = p256_new(&e);
	uint8_t spki[P256_SPKI], buf[1024], sig[P256_SIG_MAX];
	size_t n = 0;
	struct fault f;
	struct csr c = { .version = 2,
			 .pubkey = span_of(spki, sizeof spki),
			 .subject = span_str("a"),
			 .server_auth = true },
		   got;

	(void)state;
	assert_int_equal(p256_spki(k, spki, &e), 0);
	struct span in = written(&c, buf, sizeof buf);
	assert_int_equal(p256_sign(k, in, sig, &n, &e), 0);
	assert_int_equal(csr_read(&got, in, 2, &f), 0);
	assert_int_equal(csr_verify(in, &got, span_of(sig, n), &e), 0);
	buf[in.n - 1] ^= 1;
	assert_int_equal(csr_verify(in, &got, span_of(sig, n), &e), -1);
	assert_string_equal(e.code, "csr.signature");
	buf[in.n - 1] ^= 1;
	buf[1] ^= 1;
	assert_int_equal(csr_read(&got, in, 2, &f), 0);
	assert_int_equal(csr_verify(in, &got, span_of(sig, n), &e), -1);
	assert_string_equal(e.code, "csr.signature"); // first
	assert_int_equal(p256_sign(k, in, sig, &n, &e), 0);
	assert_int_equal(csr_verify(in, &got, span_of(sig, n), &e), -1);
	assert_string_equal(e.code, "csr.confirm");
	buf[1] ^= 1;
	assert_int_equal(csr_read(&got, in, 2, &f), 0);
	assert_int_equal(p256_sign(other, in, sig, &n, &e), 0);
	assert_int_equal(csr_verify(in, &got, span_of(sig, n), &e), -1);
	spki[30] ^= 1;
	assert_int_equal(csr_verify(in, &c, span_of(sig, n), &e), -1);
	assert_string_equal(e.code, "csr.key");
}

static void malformed(void **state)
{
	struct csr c = { .version = 2, .pubkey = span_str("k"), .subject = span_str("subject") }, got;
	uint8_t buf[1024];
	struct fault f;

	(void)state;
	struct span in = written(&c, buf, sizeof buf);
	buf[1] ^= 1;
	assert_int_equal(csr_read(&got, in, 2, &f), 0);
	assert_false(got.confirmed);
	buf[1] ^= 1;
	const uint8_t bad_bool = 2;
	uint8_t was = buf[in.n - 1];
	buf[in.n - 1] = bad_bool;
	assert_int_equal(csr_read(&got, in, 2, &f), -1);
	assert_string_equal(f.code, "csr.format");
	buf[in.n - 1] = was;
	for (size_t n = 0; n < in.n; n++)
		assert_int_equal(csr_read(&got, span_of(in.p, n), 2, &f), -1);
	assert_int_equal(csr_read(&got, span_of("\x03\xff\xff\xff\xff", 5), 2, &f), -1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_2),
		cmocka_unit_test(version_1),
		cmocka_unit_test(signatures),
		cmocka_unit_test(malformed),
	};

	if (argc != 2)
		return 2;
	all = known_open(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
