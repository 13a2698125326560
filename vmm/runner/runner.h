// runner - the process that owns one VM: its network namespace, its software TEE, its disks and QEMU.
//
// Started by the daemon in the VM's folder and independent of it afterwards: launch.json tells it what to do,
// vm-runtime.json what is going on, runner.lock (held while it lives) that it is there. SIGTERM stops the VM
// at once, SIGUSR1 asks the guest to power off. When the runner dies, whatever it started dies with it.
#pragma once
#include "base/err.h"

// Returns when the VM has ended: 0 when it was stopped, powered off or asked to.
int runner_run(const char *dir, struct err *e);
