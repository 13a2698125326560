#include "crypto/held.h"

#include <string.h>

static bool same(struct span a, const uint8_t *p, size_t n)
{
	return a.n == n && (!n || !memcmp(a.p, p, n));
}

const struct dcap_collateral *held_get(struct held_set *s, struct span text, struct span root,
				       enum anchor anchor)
{
	struct held *h = &s->each[0];

	s->count++;
	for (size_t i = 0; i < HELD; i++) {
		struct held *each = &s->each[i];
		if (each->used && each->col.anchor == anchor && same(text, each->text, each->text_n) &&
		    same(root, each->root, each->root_n)) {
			each->used = s->count;
			return &each->col;
		}
		if ((each->proofs ? each->used : 0) < (h->proofs ? h->used : 0))
			h = each;
	}
	h->used = h->proofs = 0;
	s->decoded++;
	dcap_collateral_read(&h->col, text, root, anchor);
	if (text.n > sizeof h->text || root.n > sizeof h->root)
		return &h->col; // refused at once, and not worth keeping
	h->used = s->count;
	h->text_n = text.n;
	h->root_n = root.n;
	if (text.n)
		memcpy(h->text, text.p, text.n);
	if (root.n)
		memcpy(h->root, root.p, root.n);
	return &h->col;
}

static bool within(const struct held *h, struct span s)
{
	uintptr_t from = (uintptr_t)&h->col, at = (uintptr_t)s.p;

	return at >= from && at - from <= sizeof h->col && s.n <= sizeof h->col - (at - from);
}

static const struct held *owner(const struct held_set *s, const struct sig_check *c)
{
	for (size_t i = 0; i < HELD; i++) {
		const struct held *h = &s->each[i];
		if (h->used && within(h, c->sig) && within(h, c->key) && within(h, c->msg))
			return h;
	}
	return NULL;
}

bool held_knows(const struct held_set *s, const struct sig_check *c)
{
	const struct held *h = owner(s, c);

	for (size_t i = 0; h && i < h->proofs; i++) {
		const struct held_proof *p = &h->proof[i];
		if (p->alg == c->alg && p->sig.p == c->sig.p && p->key.p == c->key.p &&
		    p->msg.p == c->msg.p && p->msg.n == c->msg.n)
			return true;
	}
	return false;
}

void held_prove(struct held_set *s, const struct sig_check *c)
{
	const struct held *found = owner(s, c);

	if (!found)
		return;
	struct held *h = &s->each[found - s->each];
	if (h->proofs < SIG_CHECKS)
		h->proof[h->proofs++] = (struct held_proof){ c->reason, c->alg, c->msg, c->key, c->sig };
}

void held_forget(struct held_set *s, enum reason from)
{
	for (size_t i = 0; i < HELD; i++) {
		struct held *h = &s->each[i];
		size_t kept = 0;
		for (size_t k = 0; k < h->proofs; k++)
			if (h->proof[k].reason < from)
				h->proof[kept++] = h->proof[k];
		h->proofs = kept;
		if (from == REASON_OK)
			h->used = 0;
	}
}
