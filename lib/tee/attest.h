// attest - this guest's evidence over 64 bytes of report data, as an attestation envelope.
//
// A fresh quote, the boot log, the runtime events and the host's vm_config text in one (spec 50 section 6).
// `strip` gives the form for certificates: runtime events without digests and the ACPI events only.
#pragma once
#include "tee/runtime.h"

// *out is malloc'ed. `dir` is the runtime log's folder.
int tee_attest(struct tee *t, const char *dir, const uint8_t report_data[static TEE_REPORT_DATA],
	       struct span vm_config, bool strip, uint8_t **out, size_t *n, struct err *e);
