#include "proc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

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

long proc_pss_kib(const char *pid)
{
	char path[64], line[256];
	long kib = 0;

	snprintf(path, sizeof path, "/proc/%s/smaps_rollup", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Pss: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}
