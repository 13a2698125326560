// explain_fixture - a real TD with its log, recorded boots of the software TEE, and what the tests of explain
// ask of them.
#pragma once
#include "core/measure/explain.h"

struct td {
	struct vm_config config;
	struct measurement_tdx m;
	struct eventlog log;
	uint8_t mrtd[MEASURE_LEN];
};

void read_td(struct td *t);
void explain_td(struct explain *x, struct td *t);
// The nth event (from 0) of a register.
struct event *nth(const struct eventlog *log, uint32_t imr, size_t n);
void assert_first(const struct explain *x, const char *cause, unsigned imr, const char *name,
		  const char *part);
void insert(struct eventlog *log, size_t at, struct event e);
void read_soft(struct eventlog *log, struct event *e, const char *file);
void explain_soft(struct explain *x, const char *expected, const char *got,
		  const struct explain_facts *facts);
