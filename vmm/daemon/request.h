// request - what a caller asks for as a VmConfiguration or an UpdateVmRequest, checked.
#pragma once
#include "state.h"
#include "vmm.pb-c.h"

int request_read(struct vm_request *q, const Vmm__VmConfiguration *in, const struct daemon *d, struct err *e);
// Of a VM that exists, environment and user config can change; anything else asked for is refused.
int request_check_update(const Vmm__UpdateVmRequest *in, struct err *e);
