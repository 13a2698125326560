#include "ratls/pccs_entry.h"

#include <stdlib.h>
#include <string.h>

struct pccs_blob *pccs_blob_new(const char *json, size_t n, uint64_t fetched)
{
	struct pccs_blob *b = malloc(sizeof *b + n + 1);

	if (!b)
		return NULL;
	*b = (struct pccs_blob){ .refs = 1, .fetched = fetched, .n = n };
	memcpy(b->json, json, n);
	b->json[n] = 0;
	return b;
}

struct pccs_blob *pccs_blob_ref(struct pccs_blob *b)
{
	if (b)
		atomic_fetch_add(&b->refs, 1);
	return b;
}

void pccs_blob_drop(struct pccs_blob **b)
{
	if (*b && atomic_fetch_sub(&(*b)->refs, 1) == 1)
		free(*b);
	*b = NULL;
}

bool pccs_same(const struct dcap_platform *a, const struct dcap_platform *b)
{
	return memcmp(a->fmspc, b->fmspc, sizeof a->fmspc) == 0 && a->is_tdx == b->is_tdx &&
	       a->processor_ca == b->processor_ca;
}

struct pccs_entry *pccs_entry_find(struct pccs_table *t, const struct dcap_platform *platform)
{
	for (size_t i = 0; i < PCCS_ENTRIES; i++)
		if (t->entry[i].used && pccs_same(&t->entry[i].platform, platform))
			return &t->entry[i];
	return NULL;
}

static struct pccs_entry *make_room(struct pccs_table *t)
{
	struct pccs_entry *best = NULL;

	for (size_t i = 0; i < PCCS_ENTRIES; i++) {
		struct pccs_entry *n = &t->entry[i];

		if (n->busy)
			continue;
		if (!n->used)
			return n;
		if (!best || (best->kept && !n->kept) || (!best->kept == !n->kept && n->asked < best->asked))
			best = n;
	}
	return best;
}

struct pccs_entry *pccs_entry_make(struct pccs_table *t, const struct dcap_platform *platform, bool has_disk)
{
	struct pccs_entry *n = pccs_entry_find(t, platform);

	if (n || !(n = make_room(t)))
		return n;
	pccs_blob_drop(&n->kept);
	pccs_blob_drop(&n->candidate);
	*n = (struct pccs_entry){ .used = true, .platform = *platform, .no_disk = !has_disk };
	return n;
}

bool pccs_is_kept(const struct pccs_entry *n, uint64_t now)
{
	return n->kept && now <= n->expires;
}

bool pccs_is_young(const struct pccs_entry *n, uint64_t now)
{
	return pccs_is_kept(n, now) && now < n->kept->fetched + PCCS_KEEP_MAX;
}

bool pccs_is_due(const struct pccs_entry *n, uint64_t now)
{
	if (!n->used || n->busy || !n->kept || now < n->tried + PCCS_RETRY_EVERY ||
	    n->asked < n->kept->fetched)
		return false;
	uint64_t life = n->expires > n->kept->fetched ? n->expires - n->kept->fetched : 0;
	uint64_t from = n->candidate ? n->candidate->fetched : n->kept->fetched;

	return now >= from + (life < PCCS_KEEP_MAX ? life : PCCS_KEEP_MAX) / 2;
}
