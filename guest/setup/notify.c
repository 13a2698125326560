#include "notify.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "host.pb-c.h"
#include "rpc/client.h"

enum { TIMEOUT_SECONDS = 5 };

static char address[URL_MAX + 1] = HOST_API_DEFAULT;

void notify_address(const char *url)
{
	snprintf(address, sizeof address, "%s", url);
}

void notify(const char *event, const char *payload)
{
	struct rpc_client_opts o = { .connect_s = TIMEOUT_SECONDS, .timeout_s = TIMEOUT_SECONDS };
	Host__Notification n = HOST__NOTIFICATION__INIT;
	struct err e = { 0 };
	auto_arena *a = arena_new(1 << 20);
	auto_rpc_client *c = a ? rpc_client_new(address, &o, &e) : NULL;

	n.event = (char *)(uintptr_t)event;
	n.payload = (char *)(uintptr_t)payload;
	if (!c || rpc_client_call(c, "Notify", &n.base, NULL, a, NULL, &e))
		log_debug("setup", "host was not told of %s: %s", event, e.text);
}

void notify_progress(const char *what)
{
	log_info("setup", "%s", what);
	notify("boot.progress", what);
}

void notify_error(const struct err *e)
{
	char text[sizeof e->code + sizeof e->text + 4];

	snprintf(text, sizeof text, "%s%s%s", e->code, e->code[0] ? ": " : "", e->text);
	notify("boot.error", text);
}
