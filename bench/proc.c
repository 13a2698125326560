#include "proc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double proc_cpu_ns(const char *pid)
{
	char path[64];
	double sum = 0;

	snprintf(path, sizeof path, "/proc/%s/task", pid);
	DIR *d = opendir(path);
	if (!d) {
		perror(path);
		exit(1);
	}
	for (const struct dirent *t; (t = readdir(d));) {
		char file[400];
		double ns = 0;
		snprintf(file, sizeof file, "%s/%s/schedstat", path, t->d_name);
		FILE *f = t->d_name[0] == '.' ? NULL : fopen(file, "r");
		if (f && fscanf(f, "%lf", &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	closedir(d);
	return sum;
}

// The number behind `name` in a file of lines.
static long number(const char *path, const char *name)
{
	char line[256];
	long n = 0;

	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, name, strlen(name)) && sscanf(line + strlen(name), ": %ld", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

long proc_pss_kib(const char *pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%s/smaps_rollup", pid);
	return number(path, "Pss");
}

// Adds up `one` over the process and its children, theirs included.
static double tree(const char *pid, double (*one)(const char *pid))
{
	char path[64], child[16];
	double sum = one(pid);

	snprintf(path, sizeof path, "/proc/%s/task/%s/children", pid, pid);
	FILE *f = fopen(path, "r");
	while (f && fscanf(f, "%15s", child) == 1)
		sum += tree(child, one);
	if (f)
		fclose(f);
	return sum;
}

static double pss(const char *pid)
{
	return (double)proc_pss_kib(pid);
}

double proc_tree_cpu_ns(const char *pid)
{
	return tree(pid, proc_cpu_ns);
}

long proc_tree_pss_kib(const char *pid)
{
	return (long)tree(pid, pss);
}

long proc_resident_kib(void)
{
	return number("/proc/self/smaps_rollup", "Rss");
}

long proc_peak_kib(void)
{
	return number("/proc/self/status", "VmHWM");
}

void proc_peak_reset(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	if (!f || fputs("5", f) < 0 || fclose(f)) {
		perror("/proc/self/clear_refs");
		exit(1);
	}
}
