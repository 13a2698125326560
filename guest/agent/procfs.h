// procfs - readers for the few files of the kernel that SysInfo and NetworkInfo are made from.
//
// Pure functions over bytes: no file is opened here, nothing is allocated. The texts are the kernel's own
// (proc(5)) and os-release(5), resolv.conf(5); still every number is bounded and every name checked, since
// interface, mount and device names are chosen by containers.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/codec/buf.h"

enum { PROC_NAME = 16, PROC_TEXT = 128 };

struct proc_memory { // bytes
	uint64_t total, available, free, swap_total, swap_free;
};

struct proc_interface {
	char name[PROC_NAME];
	uint64_t rx_bytes, rx_errors, tx_bytes, tx_errors;
};

// -1: not such a file.
MUST_USE int proc_meminfo(struct span text, struct proc_memory *out);
MUST_USE int proc_loadavg(struct span text, uint32_t out[static 3]); // hundredths, truncated
MUST_USE int proc_uptime(struct span text, uint64_t *seconds);
MUST_USE int proc_cpus(struct span text, uint32_t *n); // how many "0-3,5" are

// The first line "NAME<blanks>SEP<blanks>VALUE": the value without quotes around it, "" when there is none
// or it is longer than `cap` or not text.
void proc_value(struct span text, const char *name, char sep, char *out, size_t cap);
// The device of the last mount at `at` in a mount table; false when nothing is mounted there.
bool proc_mount(struct span text, const char *at, char *device, size_t cap);

// Each call takes lines from *rest until one is of interest; false when none is left.
bool proc_next_interface(struct span *rest, struct proc_interface *out); // net/dev
// Default routes: net/route, net/ipv6_route.
bool proc_next_gateway(struct span *rest, char name[static PROC_NAME], char address[static 46]);
bool proc_next_gateway6(struct span *rest, char name[static PROC_NAME], char address[static 46]);
bool proc_next_nameserver(struct span *rest, char address[static 64]);
