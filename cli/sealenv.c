#include "sealenv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/time.h"
#include "crypto/envsign.h"
#include "crypto/seal.h"
#include "kms.pb-c.h"
#include "rpc/pbjson.h"

// The KMS's key for this app, pinned to the KMS's root certificate and signed by its root key.
static int env_key(struct vms *v, const uint8_t *app, struct env_key *key, struct err *e)
{
	Kms__AppId in;
	Kms__GetMetaResponse *meta;
	Kms__PublicKeyResponse *answer;
	char url[512];

	kms__app_id__init(&in);
	snprintf(url, sizeof url, "%s/prpc", context_get(&v->ctx, "kms"));
	auto_rpc_client *kms = rpc_client_new(
		url,
		&(struct rpc_client_opts){ .timeout_s = 20, .ca_file = context_get(&v->ctx, "kms_root") }, e);
	in.app_id = pb_bytes(v->arena, app, APP_ID);
	if (!kms ||
	    rpc_client_call(kms, "GetMeta", NULL, &kms__get_meta_response__descriptor, v->arena,
			    (void **)&meta, e) ||
	    rpc_client_call(kms, "GetAppEnvEncryptPubKey", &in.base, &kms__public_key_response__descriptor,
			    v->arena, (void **)&answer, e))
		return err_wrap(e, "ask the KMS for the app's key");
	if (meta->k256_pubkey.len != 33 || answer->public_key.len != 32 || answer->signature_v1.len != 65 ||
	    answer->signature.len != 65)
		return err_code(e, ERR_UNTRUSTED, "kms.env_key_form",
				"the KMS's answer has keys of a wrong length");
	memcpy(key->pub, answer->public_key.data, 32);
	memcpy(key->sig, answer->signature.data, 65);
	memcpy(key->sig_v1, answer->signature_v1.data, 65);
	return appkeys_env_check(key, app, answer->timestamp, time_now(), meta->k256_pubkey.data, e);
}

static int sign(const struct sealenv *how, struct span box, uint8_t *out, uint64_t *version, struct err *e)
{
	uint64_t now = time_now_ms();

	if (how->after == UINT64_MAX)
		return err_set(e, ERR_INPUT, "the environment's version cannot go on");
	*version = now > how->after ? now : how->after + 1;
	return envsign_write(how->signer->seed, how->app, *version, box, out, e);
}

int sealenv(struct vms *v, const struct sealenv *how, const struct env_list *envs, ProtobufCBinaryData *out,
	    uint64_t *version, struct err *e)
{
	size_t head = how->signer->on ? ENVSIGN_HEAD : 0, n = 0;
	struct env_key key;
	uint8_t *plain = NULL;
	uint64_t given = 0;

	if (env_key(v, how->app, &key, e) || env_json(envs, &plain, &n, e))
		return -1;
	out->len = head + n + SEAL_OVERHEAD;
	out->data = arena_alloc(v->arena, out->len);
	uint8_t *box = arena_alloc(v->arena, out->len);
	int rc =
		!out->data || !box ? err_set(e, ERR_SYSTEM, "out of memory")
		: out->len > ENVSIGN_MAX
			? err_code(e, ERR_INPUT, "env.too_large",
				   "the variables are %zu bytes when sealed, the limit is %d: put large data "
				   "into a volume",
				   out->len, ENVSIGN_MAX)
			: seal_encrypt(key.pub, span_of(plain, n), box, e);
	secret_wipe(plain, n);
	free(plain);
	if (!rc && head)
		rc = sign(how, span_of(box, out->len - head), out->data, &given, e);
	else if (!rc)
		memcpy(out->data, box, out->len);
	if (version)
		*version = given;
	return rc;
}
