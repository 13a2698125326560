#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

static void keep_last_line(char said[static RUN_SAID], const char *p, size_t n)
{
	size_t have = strlen(said);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '\n' && i + 1 < n) {
			have = 0;
			continue;
		}
		if (have + 1 < RUN_SAID && c >= ' ' && c < 0x7F)
			said[have++] = (char)c;
	}
	said[have] = 0;
}

int run(const char *const argv[], char said[static RUN_SAID], struct err *e)
{
	int out[2], status;

	said[0] = 0;
	if (pipe2(out, O_CLOEXEC))
		return err_errno(e, "run %s", argv[0]);
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY);

		dup2(null, 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		execvp(argv[0], (char *const *)(const void *)argv);
		_exit(127);
	}
	close(out[1]);
	auto_close int from = out[0];
	if (pid < 0)
		return err_errno(e, "run %s", argv[0]);
	char buf[512];
	for (ssize_t n; (n = read(from, buf, sizeof buf)) > 0 || (n < 0 && errno == EINTR);)
		if (n > 0)
			keep_last_line(said, buf, (size_t)n);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(e, "run %s", argv[0]);
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
		return err_set(e, ERR_SYSTEM, "run %s: not there, or ended by a signal", argv[0]);
	return WEXITSTATUS(status);
}
