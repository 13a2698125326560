// Lists of revoked certificates, read back by OpenSSL and by the core's own reader (codec/x509.h), and the
// place in a certificate that says where the list is.
#include "known.h"

#include <openssl/x509v3.h>
#include <openssl/x509_vfy.h>

#include "core/codec/x509.h"
#include "crypto/crl.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

enum { NOW = 1790000000, MANY = 3000 };

static EVP_PKEY *ca_key;
static X509 *ca;

static int sign(void *arg, const uint8_t digest[static 32], uint8_t *sig, size_t *n, struct err *e)
{
	return arg ? err_code(e, ERR_DENIED, "test.no", "not signed")
		   : p256_sign_digest(ca_key, digest, sig, n, e);
}

static X509 *issue(const struct cert_spec *s, EVP_PKEY *key, X509 *by)
{
	struct err e = { 0 };
	struct cert_spec spec = *s;

	spec.not_before = NOW - 1000;
	spec.not_after = NOW + 1000000;
	X509 *c = cert_issue(&spec, key, &(struct cert_issuer){ .cert = by, .key = ca_key }, &e);
	if (!c)
		fail_msg("%s", e.text);
	return c;
}

static struct span list(const struct crl_entry *entry, size_t n, uint64_t this_update, uint64_t number)
{
	struct crl_spec s = { .issuer = ca,
			      .number = number,
			      .this_update = this_update,
			      .next_update = this_update + 3600,
			      .entry = entry,
			      .n = n };
	struct err e = { 0 };
	uint8_t *der = NULL;
	size_t der_n = 0;

	if (crl_issue(&s, sign, NULL, &der, &der_n, &e))
		fail_msg("%s", e.text);
	return span_of(der, der_n);
}

// OpenSSL reads every byte of it, says it is the CA's, and writes the same bytes again.
static X509_CRL *as_openssl(struct span der)
{
	const uint8_t *p = der.p;
	uint8_t *again = NULL;
	X509_CRL *c = d2i_X509_CRL(NULL, &p, (long)der.n);

	assert_non_null(c);
	assert_ptr_equal(p, der.p + der.n);
	assert_int_equal(X509_CRL_verify(c, ca_key), 1);
	assert_int_equal(X509_NAME_cmp(X509_CRL_get_issuer(c), X509_get_subject_name(ca)), 0);
	assert_int_equal(i2d_X509_CRL(c, &again), (int)der.n);
	assert_memory_equal(again, der.p, der.n);
	OPENSSL_free(again);
	return c;
}

static bool has(X509_CRL *c, const uint8_t serial[static 20])
{
	X509_REVOKED *found = NULL;
	BIGNUM *b = BN_bin2bn(serial, 20, NULL);
	ASN1_INTEGER *i = BN_to_ASN1_INTEGER(b, NULL);
	int r = X509_CRL_get0_by_serial(c, &found, i);

	ASN1_INTEGER_free(i);
	BN_free(b);
	return r == 1;
}

static struct span minimal(const uint8_t serial[static 20])
{
	size_t at = 0;

	while (at < 19 && !serial[at])
		at++;
	return span_of(serial + at, 20 - at);
}

static void entries(void **state)
{
	struct crl_entry e[3] = { { .serial = { 0x7f, 1, 2 }, .at = NOW },
				  { .serial = { [19] = 0x80 }, .at = NOW + 1 },
				  { .serial = { [17] = 1, [19] = 9 }, .at = 2600000000 } };
	static const uint8_t other[20] = { 0x7f, 1, 3 };
	struct x509_crl own;

	(void)state;
	struct span der = list(e, 3, NOW, 0x80ff);
	X509_CRL *c = as_openssl(der);
	assert_int_equal(x509_crl_parse(&own, der), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_true(has(c, e[i].serial));
		assert_true(x509_crl_has(&own, minimal(e[i].serial)));
	}
	assert_false(has(c, other));
	assert_false(x509_crl_has(&own, minimal(other)));
	assert_int_equal(own.this_update, NOW);
	assert_int_equal(own.next_update, NOW + 3600);
	ASN1_INTEGER *number = X509_CRL_get_ext_d2i(c, NID_crl_number, NULL, NULL);
	AUTHORITY_KEYID *id = X509_CRL_get_ext_d2i(c, NID_authority_key_identifier, NULL, NULL);
	assert_int_equal(ASN1_INTEGER_get(number), 0x80ff);
	assert_int_equal(ASN1_OCTET_STRING_cmp(id->keyid, X509_get0_subject_key_id(ca)), 0);
	ASN1_INTEGER_free(number);
	AUTHORITY_KEYID_free(id);
	X509_CRL_free(c);
	free((void *)(uintptr_t)der.p);
}

static void none_and_many(void **state)
{
	struct crl_entry *e = calloc(MANY, sizeof *e);
	struct x509_crl own;

	(void)state;
	struct span der = list(NULL, 0, NOW, 1);
	X509_CRL_free(as_openssl(der));
	assert_int_equal(x509_crl_parse(&own, der), 0);
	assert_int_equal(own.list.n, 0);
	free((void *)(uintptr_t)der.p);
	for (size_t i = 0; i < MANY; i++)
		e[i] = (struct crl_entry){ .serial = { 1, [18] = (uint8_t)(i >> 8), [19] = (uint8_t)i },
					   .at = NOW };
	der = list(e, MANY, 2600000000, UINT64_MAX); // beyond 2050: the other form of a time
	X509_CRL *c = as_openssl(der);
	assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(c)), MANY);
	assert_int_equal(x509_crl_parse(&own, der), 0);
	assert_int_equal(own.this_update, 2600000000);
	X509_CRL_free(c);
	free((void *)(uintptr_t)der.p);
	free(e);
}

static void refusals(void **state)
{
	struct crl_spec s = { .issuer = ca, .number = 1, .this_update = NOW, .next_update = NOW };
	struct err e = { 0 };
	uint8_t *der = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(crl_issue(&s, sign, NULL, &der, &n, &e), -1); // never holds
	s.next_update++;
	assert_int_equal(crl_issue(&s, sign, &s, &der, &n, &e), -1); // the signer's own reason
	assert_string_equal(e.code, "test.no");
	assert_null(der);
}

// OpenSSL, told to ask for a list, refuses what is on it and takes what is not.
static void chain_check(void **state)
{
	EVP_PKEY *key = p256_new(&(struct err){ 0 });
	X509 *leaf =
		issue(&(struct cert_spec){ .cn = "leaf", .crl_url = "https://kms.test:8000/crl/app-00.crl" },
		      key, ca);
	struct crl_entry e = { .at = NOW - 10 };

	(void)state;
	assert_int_equal(cert_serial(leaf, e.serial), 0);
	for (size_t n = 0; n < 2; n++) {
		X509_STORE *store = X509_STORE_new();
		X509_STORE_CTX *ctx = X509_STORE_CTX_new();
		struct span der = list(&e, n, NOW - 5, n);
		X509_CRL *c = as_openssl(der);
		X509_STORE_add_cert(store, ca);
		X509_STORE_add_crl(store, c);
		X509_STORE_CTX_init(ctx, store, leaf, NULL);
		X509_STORE_CTX_set_time(ctx, 0, NOW);
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_CRL_CHECK);
		assert_int_equal(X509_verify_cert(ctx), n == 0);
		assert_int_equal(X509_STORE_CTX_get_error(ctx), n ? X509_V_ERR_CERT_REVOKED : X509_V_OK);
		X509_STORE_CTX_free(ctx);
		X509_STORE_free(store);
		X509_CRL_free(c);
		free((void *)(uintptr_t)der.p);
	}
	STACK_OF(DIST_POINT) *points = X509_get_ext_d2i(leaf, NID_crl_distribution_points, NULL, NULL);
	assert_int_equal(sk_DIST_POINT_num(points), 1);
	GENERAL_NAMES *names = sk_DIST_POINT_value(points, 0)->distpoint->name.fullname;
	ASN1_IA5STRING *url = sk_GENERAL_NAME_value(names, 0)->d.uniformResourceIdentifier;
	assert_memory_equal(ASN1_STRING_get0_data(url), "https://kms.test:8000/crl/app-00.crl", 36);
	CRL_DIST_POINTS_free(points);
	struct err err = { 0 };
	struct cert_spec bad = {
		.cn = "x", .crl_url = "https://a,URI:https://b", .not_after = NOW, .not_before = 1
	};
	assert_null(cert_issue(&bad, key, &(struct cert_issuer){ .cert = ca, .key = ca_key }, &err));
	X509_free(leaf);
	EVP_PKEY_free(key);
}

static int set_up(void **state)
{
	struct err e = { 0 };

	(void)state;
	ca_key = p256_new(&e);
	ca = issue(&(struct cert_spec){ .org = "Dstack", .cn = "Dstack App CA", .is_ca = true }, ca_key,
		   NULL);
	return ca ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries),
		cmocka_unit_test(none_and_many),
		cmocka_unit_test(refusals),
		cmocka_unit_test(chain_check),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
