#include <string.h>

#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "base/version.h"
#include "host.pb-c.h"
#include "private.h"
#include "prpc.pb-c.h"
#include "keyprovider.h"
#include "../share.h"

enum { NOTES_MAX = 200 };

static int get_info(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	Host__HostInfo *info = out;

	(void)in, (void)e;
	info->name = arena_str(rpc_arena(call), "dstack VMM");
	info->version = arena_str(rpc_arena(call), version_text);
	return 0;
}

static void keep(char out[static RUNTIME_TEXT], const char *v)
{
	snprintf(out, RUNTIME_TEXT, "%s", v);
}

// What a guest says of itself. It may say anything: bounded, stored, shown, believed by nobody.
static int notify(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct runner *r = rpc_arg(call);
	const Host__Notification *n = in;
	struct err why = { 0 };

	(void)out, (void)e;
	if (strlen(n->payload) > EVENT_BODY || strlen(n->event) >= EVENT_NAME)
		return 0; // dropped, as upstream does
	runtime_event(&r->now, n->event, n->payload, time_now_ms());
	if (!strcmp(n->event, "boot.progress")) {
		keep(r->now.boot_progress, n->payload);
		if (!strcmp(n->payload, "done"))
			keep(r->now.boot_error, ""); // of an earlier attempt
	} else if (!strcmp(n->event, "boot.error")) {
		keep(r->now.boot_error, n->payload);
	} else if (!strcmp(n->event, "shutdown.progress")) {
		keep(r->now.shutdown_progress, n->payload);
	} else if (!strcmp(n->event, "instance.info")) {
		if (share_write_instance(".", n->payload, &why))
			log_warn("vmm", "instance info of the guest refused: %s", why.text);
	}
	if (r->notes++ < NOTES_MAX) // a guest shall not fill the host's disk
		log_info("vmm", "guest event id=%s event=%s body=%s", r->launch.id, STR_QZ(n->event),
			 STR_QZ(n->payload));
	runner_changed(r);
	return 0;
}

// On a worker: reads of the runner only what never changes.
static int get_sealing_key(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	const struct runner *r = rpc_arg(call);
	const Host__GetSealingKeyRequest *q = in;
	Host__GetSealingKeyResponse *reply = out;
	struct span box, provider;

	if (!*r->launch.key_provider)
		return err_code(e, ERR_INPUT, "host.no_key_provider", "Key provider is not enabled");
	if (!q->quote.len || q->quote.len > KEYPROVIDER_QUOTE_MAX)
		return err_code(e, ERR_INPUT, "host.quote", "a quote has 1 to %d bytes, not %zu",
				KEYPROVIDER_QUOTE_MAX, q->quote.len);
	if (keyprovider_ask(r->launch.key_provider, span_of(q->quote.data, q->quote.len), rpc_arena(call),
			    &box, &provider, e)) {
		log_warn("vmm", "sealing key id=%s: %s code=%s", r->launch.id, e->text, e->code);
		return -1;
	}
	reply->encrypted_key = (ProtobufCBinaryData){ box.n, (uint8_t *)(uintptr_t)box.p };
	reply->provider_quote = (ProtobufCBinaryData){ provider.n, (uint8_t *)(uintptr_t)provider.p };
	return 0;
}

static const struct rpc_method methods[] = {
	{ "Info", &prpc__empty__descriptor, &host__host_info__descriptor, get_info, false, 4096 },
	{ "Notify", &host__notification__descriptor, &prpc__empty__descriptor, notify, false, 64 * 1024 },
	{ "GetSealingKey", &host__get_sealing_key_request__descriptor,
	  &host__get_sealing_key_response__descriptor, get_sealing_key, true, 4 << 20 },
};

int hostapi_start(struct runner *r, struct err *e)
{
	r->host_api = rpc_server_new(r->base);
	if (!r->host_api)
		return err_set(e, ERR_SYSTEM, "out of memory");
	rpc_server_limits(r->host_api, 32, 60, 20, 20);
	if (rpc_server_mount(r->host_api, "/api", "HostApi.", methods, sizeof methods / sizeof *methods, r))
		return err_set(e, ERR_SYSTEM, "out of memory");
	return rpc_server_listen(r->host_api, "unix:host.sock", NULL, 0600, e);
}
