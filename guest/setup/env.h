// env - the app's sealed environment: opened, filtered by what the measured compose file allows, written out.
//
// Spec 60 section 6k. Only names listed in allowed_envs pass; the host can add or drop values of those names
// (the box is sealed to a public key), nothing else. Plain values are wiped after use.
#pragma once
#include "base/sb.h"
#include "fields.h"

struct env_files {
	struct sb text, json; // .decrypted-env and .decrypted-env.json
	size_t n, skipped;
};

// `plain` is the decrypted {"env":[{"key","value"}]}. Codes: env.json, env.too_large, env.name.
int env_render(struct span plain, const struct texts *allowed, struct arena *a, struct env_files *out,
	       struct err *e);
void env_free(struct env_files *f);

// Open `box` with the key; empty files when either is missing (key_n 0 or box.n 0). Code: env.decrypt.
int env_open(struct span key, struct span box, const struct texts *allowed, struct arena *a,
	     struct env_files *out, struct err *e);
