// keyproc_wire - the messages between the KMS and its key process; both are one program, so plain structs.
#pragma once
#include "audit/head.h"
#include "audit/record.h"
#include "base/err.h"
#include "crypto/appkeys.h"
#include "crypto/p256.h"
#include "crypto/rotation.h"

// Requests from KEY_APP on leave a record in the audit log before their answer leaves.
enum key_op {
	KEY_READY,
	KEY_PUBLIC,
	KEY_ENV,
	KEY_APP_CA,
	KEY_RPC_CERT,
	KEY_HEAD,
	KEY_ROOTS_NEW,
	KEY_APP,
	KEY_SIGN_APP,
	KEY_SIGN_CRL,
	KEY_EXPORT,
	KEY_RECORD,
	KEY_ROOTS_KEEP,
	KEY_OPS
};
enum { KEY_CERT_MAX = 1024, KEY_WAITING_MAX = 32, KEY_MORE_MAX = 96 * 1024 };

struct key_request {
	uint32_t op, id;
	uint32_t more; // bytes in a second message: the evidence of KEY_RPC_CERT, KEY_ROOTS_KEEP
	uint32_t root; // which set; of KEY_APP each epoch of the entry has its own
	uint32_t seed_n;
	uint8_t app[APP_ID]; // of KEY_ENV, KEY_APP_CA; of the others it is the boot info's
	uint8_t digest[32], seed[APPKEYS_SEED_MAX]; // digest of KEY_ROOTS_KEEP: the set's id
	uint64_t time, epoch;
	struct audit_entry entry; // of those that are recorded
};

struct key_reply {
	uint32_t id;
	uint32_t more;   // bytes in a second message: the certificate of KEY_RPC_CERT
	uint32_t line_n; // of the record, which follows this struct in the message
	uint64_t seq;    // of the record
	struct err err;  // class ERR_NONE: done
	union {
		struct {
			uint64_t cut, records, time_ms;
		} ready;
		struct {
			uint8_t ca_spki[91], k256_pub[33];
		} public;
		struct app_keys app[AUDIT_EPOCHS_MAX];
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
			char temp_ca[P256_PEM_MAX];
			uint32_t n;
			struct key_root {
				char ca[P256_PEM_MAX]; // PKCS#8
				uint8_t k256[32];
			} set[ROOT_SETS_MAX];
		} roots;
		struct rotation made;
		struct {
			struct audit_head head;
			uint64_t bytes; // of the log file
		} log;
	};
	char line[AUDIT_RECORD_MAX]; // only line_n bytes of it travel
};
#define KEY_REPLY_FIXED offsetof(struct key_reply, line)

// The key process from its fork to its end; never returns. At `control` it is handed one socket after the
// other, each of a network process that may ask it, and says first that it is ready, or why not.
struct keystore_config;
void keyproc_run(int control, const struct keystore_config *c) __attribute__((noreturn));
