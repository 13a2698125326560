#include "blockdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "header.h"

#define SYS_BLOCK "/sys/class/block"

enum { NAMES_MAX = 64, NAME_CAP = 32, WAIT_TENTHS = 50, BLANK_STEP = 1 << 20 };

struct names {
	char v[NAMES_MAX][NAME_CAP];
	size_t n;
};

bool fat_label(const unsigned char sector[static 512], char out[static 12])
{
	size_t at = !memcmp(sector + 82, "FAT32   ", 8) ? 71 : !memcmp(sector + 54, "FAT1", 4) ? 43 : 0;

	if (!at || sector[510] != 0x55 || sector[511] != 0xAA)
		return false;
	memcpy(out, sector + at, 11);
	out[11] = 0;
	for (size_t n = 11; n && out[n - 1] == ' '; n--)
		out[n - 1] = 0;
	return true;
}

static int list(struct names *out, struct err *e)
{
	DIR *d = opendir(SYS_BLOCK);

	out->n = 0;
	if (!d)
		return err_errno(e, "list %s", SYS_BLOCK);
	for (struct dirent *ent; (ent = readdir(d)) && out->n < NAMES_MAX;)
		if (ent->d_name[0] != '.' && strlen(ent->d_name) < NAME_CAP &&
		    strncmp(ent->d_name, "ram", 3) && strncmp(ent->d_name, "loop", 4))
			snprintf(out->v[out->n++], NAME_CAP, "%s", ent->d_name);
	closedir(d);
	return 0;
}

static bool attribute(const char *name, const char *what, char *out, size_t cap)
{
	char path[160];

	snprintf(path, sizeof path, SYS_BLOCK "/%s/%s", name, what);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);
	out[n < 0 ? 0 : n] = 0;
	return n >= 0;
}

static bool read_at(const char *name, off_t at, void *out, size_t n)
{
	char path[DEV_PATH];

	snprintf(path, sizeof path, "/dev/%s", name);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && pread(fd, out, n, at) == (ssize_t)n;
}

int blockdev_by_fat_label(const char *label, char out[static DEV_PATH], struct err *e)
{
	struct names names;
	size_t found = 0;

	for (int i = 0; i < WAIT_TENTHS && !found; i++) { // disks may still be probed
		if (i)
			time_sleep_ms(100);
		if (list(&names, e))
			return -1;
		for (size_t k = 0; k < names.n; k++) {
			unsigned char sector[512];
			char got[12];

			if (read_at(names.v[k], 0, sector, sizeof sector) && fat_label(sector, got) &&
			    !strcmp(got, label) && found++ == 0)
				snprintf(out, DEV_PATH, "/dev/%s", names.v[k]);
		}
	}
	if (!found)
		return err_code(e, ERR_ABSENT, "share.missing", "no disk has the label %s", label);
	return found == 1 ? 0
			  : err_code(e, ERR_DENIED, "share.ambiguous", "%zu disks have the label %s", found,
				     label);
}

static bool is_blank(const char *name)
{
	auto_free unsigned char *b = malloc(BLANK_STEP);

	for (off_t at = 0; b && at < HEADER_AREA; at += BLANK_STEP) {
		if (!read_at(name, at, b, BLANK_STEP))
			return false;
		if (b[0] || memcmp(b, b + 1, BLANK_STEP - 1) != 0)
			return false;
	}
	return b != NULL;
}

// Mounted, mapped or read-only disks are somebody else's: the verity root, the share.
static bool is_candidate(const char *name)
{
	char text[16], path[160];
	unsigned char first[HEADER_PROBE];
	bool free_disk = true;

	if (!attribute(name, "ro", text, sizeof text) || text[0] != '0' ||
	    attribute(name, "partition", text, sizeof text) ||
	    attribute(name, "dm/name", text, sizeof text) || !strncmp(name, "zram", 4))
		return false;
	snprintf(path, sizeof path, SYS_BLOCK "/%s/holders", name);
	DIR *d = opendir(path);
	for (struct dirent *ent; d && (ent = readdir(d));)
		free_disk &= ent->d_name[0] == '.';
	if (d)
		closedir(d);
	return free_disk && read_at(name, 0, first, sizeof first);
}

static bool state_of(const char *name, enum data_state *state)
{
	unsigned char first[HEADER_PROBE], second[HEADER_PROBE];

	if (!read_at(name, 0, first, sizeof first))
		return false;
	*state = DATA_LUKS;
	if (header_is_luks(span_of(first, sizeof first)) ||
	    (read_at(name, 16384, second, sizeof second) && header_is_luks(span_of(second, sizeof second))))
		return true;
	*state = DATA_BLANK;
	return is_blank(name);
}

static bool has_part_label(const char *name)
{
	char text[1024];

	return attribute(name, "uevent", text, sizeof text) && strstr(text, "PARTNAME=dstack-data\n");
}

int blockdev_data(char out[static DEV_PATH], enum data_state *state, struct err *e)
{
	struct names names;
	size_t found = 0;

	if (list(&names, e))
		return -1;
	for (size_t k = 0; k < names.n; k++)
		if (has_part_label(names.v[k]) && found++ == 0)
			snprintf(out, DEV_PATH, "/dev/%s", names.v[k]);
	if (found == 1)
		return state_of(out + 5, state)
			       ? 0
			       : err_code(e, ERR_DENIED, "disk.foreign", "%s has other data", out);
	for (size_t k = 0; !found && k < names.n; k++) {
		enum data_state s;

		if (!is_candidate(names.v[k]) || !state_of(names.v[k], &s))
			continue;
		*state = s;
		snprintf(out, DEV_PATH, "/dev/%s", names.v[k]);
		found++;
		for (size_t m = k + 1; m < names.n; m++)
			if (is_candidate(names.v[m]) && state_of(names.v[m], &s))
				found++;
	}
	if (!found)
		return err_code(e, ERR_ABSENT, "disk.missing",
				"no disk for data: none is blank or encrypted");
	return found == 1
		       ? 0
		       : err_code(e, ERR_DENIED, "disk.ambiguous", "%zu disks could be the data disk", found);
}
