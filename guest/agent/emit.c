#include "emit.h"

#include <string.h>
#include "base/strings.h"
#include "tee/runtime.h"

static bool is_reserved(const char *name)
{
	static const char *const names[] = {
		"app-id",          "compose-hash",      "instance-id", "key-provider",     "boot-mr-done",
		"os-image-hash",   "storage-fs",        "mr-kms",      "init-script-hash", "gpu-policy-hash",
		"gpu-attestation", "launch-token-hash", "mr-config",   "rootfs-hash",
	};

	if (str_starts(name, "system-"))
		return true;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

// Room for one more, of all the runtime events together.
static int check_room(struct tee *t, size_t payload, struct err *e)
{
	struct tee_log log;
	size_t bytes = payload;

	if (runtime_read(t, runtime_dir(), &log, e))
		return -1;
	for (size_t i = 0; i < log.log.n; i++)
		bytes += log.log.e[i].payload.n;
	bool full = log.log.n >= EMIT_EVENTS_MAX || bytes > EMIT_BYTES_MAX;
	tee_log_free(&log);
	if (full)
		return err_code(e, ERR_INPUT, "agent.events_full",
				"the runtime event log has room for %d events and %d bytes", EMIT_EVENTS_MAX,
				EMIT_BYTES_MAX);
	return 0;
}

int app_emit(struct agent *g, const char *name, struct span payload, struct err *e)
{
	if (!*name)
		return err_code(e, ERR_INPUT, "agent.event_name", "an event must have a name");
	if (is_reserved(name))
		return err_code(e, ERR_INPUT, "agent.event_name", "the event name %s is the system's",
				STR_QZ(name));
	if (check_room(g->tee, payload.n, e))
		return err_wrap(e, "emit an event");
	return runtime_emit(g->tee, runtime_dir(), name, payload.p, payload.n, e);
}
