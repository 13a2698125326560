// proc - what another process has spent, from /proc. Benchmarks only: ends the program when it cannot be
// read.
#pragma once

// CPU nanoseconds of its threads: utime and stime of /proc/PID/stat are in ticks of 10 ms, so they are read
// from schedstat. Threads that have ended are not counted.
double proc_cpu_ns(const char *pid);

// Its share of resident memory (PSS): processes that were forked have most pages in common, which VmRSS
// counts twice.
long proc_pss_kib(const char *pid);

// Both, of the process and everything it has forked, and those their own.
double proc_tree_cpu_ns(const char *pid);
long proc_tree_pss_kib(const char *pid);

// Of this very process, in KiB: resident now; the most since proc_peak_reset.
long proc_resident_kib(void);
long proc_peak_kib(void);
void proc_peak_reset(void);
