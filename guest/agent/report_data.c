#include "report_data.h"

#include <string.h>
#include "base/cleanup.h"
#include "base/sb.h"
#include "core/attest/reportdata.h"
#include "core/hash/keccak.h"
#include "core/hash/sha2.h"
#include "crypto/ed25519.h"

static const struct {
	const char *name;
	void (*fn)(const void *p, size_t n, uint8_t *out);
} hashes[] = {
	{ "sha256", sha256 },       { "sha384", sha384 },       { "sha512", sha512 },
	{ "sha3-256", sha3_256 },   { "sha3-384", sha3_384 },   { "sha3-512", sha3_512 },
	{ "keccak256", keccak256 }, { "keccak384", keccak384 }, { "keccak512", keccak512 },
};

int report_data_of_app(struct span data, struct err *e)
{
	const size_t n = strlen(REPORT_SYSTEM);

	if (data.n < n || memcmp(data.p, REPORT_SYSTEM, n) != 0)
		return 0;
	return err_code(e, ERR_DENIED, "agent.reserved", "report data that begins with %s is not an app's",
			REPORT_SYSTEM);
}

int report_data_of(const char *hash, const char *tag, struct span content,
		   uint8_t out[static TEE_REPORT_DATA], struct err *e)
{
	auto_sb text = { 0 };

	memset(out, 0, TEE_REPORT_DATA);
	if (!strcmp(hash, "raw")) {
		if (content.n != TEE_REPORT_DATA)
			return err_code(e, ERR_INPUT, "agent.report_data",
					"invalid content length: raw takes %d bytes, got %zu",
					TEE_REPORT_DATA, content.n);
		memcpy(out, content.p, TEE_REPORT_DATA);
		return report_data_of_app(content, e);
	}
	for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
		if (strcmp(hash, hashes[i].name))
			continue;
		sb_str(&text, tag);
		sb_chr(&text, ':');
		sb_put(&text, content.p, content.n);
		if (text.bad)
			return err_set(e, ERR_SYSTEM, "out of memory");
		hashes[i].fn(text.p, text.n, out);
		return 0;
	}
	return err_code(e, ERR_INPUT, "agent.hash", "invalid hash algorithm");
}

int report_data_of_key(struct span pub, uint8_t out[static TEE_REPORT_DATA], struct err *e)
{
	auto_sb text = { 0 };

	sb_str(&text, pub.n == ED25519_PUB ? "dip1::ed25519-pk:" : "dip1::secp256k1c-pk:");
	sb_base64(&text, pub.p, pub.n);
	for (size_t i = 0; !text.bad && i < text.n; i++) // RFC 4648 section 5
		text.p[i] = text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i];
	while (text.n && text.p[text.n - 1] == '=')
		text.n--;
	if (text.bad || text.n > TEE_REPORT_DATA)
		return err_set(e, text.bad ? ERR_SYSTEM : ERR_BUG, "write the key's report data");
	memset(out, 0, TEE_REPORT_DATA);
	memcpy(out, text.p, text.n);
	return 0;
}
