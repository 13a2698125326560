// bootlog - a firmware log file read into events; the bytes are judged by core/attest/eventlog.
//
// `tpm` says which form: a TPM's binary_bios_measurements, else a CCEL table.
#pragma once
#include "tee/tee.h"

int bootlog_load(bool tpm, const char *path, struct tee_log *out, struct err *e);
