// GetTlsKey: every option of spec 10 section 3.1 with a local CA, read back from the certificate by OpenSSL.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/x509v3.h>
#include "../../../guest/simulator/fixture.h"
#include "base/time.h"
#include "cert.h"
#include "core/attest/certext.h"
#include "core/attest/eventlog.h"
#include "core/hash/sha2.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "ratls/issue.h"

static struct fixture fixture;
static struct agent agent = { .lock = PTHREAD_MUTEX_INITIALIZER };
static char ca_pem[CERT_PEM_MAX];

static int setup(void **state)
{
	struct err e = { 0 };
	struct cert_spec spec = {
		.cn = "App Root Cert", .is_ca = true, .path_len = 1, .not_before = 1, .not_after = 4102444800
	};

	(void)state;
	if (fixture_read(&fixture, SIMULATOR_FILES "/attestation.bin", true, &e))
		return -1;
	EVP_PKEY *key = p256_new(&e);
	X509 *cert = cert_issue(&spec, key, &(struct cert_issuer){ .key = key }, &e);
	if (!cert || cert_to_pem(cert, ca_pem, sizeof ca_pem, &e))
		return -1;
	snprintf(agent.keys.ca_cert, sizeof agent.keys.ca_cert, "%s", ca_pem);
	agent.ca = (struct cert_issuer){ .cert = cert, .key = key };
	agent.source = &fixture.source;
	agent.app.vm_config = (char *)(uintptr_t) "{}";
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(agent.ca.key); // custody's, elsewhere
	cert_close(&agent);
	fixture_free(&fixture);
	return 0;
}

struct made {
	struct arena *a;
	struct tls_answer answer;
	X509 *leaf;
};

static struct made make(struct tls_request r)
{
	struct made m = { .a = arena_new(0) };
	struct err e = { 0 };

	if (!r.subject)
		r.subject = "";
	if (cert_make(&agent, &r, m.a, &m.answer, &e))
		fail_msg("%s", e.text);
	assert_int_equal(m.answer.n_chain, 2);
	assert_string_equal(m.answer.chain[1], ca_pem);
	m.leaf = cert_from_pem(span_str(m.answer.chain[0]), &e);
	assert_non_null(m.leaf);
	assert_int_equal(X509_verify(m.leaf, agent.ca.key), 1);
	auto_pkey EVP_PKEY *key = p256_from_pem(span_str(m.answer.key), &e);
	assert_int_equal(X509_check_private_key(m.leaf, key), 1);
	return m;
}

static void drop(struct made *m)
{
	X509_free(m->leaf);
	arena_free(m->a);
}

static struct span extension(const struct made *m, enum cert_ext which)
{
	struct span content;
	struct err e = { 0 };

	if (cert_ext(m->leaf, which, &content, &e) < 0)
		fail_msg("%s", e.text);
	return content;
}

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm tm;

	assert_int_equal(ASN1_TIME_to_tm(t, &tm), 1);
	return timegm(&tm);
}

static void defaults(void **state)
{
	struct made m = make((struct tls_request){ 0 });
	char text[64];

	(void)state;
	assert_int_equal(X509_get_version(m.leaf), X509_VERSION_3);
	X509_NAME_oneline(X509_get_subject_name(m.leaf), text, sizeof text);
	assert_string_equal(text, "/CN=");
	X509_NAME_oneline(X509_get_issuer_name(m.leaf), text, sizeof text);
	assert_string_equal(text, "/CN=App Root Cert");
	assert_int_equal(X509_get_signature_nid(m.leaf), NID_ecdsa_with_SHA256);
	assert_int_equal(seconds(X509_get0_notBefore(m.leaf)), 157766400); // 1975
	assert_in_range(seconds(X509_get0_notAfter(m.leaf)), time_now() + 3650ul * 86400 - 60,
			time_now() + 3650ul * 86400);
	assert_int_equal(X509_get_key_usage(m.leaf), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extension_flags(m.leaf) & (EXFLAG_XKUSAGE | EXFLAG_BCONS), 0);
	assert_true(cert_usage_is(m.leaf, "app:custom"));
	assert_int_equal(X509_get_ext_count(m.leaf), 2); // key usage and .4
	assert_int_equal(X509_get_ext_by_NID(m.leaf, NID_subject_alt_name, -1), -1);
	drop(&m);
}

static void one_usage_each(void **state)
{
	static const uint32_t want[] = { 0, XKU_SSL_SERVER, XKU_SSL_CLIENT, XKU_SSL_SERVER | XKU_SSL_CLIENT };

	(void)state;
	for (unsigned i = 1; i < 4; i++) {
		struct made m =
			make((struct tls_request){ .server_auth = i & 1, .client_auth = (i & 2) != 0 });
		assert_int_equal(X509_get_extended_key_usage(m.leaf), want[i]);
		drop(&m);
	}
}

static void names_and_subject(void **state)
{
	static const char *const names[] = { "a.test", "*.b.test", "10.0.0.1", "2001:db8::1" };
	struct made m =
		make((struct tls_request){ .subject = "caf\xc3\xa9 & Co", .names = names, .n_names = 4 });
	X509_NAME *subject = X509_get_subject_name(m.leaf);

	(void)state;
	assert_int_equal(X509_NAME_entry_count(subject), 1);
	const ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, 0));
	assert_int_equal(ASN1_STRING_type(cn), V_ASN1_UTF8STRING);
	assert_int_equal(ASN1_STRING_length(cn), 10);
	assert_memory_equal(ASN1_STRING_get0_data(cn), "caf\xc3\xa9 & Co", 10);
	assert_int_equal(X509_check_host(m.leaf, "a.test", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(m.leaf, "x.b.test", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(m.leaf, "x.y.b.test", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(m.leaf, "10.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(m.leaf, "2001:db8::1", 0), 1);
	GENERAL_NAMES *got = X509_get_ext_d2i(m.leaf, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(got), 4);
	assert_int_equal(sk_GENERAL_NAME_value(got, 2)->type, GEN_IPADD);
	GENERAL_NAMES_free(got);
	drop(&m);
}

static void validity(void **state)
{
	struct made m = make((struct tls_request){ .has_not_before = true, .not_before = 1700000000 });

	(void)state;
	assert_int_equal(seconds(X509_get0_notBefore(m.leaf)), 1700000000);
	assert_true(seconds(X509_get0_notAfter(m.leaf)) > (int64_t)time_now());
	drop(&m);
	m = make((struct tls_request){ .has_not_after = true,
				       .not_after = 2524608000 }); // 2050: GeneralizedTime
	assert_int_equal(seconds(X509_get0_notBefore(m.leaf)), 157766400);
	assert_int_equal(seconds(X509_get0_notAfter(m.leaf)), 2524608000);
	drop(&m);
}

// Which extensions there are, in the order of spec 10 section 7.4.
static void order_is(const struct made *m, const char *want)
{
	char got[256] = "", oid[64];

	for (int i = 0; i < X509_get_ext_count(m->leaf); i++) {
		const ASN1_OBJECT *o = X509_EXTENSION_get_object(X509_get_ext(m->leaf, i));
		OBJ_obj2txt(oid, sizeof oid, o, 1);
		const char *own = strstr(oid, "62397.1.");
		int nid = OBJ_obj2nid(o);
		strcat(got, own ? own + 7 : nid == NID_undef ? oid : OBJ_nid2sn(nid));
		strcat(got, " ");
	}
	assert_string_equal(got, want);
}

static void evidence_over_the_key(void **state)
{
	static const char *const names[] = { "a.test" };
	struct made m = make((struct tls_request){
		.names = names, .n_names = 1, .server_auth = true, .ra_tls = true, .app_info = true });
	uint8_t spki[CERT_SPKI_MAX], want[RATLS_REPORT_DATA];
	struct err e = { 0 };
	size_t n;

	(void)state;
	order_is(&m, "subjectAltName keyUsage extendedKeyUsage .9 .4 .8 .1 .2 ");
	assert_int_equal(cert_spki(m.leaf, spki, &n, &e), 0);
	ratls_report_data(span_of(spki, n), want);
	struct span quote = extension(&m, CERT_EXT_QUOTE), whole = extension(&m, CERT_EXT_ATTESTATION);
	assert_memory_equal(quote.p + 568, want, sizeof want); // the quote is over this very key
	assert_non_null(memmem(whole.p, whole.n, quote.p, quote.n));
	assert_int_equal(whole.p[0], 0); // V0: no event of version 2
	drop(&m);
	m = make((struct tls_request){ .app_info = true });
	order_is(&m, "keyUsage .9 .4 ");
	uint8_t room[8192];
	struct wr scratch = wr_to(room, sizeof room);
	struct app_info info;
	struct fault f = { 0 };
	assert_int_equal(app_info_read(&info, &scratch, extension(&m, CERT_EXT_APP_INFO), &f), 0);
	assert_int_equal(info.app_id.n, 20);
	assert_int_equal(info.compose_hash.n, 32);
	assert_int_equal(info.mr_aggregated.n, 32);
	drop(&m);
}

// The old form as text, packed ("ELGZv1", gzip; at most 16 KiB), or not at all; .8 is always there.
static void legacy_extensions(void **state)
{
	(void)state;
	agent.legacy = LEGACY_PLAIN;
	struct made m = make((struct tls_request){ .ra_tls = true });
	struct span plain = extension(&m, CERT_EXT_EVENT_LOG);
	assert_int_equal(plain.p[0], '[');
	assert_true(plain.n <= EVENT_LOG_EXT_MAX);
	agent.legacy = LEGACY_PACKED;
	struct made p = make((struct tls_request){ .ra_tls = true });
	struct span packed = extension(&p, CERT_EXT_EVENT_LOG);
	assert_memory_equal(packed.p, "ELGZv1\x1f\x8b", 8);
	assert_non_null(memmem(packed.p, packed.n, plain.p, plain.n)); // stored, not squeezed
	order_is(&p, "keyUsage .4 .8 .1 .2 ");
	agent.legacy = LEGACY_NONE;
	struct made none = make((struct tls_request){ .ra_tls = true });
	order_is(&none, "keyUsage .4 .8 ");
	agent.legacy = LEGACY_PLAIN;
	drop(&m), drop(&p), drop(&none);
}

static void every_call_a_new_key(void **state)
{
	struct made a = make((struct tls_request){ 0 }), b = make((struct tls_request){ 0 });

	(void)state;
	assert_string_not_equal(a.answer.key, b.answer.key);
	assert_int_equal(strncmp(a.answer.key, "-----BEGIN PRIVATE KEY-----\n", 28), 0);
	assert_int_equal(a.answer.key[strlen(a.answer.key) - 1], '\n');
	drop(&a), drop(&b);
}

static void ga_06_exact_codes(void **state)
{
	static const char *names[129];
	char large[255];
	struct err e = { 0 };
	auto_arena *a = arena_new(0);

	(void)state;
	memset(large, 'x', sizeof large - 1);
	large[sizeof large - 1] = 0;
	for (size_t i = 0; i < 129; i++)
		names[i] = "n.test";
	static const char *const wild[] = {
		"*", "*.", "*.*.test", "a.*.test", "a*.test", "*a.test", "*..test"
	};
	static const char *const odd[] = { "", "a b", "a\nb", "caf\xc3\xa9", "a\x7f" };
	const struct {
		struct tls_request r;
		const char *code;
	} bad[] = {
		{ { .has_not_before = true, .not_before = 9, .has_not_after = true, .not_after = 8 },
		  "agent.validity" },
		{ { .has_not_before = true, .not_before = 9, .has_not_after = true, .not_after = 9 },
		  "agent.validity" },
		{ { .has_not_after = true, .not_after = UINT64_MAX }, "agent.validity" },
		{ { .has_not_before = true, .not_before = INT64_MAX }, "agent.validity" },
		{ { .names = names, .n_names = 129 }, "agent.name" },
		{ { .subject = large }, "agent.name" },
		{ { .names = (const char *const[]){ large }, .n_names = 1 }, "agent.name" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct tls_request r = bad[i].r;
		struct tls_answer out = { 0 };
		r.subject = r.subject ? r.subject : "";
		assert_int_equal(cert_make(&agent, &r, a, &out, &e), -1);
		assert_string_equal(e.code, bad[i].code);
		assert_int_equal(e.class, ERR_INPUT);
		assert_null(out.key);
	}
	for (size_t i = 0; i < 12; i++) {
		struct tls_answer out = { 0 };
		const char *name = i < 7 ? wild[i] : odd[i - 7];
		struct tls_request r = { .subject = "", .names = &name, .n_names = 1 };
		assert_int_equal(cert_make(&agent, &r, a, &out, &e), -1);
		assert_string_equal(e.code, "agent.name");
	}
}

// An app's CA that is none is found at the start, not at the first call.
static void a_ca_that_is_none(void **state)
{
	struct err e = { 0 };
	auto_pkey EVP_PKEY *other = p256_new(&e);
	char pem[P256_PEM_MAX];

	(void)state;
	assert_int_equal(p256_to_pem(other, pem, &e), 0);
	for (int i = 0; i < 2; i++) {
		struct key_file f = { .provider = PROVIDER_LOCAL, .ca_cert = strdup(i ? "C" : ca_pem) };
		struct keyring k = { 0 };
		struct custody c = { 0 };
		struct app_public public;

		f.ca_key = secret_new(strlen(pem));
		memcpy(f.ca_key->b, pem, strlen(pem));
		assert_int_equal(custody_here(&c, &k, &f, &public, &e), -1);
		assert_string_equal(e.code, "agent.keys");
		custody_stop(&c);
	}
}

static char *demo_now(void)
{
	auto_arena *a = arena_new(0);

	demo_kick(&agent);
	while (!demo_idle(&agent))
		usleep(1000);
	return strdup(demo_text(&agent, a));
}

static int no_quote(const struct evidence_source *s, uint8_t report_data[static TEE_REPORT_DATA],
		    struct tee_quote *quote, struct tee_log *log, size_t *runtime_at, struct err *e)
{
	(void)s, (void)report_data, (void)quote, (void)log, (void)runtime_at;
	return err_code(e, ERR_AGAIN, "tee.busy", "no quote now");
}

// Info's app_cert: asked for in the background, after a failure later, kept meanwhile, renewed.
static void the_demonstration_certificate(void **state)
{
	static const struct evidence_source broken = { .get = no_quote, .config = "{}", .vm_config = "{}" };
	struct err e = { 0 };
	struct span content;

	(void)state;
	agent.demo = (struct demo)DEMO_INITIALIZER;
	agent.source = &broken;
	char *none = demo_now();
	assert_string_equal(none, "");
	agent.source = &fixture.source;
	free(none);
	none = demo_now(); // too early for another try
	assert_string_equal(none, "");
	assert_int_equal(agent.demo.life.failures, 1);
	agent.demo.life.retry_ms = 0;
	char *first = demo_now();
	auto_x509 X509 *leaf = cert_from_pem(span_str(first), &e);
	assert_non_null(leaf);
	assert_int_equal(cert_ext(leaf, CERT_EXT_ATTESTATION, &content, &e), 1);
	assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_CLIENT);
	assert_non_null(strstr(first, "-----END CERTIFICATE-----\n\n-----BEGIN CERTIFICATE-----"));
	char *same = demo_now();
	assert_string_equal(same, first);
	agent.demo.life.made = time_now() - 1000; // a third of its life is left
	agent.demo.life.end = time_now() + 400;
	agent.source = &broken;
	free(same);
	same = demo_now();
	assert_string_equal(same, first);
	agent.source = &fixture.source;
	agent.demo.life.retry_ms = 0;
	char *second = demo_now();
	assert_string_not_equal(second, first);
	assert_true(agent.demo.life.end > time_now() + 86400);
	demo_free(&agent);
	free(none), free(first), free(same), free(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(one_usage_each),
		cmocka_unit_test(names_and_subject),
		cmocka_unit_test(validity),
		cmocka_unit_test(evidence_over_the_key),
		cmocka_unit_test(legacy_extensions),
		cmocka_unit_test(every_call_a_new_key),
		cmocka_unit_test(ga_06_exact_codes),
		cmocka_unit_test(a_ca_that_is_none),
		cmocka_unit_test(the_demonstration_certificate),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
