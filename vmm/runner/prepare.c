#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../child.h"
#include "../share.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "private.h"

enum { READY_MS = 15000, SETUP_S = 60 };

// The data disk: a sparse file, made once, only ever grown.
static int data_disk(const struct runner *r, struct err *e)
{
	auto_close int fd = open("hda.img", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	off_t want = (off_t)(r->launch.disk_gib << 30);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return err_errno(e, "open the data disk");
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_SYSTEM, "hda.img is not a regular file");
	if (st.st_size < want && ftruncate(fd, want))
		return err_errno(e, "size the data disk to %llu GiB", (unsigned long long)r->launch.disk_gib);
	return 0;
}

int prepare_disks(struct runner *r, struct err *e)
{
	static const char *const stale[] = { "serial.pty", "qmp.sock", "vsock.sock", "guest.sock",
					     "host.sock",  "tpm.sock", "tee.sock" };

	for (size_t i = 0; i < sizeof stale / sizeof *stale; i++)
		unlink(stale[i]);
	return data_disk(r, e) || share_build_disk(".", e) ? -1 : 0;
}

// A TPM of its own for the VM, with the one bank that the firmware shall measure into.
static int setup_tpm(const struct runner *r, struct err *e)
{
	auto_free char *tool = strdup(r->launch.swtpm_setup);
	char out[2048];
	char *argv[] = { tool,
			 (char[]){ "--tpm2" },
			 (char[]){ "--tpmstate" },
			 (char[]){ "tpm" },
			 (char[]){ "--pcr-banks" },
			 (char[]){ "sha384" },
			 (char[]){ "--overwrite" },
			 NULL };

	if (file_exists("tpm/tpm2-00.permall"))
		return 0;
	if (file_mkdirs("tpm", 0700, e))
		return -1;
	int status =
		tool ? child_run(argv, SETUP_S, out, sizeof out, e) : err_set(e, ERR_SYSTEM, "out of memory");
	if (status < 0)
		return err_wrap(e, "set up the TPM");
	if (status > 0)
		return err_code(e, ERR_SYSTEM, "vmm.tpm", "%s ended with %d: %s", tool, status, STR_QZ(out));
	return 0;
}

static pid_t start_tool(const struct args *a, const char *log, struct err *e)
{
	struct child_plan p = { .argv = (char *const *)a->v, .log = log };

	if (a->bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return child_start(&p, e);
}

static int wait_for(const char *path, pid_t who, struct err *e)
{
	uint64_t until = time_mono_ms() + READY_MS;

	while (!file_exists(path)) {
		siginfo_t info = { 0 };

		if (!waitid(P_PID, (id_t)who, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid == who)
			return err_code(e, ERR_SYSTEM, "vmm.softtee",
					"the software TEE ended at once, see tee.log");
		if (time_mono_ms() > until)
			return err_code(e, ERR_AGAIN, "vmm.softtee", "%s did not appear in %d s, see tee.log",
					path, READY_MS / 1000);
		time_sleep_ms(10);
	}
	return 0;
}

int prepare_tee(struct runner *r, struct err *e)
{
	const struct launch *l = &r->launch;
	auto_args tpm = { 0 }, tee = { 0 };

	if (l->platform != PLATFORM_SOFT)
		return 0;
	if (setup_tpm(r, e))
		return -1;
	args_add(&tpm, "%s", l->swtpm);
	args_add(&tpm, "socket");
	args_add(&tpm, "--tpm2");
	args_pair(&tpm, "--tpmstate", "dir=tpm");
	args_pair(&tpm, "--ctrl", "type=unixio,path=tpm/ctrl,mode=0600");
	args_add(&tpm, "--terminate");
	unlink("tpm/ctrl");
	r->swtpm = start_tool(&tpm, "tee.log", e);
	if (r->swtpm < 0)
		return -1;
	args_add(&tee, "%s", l->softtee);
	args_add(&tee, "vm");
	args_pair(&tee, "--dir", "%s", l->pki);
	args_pair(&tee, "--ctrl-listen", "tpm.sock");
	args_pair(&tee, "--swtpm-ctrl", "tpm/ctrl");
	args_pair(&tee, "--listen", "unix:tee.sock");
	args_pair(&tee, "--mrtd", "%s", STR_HEX(l->mrtd, MEASURE_LEN));
	if (l->has_mr_config)
		args_pair(&tee, "--mrconfigid", "%s", STR_HEX(l->mr_config, MR_CONFIG_SIZE));
	r->softtee = start_tool(&tee, "tee.log", e);
	if (r->softtee < 0)
		return -1;
	return wait_for("tpm.sock", r->softtee, e);
}
