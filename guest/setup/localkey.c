#include "localkey.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/secret.h"
#include "host.pb-c.h"
#include "peerquote.h"
#include "rpc/client.h"

enum { CALL_SECONDS = 40 };

static int ask_host(struct setup *s, struct span quote, Host__GetSealingKeyResponse **out, struct err *e)
{
	struct rpc_client_opts o = { .timeout_s = CALL_SECONDS };
	Host__GetSealingKeyRequest req = HOST__GET_SEALING_KEY_REQUEST__INIT;
	auto_rpc_client *c = rpc_client_new(s->sys.host_api_url, &o, e);

	req.quote = (ProtobufCBinaryData){ quote.n, (uint8_t *)(uintptr_t)quote.p };
	if (!c || rpc_client_call(c, "GetSealingKey", &req.base, &host__get_sealing_key_response__descriptor,
				  s->arena, (void **)out, e))
		return err_wrap(e, "local key provider");
	if (!(*out)->encrypted_key.len || !(*out)->provider_quote.len)
		return err_code(e, ERR_INPUT, "localkey.host", "the host's answer has no key or no quote");
	return 0;
}

static int verify(struct setup *s, struct span quote, struct dcap_result *r, struct err *e)
{
	struct dcap_platform platform;

	if (dcap_platform(quote, &platform) || platform.is_tdx)
		return err_code(e, ERR_UNTRUSTED, "localkey.quote", "the provider's quote is no enclave's");
	return peerquote_verify(s, quote, r, e) ? err_wrap(e, "the local key provider's quote") : 0;
}

int localkey_open(const struct sgx_report *sgx, struct span box, const uint8_t public[static LOCALKEY_PUBLIC],
		  const uint8_t secret[static LOCALKEY_SECRET], uint8_t seed[static LOCALKEY_SEED],
		  struct err *e)
{
	uint8_t want[64] = { 0 };

	SHA256(box.p, box.n, want);
	if (memcmp(want, sgx->report_data, sizeof want) != 0)
		return err_code(e, ERR_UNTRUSTED, "localkey.binding",
				"the enclave's quote is not over this key: the host mixed two answers");
	if (box.n != LOCALKEY_SEED + crypto_box_SEALBYTES ||
	    crypto_box_seal_open(seed, box.p, box.n, public, secret))
		return err_code(e, ERR_UNTRUSTED, "localkey.box",
				"the sealed key does not open with our key");
	return 0;
}

int localkey_seed(struct setup *s, uint8_t seed[static LOCALKEY_SEED], uint8_t mr[static LOCALKEY_MR],
		  struct err *e)
{
	uint8_t public[LOCALKEY_PUBLIC], report_data[64] = { 0 };
	auto_secret *secret = secret_new(LOCALKEY_SECRET);
	auto_free struct tee_quote *q = malloc(sizeof *q);
	auto_free struct dcap_result *r = malloc(sizeof *r);
	Host__GetSealingKeyResponse *answer;

	if (!secret || !q || !r || crypto_box_keypair(public, secret->b))
		return err_set(e, ERR_SYSTEM, "out of memory");
	memcpy(report_data, public, sizeof public);
	if (tee_quote(s->tee, report_data, q, e) || ask_host(s, span_of(q->bytes, q->n), &answer, e))
		return -1;
	struct span quote = span_of(answer->provider_quote.data, answer->provider_quote.len);
	struct span box = span_of(answer->encrypted_key.data, answer->encrypted_key.len);
	if (verify(s, quote, r, e) || localkey_open(&r->sgx, box, public, secret->b, seed, e))
		return -1;
	memcpy(mr, r->sgx.mr_enclave, LOCALKEY_MR);
	log_info("setup", "local key provider anchor=%s tcb=%s", anchor_name(r->anchor),
		 tcb_status_name(r->tcb.status));
	return 0;
}
