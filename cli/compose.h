// compose - app-compose.json: the measured description of an app, made from a docker-compose file.
//
// The bytes written here are the app's identity: SHA-256 of them is the compose hash, its first 20 bytes the
// app id. Same inputs give the same bytes. Key order is that of upstream's CLI (spec 40 section 19). The
// compose file itself stays opaque text.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/codec/buf.h"

enum { COMPOSE_FILE_MAX = 1 << 20, COMPOSE_ENVS_MAX = 256, COMPOSE_KEY_MAX = 255 };

struct env_var {
	char *key, *value;
};

struct env_list {
	struct env_var at[COMPOSE_ENVS_MAX];
	size_t n;
};

// "KEY=VALUE", or "KEY" for the value this process has. ERR_INPUT for names that no shell variable may have,
// or twice.
int env_add(struct env_list *envs, const char *text, struct err *e);
int env_add_file(struct env_list *envs, const char *path, struct err *e); // lines of KEY=VALUE, # comments
void env_free(struct env_list *envs);                                     // wipes the values
int env_json(const struct env_list *envs, uint8_t **out, size_t *n,
	     struct err *e); // {"env":[{"key","value"}...]}

struct compose {
	char *text; // app-compose.json, NUL-terminated
	size_t n;
	uint8_t hash[32];
};

enum compose_keys { COMPOSE_KMS, COMPOSE_LOCAL, COMPOSE_NONE }; // who gives the app its keys

// Without a KMS there is no gateway either: it lets nobody in whose certificate is not the KMS's. ERR_INPUT
// for variables then: they are sealed to a key of the KMS.
struct compose_spec {
	const char *name;
	struct span docker_compose;
	const struct env_list *envs;
	enum compose_keys keys;
	bool no_instance_id, emit_event;
	const uint8_t *env_signer; // Ed25519 public key, NULL: anybody may send the variables
};
int compose_make(struct compose *out, const struct compose_spec *spec, struct err *e);
int compose_keys_read(enum compose_keys *out, const char *name); // -1: no such provider
void compose_free(struct compose *c);
