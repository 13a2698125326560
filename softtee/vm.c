#include "vm.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "net.h"
#include "relay.h"
#include "service.h"

enum { CLIENTS = 16, CONNECT_TRIES = 100, CLIENT_SECONDS = 10 };

struct client {
	int fd;
	size_t n; // bytes of the request so far, length included
	uint8_t in[4 + SERVICE_REQUEST_MAX];
};

struct vm {
	struct registers registers;
	struct quote_signer signer;
	struct relay relay;
	int listen_ctrl, listen_service;
	struct client client[CLIENTS];
};

static void client_close(struct client *c)
{
	close(c->fd);
	c->fd = -1;
}

static void client_accept(struct vm *v)
{
	int fd = accept4(v->listen_service, NULL, NULL, SOCK_CLOEXEC);
	struct err ignored;

	for (int i = 0; fd >= 0 && i < CLIENTS; i++)
		if (v->client[i].fd < 0) {
			v->client[i] = (struct client){ .fd = fd };
			if (net_limit(fd, CLIENT_SECONDS, &ignored))
				client_close(&v->client[i]);
			return;
		}
	if (fd >= 0)
		close(fd);
}

static int client_answer(struct vm *v, struct client *c, struct err *e)
{
	static uint8_t out[4 + SERVICE_ANSWER_MAX];
	struct wr body = wr_to(out + 4, SERVICE_ANSWER_MAX), head = wr_to(out, 4);

	service_answer(&v->registers, &v->signer, span_of(c->in + 4, c->n - 4), &body);
	wr_be32(&head, (uint32_t)body.n);
	c->n = 0;
	return body.bad ? err_set(e, ERR_BUG, "answer is too large") : net_write(c->fd, out, 4 + body.n, e);
}

// Take what is there. A client that breaks the form is dropped.
static void client_read(struct vm *v, struct client *c)
{
	size_t want = 4;
	struct err why;

	if (c->n >= 4) {
		struct rd head = rd_from(c->in, 4);
		want += rd_be32(&head);
	}
	ssize_t got = recv(c->fd, c->in + c->n, want - c->n, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		client_close(c);
		return;
	}
	c->n += (size_t)got;
	if (c->n < 4)
		return;
	struct rd head = rd_from(c->in, 4);
	uint32_t size = rd_be32(&head);
	if (size == 0 || size > SERVICE_REQUEST_MAX) {
		log_warn("softtee", "request of %u bytes refused", size);
		client_close(c);
	} else if (c->n == 4 + (size_t)size && client_answer(v, c, &why)) {
		log_warn("softtee", "answer to the guest: %s", why.text);
		client_close(c);
	}
}

// swtpm may still be starting.
static int connect_swtpm(struct vm *v, const char *path, struct err *e)
{
	for (int i = 0; i < CONNECT_TRIES; i++) {
		v->relay.swtpm = net_connect_unix(path, e);
		if (v->relay.swtpm >= 0)
			return net_limit(v->relay.swtpm, 120, e);
		time_sleep_ms(50);
	}
	return -1;
}

static int accept_qemu(struct vm *v, const struct vm_config *c, struct err *e)
{
	int fd = accept4(v->listen_ctrl, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : err_errno(e, "accept QEMU");
	if (v->relay.qemu >= 0) { // only one QEMU, once
		close(fd);
		return 0;
	}
	v->relay.qemu = fd;
	return net_limit(fd, 120, e) || connect_swtpm(v, c->swtpm_ctrl, e) ? -1 : 0;
}

// One round of waiting and serving. 1: QEMU is gone.
static int turn(struct vm *v, const struct vm_config *c, struct err *e)
{
	struct pollfd p[4 + CLIENTS] = {
		{ v->listen_ctrl, POLLIN, 0 },
		{ v->listen_service, POLLIN, 0 },
		{ v->relay.qemu, POLLIN, 0 },
		{ v->relay.qemu_data, POLLIN, 0 },
	};

	for (int i = 0; i < CLIENTS; i++)
		p[4 + i] = (struct pollfd){ v->client[i].fd, POLLIN, 0 };
	if (poll(p, 4 + CLIENTS, -1) < 0)
		return errno == EINTR ? 0 : err_errno(e, "poll");
	if (p[0].revents && accept_qemu(v, c, e))
		return -1;
	if (p[1].revents)
		client_accept(v);
	if (p[3].revents && relay_command(&v->relay, e))
		return e->class == ERR_ABSENT ? 1 : err_wrap(e, "TPM");
	if (p[2].revents && relay_control(&v->relay, e))
		return e->class == ERR_ABSENT ? 1 : err_wrap(e, "TPM");
	for (int i = 0; i < CLIENTS; i++)
		if (p[4 + i].revents)
			client_read(v, &v->client[i]);
	return 0;
}

int vm_run(const struct vm_config *c, const struct pki *pki, struct err *e)
{
	static struct vm v;
	int rc = 0;

	v.registers = (struct registers){ .body = c->body };
	relay_init(&v.relay, &v.registers);
	for (int i = 0; i < CLIENTS; i++)
		v.client[i].fd = -1;
	if (quote_signer_init(&v.signer, pki, pki, pki, 4, e))
		return -1;
	v.listen_service = net_listen_unix(c->listen, e);
	v.listen_ctrl = v.listen_service < 0 ? -1 : net_listen_unix(c->ctrl_listen, e);
	if (v.listen_ctrl < 0)
		return -1;
	log_info("softtee", "ready ctrl=%s listen=%s", c->ctrl_listen, c->listen);
	while (!rc)
		rc = turn(&v, c, e);
	relay_close(&v.relay);
	unlink(c->ctrl_listen);
	unlink(c->listen);
	log_info("softtee", "end extends=%u", v.registers.extends);
	return rc < 0 ? -1 : 0;
}
