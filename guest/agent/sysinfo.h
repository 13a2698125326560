// sysinfo - the machine in numbers, and its networks: what GuestApi and /metrics tell.
//
// Reads a dozen small files of /proc and /sys, never the table of processes. Only the file systems the set-up
// named (data_disks) and the interfaces dstack-wg0, enp* and eth* are shown: bridges and overlays of
// containers are the app's own affair. Needs no privilege.
#pragma once
#include <ifaddrs.h>
#include "base/arena.h"
#include "base/err.h"
#include "host.pb-c.h"

// `root` stands before every path ("" outside tests). Strings are in the arena. Code: agent.sysinfo.
int sysinfo_fill(const char *root, const char *const *disks, size_t n_disks, struct arena *a,
		 Host__SystemInfo *out, struct err *e);
int netinfo_fill(const char *root, const struct ifaddrs *addresses, struct arena *a,
		 Host__NetworkInformation *out, struct err *e);
