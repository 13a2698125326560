#include "policy/seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"

enum { FILE_MAX = 4096, NONCE = 16, NONCE_HEX = 2 * NONCE, MAC = 32 };

struct secret *policy_seal_key(const char *path, struct err *e)
{
	auto_secret *file = NULL;

	if (file_read_secret(path, FILE_MAX, &file, e)) {
		err_wrap(e, "hmac_key_file");
		return NULL;
	}
	size_t n = 0;
	while (n < file->n && file->b[n] != '\r' && file->b[n] != '\n')
		n++;
	if (n < SEAL_KEY_MIN) {
		err_code(e, ERR_INPUT, "config.policy", "the key in %s has %zu bytes, at least %d are needed",
			 path, n, SEAL_KEY_MIN);
		return NULL;
	}
	struct secret *key = secret_dup(file->b, n);
	if (!key)
		err_set(e, ERR_SYSTEM, "out of memory");
	return key;
}

// False: out of memory, and no seal at all.
static bool mac(const struct secret *key, const char *what, struct span path, const char *stamp,
		struct span body, char out[static SEAL_HEX + 1])
{
	uint8_t md[MAC];
	unsigned n = MAC;
	auto_sb b = { 0 };

	sb_fmt(&b, "%s\n%.*s\n%s\n", what, (int)path.n, (const char *)path.p, stamp);
	sb_put(&b, body.p, body.n);
	if (b.bad || !HMAC(EVP_sha256(), key->b, (int)key->n, (const uint8_t *)b.p, b.n, md, &n) || n != MAC)
		return false;
	str_hex(out, md, sizeof md);
	return true;
}

int policy_seal_question(const struct secret *key, const char *path, struct span body, uint64_t now,
			 char *stamp, char *out)
{
	char seal[SEAL_HEX + 1];
	uint8_t nonce[NONCE];

	if (RAND_bytes(nonce, sizeof nonce) != 1)
		return -1;
	snprintf(stamp, SEAL_STAMP, "%llu.%s", (unsigned long long)now, STR_HEX(nonce, sizeof nonce));
	if (!mac(key, "dstack-policy-question", span_str(path), stamp, body, seal))
		return -1;
	snprintf(out, SEAL_QUESTION, "%s.%s", stamp, seal);
	return 0;
}

// TIME.NONCE.SEAL as policy_seal_question writes it.
static bool read_header(struct span h, uint64_t *at, char *stamp, struct span *seal)
{
	const uint8_t *dot = h.n < SEAL_QUESTION ? memchr(h.p, '.', h.n) : NULL;
	size_t time_n = dot ? (size_t)(dot - h.p) : 0, stamp_n = time_n + 1 + NONCE_HEX;
	uint8_t nonce[NONCE];
	size_t n;

	if (!dot || h.n != stamp_n + 1 + SEAL_HEX || h.p[stamp_n] != '.' || stamp_n >= SEAL_STAMP ||
	    !str_u64_n((const char *)h.p, time_n, at) ||
	    hex_read(nonce, sizeof nonce, (const char *)dot + 1, NONCE_HEX, &n))
		return false;
	memcpy(stamp, h.p, stamp_n);
	stamp[stamp_n] = 0;
	*seal = span_of(h.p + stamp_n + 1, SEAL_HEX);
	return true;
}

int policy_seal_check_question(const struct secret *key, struct span path, struct span body,
			       struct span header, uint64_t now, char *stamp, struct err *e)
{
	char want[SEAL_HEX + 1];
	struct span seal;
	uint64_t at;

	if (!read_header(header, &at, stamp, &seal))
		return err_code(e, ERR_DENIED, "auth.seal",
				"the question has no " POLICY_SEAL_HEADER " seal");
	if (!mac(key, "dstack-policy-question", path, stamp, body, want))
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (CRYPTO_memcmp(want, seal.p, SEAL_HEX) != 0)
		return err_code(e, ERR_DENIED, "auth.seal",
				"the question is not sealed with this server's key");
	if (at + SEAL_SKEW_S < now || at > now + SEAL_SKEW_S)
		return err_code(e, ERR_DENIED, "auth.seal",
				"the question was sealed more than %d s before or after now", SEAL_SKEW_S);
	return 0;
}

bool policy_seal_answer(const struct secret *key, struct span path, const char *stamp, struct span body,
			char out[static SEAL_HEX + 1])
{
	return mac(key, "dstack-policy-answer", path, stamp, body, out);
}

bool policy_seal_answer_holds(const struct secret *key, const char *path, const char *stamp, struct span body,
			      struct span header)
{
	char want[SEAL_HEX + 1];

	return header.n == SEAL_HEX && mac(key, "dstack-policy-answer", span_str(path), stamp, body, want) &&
	       !CRYPTO_memcmp(want, header.p, SEAL_HEX);
}
