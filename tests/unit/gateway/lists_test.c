// Lists of revoked certificates: which hold, and what the gateway makes of several KMSs'.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/time.h"
#include "core/attest/certext.h"
#include "crypto/crl.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "gateway/certs.h"
#include "gateway/registry.h"
#include "gateway/service.h"

static EVP_PKEY *ca_key;

static int sign_list(void *arg, const uint8_t digest[static 32], uint8_t *sig, size_t *n, struct err *e)
{
	(void)arg;
	return p256_sign_digest(ca_key, digest, sig, n, e);
}

static struct span list_of(uint64_t from, uint64_t to, const uint8_t *serial)
{
	struct err e = { 0 };
	struct cert_spec spec = { .cn = "ca", .is_ca = true, .not_before = 1, .not_after = 1000 };
	struct crl_entry entry = { .at = from };
	X509 *ca = cert_issue(&spec, ca_key, &(struct cert_issuer){ .key = ca_key }, &e);
	struct crl_spec s = { .issuer = ca,
			      .number = 1,
			      .this_update = from,
			      .next_update = to,
			      .entry = &entry,
			      .n = serial != NULL };
	uint8_t *der = NULL;
	size_t n = 0;

	if (serial)
		memcpy(entry.serial, serial, sizeof entry.serial);
	if (crl_issue(&s, sign_list, NULL, &der, &n, &e))
		fail_msg("%s", e.text);
	X509_free(ca);
	return span_of(der, n);
}

static void issuer_of(EVP_PKEY *k, uint8_t out[static REVOCATION_KEY])
{
	uint8_t spki[P256_SPKI];
	struct err e = { 0 };

	assert_int_equal(p256_spki(k, spki, &e), 0);
	memcpy(out, spki + P256_SPKI - REVOCATION_KEY, REVOCATION_KEY);
}

static void lists_that_hold(void **state)
{
	enum { NOW = 1790000000 };
	uint8_t issuer[REVOCATION_KEY], other[REVOCATION_KEY];
	struct err e = { 0 };
	struct revocation_list l;
	EVP_PKEY *k = p256_new(&e);

	(void)state;
	ca_key = p256_new(&e);
	issuer_of(ca_key, issuer);
	issuer_of(k, other);
	struct span der = list_of(NOW, NOW + 100, NULL);
	assert_int_equal(revocation_read(&l, der, issuer, 0, NOW, &e), 0);
	assert_true(l.this_update == NOW && l.next_update == NOW + 100);
	assert_int_equal(revocation_read(&l, der, issuer, NOW, NOW + 99, &e), 0);
	assert_int_equal(revocation_read(&l, der, issuer, 0, NOW - 300, &e), 0);
	static const struct {
		bool is_other;
		uint64_t was, now;
		const char *code;
	} bad[] = { { true, 0, NOW, "crl.invalid" },
		    { false, NOW + 1, NOW, "crl.invalid" }, // an older one brought back
		    { false, 0, NOW - 301, "crl.invalid" },
		    { false, 0, NOW + 100, "crl.stale" } };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(revocation_read(&l, der, bad[i].is_other ? other : issuer, bad[i].was,
						 bad[i].now, &e),
				 -1);
		assert_string_equal(e.code, bad[i].code);
	}
	for (size_t n = 0; n < der.n; n++)
		assert_int_equal(revocation_read(&l, span_of(der.p, n), issuer, 0, NOW, &e), -1);
	free((void *)(uintptr_t)der.p);
	EVP_PKEY_free(k);
}

// Two KMSs: both must have a list, either can revoke. None answers here; the lists come from the store.
static void lists_of_all_kmss(void **state)
{
	const char *const url[] = { "https://127.0.0.1:1", "https://127.0.0.1:2" };
	const struct revocation_store none = { 0 };
	struct revocation_cert c = { .app = { 1 }, .serial = { [18] = 1, [19] = 2 } }, second;
	uint64_t now = time_now();
	struct err e = { 0 };

	(void)state;
	issuer_of(ca_key, c.issuer);
	struct revocation *r = revocation_new(url, 2, "", 1, &none, &e);
	assert_non_null(r);
	assert_int_equal(revocation_check(r, &c, &e), -1);
	assert_string_equal(e.code, "crl.stale");
	struct span good = list_of(now - 10, now + 100, NULL), over = list_of(now - 10, now - 1, NULL),
		    bad = list_of(now - 10, now + 100, c.serial);
	revocation_load(r, c.app, c.issuer, url[0], good);
	assert_int_equal(revocation_check(r, &c, &e), -1); // one of them says nothing
	assert_string_equal(e.code, "crl.stale");
	revocation_load(r, c.app, c.issuer, url[1], over);
	revocation_load(r, c.app, c.issuer, "https://127.0.0.1:3", good); // nobody's that is asked
	assert_int_equal(revocation_check(r, &c, &e), -1);
	assert_string_equal(e.code, "crl.stale");
	revocation_load(r, c.app, c.issuer, url[1], good);
	assert_int_equal(revocation_check(r, &c, &e), 0);
	second = c;
	second.app[0] = 2;
	revocation_load(r, second.app, second.issuer, url[1], bad);
	assert_int_equal(revocation_check(r, &second, &e), -1);
	assert_string_equal(e.code, "revoked.cert"); // although the other one says nothing
	second.serial[0] = 1;
	revocation_load(r, second.app, second.issuer, url[0], good);
	assert_int_equal(revocation_check(r, &second, &e), 0);
	revocation_fetch(r, &c); // nobody there: what is known stays
	assert_int_equal(revocation_check(r, &c, &e), 0);
	for (int i = 0; i < 8; i++)
		revocation_round(r);
	assert_int_equal(revocation_check(r, &c, &e), -1); // nobody wanted it for long
	revocation_free(r);
	free((void *)(uintptr_t)good.p);
	free((void *)(uintptr_t)over.p);
	free((void *)(uintptr_t)bad.p);
	EVP_PKEY_free(ca_key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_that_hold),
		cmocka_unit_test(lists_of_all_kmss),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
