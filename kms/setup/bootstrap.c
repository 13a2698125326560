#include "bootstrap.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "../service/agent.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/sb.h"
#include "crypto/k256.h"
#include "crypto/p256.h"

static void put_hex(struct sb *b, const char *name, const void *p, size_t n)
{
	sb_json_key(b, name);
	sb_chr(b, '"');
	sb_hex(b, p, n);
	sb_chr(b, '"');
}

// The JSON of BootstrapResponse.
static int write_info(const struct bootstrap_info *i, struct sb *b, struct err *e)
{
	sb_chr(b, '{');
	put_hex(b, "ca_pubkey", i->ca_spki, sizeof i->ca_spki);
	put_hex(b, "k256_pubkey", i->k256_pub, sizeof i->k256_pub);
	put_hex(b, "attestation", i->attestation, i->attestation_n);
	sb_chr(b, '}');
	return b->bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

static int attest_roots(const struct kms_config *c, const struct keyfiles_roots *r, struct bootstrap_info *i,
			struct err *e)
{
	uint8_t report_data[AGENT_REPORT_DATA];

	if (p256_spki(r->ca, i->ca_spki, e) || k256_public(r->k256->b, i->k256_pub, e))
		return -1;
	rotation_report_data(i->ca_spki, i->k256_pub, report_data);
	if (!*c->agent && c->insecure_development)
		return 0;
	return agent_attest(c->agent, report_data, &i->attestation, &i->attestation_n, e);
}

int bootstrap_run(const struct kms_config *c, struct self *self, const char *domain,
		  struct bootstrap_info *out, struct err *e)
{
	struct keyfiles_roots roots;
	auto_sb json = { 0 };

	*out = (struct bootstrap_info){ 0 };
	switch (keyfiles_state(c->keys.dir, e)) {
	case KEYFILES_BAD:
		return -1;
	case KEYFILES_ALL:
		return err_code(e, ERR_DENIED, "kms.bootstrapped", "KMS has already been bootstrapped");
	case KEYFILES_NONE:
		break;
	}
	if (self && self_allowed(self, e))
		return err_wrap(e, "KMS is not allowed to %s", c->bootstrap ? "auto-bootstrap" : "bootstrap");
	if (keyfiles_roots_new(&roots, e))
		return -1;
	int rc = attest_roots(c, &roots, out, e) || write_info(out, &json, e) ||
		 keyfiles_install(c->keys.dir, domain, &roots, out->attestation ? json.p : NULL, e);
	keyfiles_roots_free(&roots);
	if (rc) {
		bootstrap_info_free(out);
		return err_wrap(e, "bootstrap");
	}
	log_info("kms", "root keys created dir=%s attested=%s", c->keys.dir, out->attestation ? "yes" : "no");
	return 0;
}

void bootstrap_info_free(struct bootstrap_info *b)
{
	free(b->attestation);
	*b = (struct bootstrap_info){ 0 };
}
