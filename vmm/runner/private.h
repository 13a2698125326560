// private - the runner's one state; for runner/*.c only.
#pragma once
#include <event2/event.h>
#include <stdbool.h>
#include <sys/types.h>

#include "../launch.h"
#include "../net/netns.h"
#include "../net/relay.h"
#include "../runtime.h"
#include "../vsock/vhost.h"
#include "qmp.h"
#include "rpc/server.h"

struct runner {
	struct launch launch;
	struct runtime now;
	struct event_base *base;
	struct netns ns;
	struct relay *relay[FORWARDS_MAX + QEMU_PORTS_MAX];
	size_t n_relay;
	struct rpc_server *host_api;
	struct vhost *vhost;
	struct event *qemu_door, *guest_door; // listeners vsock.sock and guest.sock
	struct bufferevent *ask;              // the Shutdown request on its way
	struct qmp *qmp;
	pid_t qemu, swtpm, softtee;
	struct event *child, *term, *usr1, *save, *log_timer, *grace, *kill, *orphan;
	unsigned notes;              // guest events written to the log
	bool stopping;               // somebody asked for the end
	bool guest_reset, guest_off; // what QEMU said on its way out
	int qemu_status;
	char ended_by[128]; // a helper that died and took the VM with it
};

// prepare.c: everything on disk and the helpers that have to be there before QEMU.
int prepare_disks(struct runner *r, struct err *e);
int prepare_tee(struct runner *r, struct err *e);

// serial.c: the guest's console log in serial.log.
int serial_begin(const struct runner *r, struct err *e); // rotate, and mark the new boot
void serial_watch(struct runner *r);                     // keep it under its cap
void serial_link_pty(void);                              // serial.pty, from what QEMU printed
bool serial_last_words(char *out, size_t cap);           // why the guest gave up, if it said so

// hostapi.c: what guests call at vsock port 10000, on host.sock.
int hostapi_start(struct runner *r, struct err *e);

// channel.c: connections between guest and host.
int channel_start(struct runner *r, struct err *e);
void channel_ask_shutdown(struct runner *r); // the guest agent's Shutdown, if it listens
void channel_stop(struct runner *r);

// runner.c
void runner_changed(struct runner *r); // vm-runtime.json is written soon
