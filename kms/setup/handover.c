#include "handover.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "../service/agent.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "crypto/issue.h"
#include "crypto/k256.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "handover_ring.h"
#include "kms.pb-c.h"
#include "policy/keypolicy.h"
#include "ratls/issue.h"
#include "ratls/tls.h"
#include "rpc/client.h"

enum { CONNECT_S = 5, ANSWER_S = 60 };

struct source {
	const struct handover *h;
	struct arena *arena;
	const char *url; // with /prpc
	struct err why;  // of the last refused handshake
	bool is_pinned;
	uint8_t spki[CERT_SPKI_MAX];
	size_t spki_n;
	struct trust_result *evidence; // of the first connection
	struct ratls_identity own;
	const Kms__GetTempCaCertResponse *temp_ca;
	const Kms__GetMetaResponse *meta;
};

static int judge_evidence(struct source *s, X509 *leaf, struct err *e)
{
	struct trust_expect x = { 0 };

	if (trust_check_cert(s->h->trust, s->evidence, leaf, &x, e)) {
		if (!strcmp(e->code, "ratls.no_evidence"))
			return err_code(e, ERR_UNTRUSTED, "ratls.no_evidence",
					"Source KMS certificate does not contain attestation");
		return err_wrap(e, "Source KMS");
	}
	return 0;
}

// The first handshake decides which key is the source's; the others must prove that they hold it.
static int on_leaf(void *arg, X509 *leaf, struct err *e)
{
	struct source *s = arg;
	uint8_t spki[CERT_SPKI_MAX];
	size_t n = 0;
	int rc = cert_spki(leaf, spki, &n, e);

	if (!rc && !cert_usage_is(leaf, "kms:rpc"))
		rc = err_code(e, ERR_UNTRUSTED, "tls.peer_usage",
			      "the certificate at the source's address is not a KMS's");
	if (!rc && s->is_pinned && (n != s->spki_n || CRYPTO_memcmp(spki, s->spki, n)))
		rc = err_code(e, ERR_UNTRUSTED, "onboard.peer_changed",
			      "another key answers at the source's address than the attested one");
	if (!rc && !s->is_pinned)
		rc = judge_evidence(s, leaf, e);
	if (rc) {
		s->why = *e;
		return -1;
	}
	memcpy(s->spki, spki, n);
	s->spki_n = n;
	s->is_pinned = true;
	return 0;
}

static int set_tls(SSL_CTX *ctx, void *arg, struct err *e)
{
	struct source *s = arg;
	struct tls_conf c = { .peer = TLS_PEER_LEAF,
			      .check = on_leaf,
			      .check_arg = s,
			      .cert = s->own.cert,
			      .key = s->own.key };

	return tls_ctx_setup(ctx, &c, e);
}

static struct rpc_client *dial(struct source *s, struct err *e)
{
	struct rpc_client_opts o = {
		.connect_s = CONNECT_S, .timeout_s = ANSWER_S, .tls = set_tls, .arg = s, .reason = &s->why
	};

	return rpc_client_new(s->url, &o, e);
}

static int read_url(struct source *s, const char *url, struct err *e)
{
	size_t n = strlen(url);

	if (!str_starts(url, "https://") || n > 1024 || strpbrk(url, " \t\r\n#?@"))
		return err_code(e, ERR_INPUT, "onboard.url", "source_url must be https://HOST[:PORT][/prpc]");
	while (n && url[n - 1] == '/')
		n--;
	char *base = arena_dup(s->arena, url, n);
	s->url = base && str_ends(base, "/prpc") ? base : arena_fmt(s->arena, "%s/prpc", base ? base : "");
	return s->url ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

// What the attested key says in public: the temporary CA, and which roots it has.
static int ask_public(struct source *s, struct err *e)
{
	auto_rpc_client *c = dial(s, e);

	if (!c ||
	    rpc_client_call(c, "GetTempCaCert", NULL, &kms__get_temp_ca_cert_response__descriptor, s->arena,
			    (void **)(uintptr_t)&s->temp_ca, e) ||
	    rpc_client_call(c, "GetMeta", NULL, &kms__get_meta_response__descriptor, s->arena,
			    (void **)(uintptr_t)&s->meta, e))
		return -1;
	return s->is_pinned ? 0 : err_set(e, ERR_BUG, "the source was not verified");
}

static int ask_policy(struct source *s, struct err *e)
{
	if (!policy_allow(s->h->policy, &s->evidence->boot, POLICY_KMS, e))
		return 0;
	struct err why = *e;
	return err_code(e, why.class, "onboard.source_denied",
			"Source KMS is not allowed for onboarding: boot denied: %s (%s)", why.text, why.code);
}

static int same_key(EVP_PKEY *k, const char *cert_pem, const char *what, struct err *e)
{
	auto_x509 X509 *c = cert_from_pem(span_str(cert_pem), e);
	uint8_t own[P256_SPKI], said[CERT_SPKI_MAX];
	size_t n = 0;

	if (!c || cert_spki(c, said, &n, e) || p256_spki(k, own, e))
		return err_wrap(e, "%s", what);
	if (n != sizeof own || CRYPTO_memcmp(own, said, n))
		return err_code(e, ERR_UNTRUSTED, "onboard.keys_mismatch",
				"the source's %s is not the one it announced on the attested connection",
				what);
	return 0;
}

static int take_k256(struct source *s, ProtobufCBinaryData given, struct keyfiles_roots *out, struct err *e)
{
	uint8_t pub[K256_PUB];

	if (given.len != K256_SCALAR)
		return err_code(e, ERR_INPUT, "onboard.keys", "Invalid keys: the K256 key has %zu bytes",
				given.len);
	out->k256 = secret_dup(given.data, given.len);
	if (!out->k256)
		return err_set(e, ERR_SYSTEM, "out of locked memory");
	if (k256_public(out->k256->b, pub, e))
		return -1;
	if (s->meta->k256_pubkey.len != sizeof pub ||
	    CRYPTO_memcmp(pub, s->meta->k256_pubkey.data, sizeof pub))
		return err_code(
			e, ERR_UNTRUSTED, "onboard.keys_mismatch",
			"the source's K256 key is not the one it announced on the attested connection");
	return 0;
}

static int take_keys(struct source *s, const Kms__KmsKeyResponse *r, struct keyfiles_roots *out,
		     struct err *e)
{
	if (r->n_keys != 1)
		return err_code(e, ERR_INPUT, "onboard.keys", "Invalid keys: %zu sets of them", r->n_keys);
	out->ca = p256_from_pem(span_str(r->keys[0]->ca_key), e);
	out->temp_ca = out->ca ? p256_from_pem(span_str(r->temp_ca_key), e) : NULL;
	if (!out->temp_ca)
		return err_wrap(e, "Invalid keys");
	return same_key(out->ca, s->temp_ca->ca_cert, "root CA", e) ||
			       same_key(out->ca, s->meta->ca_cert, "root CA", e) ||
			       same_key(out->temp_ca, s->temp_ca->temp_ca_cert, "temporary CA", e) ||
			       take_k256(s, r->keys[0]->k256_key, out, e) ||
			       handover_take_ring(s->meta, r, out, e)
		       ? -1
		       : 0;
}

// What the source does not serve any more its replica must not serve either. Upstream's KMS sends nothing.
static int take_rules(const struct source *s, const char *text, uint32_t n_more, struct err *e)
{
	const struct kms_config *c = s->h->config;
	auto_free char *path = str_format("%s/" KEYPOLICY_NAME, c->state_dir);

	if (!*text)
		return 0;
	struct keypolicy *p = keypolicy_parse(span_str(text), e);
	if (!p)
		return err_wrap(e, "the source's epochs and revocations");
	uint32_t newest = keypolicy_root_max(p);
	keypolicy_free(p);
	if (newest > n_more)
		return err_code(e, ERR_INPUT, "onboard.keys",
				"Invalid keys: epochs hang on root set %u, which is not among them", newest);
	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return file_mkdirs(c->state_dir, 0700, e) || file_write_str(path, 0600, text, e) ? -1 : 0;
}

static int ask_keys(struct source *s, struct keyfiles_roots *out, struct err *e)
{
	const struct kms_config *c = s->h->config;
	Kms__GetKmsKeyRequest in = KMS__GET_KMS_KEY_REQUEST__INIT;
	Kms__KmsKeyResponse *r = NULL;
	auto_free char *vm_config = NULL;

	if (agent_vm_config(c->agent, &vm_config, e) ||
	    ratls_identity_new(span_str(s->temp_ca->temp_ca_cert), span_str(s->temp_ca->temp_ca_key),
			       agent_attest_stripped, (void *)(uintptr_t)c->agent, &s->own, e))
		return -1;
	auto_rpc_client *client = dial(s, e);
	in.vm_config = vm_config;
	if (!client || rpc_client_call(client, "GetKmsKey", &in.base, &kms__kms_key_response__descriptor,
				       s->arena, (void **)&r, e))
		return -1;
	return take_keys(s, r, out, e) || take_rules(s, r->key_policy, out->n_more, e) ? -1 : 0;
}

int handover_fetch(const struct handover *h, struct keyfiles_roots *out, const char *source_url,
		   struct err *e)
{
	auto_arena *a = arena_new(0);
	struct source *s = a ? arena_alloc(a, sizeof *s) : NULL;

	*out = (struct keyfiles_roots){ 0 };
	if (!s || !(s->evidence = arena_alloc(a, sizeof *s->evidence)))
		return err_set(e, ERR_SYSTEM, "out of memory");
	s->h = h;
	s->arena = a;
	int rc = read_url(s, source_url, e) || ask_public(s, e) || ask_policy(s, e) || ask_keys(s, out, e);
	ratls_identity_free(&s->own);
	if (rc) {
		keyfiles_roots_free(out);
		return -1;
	}
	log_info("kms", "roots taken over source=%s mr_aggregated=%s", STR_QZ(s->url),
		 STR_HEX(s->evidence->boot.mr_aggregated, 32));
	return 0;
}
