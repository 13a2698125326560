// layers - the parts of forge_build, private to this folder. Each writes its layer into `out`, edited,
// signed.
#pragma once
#include "forge/forge.h"

int layer_certs(const struct forge *f, struct forge_out *out, struct err *e);
int layer_documents(const struct forge *f, struct forge_out *out, struct err *e);
int layer_quote(const struct forge *f, struct forge_out *out, struct err *e);
int layer_collateral(const struct forge *f, struct forge_out *out, struct err *e);

// Apply the edits of a layer: those before its signature, or the late ones.
int layer_edit(const struct forge *f, enum forge_layer l, bool late, struct sb *b, struct err *e);
// Sign what the layer holds now; `own` is the key that should.
int layer_sign(const struct forge *f, enum forge_layer l, enum forge_key own, struct forge_out *out,
	       struct err *e);
int layer_chain(const struct forge *f, const char *names, const struct forge_out *out, struct sb *pem,
		struct err *e); // PEM of certificates
// The last override of a member, or NULL when there is none.
const struct forge_member *layer_member(const struct forge *f, enum forge_layer l, const char *name);
void layer_take(struct sb *b, const void *p, size_t n); // becomes exactly these bytes
