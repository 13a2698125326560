// pccs_seen - how new the newest collateral was that verified, so that older collateral can be told from it.
//
// Intel's documents are valid for about 30 days, so for that long whoever stands between can hand out the one
// from before a vulnerability was published. Order: evaluation number, then issue date; of a CRL its number,
// then thisUpdate. Only verified collateral may be recorded. Kept in memory and in DIR/newest.json, which
// several processes may share. Safe to call from several threads.
#pragma once
#include "base/err.h"
#include "core/attest/dcap.h"

enum { PCCS_DOCS = 4, PCCS_NAME = 64 };

struct pccs_fact {
	char name[PCCS_NAME];  // which document: root's key id, kind, platform
	uint64_t major, minor; // evaluation number or CRL number; issue time
};

struct pccs_facts {
	struct pccs_fact doc[PCCS_DOCS];
};

// From the text of collateral. collateral.format.
int pccs_facts_read(struct pccs_facts *f, const struct dcap_platform *platform, struct span json,
		    struct err *e);

struct pccs_seen;

struct pccs_seen *pccs_seen_new(const char *dir, struct err *e); // NULL dir: memory only; collateral.newest
void pccs_seen_free(struct pccs_seen *s);
// -1, collateral.downgrade: one of the documents is older than one recorded.
int pccs_seen_check(struct pccs_seen *s, const struct pccs_facts *f, struct err *e);
void pccs_seen_record(struct pccs_seen *s, const struct pccs_facts *f);
