#include "image_pack.h"

#include <event2/event.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "rpc/server.h"

enum { MANIFEST_MAX = 64 * 1024, FILES_MAX = 32, ARCHIVE_MAX = 512 << 20, NAME = 3 + 64 + 7 };

// The names of "<64 hex>  <name>" lines, cut out of `text`.
static int read_names(char *text, const char *names[static FILES_MAX], size_t *n, struct err *e)
{
	*n = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		uint8_t hash[32];
		char *name = strlen(line) > 66 ? line + 66 : NULL;

		if (!name || memcmp(line + 64, "  ", 2) != 0 || strchr(name, '/') || *name == '-' ||
		    *name == '.')
			return err_code(e, ERR_INPUT, "image.manifest", "sha256sum.txt: %s is no line of one",
					STR_QZ(line));
		line[64] = 0;
		if (!hex_exact(hash, sizeof hash, line) || *n == FILES_MAX)
			return err_code(e, ERR_INPUT, "image.manifest", "sha256sum.txt: %s is no SHA-256",
					STR_QZ(line));
		names[(*n)++] = name;
	}
	return *n ? 0 : err_code(e, ERR_INPUT, "image.manifest", "sha256sum.txt is empty");
}

static int run_tar(const char *dir, const char *out, const char *const *names, size_t n, struct err *e)
{
	const char *argv[FILES_MAX + 16] = { "tar",
					     "--mtime=@0",
					     "--owner=0",
					     "--group=0",
					     "--mode=0644",
					     "--numeric-owner",
					     "--format=ustar",
					     "-C",
					     dir,
					     "-czf",
					     out,
					     "sha256sum.txt" };
	size_t at = 0;
	int status;

	while (argv[at])
		at++;
	memcpy(argv + at, names, n * sizeof *names);
	pid_t pid = fork();
	if (pid == 0) {
		execvp("tar", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return err_errno(e, "run tar");
	return status ? err_set(e, ERR_SYSTEM, "tar could not pack %s", dir) : 0;
}

int image_pack(const char *dir, const char *to, struct err *e)
{
	char path[PATH_MAX], made[PATH_MAX + 8];
	const char *names[FILES_MAX];
	auto_free char *text = NULL;
	uint8_t hash[32];
	size_t n;

	if (snprintf(path, sizeof path, "%s/sha256sum.txt", dir) >= (int)sizeof path)
		return err_set(e, ERR_INPUT, "path is too long");
	if (file_read(path, MANIFEST_MAX, &text, &n, e))
		return -1;
	SHA256((const uint8_t *)text, n, hash);
	if (snprintf(path, sizeof path, "%s/mr_%s.tar.gz", to, STR_HEX(hash, sizeof hash)) >=
	    (int)sizeof path)
		return err_set(e, ERR_INPUT, "path is too long");
	if (file_exists(path))
		return 0;
	snprintf(made, sizeof made, "%s.new", path);
	if (read_names(text, names, &n, e) || file_mkdirs(to, 0755, e) || run_tar(dir, made, names, n, e))
		return -1;
	return rename(made, path) ? err_errno(e, "keep %s", path) : 0;
}

static bool is_archive_name(struct span name)
{
	char text[NAME + 1];
	uint8_t hash[32];

	if (name.n != NAME)
		return false;
	memcpy(text, name.p, NAME);
	text[NAME] = 0;
	bool fits = str_starts(text, "mr_") && str_ends(text, ".tar.gz");
	text[3 + 64] = 0;
	return fits && hex_exact(hash, sizeof hash, text + 3);
}

static void answer(struct http_conn *c, void *arg)
{
	const char *dir = arg;
	struct span path = http_request(c)->path;
	struct span name = path.n ? span_sub(path, 1, path.n - 1) : path;
	auto_free char *data = NULL;
	char file[PATH_MAX];
	struct err e;
	size_t n;

	http_last(c);
	if (!is_archive_name(name) ||
	    snprintf(file, sizeof file, "%s/%.*s", dir, (int)name.n, (const char *)name.p) >=
		    (int)sizeof file ||
	    file_read(file, ARCHIVE_MAX, &data, &n, &e))
		http_reply(c, 404, "text/plain", "no such image\n", 14);
	else
		http_reply(c, 200, "application/gzip", data, n);
}

int image_serve(const char *dir, const char *address, struct err *e)
{
	struct event_base *base = event_base_new();
	struct rpc_server *s = base ? rpc_server_new(base) : NULL;
	int rc = -1;

	if (!s || rpc_server_raw(s, "/*", answer, (void *)(uintptr_t)dir)) {
		err_set(e, ERR_SYSTEM, "out of memory");
	} else {
		rpc_server_limits(s, 16, 10, 10, 60);
		rc = rpc_server_listen(s, address, NULL, 0, e);
		if (!rc) {
			log_info("images", "serving archives folder=%s address=%s", dir, address);
			event_base_dispatch(base);
		}
	}
	if (s)
		rpc_server_free(s);
	if (base)
		event_base_free(base);
	return rc;
}
