#include "stack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/time.h"

enum { READY_MS = 30000, STOP_MS = 15000, STEP_MS = 20 };

// Field 22 of /proc/PID/stat; 0 when there is no such process, or it is a zombie.
static unsigned long long start_time(pid_t pid)
{
	char path[64];
	auto_free char *text = NULL;
	size_t n;
	struct err e;
	unsigned long long t = 0;
	char state = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (file_read(path, 8192, &text, &n, &e))
		return 0;
	const char *p = strrchr(text, ')');
	if (!p ||
	    sscanf(p, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
		   &state, &t) != 2)
		return 0;
	return state == 'Z' ? 0 : t;
}

bool stack_is_running(const char *dir, const char *name, pid_t *pid)
{
	char path[PATH_MAX];
	auto_free char *text = NULL;
	size_t n;
	struct err e;
	int number;
	unsigned long long began;

	snprintf(path, sizeof path, "%s/run/%s.pid", dir, name);
	if (file_read(path, 64, &text, &n, &e) || sscanf(text, "%d %llu", &number, &began) != 2 ||
	    number <= 1)
		return false;
	*pid = number;
	return start_time(number) == began;
}

void stack_program_dir(char out[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);

	out[n > 0 ? n : 0] = 0;
	char *slash = strrchr(out, '/');
	if (slash)
		*slash = 0;
}

static void resolve(char out[PATH_MAX], const char *program)
{
	char dir[PATH_MAX];

	stack_program_dir(dir);
	snprintf(out, PATH_MAX, "%s/%s", dir, program);
	if (strchr(program, '/') || access(out, X_OK) != 0)
		snprintf(out, PATH_MAX, "%s", program);
}

static pid_t spawn(const char *dir, const struct stack_service *s, struct err *e)
{
	char program[PATH_MAX], log[PATH_MAX];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	resolve(program, s->argv[0]);
	snprintf(log, sizeof log, "%s/log/%s.log", dir, s->name);
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	pid_t child = null >= 0 && out >= 0 ? fork() : -1;
	if (child == 0) {
		setsid();
		dup2(null, 0);
		dup2(out, 1);
		dup2(out, 2);
		execvp(program, (char *const *)(uintptr_t)s->argv);
		dprintf(2, "run %s: %s\n", program, strerror(errno));
		_exit(127);
	}
	if (child < 0)
		err_errno(e, "start %s", s->name);
	if (null >= 0)
		close(null);
	if (out >= 0)
		close(out);
	return child;
}

static int connect_to(const char *where)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	bool tcp = strncmp(where, "tcp:", 4) == 0;
	int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (tcp)
		in.sin_port = htons((uint16_t)atoi(where + 4));
	else
		snprintf(u.sun_path, sizeof u.sun_path, "%s", where + 5);
	int status = tcp ? connect(fd, (struct sockaddr *)&in, sizeof in)
			 : connect(fd, (struct sockaddr *)&u, sizeof u);
	close(fd);
	return status;
}

static void last_line(const char *dir, const char *name, char *out, size_t cap)
{
	char path[PATH_MAX], line[512];
	auto_file FILE *f = NULL;

	snprintf(path, sizeof path, "%s/log/%s.log", dir, name);
	snprintf(out, cap, "see %s", path);
	if (!(f = fopen(path, "re")))
		return;
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		if (*line)
			snprintf(out, cap, "%s", line);
	}
}

static int wait_ready(const char *dir, const struct stack_service *s, pid_t child, struct err *e)
{
	uint64_t end = time_mono_ms() + READY_MS;
	char said[300];

	while (time_mono_ms() < end) {
		if (waitpid(child, NULL, WNOHANG) == child) {
			last_line(dir, s->name, said, sizeof said);
			return err_code(e, ERR_SYSTEM, "stack.died", "%s ended at its start: %s", s->name,
					said);
		}
		if (connect_to(s->ready) == 0)
			return 0;
		time_sleep_ms(STEP_MS);
	}
	return err_code(e, ERR_AGAIN, "stack.not_ready",
			"%s does not answer at %s after %d s; see %s/log/%s.log", s->name, s->ready,
			READY_MS / 1000, dir, s->name);
}

int stack_start(const char *dir, const struct stack_service *s, struct err *e)
{
	char path[PATH_MAX], text[64];
	pid_t pid;

	if (stack_is_running(dir, s->name, &pid))
		return 0;
	if (connect_to(s->ready) == 0)
		return err_code(e, ERR_AGAIN, "stack.port_taken",
				"%s: something else already listens at %s; choose --port-base", s->name,
				s->ready);
	pid = spawn(dir, s, e);
	if (pid < 0)
		return -1;
	snprintf(path, sizeof path, "%s/run/%s.pid", dir, s->name);
	snprintf(text, sizeof text, "%d %llu\n", (int)pid, start_time(pid));
	if (file_write_str(path, 0600, text, e)) {
		kill(pid, SIGTERM);
		return -1;
	}
	return wait_ready(dir, s, pid, e);
}

int stack_stop(const char *dir, const char *name, bool *was_running, struct err *e)
{
	char path[PATH_MAX];
	pid_t pid, same;

	snprintf(path, sizeof path, "%s/run/%s.pid", dir, name);
	*was_running = stack_is_running(dir, name, &pid);
	if (!*was_running)
		return file_remove(path, e);
	for (int sig = SIGTERM;; sig = SIGKILL) {
		uint64_t end = time_mono_ms() + STOP_MS;
		if (kill(pid, sig) && errno != ESRCH)
			return err_errno(e, "stop %s", name);
		while (time_mono_ms() < end) {
			waitpid(pid, NULL, WNOHANG);
			if (!stack_is_running(dir, name, &same))
				return file_remove(path, e);
			time_sleep_ms(STEP_MS);
		}
		if (sig == SIGKILL)
			return err_set(e, ERR_SYSTEM, "%s (pid %d) does not end", name, (int)pid);
	}
}

int stack_run(const char *dir, const struct stack_service *s, struct err *e)
{
	int status = 0;
	char said[300];
	pid_t child = spawn(dir, s, e);

	if (child < 0)
		return -1;
	if (waitpid(child, &status, 0) != child || status != 0) {
		last_line(dir, s->name, said, sizeof said);
		return err_code(e, ERR_SYSTEM, "stack.failed", "%s: %s", s->name, said);
	}
	return 0;
}
