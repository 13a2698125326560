// pccs_disk - one file of collateral for each platform, 0600, written whole or not at all. Behind pccs.h.
//
// What is read back is as little trusted as what comes from the network.
#pragma once
#include "base/err.h"
#include "core/attest/dcap.h"

int pccs_disk_open(const char *dir, struct err *e); // makes the folder, removes what a killed process left
// The text and when it was written. ERR_ABSENT: there is none.
int pccs_disk_read(const char *dir, const struct dcap_platform *p, char **json, size_t *n, uint64_t *written,
		   struct err *e);
int pccs_disk_write(const char *dir, const struct dcap_platform *p, const char *json, size_t n,
		    struct err *e);
