// Both directions of the control protocol and of the TPM's data stream, as bytes on sockets.
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int feed(const uint8_t *p, size_t n)
{
	int pair[2];
	struct err e;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	(void)!net_write(pair[1], p, n, &e);
	shutdown(pair[1], SHUT_WR);
	// what the relay sends back is dropped with the peer
	(void)!net_limit(pair[0], 1, &e);
	close(pair[1]);
	return pair[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct registers registers = { 0 };
	struct relay r;
	struct err e;

	if (n < 2 || n > 4096)
		return 0;
	size_t cut = 1 + p[0] % (n - 1);
	relay_init(&r, &registers);
	if (p[1] & 1) {
		r.qemu = feed(p + 1, cut - 1);
		r.swtpm = feed(p + cut, n - cut);
		while (!relay_control(&r, &e))
			;
	} else {
		r.qemu_data = feed(p + 1, cut - 1);
		r.swtpm_data = feed(p + cut, n - cut);
		while (!relay_command(&r, &e))
			;
	}
	relay_close(&r);
	return 0;
}
