// The software TEE's guest side: the host's dstack-softtee answers on vsock 2:4050, the boot log is the
// TPM's. One connection a call; a request is an op byte and its arguments, an answer a status byte and data.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tee/bootlog.h"
#include "tee/dial.h"
#include "tee/driver.h"

#define SOFT_ADDRESS "vsock:2:4050"
// The second one when the kernel's driver had to be started twice (os/rootfs/usr/lib/dstack/mounts).
#define TPM_LOG      "/sys/kernel/security/tpm0/binary_bios_measurements"
#define TPM_LOG_NEXT "/sys/kernel/security/tpm1/binary_bios_measurements"

enum { OP_EXTEND = 1, OP_QUOTE = 2, OP_REGISTERS = 3, OP_ROOT = 4, RTMR3 = 3, TIMEOUT_SECONDS = 10 };

struct soft {
	const char *address, *log;
};

static const char *env_or(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v && *v ? v : otherwise;
}

// `out` holds the answer's data after the status byte was taken off.
static int call(const struct soft *s, const uint8_t *req, size_t reqn, uint8_t *out, size_t cap, size_t *n,
		struct err *e)
{
	uint8_t *buf = malloc(cap + 1);
	int fd = buf ? dial(s->address, TIMEOUT_SECONDS, e) : err_set(e, ERR_SYSTEM, "out of memory");
	int rc = -1;

	if (fd >= 0 && !dial_send(fd, req, reqn, e) && !dial_receive(fd, buf, cap + 1, n, e)) {
		if (*n == 0) {
			err_set(e, ERR_INPUT, "empty answer");
		} else if (buf[0] != 0) {
			err_code(e, ERR_DENIED, "tee.refused", "the software TEE refused: %.*s", (int)*n - 1,
				 (const char *)buf + 1);
		} else {
			*n -= 1;
			memcpy(out, buf + 1, *n);
			rc = 0;
		}
	}
	if (fd >= 0)
		close(fd);
	free(buf);
	return rc ? err_wrap(e, "software TEE at %s", s->address) : 0;
}

static int soft_quote(void *state, const uint8_t report_data[static TEE_REPORT_DATA], struct tee_quote *out,
		      struct err *e)
{
	uint8_t req[1 + TEE_REPORT_DATA] = { OP_QUOTE };

	memcpy(req + 1, report_data, TEE_REPORT_DATA);
	return call(state, req, sizeof req, out->bytes, sizeof out->bytes, &out->n, e);
}

static int soft_extend(void *state, const uint8_t digest[static TEE_DIGEST], struct err *e)
{
	uint8_t req[2 + TEE_DIGEST] = { OP_EXTEND, RTMR3 }, answer[256];
	size_t n;

	memcpy(req + 2, digest, TEE_DIGEST);
	return call(state, req, sizeof req, answer, sizeof answer, &n, e);
}

static int soft_rtmr3(void *state, uint8_t out[static TEE_DIGEST], struct err *e)
{
	uint8_t req[1] = { OP_REGISTERS }, answer[5 * TEE_DIGEST];
	size_t n;

	if (call(state, req, sizeof req, answer, sizeof answer, &n, e))
		return -1;
	if (n != sizeof answer)
		return err_set(e, ERR_INPUT, "software TEE: registers answer has %zu bytes", n);
	memcpy(out, answer + 4 * TEE_DIGEST, TEE_DIGEST);
	return 0;
}

static int soft_boot_log(void *state, struct tee_log *out, struct err *e)
{
	const struct soft *s = state;

	return bootlog_load(true, s->log, out, e);
}

static int soft_root(void *state, uint8_t out[static TEE_ROOT_MAX], size_t *n, struct err *e)
{
	uint8_t req[1] = { OP_ROOT };

	return call(state, req, sizeof req, out, TEE_ROOT_MAX, n, e);
}

void *soft_open(struct err *e)
{
	struct soft *s = calloc(1, sizeof *s);
	uint8_t now[TEE_DIGEST];
	struct err why;

	if (!s) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	s->address = env_or("DSTACK_SOFTTEE", SOFT_ADDRESS);
	s->log = env_or("DSTACK_TPM_LOG_FILE", access(TPM_LOG_NEXT, F_OK) ? TPM_LOG : TPM_LOG_NEXT);
	if (soft_rtmr3(s, now, &why)) {
		err_code(e, ERR_ABSENT, "tee.absent", "no software TEE: %s", why.text);
		free(s);
		return NULL;
	}
	return s;
}

const struct tee_driver soft_driver = {
	.name = "soft",
	.quote = soft_quote,
	.extend = soft_extend,
	.rtmr3 = soft_rtmr3,
	.boot_log = soft_boot_log,
	.root = soft_root,
	.close = free,
};
