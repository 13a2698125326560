// pccs_fixture - a PCCS in the process, a quote of its PKI, a clock that a test moves: for tests of the
// collateral client.
#pragma once
#include "pccs_server.h"
#include "quote.h"
#include "ratls/pccs.h"

enum { HOUR = 3600, DAY = 24 * HOUR };

struct pccs_fixture {
	char dir[64];
	struct pki pki;
	struct pccs_server server;
	uint8_t quote[QUOTE_CAP];
	size_t quote_n;
	struct dcap_platform platform;
	atomic_llong clock_offset;
};
extern struct pccs_fixture fx;

int fx_set_up(void **state); // a group's
int fx_tear_down(void **state);
int fx_each(void **state); // before each test

void must(int r, const struct err *e);
struct pccs *open_pccs(const char *cache, bool compat);
// As trust does it. Which source it was, or PCCS_NOTHING and the reason.
enum pccs_source ask(struct pccs *p, bool *older, struct err *e);
void expect_source(struct pccs *p, enum pccs_source want);
void expect_code(struct pccs *p, const char *code);
