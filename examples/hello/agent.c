#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 20, TIMEOUT_S = 60 };

static int dial(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/var/run/dstack.sock" };
	struct timeval limit = { .tv_sec = TIMEOUT_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connect(fd, (struct sockaddr *)&at, sizeof at)) {
		close(fd);
		return -1;
	}
	return fd;
}

// Connection: close, so the answer ends where the stream ends.
static char *read_all(int fd)
{
	char *all = malloc(ANSWER_MAX + 1);
	size_t n = 0;
	ssize_t got;

	if (!all)
		return NULL;
	while (n < ANSWER_MAX && (got = read(fd, all + n, ANSWER_MAX - n)) > 0)
		n += (size_t)got;
	all[n] = 0;
	return all;
}

char *agent_ask(const char *method, const char *body)
{
	char *answer = NULL;
	int fd = dial();

	if (fd < 0) {
		perror("connect to the guest agent");
		return NULL;
	}
	if (dprintf(fd,
		    "POST /%s HTTP/1.1\r\nHost: dstack\r\nContent-Type: application/json\r\n"
		    "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
		    method, strlen(body), body) > 0)
		answer = read_all(fd);
	close(fd);
	char *head_end = answer ? strstr(answer, "\r\n\r\n") : NULL;
	if (!head_end || strncmp(answer, "HTTP/1.1 200", 12) != 0) {
		fprintf(stderr, "%s: %s\n", method, head_end ? head_end + 4 : "no answer");
		free(answer);
		return NULL;
	}
	memmove(answer, head_end + 4, strlen(head_end + 4) + 1);
	return answer;
}

static char *unescape(const char *from)
{
	char *out = strdup(from), *to = out;

	for (; out && *from && *from != '"'; from++) {
		if (*from == '\\' && from[1]) {
			from++;
			*to++ = *from == 'n' ? '\n' : *from == 't' ? '\t' : *from;
		} else {
			*to++ = *from;
		}
	}
	if (out)
		*to = 0;
	return out;
}

static const char *end_of_string(const char *p)
{
	while (*p && *p != '"')
		p += *p == '\\' && p[1] ? 2 : 1;
	return p;
}

char *json_text(const char *json, const char *name, unsigned nth)
{
	char key[64];

	snprintf(key, sizeof key, "\"%s\":", name);
	const char *p = strstr(json, key);
	if (!p)
		return NULL;
	p += strlen(key);
	p += strspn(p, " [\n");
	while (nth-- && *p == '"') {
		p = end_of_string(p + 1);
		p += *p == '"';
		p += strspn(p, " ,\n");
	}
	return *p == '"' ? unescape(p + 1) : NULL;
}
