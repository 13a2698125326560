// Verification behind its signatures: input = mode, then edits (layer, op, offset, length, bytes) of forged
// evidence. Mode even: layers are altered before they are signed, so that every parser sees what only a
// holder of Intel's keys could send; whatever comes out must be decided without harm. Mode odd: altered
// afterwards; then nothing that was signed may have changed in what is accepted.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/engine.h"
#include "forge/forge.h"

enum { NOW = 1768867200, EDITS = 6 };

static struct forge_keys keys;
static struct forge f;
static struct forge_out genuine[2], out;
static struct engine *engine;

static struct span sb_span(const struct sb *b)
{
	return span_of(b->p, b->n);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err e;

	(void)argc;
	(void)argv;
	engine = engine_new(&e);
	if (!engine || forge_keys_load(&keys, NULL, "fuzz", &e))
		abort();
	for (int i = 0; i < 2; i++) {
		forge_init(&f, &keys, i ? FORGE_SGX3 : FORGE_TDX5, NOW);
		if (forge_build(&f, &genuine[i], &e))
			abort();
	}
	if (engine_only_root(engine, sb_span(&genuine[0].layer[FORGE_ROOT]), &e))
		abort();
	return 0;
}

static bool take_edit(struct rd *in, bool late, struct forge_edit *ed)
{
	static const enum forge_op op[] = { FORGE_SET, FORGE_XOR, FORGE_INSERT, FORGE_CUT };
	static const enum forge_op der[] = { FORGE_DER_SET, FORGE_DER_INSERT, FORGE_DER_CUT,
					     FORGE_DER_REPEAT };
	static char paths[EDITS][16];
	static size_t next;
	uint8_t kind = rd_u8(in);

	*ed = (struct forge_edit){ .layer = (enum forge_layer)(rd_u8(in) % FORGE_LAYERS), .late = late };
	if (kind & 0x80) { // a path of up to five steps
		char *p = paths[next++ % EDITS];
		size_t steps = kind >> 4 & 7;
		p[0] = 0;
		for (size_t i = 0; i < steps && i < 5; i++)
			snprintf(p + strlen(p), sizeof paths[0] - strlen(p), "%s%u", i ? "." : "",
				 rd_u8(in) % 20u);
		ed->op = der[kind & 3];
		ed->path = p;
	} else {
		ed->op = op[kind & 3];
		ed->at = rd_le16(in);
		ed->n = rd_u8(in);
	}
	ed->bytes = rd_bytes(in, rd_u8(in));
	return !in->bad;
}

static void must_be_unaltered(const struct forge_out *was)
{
	for (int l = 0; l < FORGE_SIGNED; l++)
		if (l != FORGE_SPARE && !span_eq(sb_span(&out.layer[l]), sb_span(&was->layer[l])))
			__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rd in = rd_from(data, n);
	uint8_t mode = rd_u8(&in);
	struct dcap_input input = { .now = NOW };
	static struct dcap_result r;
	struct forge_edit ed;
	struct err e;

	forge_init(&f, &keys, mode & 2 ? FORGE_SGX3 : FORGE_TDX5, NOW);
	for (int i = 0; i < EDITS && take_edit(&in, mode & 1, &ed); i++)
		forge_edit(&f, ed);
	if (forge_build(&f, &out, &e))
		return 0;
	input.quote = sb_span(&out.layer[FORGE_WHOLE]);
	input.collateral = sb_span(&out.layer[FORGE_COLLATERAL]);
	int rc = dcap_verify(engine, &input, &r, &e);
	if (rc ? !reason_find(span_str(e.code)) : r.anchor != ANCHOR_DEVELOPMENT)
		__builtin_trap();
	if (!rc && mode & 1)
		must_be_unaltered(&genuine[mode >> 1 & 1]);
	return 0;
}
