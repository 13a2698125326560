// state - the daemon's VMs: folders on disk, runners that live on their own, and what the two say.
//
// The folders are the truth. A daemon that was killed leaves its runners alone; the next one finds them by
// their locks. One thread, one loop.
#pragma once
#include <event2/event.h>
#include <stdbool.h>
#include <sys/types.h>

#include "../compose.h"
#include "../config.h"
#include "../image.h"
#include "../manifest.h"
#include "../platform.h"
#include "../runtime.h"

struct vm {
	struct daemon *owner;
	struct vm *next;
	struct manifest m;
	struct compose app;
	char dir[600];
	bool started; // what the user wants
	bool removing;
	pid_t runner;       // 0: none
	struct event *gone; // its pidfd
	struct runtime now; // as last read
	long long read_ino, read_ns;
	unsigned attempts; // of automatic restarts
	uint64_t delay_s;  // before the next
	struct event *retry, *stable;
};

struct daemon {
	struct event_base *base;
	struct vmm_config config;
	struct platform_facts facts;
	struct image_memory *images;
	struct vm *vms;      // by time of creation
	struct ask *asks;    // of guests.c
	int guest_wait_s;    // 0: GUEST_WAIT_S
	const char *program; // what to run as runner
};

int state_load(struct daemon *d, struct err *e); // read the folders, adopt runners, start what shall run
void state_free(struct daemon *d);               // runners stay
struct vm *vm_find(const struct daemon *d, const char *id);
// What the user configures; everything is there or nothing.
struct vm_request {
	struct manifest m; // id, app_id, cid and times are filled in
	bool has_app_id, stopped;
	const void *compose, *env;
	size_t compose_n, env_n;
	const char *user_config;
};
struct vm *vm_create(struct daemon *d, struct vm_request *q, struct err *e);
int vm_start(struct vm *v, bool by_user, struct err *e);
int vm_stop(struct vm *v, struct err *e);     // at once
int vm_shutdown(struct vm *v, struct err *e); // the guest is asked
int vm_remove(struct vm *v, struct err *e);   // returns at once, goes on in the background
void vm_refresh(struct vm *v);                // read vm-runtime.json if it changed
int vm_read_file(const struct vm *v, const char *name, size_t max, char **out, size_t *n, struct err *e);

// launching.c: write launch.json and the share's configuration for the next start.
int vm_prepare_launch(struct vm *v, struct err *e);
struct launch;
int vm_plan_launch(struct vm *v, struct launch *l, struct err *e); // the same without touching anything
