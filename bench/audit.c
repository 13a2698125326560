// audit - what a record of the KMS's audit log costs beside the write and sync of its bytes alone.
//
//   bench-audit DIR [BATCHES]
// Releases that wait together share a sync: batches of as many records as the key process takes at once (32),
// and single ones. The reference writes and syncs the same bytes to a file in the same folder.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audit/log.h"
#include "base/strings.h"

enum { BATCH = 32, BATCHES = 100 };

static void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static double now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct audit_entry release(void)
{
	struct audit_entry x = {
		.event = AUDIT_KEYS, .ok = 1, .has_boot = 1, .has_key = 1, .has_evidence = 1, .n_epochs = 1
	};

	snprintf(x.source, sizeof x.source, "file policy.toml");
	snprintf(x.boot.tee_variant, sizeof x.boot.tee_variant, "dstack-tdx");
	snprintf(x.boot.anchor, sizeof x.boot.anchor, "intel");
	snprintf(x.boot.tcb_status, sizeof x.boot.tcb_status, "UpToDate");
	x.boot.has_app_id = x.boot.has_instance_id = x.boot.has_compose_hash = x.boot.has_os_image_hash =
		true;
	return x;
}

struct cost {
	double wall, cpu, plain; // microseconds a record
	size_t bytes;
};

static void reference(const char *dir, size_t bytes, uint64_t rounds, struct cost *c, size_t batch)
{
	char path[256];
	uint8_t *p = calloc(1, bytes);

	snprintf(path, sizeof path, "%s/plain", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC, 0600);
	double began = now_us(CLOCK_MONOTONIC);
	for (uint64_t i = 0; i < rounds; i++)
		if (fd < 0 || !p || write(fd, p, bytes) != (ssize_t)bytes || fdatasync(fd))
			die(path, "cannot write");
	c->plain = (now_us(CLOCK_MONOTONIC) - began) / (double)(rounds * batch);
	close(fd);
	free(p);
}

static struct cost measure(struct audit_log *l, const char *dir, uint64_t rounds, size_t batch)
{
	struct cost c = { 0 };
	struct audit_entry x = release();
	struct err e = { 0 };
	struct span line;
	uint64_t seq;
	double began = now_us(CLOCK_MONOTONIC), cpu = now_us(CLOCK_PROCESS_CPUTIME_ID);

	for (uint64_t i = 0; i < rounds; i++) {
		c.bytes = 0;
		for (size_t k = 0; k < batch; k++) {
			if (audit_log_add(l, &x, 0, &seq, &line, &e))
				die("add", e.text);
			c.bytes += line.n + 1;
		}
		if (audit_log_commit(l, &e))
			die("commit", e.text);
	}
	c.wall = (now_us(CLOCK_MONOTONIC) - began) / (double)(rounds * batch);
	c.cpu = (now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)(rounds * batch);
	reference(dir, c.bytes, rounds, &c, batch);
	return c;
}

int main(int argc, char **argv)
{
	uint64_t rounds = BATCHES, cut, seq;
	struct audit_entry first = { .event = AUDIT_CREATED, .ok = 1 };
	struct err e = { 0 };
	struct span line;

	if (argc < 2 || argc > 3 || (argc == 3 && !str_u64(argv[2], &rounds)) || !rounds)
		return fprintf(stderr, "usage: bench-audit DIR [BATCHES]\n"), 2;
	struct audit_log *l = audit_log_open(argv[1], &cut, &e);
	if (!l || audit_log_add(l, &first, 0, &seq, &line, &e) || audit_log_commit(l, &e))
		die(argv[1], e.text);
	struct cost one = measure(l, argv[1], rounds, 1), many = measure(l, argv[1], rounds, BATCH);
	printf("# a record of %zu bytes: %.1f us of CPU; %.0f a second in batches of %d\n", one.bytes,
	       many.cpu, 1e6 / many.wall, BATCH);
	printf("kms.audit_append_one\t%.3f\tms\t%.3f\t%.2f\n", one.wall / 1e3, one.plain / 1e3,
	       one.wall / one.plain);
	printf("kms.audit_append_32\t%.4f\tms\t%.4f\t%.2f\n", many.wall / 1e3, many.plain / 1e3,
	       many.wall / many.plain);
	audit_log_close(l);
	return 0;
}
