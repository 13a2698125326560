// mr_system, mr_aggregated and the three forms of MRCONFIGID.
#include "core/hash/keccak.h"
#include "core/hash/sha2.h"
#include "core/measure/mrconfig.h"

static void base(struct sha256 *h, const uint8_t mr_td[48], const uint8_t rtmr[4][48])
{
	sha256_init(h);
	sha256_add(h, mr_td, 48);
	sha256_add(h, rtmr, 3 * 48);
}

void measure_mr_system(uint8_t out[32], const uint8_t mr_td[48], const uint8_t rtmr[4][48],
		       struct span key_provider)
{
	uint8_t kp[32] = { 0 };
	struct sha256 h;

	if (key_provider.n)
		sha256(key_provider.p, key_provider.n, kp);
	base(&h, mr_td, rtmr);
	sha256_add(&h, kp, sizeof kp);
	sha256_end(&h, out);
}

static bool any(const uint8_t *p, size_t n)
{
	uint8_t all = 0;

	while (n)
		all |= p[--n];
	return all;
}

void measure_mr_aggregated(uint8_t out[32], const uint8_t mr_td[48], const uint8_t rtmr[4][48],
			   const uint8_t rtmr3[48], const uint8_t mr_config_id[48],
			   const uint8_t mr_owner[48], const uint8_t mr_owner_config[48])
{
	struct sha256 h;

	base(&h, mr_td, rtmr);
	sha256_add(&h, rtmr3, 48);
	if (any(mr_config_id, 48) || any(mr_owner, 48) || any(mr_owner_config, 48)) {
		sha256_add(&h, mr_config_id, 48);
		sha256_add(&h, mr_owner, 48);
		sha256_add(&h, mr_owner_config, 48);
	}
	sha256_end(&h, out);
}

static void config_id(uint8_t out[48], uint8_t version, const uint8_t digest[32])
{
	struct wr w = wr_to(out, 48);

	wr_u8(&w, version);
	wr_put(&w, digest, 32);
	while (w.n < 48)
		wr_u8(&w, 0);
}

void mr_config_id_v1(uint8_t out[48], const uint8_t compose_hash[32])
{
	config_id(out, 1, compose_hash);
}

void mr_config_id_v2(uint8_t out[48], const uint8_t compose_hash[32], const uint8_t app_id[20],
		     enum key_provider_kind kind, struct span key_provider_id)
{
	static const uint8_t byte_of[] = { [KEY_PROVIDER_NONE] = 0,
					   [KEY_PROVIDER_LOCAL] = 1,
					   [KEY_PROVIDER_KMS] = 2,
					   [KEY_PROVIDER_TPM] = 3 };
	uint8_t text[32 + 20 + 1 + MR_CONFIG_PROVIDER_ID_MAX], digest[32];
	struct wr w = wr_to(text, sizeof text);

	wr_put(&w, compose_hash, 32);
	wr_put(&w, app_id, 20);
	wr_u8(&w, byte_of[kind]);
	wr_span(&w, key_provider_id);
	if (w.bad) { // no key is that long: give an id that matches nothing
		config_id(out, 0xff, (const uint8_t[32]){ 0 });
		return;
	}
	keccak256(text, w.n, digest);
	config_id(out, 2, digest);
}

void mr_config_digest(uint8_t out[32], struct span document)
{
	static const char tag[] = "dstack-mr-config-v3:"; // hashed with its final NUL
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, tag, sizeof tag);
	sha256_add(&h, document.p, document.n);
	sha256_end(&h, out);
}

void mr_config_id_v3(uint8_t out[48], struct span document)
{
	uint8_t digest[32];

	mr_config_digest(digest, document);
	config_id(out, 3, digest);
}
