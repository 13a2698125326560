// Edits of a layer's bytes: by offset, by text, by place in DER.
#include <stdlib.h>
#include <string.h>

#include "forge/layers.h"

void layer_take(struct sb *b, const void *p, size_t n)
{
	b->n = 0;
	sb_put(b, p, n);
}

struct element {
	struct span head, body; // tag and length; contents
};

static bool next_element(struct rd *r, struct element *el)
{
	const uint8_t *from = r->p;

	rd_u8(r);
	size_t len = rd_u8(r);
	if (len & 0x80) {
		size_t bytes = len & 0x7f;
		for (len = 0; bytes && bytes <= 3 && !r->bad; bytes--)
			len = len << 8 | rd_u8(r);
		if (bytes)
			return false;
	}
	el->head = span_of(from, (size_t)(r->p - from));
	el->body = rd_bytes(r, len);
	return !r->bad;
}

static void put_element(struct sb *out, uint8_t tag, const struct sb *body)
{
	uint8_t head[4] = { tag };
	size_t n = 2;

	if (body->n < 128) {
		head[1] = (uint8_t)body->n;
	} else if (body->n < 256) {
		head[1] = 0x81;
		head[2] = (uint8_t)body->n;
		n = 3;
	} else {
		head[1] = 0x82;
		head[2] = (uint8_t)(body->n >> 8);
		head[3] = (uint8_t)body->n;
		n = 4;
	}
	sb_put(out, head, n);
	sb_put(out, body->p, body->n);
	out->bad |= body->bad || body->n > 0xffff;
}

static void put_whole(struct sb *out, const struct element *el)
{
	sb_put(out, el->head.p, el->head.n);
	sb_put(out, el->body.p, el->body.n);
}

// `path` leads from the element on; false when it leads nowhere.
static bool rebuild(struct sb *out, const struct element *el, const char *path, const struct forge_edit *ed)
{
	auto_sb body = { 0 };
	struct rd in = rd_span(el->body);
	struct element child;
	bool found = false;
	size_t i = 0;

	if (!*path) {
		if (ed->op != FORGE_DER_CUT && ed->op != FORGE_DER_REPEAT)
			sb_put(out, ed->bytes.p, ed->bytes.n);
		if (ed->op == FORGE_DER_INSERT || ed->op == FORGE_DER_REPEAT)
			put_whole(out, el);
		if (ed->op == FORGE_DER_REPEAT)
			put_whole(out, el);
		return true;
	}
	char *rest;
	size_t want = strtoul(path, &rest, 10);
	bool last = !*rest;
	if (!last)
		rest++;
	for (; rd_left(&in); i++) {
		if (!next_element(&in, &child))
			return false;
		if (i != want) {
			put_whole(&body, &child);
			continue;
		}
		found = true;
		if (!rebuild(&body, &child, rest, ed))
			return false;
	}
	if (!found && last && i == want && ed->op == FORGE_DER_INSERT) {
		sb_put(&body, ed->bytes.p, ed->bytes.n); // behind the last
		found = true;
	}
	if (found)
		put_element(out, el->head.p[0], &body);
	return found;
}

static bool edit_der(struct sb *b, const struct forge_edit *ed)
{
	auto_sb out = { 0 };
	struct rd in = rd_from(b->p, b->n);
	struct element whole;

	if (!next_element(&in, &whole) || !rebuild(&out, &whole, ed->path ? ed->path : "", ed))
		return false;
	layer_take(b, out.p, out.n);
	b->bad |= out.bad;
	return true;
}

// Replace `n` bytes at `at`.
static void splice(struct sb *b, size_t at, size_t n, struct span with)
{
	auto_sb out = { 0 };

	sb_put(&out, b->p, at);
	sb_put(&out, with.p, with.n);
	sb_put(&out, b->p + at + n, b->n - at - n);
	layer_take(b, out.p, out.n);
	b->bad |= out.bad;
}

static bool edit_bytes(struct sb *b, const struct forge_edit *ed)
{
	size_t at = ed->at == SIZE_MAX ? b->n : ed->at;

	if (at > b->n)
		return false;
	if (ed->op == FORGE_INSERT) {
		splice(b, at, 0, ed->bytes);
		return true;
	}
	if (ed->op == FORGE_CUT) {
		splice(b, at, ed->n < b->n - at ? ed->n : b->n - at, (struct span){ 0 });
		return true;
	}
	if (ed->bytes.n > b->n - at)
		return false;
	for (size_t i = 0; i < ed->bytes.n; i++)
		b->p[at + i] = (char)(ed->op == FORGE_XOR ? b->p[at + i] ^ ed->bytes.p[i] : ed->bytes.p[i]);
	return true;
}

static bool edit_text(struct sb *b, const struct forge_edit *ed)
{
	const char *at = ed->from.n && b->n ? memmem(b->p, b->n, ed->from.p, ed->from.n) : NULL;

	if (!at)
		return false;
	splice(b, (size_t)(at - b->p), ed->from.n, ed->bytes);
	return true;
}

int layer_edit(const struct forge *f, enum forge_layer l, bool late, struct sb *b, struct err *e)
{
	for (size_t i = 0; i < f->edits; i++) {
		const struct forge_edit *ed = &f->edit[i];
		if (ed->layer != l || ed->late != late)
			continue;
		bool ok = ed->op >= FORGE_DER_SET   ? edit_der(b, ed)
			  : ed->op == FORGE_REPLACE ? edit_text(b, ed)
						    : edit_bytes(b, ed);
		if (!ok)
			return err_code(e, ERR_INPUT, "forge.edit", "edit %zu does not fit layer %s", i,
					forge_layer_name[l]);
	}
	return b->bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}
