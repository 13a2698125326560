// guestlike - a confidential VM that nobody boots: the registers its image would give, its event log, and
// evidence made of them under a development PKI. For tests and benchmarks only.
#pragma once
#include "base/err.h"
#include "core/attest/envelope.h"
#include "core/measure/measure.h"
#include "quote.h"

enum { GUESTLIKE_EVENTS = 32, GUESTLIKE_MAX = 64 * 1024 };

struct guestlike_who {
	const char *image; // folder, as `fakeguest image` makes it
	uint8_t app[20], compose[32], instance[20], hash[32];
	bool has_instance;
	bool ready; // its boot is over: events behind boot-mr-done
};

struct guestlike {
	char config[512];
	uint8_t acpi[4][48];
	struct event log_events[GUESTLIKE_EVENTS], runtime_events[GUESTLIKE_EVENTS];
	struct eventlog log, runtime;
};

int guestlike_image(struct guestlike_who *w, struct err *e); // reads w->hash
void guestlike_make(struct guestlike *g, const struct guestlike_who *w);
int guestlike_registers(const struct guestlike *g, const struct guestlike_who *w, struct measured *out,
			uint8_t rtmr3[48], struct err *e);
// What its quote says over that report data.
int guestlike_body(const struct guestlike *g, const struct guestlike_who *w, const uint8_t report_data[64],
		   struct quote_body *out, struct err *e);
// The envelope around a quote; `strip` as certificates carry it.
int guestlike_envelope(const struct guestlike *g, struct span quote, bool strip, struct wr *out,
		       struct err *e);
