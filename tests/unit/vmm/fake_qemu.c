// fake-qemu - stands in for QEMU in tests of the VMM: its sockets, its guest's words, none of its weight.
//
// It answers --version, serves QMP on qmp.sock and is a guest on vsock.sock: boots in a moment, notifies the
// host, writes to the console log, powers off when asked. The "kernel command line" says how it behaves:
// fake=ok, fake=verity (dies as a guest with a corrupted root), fake=init (dstack-init gives up), fake=crash,
// fake=stubborn (ignores power-down), fake=flood (a console that never stops). "dial=PORT" makes the guest
// try 127.0.0.1:PORT from inside its network and write down what came of it.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frontend.h"

static struct frontend fe;
static char cid_bytes[8];
static uint64_t cid;
static uint32_t next_port = 1024;
static int console = -1;

static void say(const char *text)
{
	if (dprintf(console, "%s\n", text) < 0)
		_exit(1);
}

static bool asked(const char *cmdline, const char *what)
{
	return strstr(cmdline, what) != NULL;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	return fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof a) ? fd : -1;
}

static int over_socket(void *arg, uint32_t request, const void *payload, size_t n, const int *fds,
		       size_t nfds)
{
	int fd = *(int *)arg;
	struct vhost_head head = { request, 1, (uint32_t)n };
	union {
		char bytes[CMSG_SPACE(sizeof(int) * VHOST_FDS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec io[2] = { { &head, sizeof head }, { (void *)(uintptr_t)payload, n } };
	struct msghdr m = { .msg_iov = io, .msg_iovlen = n ? 2 : 1 };

	if (nfds) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

// The device's configuration space holds our CID.
static int ask_cid(int fd)
{
	struct {
		struct vhost_head head;
		uint32_t offset, size, flags;
		char bytes[8];
	} m = { { 24, 1, 20 }, 0, 8, 0, { 0 } };

	if (send(fd, &m, sizeof m, 0) != sizeof m || recv(fd, &m, sizeof m, MSG_WAITALL) != sizeof m)
		return -1;
	memcpy(cid_bytes, m.bytes, sizeof cid_bytes);
	memcpy(&cid, cid_bytes, sizeof cid);
	return 0;
}

static bool next_packet(struct vpkt *head, char *data, size_t cap, int ms)
{
	for (int waited = 0; waited < ms; waited += 5) {
		if (fe_receive(&fe, head, data, cap))
			return true;
		poll(NULL, 0, 5);
	}
	return false;
}

// One request to a host port; the first bytes of the answer in `out`, "reset" when refused.
static void ask_host(uint32_t port, const char *request, char *out, size_t cap)
{
	struct vpkt p = { .src_cid = cid,
			  .dst_cid = 2,
			  .src_port = next_port++,
			  .dst_port = port,
			  .type = VPKT_STREAM,
			  .op = VPKT_REQUEST,
			  .buf_alloc = 65536 };
	struct vpkt got;

	snprintf(out, cap, "silence");
	fe_send(&fe, &p, NULL);
	while (next_packet(&got, out, cap - 1, 3000)) {
		if (got.dst_port != p.src_port)
			continue;
		if (got.op == VPKT_RESPONSE) {
			p.op = VPKT_RW;
			p.len = (uint32_t)strlen(request);
			fe_send(&fe, &p, request);
		} else if (got.op == VPKT_RW) {
			out[got.len < cap - 1 ? got.len : cap - 1] = 0;
			p.op = VPKT_RST;
			p.len = 0;
			fe_send(&fe, &p, NULL);
			return;
		} else if (got.op == VPKT_RST) {
			snprintf(out, cap, "reset");
			return;
		}
	}
}

static void notify(const char *event, const char *payload)
{
	char body[1024], request[1400], answer[512];

	snprintf(body, sizeof body, "{\"event\":\"%s\",\"payload\":\"%s\"}", event, payload);
	snprintf(request, sizeof request,
		 "POST /api/Notify?json HTTP/1.1\r\nHost: host\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	ask_host(10000, request, answer, sizeof answer);
	if (strncmp(answer, "HTTP/1.1 200", 12) != 0)
		say(answer);
}

// From inside the VM's network namespace, where QEMU's user network would connect from.
static void try_dial(const char *cmdline)
{
	for (const char *at = cmdline; (at = strstr(at, "dial=")); at++) {
		int port = atoi(at + 5), fd = socket(AF_INET, SOCK_STREAM, 0);
		struct sockaddr_in a = { .sin_family = AF_INET,
					 .sin_port = htons((uint16_t)port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		char line[128], word[32] = "";
		ssize_t n = -1;

		if (!connect(fd, (struct sockaddr *)&a, sizeof a)) {
			n = read(fd, word, sizeof word - 1);
			word[n > 0 ? n : 0] = 0;
		}
		snprintf(line, sizeof line, "dial %d: %s", port, n >= 0 ? word : "unreachable");
		say(line);
		close(fd);
	}
}

static int listen_qmp(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "qmp.sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 1) ? -1 : fd;
}

// Serve the runner until it asks for the end.
static int serve_qmp(int door, const char *cmdline)
{
	int fd = accept(door, NULL, NULL);
	char line[512];
	size_t have = 0;

	if (dprintf(fd, "{\"QMP\":{\"version\":{},\"capabilities\":[]}}\n") < 0)
		return 1;
	for (;;) {
		ssize_t n = read(fd, line + have, sizeof line - 1 - have);

		if (n <= 0)
			return 1;
		have += (size_t)n;
		line[have] = 0;
		if (strstr(line, "\"quit\""))
			return 0;
		if (strstr(line, "system_powerdown") && !asked(cmdline, "fake=stubborn")) {
			notify("shutdown.progress", "powering off");
			if (dprintf(fd, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-"
					"shutdown\"}}\n") < 0)
				return 1;
			poll(NULL, 0, 50);
			return 0;
		}
		char *end = strrchr(line, '\n');
		have = end ? strlen(end + 1) : have;
		if (end)
			memmove(line, end + 1, have + 1);
	}
}

static void boot(const char *cmdline)
{
	char answer[512];

	say("[    0.000000] Linux version fake");
	notify("boot.progress", "mounting disks");
	try_dial(cmdline);
	ask_host(9, "x", answer, sizeof answer);
	snprintf(answer + strlen(answer), sizeof answer - strlen(answer), " at port 9");
	say(answer);
	if (asked(cmdline, "fake=verity")) {
		say("[    4.3] device-mapper: verity: 254:0: data block 31640 is corrupted");
		say("[    4.3] Kernel panic - not syncing: dm-verity device corrupted");
		exit(0);
	}
	if (asked(cmdline, "fake=init")) {
		say("dstack-init: [0.50] verity device active");
		say("dstack-init: init.cmdline: dstack.rootfs_hash is missing");
		exit(0);
	}
	if (asked(cmdline, "fake=crash")) {
		fputs("fake-qemu: something broke\n", stderr);
		exit(1);
	}
	while (asked(cmdline, "fake=flood")) {
		say("0123456789012345678901234567890123456789012345678901234567890123456789");
		poll(NULL, 0, 1);
		if (next_port++ > 30000)
			exit(1);
		static int once;
		if (!once++)
			notify("boot.progress", "done");
	}
	notify("instance.info",
	       "{\\\"instance_id\\\":\\\"00112233445566778899aabbccddeeff00112233\\\",\\\"app_id\\\":"
	       "\\\"aa112233445566778899aabbccddeeff00112233\\\"}");
	notify("boot.progress", "done");
	say("login:");
}

int main(int argc, char **argv)
{
	const char *cmdline = "";
	int fd, door;

	if (argc > 1 && !strcmp(argv[1], "--version")) {
		puts("QEMU emulator version 7.2.22 (fake)");
		return 0;
	}
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "-append"))
			cmdline = argv[i + 1];
	signal(SIGPIPE, SIG_IGN);
	console = open("serial.log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	fd = connect_unix("vsock.sock");
	door = listen_qmp();
	if (console < 0 || fd < 0 || door < 0 || ask_cid(fd)) {
		perror("fake-qemu");
		return 1;
	}
	fe.send = over_socket;
	fe.arg = &fd;
	if (fe_open(&fe) || fe_set_up(&fe))
		return 1;
	boot(cmdline);
	return serve_qmp(door, cmdline);
}
