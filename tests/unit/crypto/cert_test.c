// Certificates of spec 20 section 2.5, read back by OpenSSL and by our extension reader; chains under the
// sample certificates of tests/vectors/kms.json.
#include "known.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <openssl/x509_vfy.h>
#include <time.h>

#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

static struct json all;

static struct span pem_of(const char *name)
{
	struct json v = known(known(known(all, "sample_certificates"), "pem"), name);
	size_t n = json_string_size(v);
	char *p = known_room(n + 1);

	assert_int_equal(json_cstr(v, p, n + 1), 0);
	return span_str(p);
}

static bool chain_holds(X509 *leaf, X509 *middle, X509 *root)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *between = sk_X509_new_null();

	X509_STORE_add_cert(store, root);
	if (middle)
		sk_X509_push(between, middle);
	X509_STORE_CTX_init(ctx, store, leaf, between);
	bool ok = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(between);
	return ok;
}

struct made {
	X509 *cert;
	EVP_PKEY *key;
};

static struct made make(struct cert_spec s, const struct made *by)
{
	struct err e = { 0 };
	struct made m = { .key = p256_new(&e) };
	struct cert_issuer issuer = { .cert = by ? by->cert : NULL, .key = by ? by->key : m.key };

	s.not_before = time(NULL) - 60;
	s.not_after = s.not_after ? s.not_after : time(NULL) + 3600;
	m.cert = cert_issue(&s, m.key, &issuer, &e);
	if (!m.cert)
		fail_msg("%s", e.text);
	return m;
}

static void drop(struct made *m)
{
	X509_free(m->cert);
	EVP_PKEY_free(m->key);
}

static void chain(void **state)
{
	const char *const sans[] = { "a.example", "10.0.2.2", "::1" };
	const uint8_t app[20] = { 1, 2, 3 };
	struct made root =
		make((struct cert_spec){ .org = "Dstack", .cn = "Root", .is_ca = true, .path_len = 1 }, NULL);
	struct made ca = make((struct cert_spec){ .cn = "CA", .is_ca = true, .path_len = 0 }, &root);
	struct made leaf = make((struct cert_spec){ .cn = "leaf",
						    .sans = sans,
						    .n_sans = 3,
						    .server_auth = true,
						    .client_auth = true,
						    .app_id = span_of(app, 20),
						    .usage = span_str("app:custom") },
				&ca);
	struct made rogue = make((struct cert_spec){ .cn = "leaf under leaf" }, &leaf);
	struct span got;
	struct err e;

	(void)state;
	assert_true(chain_holds(leaf.cert, ca.cert, root.cert));
	assert_true(chain_holds(ca.cert, NULL, root.cert));
	assert_false(chain_holds(leaf.cert, NULL, root.cert));
	assert_false(chain_holds(rogue.cert, leaf.cert, root.cert));
	assert_int_equal(X509_check_host(leaf.cert, "a.example", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(leaf.cert, "b.example", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(leaf.cert, "10.0.2.2", 0), 1);
	assert_int_equal(X509_check_ip_asc(leaf.cert, "::1", 0), 1);
	assert_int_equal(X509_check_ip_asc(leaf.cert, "10.0.2.3", 0), 0);
	assert_int_equal(cert_ext(leaf.cert, CERT_EXT_APP_ID, &got, &e), 1);
	assert_true(span_eq(got, span_of(app, 20)));
	assert_true(cert_usage_is(leaf.cert, "app:custom"));
	assert_false(cert_usage_is(leaf.cert, "kms:rpc"));
	assert_int_equal(cert_ext(leaf.cert, CERT_EXT_ATTESTATION, &got, &e), 0);
	assert_int_equal(X509_get_extension_flags(leaf.cert) & EXFLAG_BCONS,
			 0); // leaves have no basicConstraints
	drop(&root), drop(&ca), drop(&leaf), drop(&rogue);
}

static int sign_with(void *arg, const uint8_t digest[static 32], uint8_t *sig, size_t *n, struct err *e)
{
	return p256_sign_digest(arg, digest, sig, n, e);
}

static void signed_elsewhere(void **state)
{
	struct made root = make((struct cert_spec){ .cn = "Root", .is_ca = true, .path_len = 1 }, NULL);
	struct cert_issuer by = { .cert = root.cert, .sign = sign_with, .arg = root.key };
	uint8_t *big = calloc(1, 100000);
	const size_t sizes[] = { 0, 1, 100, 300, 66000 };
	struct err e = { 0 };
	auto_pkey EVP_PKEY *key = p256_new(&e);

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct cert_spec s = { .cn = "x",
				       .not_after = time(NULL) + 60,
				       .attestation = span_of(big, sizes[i]) };
		auto_x509 X509 *c = cert_issue(&s, key, &by, &e);
		if (!c)
			fail_msg("%zu: %s", sizes[i], e.text);
		assert_true(chain_holds(c, NULL, root.cert));
	}
	free(big);
	drop(&root);
}

// Encoded only or as an object, signed here or elsewhere: all but the signature is the same.
static void one_encoding(void **state)
{
	struct made root = make((struct cert_spec){ .cn = "Root", .is_ca = true, .path_len = 1 }, NULL);
	const char *const sans[] = { "*.a.example", "10.0.2.2" };
	struct cert_spec s = { .cn = "x", .sans = sans, .n_sans = 2, .not_after = time(NULL) + 60 };
	uint8_t tbs[4][1024];
	int len[4];
	struct err e = { 0 };
	auto_pkey EVP_PKEY *key = p256_new(&e);

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct cert_issuer by = { .cert = root.cert, .sign = sign_with, .arg = root.key };
		char pem[4096];
		if (i & 1)
			by.key = root.key;
		s.encode_only = i & 2;
		auto_x509 X509 *c = cert_issue(&s, key, &by, &e);
		assert_non_null(c);
		assert_int_equal(cert_to_pem(c, pem, sizeof pem, &e), 0);
		auto_x509 X509 *read = cert_from_pem(span_str(pem), &e);
		assert_non_null(read);
		assert_true(chain_holds(read, NULL, root.cert));
		assert_int_equal(X509_check_private_key(read, key), 1);
		uint8_t *p = tbs[i];
		assert_true(i2d_re_X509_tbs(read, NULL) < (int)sizeof tbs[i]);
		len[i] = i2d_re_X509_tbs(read, &p);
		assert_int_equal(len[i], len[0]);
		assert_memory_equal(tbs[i], tbs[0], (size_t)len[0]);
	}
	drop(&root);
}

static void samples(void **state)
{
	struct err e;
	struct span got;
	auto_x509 X509 *root = cert_from_pem(pem_of("root_ca"), &e),
		       *ca = cert_from_pem(pem_of("app_ca"), &e),
		       *leaf = cert_from_pem(pem_of("app_leaf"), &e),
		       *rpc = cert_from_pem(pem_of("rpc_leaf"), &e),
		       *client = cert_from_pem(pem_of("ra_tls_client"), &e),
		       *tmp = cert_from_pem(pem_of("temp_ca"), &e);
	char pem[CERT_PEM_MAX];

	(void)state;
	assert_true(chain_holds(leaf, ca, root));
	assert_true(chain_holds(rpc, NULL, root));
	assert_true(chain_holds(client, NULL, tmp));
	assert_true(cert_usage_is(rpc, "kms:rpc"));
	assert_true(cert_usage_is(ca, "app:ca"));
	assert_true(cert_usage_is(leaf, "app:custom"));
	assert_int_equal(cert_ext(leaf, CERT_EXT_APP_ID, &got, &e), 1);
	assert_int_equal(got.n, 20);
	assert_int_equal(cert_ext(client, CERT_EXT_ATTESTATION, &got, &e), 1);
	assert_int_equal(cert_to_pem(root, pem, sizeof pem, &e), 0);
	assert_true(span_eq(span_str(pem), pem_of("root_ca")));
}

// Certificates as a peer might send them: extension twice, not nested, with bytes behind.
static void extensions_refused(void **state)
{
	static const uint8_t bare[] = "kms:rpc", behind[] = { 0x04, 0x01, 'x', 'y' },
			     shorter[] = { 0x04, 0x09, 'x' },
			     indefinite[] = { 0x24, 0x80, 0x04, 0x01, 'x', 0, 0 };
	const struct span bad[] = { span_of(bare, 7), span_of(behind, 4), span_of(shorter, 3),
				    span_of(indefinite, 7), span_of(bare, 0) };
	struct err e;
	struct span got;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		auto_x509 X509 *c = X509_new();
		ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.62397.1.4", 1);
		ASN1_OCTET_STRING *v = ASN1_OCTET_STRING_new();
		ASN1_OCTET_STRING_set(v, bad[i].p, (int)bad[i].n);
		X509_EXTENSION *x = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, v);
		X509_add_ext(c, x, -1);
		assert_int_equal(cert_ext(c, CERT_EXT_USAGE, &got, &e), -1);
		assert_string_equal(e.code, "cert.extension");
		assert_false(cert_usage_is(c, "kms:rpc"));
		X509_EXTENSION_free(x);
		ASN1_OBJECT_free(oid);
		ASN1_OCTET_STRING_free(v);
	}
	struct made m = make((struct cert_spec){ .cn = "x", .usage = span_str("kms:rpc") }, NULL);
	X509_add_ext(m.cert, X509_get_ext(m.cert, X509_get_ext_count(m.cert) - 1), -1);
	assert_int_equal(cert_ext(m.cert, CERT_EXT_USAGE, &got, &e), -1);
	drop(&m);
}

static void specs_refused(void **state)
{
	struct err e;
	auto_pkey EVP_PKEY *k = p256_new(&e);
	struct cert_issuer self = { .key = k };
	struct cert_spec s = { .cn = "x", .not_before = 100, .not_after = 100 };
	char name[300];

	(void)state;
	assert_null(cert_issue(&s, k, &self, &e));
	memset(name, 'a', sizeof name);
	name[299] = 0;
	s = (struct cert_spec){ .cn = name, .not_after = 100 };
	assert_null(cert_issue(&s, k, &self, &e));
	assert_null(cert_from_pem(span_str("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
				  &e));
	assert_null(cert_from_der(span_str(""), &e));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain),         cmocka_unit_test(signed_elsewhere),
		cmocka_unit_test(samples),       cmocka_unit_test(extensions_refused),
		cmocka_unit_test(specs_refused), cmocka_unit_test(one_encoding),
	};

	if (argc != 2)
		return 2;
	all = known_open(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
