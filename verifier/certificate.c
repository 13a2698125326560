#include "certificate.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/cleanup.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"

struct checks {
	bool self_signed, in_validity, digital_signature, extended_key_usage, subject_alt_name, attestation;
};

static void look(struct checks *c, X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	uint32_t flags = X509_get_extension_flags(cert);

	c->self_signed = key && X509_verify(cert, key) == 1;
	c->in_validity = X509_cmp_current_time(X509_get0_notBefore(cert)) < 0 &&
			 X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
	c->digital_signature = (flags & EXFLAG_KUSAGE) && (X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE);
	c->extended_key_usage = (flags & EXFLAG_XKUSAGE) &&
				(X509_get_extended_key_usage(cert) & (XKU_SSL_SERVER | XKU_SSL_CLIENT));
	c->subject_alt_name = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1) >= 0;
	ERR_clear_error();
}

static const char *fault_of(const struct checks *c)
{
	return !c->self_signed          ? "it is not signed by its own key"
	       : !c->in_validity        ? "it has expired or is not yet valid"
	       : !c->digital_signature  ? "its key usage lacks digitalSignature"
	       : !c->extended_key_usage ? "its extended key usage names neither server nor client"
	       : !c->subject_alt_name   ? "it has no subject alternative name"
					: NULL;
}

static void put(struct sb *b, const char *name, bool value)
{
	sb_json_key(b, name);
	sb_str(b, value ? "true" : "false");
}

static void report(struct sb *out, const struct checks *c, const struct answer *a)
{
	sb_str(out, "{");
	answer_members(out, a);
	sb_json_key(out, "certificate");
	sb_str(out, "{");
	put(out, "self_signed", c->self_signed);
	put(out, "in_validity", c->in_validity);
	put(out, "digital_signature", c->digital_signature);
	put(out, "extended_key_usage", c->extended_key_usage);
	put(out, "subject_alt_name", c->subject_alt_name);
	put(out, "attestation_bound", c->attestation);
	sb_str(out, "}}");
}

static X509 *read_cert(struct span s, struct err *e)
{
	return s.n > 10 && !memcmp(s.p, "-----BEGIN", 10) ? cert_from_pem(s, e) : cert_from_der(s, e);
}

bool certificate_check(struct checker *k, struct span file, struct sb *out)
{
	auto_free struct trust_result *result = calloc(1, sizeof *result);
	struct checks checks = { 0 };
	struct err e = { 0 };
	auto_x509 X509 *cert = read_cert(file, &e);
	struct answer a = { .err = &e, .failed = STAGE_CERTIFICATE };

	if (!result) {
		err_set(&e, ERR_SYSTEM, "out of memory");
		a.failed = STAGE_INTERNAL;
	} else if (!cert) {
		err_code(&e, ERR_UNTRUSTED, "verifier.certificate", "the file is no certificate, PEM or DER");
	} else {
		look(&checks, cert);
		a.failed = check_evidence_of(k, cert, result, &e);
		a.result = result;
		checks.attestation = a.failed == STAGE_NONE;
		if (fault_of(&checks)) {
			a.failed = STAGE_CERTIFICATE;
			err_code(&e, ERR_UNTRUSTED, "verifier.certificate", "%s", fault_of(&checks));
		}
	}
	report(out, &checks, &a);
	return a.failed == STAGE_NONE && result->verdict.ok;
}
