// recipe - a description for forge from JSON: every field has a name, such as `td.td_attributes` or
// `pck.sgx.fmspc`.
//
// docs/formats/forge.md. Objects nest or are written with dots; unknown names and values of the wrong form
// are `forge.recipe`. Texts and bytes are kept here, so that the description may point to them.
#pragma once
#include <stdio.h>
#include "core/attest/eventlog.h"
#include "core/codec/json.h"
#include "forge/forge.h"

enum { RECIPE_ROOM = 1 << 20, RECIPE_EVENTS = 64 };

struct recipe {
	struct forge_keys keys;
	struct forge f;
	struct event event[RECIPE_EVENTS]; // the runtime log whose replay is RTMR3
	size_t events;
	struct span vm_config; // of the envelope
	size_t used;
	uint8_t *room;
};

// A genuine version 4 quote at `now`; keys as in forge_keys_load.
int recipe_init(struct recipe *r, const char *dir, const char *seed, int64_t now, struct err *e);
void recipe_free(struct recipe *r);

int recipe_apply(struct recipe *r, struct span json, struct err *e);                  // a whole recipe
int recipe_set(struct recipe *r, const char *name, const char *value, struct err *e); // JSON, else a text
void recipe_fields(FILE *out); // every name with the form of its value

int forge_command(int argc, char **argv); // dstack-softtee forge …
