// keyproc_wire - the messages between the KMS and its key process; both are one program, so plain structs.
#pragma once
#include "base/err.h"
#include "crypto/appkeys.h"
#include "crypto/p256.h"

enum key_op {
	KEY_READY,
	KEY_PUBLIC,
	KEY_APP,
	KEY_ENV,
	KEY_APP_CA,
	KEY_SIGN_APP,
	KEY_RPC_CERT,
	KEY_EXPORT,
	KEY_OPS
};
enum { KEY_CERT_MAX = 1024, KEY_MORE_MAX = 96 * 1024 };

struct key_request {
	uint32_t op, inst_n;
	uint8_t app[APP_ID], inst[APP_ID], digest[32];
	uint64_t time;
	uint32_t more; // bytes in a second message: the evidence of KEY_RPC_CERT
};

struct key_reply {
	struct err err; // class ERR_NONE: done
	uint32_t more;  // bytes in a second message: the certificate of KEY_RPC_CERT
	union {
		struct {
			uint8_t ca_spki[91], k256_pub[33];
		} public;
		struct app_keys app;
		struct env_key env;
		struct {
			uint32_t n;
			uint8_t der[KEY_CERT_MAX];
		} cert;
		struct {
			uint32_t n;
			uint8_t sig[72];
		} sig;
		struct {
			char ca[P256_PEM_MAX], temp_ca[P256_PEM_MAX];
			uint8_t k256[32];
		} roots;
	};
};

// The key process from its fork to its end; never returns.
struct keystore_config;
void keyproc_run(int fd, const struct keystore_config *c) __attribute__((noreturn));
