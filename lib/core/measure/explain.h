// explain - where a boot log departs from the expected one, and why, in words.
//
// Events are aligned register by register with the fewest changes, so that one inserted or missing event does
// not make all that follow look different. The cause is a stable word (causes below) and a sentence; it is
// found by trying: other memory sizes give another TD HOB and kernel digest, an unpatched kernel has its own
// digest. Pure functions over what the caller read; nothing here is evidence.
#pragma once
#include "core/measure/measure.h"

enum explain_kind { EXPLAIN_CHANGED, EXPLAIN_MISSING, EXPLAIN_EXTRA };
enum { EXPLAIN_MAX = 16, EXPLAIN_MRTD = 4, EXPLAIN_EVENTS_MAX = 128, EXPLAIN_TEXT = 240 };

// Causes: memory_size, cpu_count, devices, qemu_version, acpi_tables, command_line, initrd, kernel,
// header_patch, firmware, page_order, secure_boot, boot_path, order, missing.
struct explain_diff {
	unsigned imr; // register, or EXPLAIN_MRTD
	enum explain_kind kind;
	size_t want_at, got_at; // place in the register's events, from 1; 0 where there is none
	const char *name;       // of the event
	const char *cause;
	struct span want, got; // digests
	char text[EXPLAIN_TEXT];
};

struct explain {
	struct explain_diff d[EXPLAIN_MAX]; // in order: MRTD, then register by register
	size_t n;                           // all differences; d holds the first EXPLAIN_MAX
	bool boot, mrtd; // compared: registers 0 to 2 (not when the log lost its boot events), MRTD
	bool acpi_taken; // the ACPI digests expected are those of the log: they say nothing
};

// What is known beside the two logs; all may be absent.
struct explain_facts {
	const struct measurement_tdx *m; // the image; NULL when the expected side is a log
	const struct vm_config *expected,
		*actual;      // the machine as it should be, and as the log's side says it is
	struct span kernel;   // the image's kernel file
	uint64_t initrd_size; // with kernel
	const uint8_t *mrtd;  // of the quote that came with the log, 48 bytes
};

// What an image should have logged on the machine `c`. The log gives the ACPI digests; unlike measure_expect
// this does not refuse a log with too few or too many of them.
int explain_expect(struct measured *out, const struct measurement_tdx *m, const uint8_t kernel[MEASURE_LEN],
		   const struct vm_config *c, const struct eventlog *log, struct fault *f);
// Registers 0 to 2 of another log, of a machine known to be good. events.limit when it is too long.
int explain_reference(struct measured *out, const struct eventlog *log, struct fault *f);

void explain_logs(struct explain *out, const struct measured *want, const struct eventlog *log,
		  const struct explain_facts *facts);
// Part of explain_logs: cause and text of every difference that was found.
void explain_causes(struct explain *x, const struct measured *want, const struct explain_facts *facts);
// {"equal":bool,"first":{...}|null,"differences":[{"register","event","expected_event","log_event","kind","cause",
// "expected","got","text"}],"notes":[...]}
void explain_json(struct wr *out, const struct explain *x);
void explain_text(struct wr *out, const struct explain *x); // lines for people
