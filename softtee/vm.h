// vm - the software TEE of one machine: relay for its TPM, registers, quotes. One process per QEMU start.
#pragma once
#include "quote.h"

struct vm_config {
	const char *ctrl_listen; // for QEMU's -chardev socket
	const char *swtpm_ctrl;  // swtpm's control socket
	const char *listen;      // for the vsock back end, port 4050
	struct quote_body body;  // what is fixed before the start
};

// Returns 0 when QEMU is gone.
int vm_run(const struct vm_config *c, const struct pki *pki, struct err *e);
