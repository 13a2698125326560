#include "runtime.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "core/codec/json.h"
#include "volatile.h"

static const char *const states[] = { "starting", "running", "stopping", "exited" };

void runtime_free(struct runtime *r)
{
	for (size_t i = 0; i < r->n_events; i++)
		free(r->event[i].body);
	*r = (struct runtime){ 0 };
}

void runtime_event(struct runtime *r, const char *name, const char *body, uint64_t ms)
{
	size_t max = r->events_max && r->events_max < RUNTIME_EVENTS ? r->events_max : RUNTIME_EVENTS;
	char *copy = strdup(body);

	if (!copy)
		return;
	if (r->n_events == max) {
		free(r->event[0].body);
		memmove(&r->event[0], &r->event[1], (max - 1) * sizeof r->event[0]);
		r->n_events--;
	}
	struct guest_event *v = &r->event[r->n_events++];
	snprintf(v->name, sizeof v->name, "%s", name);
	v->body = copy;
	v->ms = ms;
}

static void add_str(struct sb *b, const char *key, const char *v)
{
	sb_json_key(b, key);
	sb_json_str(b, v);
}

int runtime_write(const struct runtime *r, const char *path, struct err *e)
{
	auto_sb b = { 0 };

	sb_chr(&b, '{');
	add_str(&b, "state", states[r->state]);
	sb_fmt(&b, ",\"runner\":%d,\"qemu\":%d,\"started_at\":%llu,\"stopped_at\":%llu", r->runner, r->qemu,
	       (unsigned long long)r->started_at, (unsigned long long)r->stopped_at);
	add_str(&b, "boot_progress", r->boot_progress);
	add_str(&b, "boot_error", r->boot_error);
	add_str(&b, "shutdown_progress", r->shutdown_progress);
	add_str(&b, "exit_reason", r->exit_reason);
	sb_json_key(&b, "events");
	sb_chr(&b, '[');
	for (size_t i = 0; i < r->n_events; i++) {
		sb_json_next(&b);
		sb_chr(&b, '{');
		add_str(&b, "event", r->event[i].name);
		add_str(&b, "body", r->event[i].body);
		sb_fmt(&b, ",\"timestamp\":%llu}", (unsigned long long)r->event[i].ms);
	}
	sb_str(&b, "]}\n");
	if (b.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return volatile_write(path, b.p, b.n, e);
}

static int text(struct json o, const char *name, char *out, size_t cap)
{
	struct json v;

	return json_get(o, name, &v) ? json_cstr(v, out, cap) : -1;
}

static int number(struct json o, const char *name, uint64_t max, uint64_t *out)
{
	struct json v;

	return json_get(o, name, &v) ? json_u64(v, max, out) : -1;
}

static int read_events(struct runtime *r, struct json o)
{
	struct json list, item;
	char name[EVENT_NAME];
	uint64_t ms;

	if (!json_get(o, "events", &list))
		return -1;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);) {
		char body[EVENT_BODY + 1];

		if (text(item, "event", name, sizeof name) || text(item, "body", body, sizeof body) ||
		    number(item, "timestamp", UINT64_MAX, &ms))
			return -1;
		runtime_event(r, name, body, ms);
	}
	return 0;
}

static int parse(struct runtime *r, struct json o)
{
	char state[16];
	uint64_t runner, qemu;

	if (text(o, "state", state, sizeof state) || number(o, "runner", INT32_MAX, &runner) ||
	    number(o, "qemu", INT32_MAX, &qemu) || number(o, "started_at", UINT64_MAX, &r->started_at) ||
	    number(o, "stopped_at", UINT64_MAX, &r->stopped_at) ||
	    text(o, "boot_progress", r->boot_progress, RUNTIME_TEXT) ||
	    text(o, "boot_error", r->boot_error, RUNTIME_TEXT) ||
	    text(o, "shutdown_progress", r->shutdown_progress, RUNTIME_TEXT) ||
	    text(o, "exit_reason", r->exit_reason, RUNTIME_TEXT) || read_events(r, o))
		return -1;
	for (r->state = RUN_STARTING; r->state < RUN_EXITED && strcmp(state, states[r->state]) != 0;
	     r->state++)
		;
	r->runner = (int)runner;
	r->qemu = (int)qemu;
	return 0;
}

int runtime_read(struct runtime *r, const char *path, struct err *e)
{
	auto_free char *bytes = NULL;
	struct json o;
	size_t n;

	*r = (struct runtime){ 0 };
	if (file_read(path, 4 << 20, &bytes, &n, e))
		return -1;
	if (json_parse(&o, span_of(bytes, n), NULL) || parse(r, o)) {
		runtime_free(r);
		return err_code(e, ERR_INPUT, "vmm.runtime", "%s is not a runtime file", path);
	}
	return 0;
}
