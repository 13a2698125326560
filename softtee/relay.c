#include "relay.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctrl.h"
#include "net.h"

// A TPM under emulation may take long over one command (making a key), never this long.
enum { LIMIT_SECONDS = 120 };

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void relay_init(struct relay *r, struct registers *registers)
{
	*r = (struct relay){ -1, -1, -1, -1, registers };
}

void relay_close(struct relay *r)
{
	drop(&r->qemu);
	drop(&r->swtpm);
	drop(&r->qemu_data);
	drop(&r->swtpm_data);
}

// A refusal is the result alone; else the answer has its full size.
static int read_answer(int fd, size_t size, uint8_t out[static CTRL_ANSWER_MAX], size_t *n, struct err *e)
{
	*n = 4;
	if (net_read(fd, out, 4, e))
		return -1;
	if (size > 4 && !ctrl_ok(span_of(out, 4))) {
		ssize_t more = recv(fd, out + 4, size - 4, MSG_DONTWAIT);

		*n += more > 0 ? (size_t)more : 0;
		return 0;
	}
	*n = size;
	return net_read(fd, out + 4, size - 4, e);
}

static int take_data(struct relay *r, int passed, const uint8_t *message, size_t n, struct err *e)
{
	int pair[2];

	if (passed < 0 || r->qemu_data >= 0)
		return err_set(e, ERR_INPUT, "control: SET_DATAFD without a descriptor, or twice");
	r->qemu_data = passed;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return err_errno(e, "socketpair");
	r->swtpm_data = pair[0];
	int rc = net_write_fd(r->swtpm, message, n, pair[1], e);
	close(pair[1]);
	return rc || net_limit(r->qemu_data, LIMIT_SECONDS, e) || net_limit(r->swtpm_data, LIMIT_SECONDS, e)
		       ? -1
		       : 0;
}

int relay_control(struct relay *r, struct err *e)
{
	uint8_t message[4 + CTRL_BODY_MAX], answer[CTRL_ANSWER_MAX];
	struct ctrl_form form;
	size_t n;
	int passed;

	if (net_read_fd(r->qemu, message, 4, &passed, e))
		return -1;
	struct rd head = rd_from(message, 4);
	uint32_t command = rd_be32(&head);
	if (passed >= 0 && command != CTRL_SET_DATAFD)
		drop(&passed);
	if (!ctrl_form(command, &form))
		return err_set(e, ERR_DENIED, "control: command %u is not passed on", command);
	if (form.body && net_read(r->qemu, message + 4, form.body, e))
		return -1;
	int rc = command == CTRL_SET_DATAFD ? take_data(r, passed, message, 4, e)
					    : net_write(r->swtpm, message, 4 + form.body, e);
	if (rc || read_answer(r->swtpm, form.answer, answer, &n, e))
		return -1;
	if (command == CTRL_INIT && ctrl_ok(span_of(answer, n)))
		registers_reset(r->registers);
	return net_write(r->qemu, answer, n, e);
}

static int read_message(int fd, uint8_t out[static TPM_MESSAGE_MAX], size_t *n, struct err *e)
{
	if (net_read(fd, out, TPM_HEAD, e))
		return -1;
	*n = tpm_size(out);
	if (!*n)
		return err_set(e, ERR_INPUT, "TPM message has no sensible size");
	return *n == TPM_HEAD ? 0 : net_read(fd, out + TPM_HEAD, *n - TPM_HEAD, e);
}

int relay_command(struct relay *r, struct err *e)
{
	uint8_t command[TPM_MESSAGE_MAX], answer[TPM_MESSAGE_MAX];
	size_t n, answern;

	if (read_message(r->qemu_data, command, &n, e) || net_write(r->swtpm_data, command, n, e))
		return -1;
	if (read_message(r->swtpm_data, answer, &answern, e)) {
		r->registers->broken = true; // it may or may not have extended
		return -1;
	}
	registers_watch(r->registers, span_of(command, n), span_of(answer, answern));
	return net_write(r->qemu_data, answer, answern, e);
}
