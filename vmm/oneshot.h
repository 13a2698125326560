// oneshot - `dstack-vmm run vm.json`: one VM from a VmConfiguration file, without a daemon.
#pragma once

int oneshot_main(int argc, char **argv); // argv[0] is "run"; gives the exit status
