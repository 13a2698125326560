// pccs_entry - what is kept for each platform, and for how long it serves. Behind pccs.h, whose lock guards
// it.
//
// Texts are counted, so that an answer outlives its entry. Platforms that never verified give way first:
// made-up ones must not drive out genuine ones.
#pragma once
#include <stdatomic.h>

#include "base/err.h"
#include "core/attest/dcap.h"

enum {
	PCCS_ENTRIES = 32,
	PCCS_KEEP_MAX = 24 * 3600, // seconds that a text serves without a look at the source
	PCCS_RETRY_EVERY = 60,     // seconds between fetches in the background
};

struct pccs_blob {
	atomic_uint refs;
	uint64_t fetched;
	bool older;
	size_t n;
	char json[];
};

struct pccs_entry {
	bool used, busy; // busy: being fetched
	bool no_disk;    // there is nothing on disk, or it is no use
	struct dcap_platform platform;
	struct pccs_blob *kept, *candidate;
	uint64_t expires;      // of what is kept
	uint64_t tried, asked; // Unix seconds of the last fetch and question
	uint64_t failed_until;
	struct err failure;
};

struct pccs_table {
	struct pccs_entry entry[PCCS_ENTRIES];
};

struct pccs_blob *pccs_blob_new(const char *json, size_t n, uint64_t fetched); // NULL when out of memory
struct pccs_blob *pccs_blob_ref(struct pccs_blob *b);
void pccs_blob_drop(struct pccs_blob **b);

bool pccs_same(const struct dcap_platform *a, const struct dcap_platform *b);
struct pccs_entry *pccs_entry_find(struct pccs_table *t, const struct dcap_platform *platform);
// Makes room when needed; NULL: all are being fetched.
struct pccs_entry *pccs_entry_make(struct pccs_table *t, const struct dcap_platform *platform, bool has_disk);

bool pccs_is_kept(const struct pccs_entry *n, uint64_t now);  // and valid
bool pccs_is_young(const struct pccs_entry *n, uint64_t now); // and serves without a look at the source
// Half of the time that the newest text may serve has passed, and somebody still asks for it.
bool pccs_is_due(const struct pccs_entry *n, uint64_t now);
