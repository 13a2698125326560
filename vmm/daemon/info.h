// info - VmInfo of a VM, for Status and GetInfo.
#pragma once
#include "state.h"
#include "vmm.pb-c.h"

struct arena;
// `brief` leaves the configuration out. NULL when out of memory.
Vmm__VmInfo *info_of(struct vm *v, bool brief, struct arena *a);
