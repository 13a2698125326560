#include "kms_checked.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"
#include "peer.h"

enum { CERT_MAX = 1 << 20 };

static int check_issuer(X509 *cert, const char *root_pem, struct err *e)
{
	char usage[64];

	if (cert_usage(usage, sizeof usage, cert, e))
		return -1;
	if (strcmp(usage, "kms:rpc"))
		return err_code(e, ERR_UNTRUSTED, "ratls.usage", "the certificate is for %s, not for kms:rpc",
				STR_QZ(usage));
	if (!root_pem)
		return 0;
	auto_x509 X509 *root = cert_from_pem(span_str(root_pem), e);
	EVP_PKEY *key = root ? X509_get0_pubkey(root) : NULL;
	if (!key || X509_verify(cert, key) != 1)
		return err_code(e, ERR_UNTRUSTED, "kms.issuer",
				"the KMS's certificate is not by the expected root CA");
	return 0;
}

static X509 *read_cert(const char *path, struct err *e)
{
	auto_free char *pem = NULL;
	size_t n;

	return file_read(path, CERT_MAX, &pem, &n, e) ? NULL : cert_from_pem(span_of(pem, n), e);
}

int kms_checked(struct trust *t, const struct kms_expect *x, struct trust_result *out, struct err *e)
{
	struct trust_expect expect = { .compose_hash = x->compose_hash, .judge_tcb = true };
	auto_x509 X509 *cert = x->cert_file ? read_cert(x->cert_file, e) : peer_certificate(x->url, NULL, e);

	if (!cert || check_issuer(cert, x->root_pem, e) || trust_check_cert(t, out, cert, &expect, e))
		return err_wrap(e, "KMS %s", x->cert_file ? x->cert_file : x->url);
	return 0;
}

void kms_claims(struct verdict *v, const struct trust_result *kms, int rc, const struct err *why)
{
	const struct boot_info *b = &kms->boot;

	if (rc) {
		verdict_fail(v, "kms_evidence", (struct span){ 0 }, ANCHOR_NONE, why->code, why->text);
		if (v->ok) { // it was closed as good: the KMS is what makes it fail
			v->ok = false;
			snprintf(v->code, sizeof v->code, "%s", why->code);
			snprintf(v->error, sizeof v->error, "kms_evidence: %s", why->text);
		}
		return;
	}
	verdict_pass_hex(v, "kms_evidence", b->mr_aggregated, sizeof b->mr_aggregated, kms->verdict.anchor);
	verdict_pass_hex(v, "kms_compose", b->compose_hash, sizeof b->compose_hash, kms->verdict.anchor);
	if (kms->verdict.anchor == ANCHOR_DEVELOPMENT)
		v->anchor = ANCHOR_DEVELOPMENT;
}
