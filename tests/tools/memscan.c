// memscan - looks for many byte strings in the memory of other processes.
//
//   memscan PID... <patterns
// Patterns are lines of hex, at least 8 bytes each. Prints for each place: PID, number of the pattern (from
// 0), address, flags of the mapping (proc(5), VmFlags, with commas), its name.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATTERNS = 8192, PATTERN_MAX = 64, SLOTS = 1 << 16, CHUNK = 1 << 20 };

static struct pattern {
	uint8_t b[PATTERN_MAX];
	size_t n;
	int next; // of the same hash, -1: none
} pattern[PATTERNS];
static int slot[SLOTS], patterns;

static unsigned hash(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return (unsigned)(v * UINT64_C(0x9E3779B97F4A7C15) >> 48);
}

static void read_patterns(void)
{
	char line[2 * PATTERN_MAX + 2];

	memset(slot, 0xFF, sizeof slot);
	while (fgets(line, sizeof line, stdin) && patterns < PATTERNS) {
		struct pattern *x = &pattern[patterns];
		unsigned v;
		for (const char *c = line; x->n < PATTERN_MAX && sscanf(c, "%2x", &v) == 1; c += 2)
			x->b[x->n++] = (uint8_t)v;
		if (x->n < 8) {
			fprintf(stderr, "memscan: a pattern of %zu bytes\n", x->n);
			exit(2);
		}
		x->next = slot[hash(x->b)];
		slot[hash(x->b)] = patterns++;
	}
}

static void search(const char *pid, const uint8_t *p, size_t n, uint64_t at, const char *flags,
		   const char *name)
{
	for (size_t i = 0; i + 8 <= n; i++)
		for (int k = slot[hash(p + i)]; k >= 0; k = pattern[k].next)
			if (pattern[k].n <= n - i && !memcmp(pattern[k].b, p + i, pattern[k].n))
				printf("%s %d %llx %s %s\n", pid, k, (unsigned long long)(at + i), flags,
				       name);
}

static void scan_area(const char *pid, int mem, uint64_t from, uint64_t to, const char *flags,
		      const char *name)
{
	static uint8_t b[CHUNK + PATTERN_MAX];

	// Pieces overlap by less than the longest pattern; one on the border may be told twice.
	for (uint64_t at = from; at < to; at += CHUNK) {
		size_t want = to - at < sizeof b ? (size_t)(to - at) : sizeof b;
		ssize_t n = pread(mem, b, want, (off_t)at);
		if (n > 0)
			search(pid, b, (size_t)n, at, flags, name);
	}
}

static int scan(const char *pid)
{
	char path[64], line[512], rights[8] = "", name[256] = "", flags[256];
	unsigned long long from = 0, to = 0;

	snprintf(path, sizeof path, "/proc/%s/mem", pid);
	int mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/%s/smaps", pid);
	FILE *f = fopen(path, "r");
	if (mem < 0 || !f) {
		perror(path);
		return 1;
	}
	while (fgets(line, sizeof line, f)) {
		unsigned long long a, b;
		if (sscanf(line, "%llx-%llx %7s", &a, &b, rights) == 3) {
			from = a;
			to = b;
			snprintf(name, sizeof name, "-");
			sscanf(line, "%*s %*s %*s %*s %*s %255s", name);
		} else if (sscanf(line, "VmFlags: %255[^\n]", flags) == 1 && *rights == 'r' &&
			   name[1] != 'v') {
			for (char *c = flags; *c; c++)
				*c = *c == ' ' ? ',' : *c;
			scan_area(pid, mem, from, to, flags, name);
		}
	}
	fclose(f);
	close(mem);
	return 0;
}

int main(int argc, char **argv)
{
	int rc = argc < 2 ? 2 : 0;

	read_patterns();
	for (int i = 1; i < argc; i++)
		rc |= scan(argv[i]);
	return rc;
}
