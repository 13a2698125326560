#include "share.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "blockdev.h"

const char *const share_names[SHARE_FILES] = {
	[SHARE_COMPOSE] = "app-compose.json", [SHARE_SYS_CONFIG] = ".sys-config.json",
	[SHARE_INSTANCE] = ".instance_info",  [SHARE_ENV] = ".encrypted-env",
	[SHARE_USER_CONFIG] = ".user-config",
};
static const struct {
	size_t max;
	bool required;
} rules[SHARE_FILES] = {
	[SHARE_COMPOSE] = { 50 << 20, true },      [SHARE_SYS_CONFIG] = { 32 << 10, true },
	[SHARE_INSTANCE] = { 10 << 10, false },    [SHARE_ENV] = { 256 << 10, false },
	[SHARE_USER_CONFIG] = { 50 << 20, false },
};

// "file.too_large" is "share.too_large" here: the stage that refused.
static int refused(const char *name, struct err *e)
{
	char what[sizeof e->code];

	snprintf(what, sizeof what, "%s", str_starts(e->code, "file.") ? e->code + 5 : "read");
	if (!strcmp(what, "absent"))
		snprintf(what, sizeof what, "missing");
	snprintf(e->code, sizeof e->code, "share.%.40s", what);
	return err_wrap(e, "shared file %s", name);
}

int share_read_dir(const char *dir, struct arena *a, struct share *out, struct err *e)
{
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	*out = (struct share){ 0 };
	if (fd < 0)
		return err_errno(e, "open the share");
	for (int i = 0; i < SHARE_FILES; i++) {
		auto_free char *bytes = NULL;
		size_t n = 0;

		if (file_read_at(fd, share_names[i], rules[i].max, &bytes, &n, e)) {
			if (e->class == ERR_ABSENT && !rules[i].required)
				continue;
			return refused(share_names[i], e);
		}
		const void *kept = arena_dup(a, bytes, n);
		if (!kept)
			return err_set(e, ERR_SYSTEM, "out of memory");
		out->file[i] = span_of(kept, n);
	}
	return 0;
}

int share_read_disk(const char *work_dir, struct arena *a, struct share *out, struct err *e)
{
	char device[DEV_PATH];
	auto_free char *at = str_format("%s/.share", work_dir);

	if (!at || blockdev_by_fat_label("DSTACKSHR", device, e))
		return at ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	if (mkdir(at, 0700) ||
	    mount(device, at, "vfat", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "utf8")) {
		err_errno(e, "mount the share %s", device);
		snprintf(e->code, sizeof e->code, "share.mount");
		rmdir(at);
		return -1;
	}
	int rc = share_read_dir(at, a, out, e);
	if (umount2(at, 0) && !rc)
		rc = err_errno(e, "unmount the share");
	rmdir(at);
	return rc;
}
