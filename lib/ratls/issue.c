#include "ratls/issue.h"

#include <stdlib.h>
#include <time.h>

#include "core/hash/sha2.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

enum { LIFETIME = 24 * 3600, CLOCK_SLACK = 24 * 3600 };

void ratls_report_data(struct span spki, uint8_t out[static RATLS_REPORT_DATA])
{
	static const char tag[] = "ratls-cert:";
	struct sha512 s;

	sha512_init(&s);
	sha512_add(&s, tag, sizeof tag - 1);
	sha512_add(&s, spki.p, spki.n);
	sha512_end(&s, out);
}

static int sign_identity(const struct cert_issuer *by, EVP_PKEY *key, struct span attestation, X509 **out,
			 struct err *e)
{
	int64_t now = (int64_t)time(NULL);
	struct cert_spec spec = {
		.cn = "RA-TLS TEMP Cert",
		.path_len = -1,
		.not_before = now - CLOCK_SLACK,
		.not_after = now + LIFETIME,
		.attestation = attestation,
	};

	*out = cert_issue(&spec, key, by, e);
	return *out ? 0 : -1;
}

int ratls_identity_new(struct span ca_cert_pem, struct span ca_key_pem, ratls_attest_fn *attest, void *arg,
		       struct ratls_identity *out, struct err *e)
{
	auto_x509 X509 *ca = cert_from_pem(ca_cert_pem, e);
	auto_pkey EVP_PKEY *ca_key = ca ? p256_from_pem(ca_key_pem, e) : NULL;
	auto_pkey EVP_PKEY *key = ca_key ? p256_new(e) : NULL;
	uint8_t spki[P256_SPKI], report_data[RATLS_REPORT_DATA], *evidence = NULL;
	size_t n = 0;

	*out = (struct ratls_identity){ 0 };
	if (!key || p256_spki(key, spki, e))
		return err_wrap(e, "make RA-TLS identity");
	ratls_report_data(span_of(spki, sizeof spki), report_data);
	if (attest && attest(arg, report_data, &evidence, &n, e))
		return err_wrap(e, "make RA-TLS identity: get evidence");
	struct cert_issuer by = { .cert = ca, .key = ca_key };
	int bad = sign_identity(&by, key, span_of(evidence, n), &out->cert, e);
	free(evidence);
	if (bad)
		return err_wrap(e, "make RA-TLS identity");
	out->key = TAKE_SSL(key);
	return 0;
}

void ratls_identity_free(struct ratls_identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
	*id = (struct ratls_identity){ 0 };
}
