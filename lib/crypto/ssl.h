// ssl - OpenSSL objects as owning locals, and its errors as ours.
//
// `auto_pkey EVP_PKEY *k = ...` frees when it leaves scope; TAKE_SSL(k) hands it on. err_ssl() puts the
// first OpenSSL reason into the text and drains the queue, so that no later call reports this failure.
#pragma once
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/err.h"

int err_ssl(struct err *e, enum err_class c, const char *fmt, ...) ERR_FORMAT(3);

#define SSL_AUTO(name, type, free_fn)                                                                        \
	static inline void name(type **p)                                                                    \
	{                                                                                                    \
		free_fn(*p);                                                                                 \
	}
SSL_AUTO(ssl_auto_pkey, EVP_PKEY, EVP_PKEY_free)
SSL_AUTO(ssl_auto_pctx, EVP_PKEY_CTX, EVP_PKEY_CTX_free)
SSL_AUTO(ssl_auto_mdctx, EVP_MD_CTX, EVP_MD_CTX_free)
SSL_AUTO(ssl_auto_cipher, EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)
SSL_AUTO(ssl_auto_x509, X509, X509_free)
SSL_AUTO(ssl_auto_bio, BIO, BIO_free_all)
SSL_AUTO(ssl_auto_sslctx, SSL_CTX, SSL_CTX_free)
#undef SSL_AUTO

#define auto_pkey   __attribute__((cleanup(ssl_auto_pkey)))
#define auto_pctx   __attribute__((cleanup(ssl_auto_pctx)))
#define auto_mdctx  __attribute__((cleanup(ssl_auto_mdctx)))
#define auto_cipher __attribute__((cleanup(ssl_auto_cipher)))
#define auto_x509   __attribute__((cleanup(ssl_auto_x509)))
#define auto_bio    __attribute__((cleanup(ssl_auto_bio)))
#define auto_sslctx __attribute__((cleanup(ssl_auto_sslctx)))

// The pointer, now the caller's; the local is NULL and frees nothing.
#define TAKE_SSL(p)                                                                                          \
	__extension__({                                                                                      \
		__typeof__(p) take_ = (p);                                                                   \
		(p) = NULL;                                                                                  \
		take_;                                                                                       \
	})
