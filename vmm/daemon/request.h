// request - what a caller asks for as a VmConfiguration, checked.
#pragma once
#include "state.h"
#include "vmm.pb-c.h"

int request_read(struct vm_request *q, const Vmm__VmConfiguration *in, const struct daemon *d, struct err *e);
