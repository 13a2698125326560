// metrics - the machine in numbers for Prometheus: GET /metrics of the external listener (spec 10
// section 1.5).
//
// Only for apps that say public_sysinfo; for others the path does not exist. Strangers ask as often as they
// like, so the text is made at most once a second.
#pragma once
#include "base/sb.h"
#include "outside.h"

struct metrics {
	const struct outside *outside;
	char *text; // the last answer, NULL before the first
	size_t n;
	uint64_t until_ms; // when it is too old
};

void metrics_write(struct sb *b, const Host__SystemInfo *s); // text format 0.0.4
// Nothing unless the app's public_sysinfo is true. `m` lives as long as the server.
int metrics_mount(struct rpc_server *s, struct metrics *m, const struct outside *outside);
void metrics_free(struct metrics *m);
