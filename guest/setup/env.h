// env - the app's sealed environment: opened, filtered by what the measured compose file allows, written out.
//
// Spec 60 section 6k. Only names listed in allowed_envs pass; who may set these is sender.h's part. A box
// that is there opens whole or the boot ends: never an empty environment in its place. Plain values are wiped
// after use.
#pragma once
#include "base/sb.h"
#include "fields.h"

struct env_files {
	struct sb text, json; // .decrypted-env and .decrypted-env.json
	size_t n, skipped;
};

// `plain` is the decrypted {"env":[{"key","value"}]}. Codes: env.json, env.too_large, env.name, env.value.
int env_render(struct span plain, const struct texts *allowed, struct arena *a, struct env_files *out,
	       struct err *e);
void env_free(struct env_files *f);

// Open `box` with the key; empty files when there is no box (p NULL). Codes: env.no_key, env.truncated,
// env.decrypt.
int env_open(struct span key, struct span box, const struct texts *allowed, struct arena *a,
	     struct env_files *out, struct err *e);
