#include "crypto/kdf.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <pthread.h>

#include "crypto/ssl.h"

static void free_ctx(EVP_KDF_CTX **c)
{
	EVP_KDF_CTX_free(*c);
}

// Fetching costs more than deriving: once a process.
static EVP_KDF *hkdf;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
	hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
}

static EVP_KDF_CTX *new_ctx(void)
{
	return !pthread_once(&once, fetch) && hkdf ? EVP_KDF_CTX_new(hkdf) : NULL;
}

int kdf_derive(struct span ikm, const struct span *parts, size_t n_parts, void *out, size_t len,
	       struct err *e)
{
	return kdf_derive_salted("RATLS", ikm, parts, n_parts, out, len, e);
}

int kdf_derive_salted(const char *salt, struct span ikm, const struct span *parts, size_t n_parts, void *out,
		      size_t len, struct err *e)
{
	static char digest[] = "SHA256";
	uint8_t info[KDF_INFO_MAX];
	struct wr w = wr_to(info, sizeof info);
	// OpenSSL's parameters want mutable pointers but only read from them.
	union {
		const uint8_t *from;
		void *to;
	} key = { .from = ikm.p }, salted = { .from = span_str(salt).p };
	__attribute__((cleanup(free_ctx))) EVP_KDF_CTX *ctx = new_ctx();

	for (size_t i = 0; i < n_parts; i++)
		wr_span(&w, parts[i]);
	if (w.bad || len > KDF_OUT_MAX)
		return err_set(e, ERR_INPUT, "derive key: context of %zu bytes, output of %zu, is too long",
			       w.n, len);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salted.to, span_str(salt).n),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.to, ikm.n),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, w.n),
		OSSL_PARAM_construct_end(),
	};
	if (!ctx || EVP_KDF_derive(ctx, out, len, params) != 1)
		return err_ssl(e, ERR_SYSTEM, "derive key");
	return 0;
}
