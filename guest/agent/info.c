#include "info.h"

#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "base/sb.h"
#include "base/strings.h"
#include "base/time.h"
#include "evidence.h"
#include "tee/runtime.h"

struct snapshot {
	struct arena *a;
	struct log_state log;
	Guest__AppInfo info; // without app_cert; all in the arena
};

static void snapshot_free(struct snapshot *s)
{
	if (s)
		arena_free(s->a); // holds s itself
}

void info_free(struct agent *g)
{
	snapshot_free(g->info);
	g->info = NULL;
}

static void member(struct sb *b, const char *name, const void *p, size_t n)
{
	sb_json_key(b, name);
	sb_chr(b, '"');
	sb_hex(b, p, n);
	sb_chr(b, '"');
}

static char *tcb_info(const struct agent *g, const struct evidence *v, const struct facts *f, struct arena *a,
		      struct err *e)
{
	auto_sb b = { .max = 128 << 20 };
	const char *events = evidence_events(v, true, a, e);
	char name[] = "rtmr0";

	if (!events)
		return NULL;
	sb_chr(&b, '{');
	member(&b, "mrtd", f->td.mr_td, sizeof f->td.mr_td);
	for (unsigned i = 0; i < 4; i++) {
		name[4] = (char)('0' + i);
		member(&b, name, f->td.rtmr[i], sizeof f->td.rtmr[i]);
	}
	member(&b, "mr_aggregated", f->mr_aggregated, sizeof f->mr_aggregated);
	member(&b, "os_image_hash", f->os_image_hash, f->has_os_image_hash ? sizeof f->os_image_hash : 0);
	member(&b, "compose_hash", f->app.compose_hash.p, f->app.compose_hash.n);
	member(&b, "device_id", f->device_id, sizeof f->device_id);
	sb_json_key(&b, "event_log");
	sb_str(&b, events);
	sb_json_key(&b, "app_compose");
	sb_json_str(&b, g->app.compose);
	sb_chr(&b, '}');
	char *text = b.bad ? NULL : arena_dup(a, b.p, b.n);
	if (!text)
		err_set(e, ERR_SYSTEM, "write tcb_info: too large");
	return text;
}

static ProtobufCBinaryData bytes_of(struct arena *a, struct span s)
{
	return pb_bytes(a, s.p, s.n);
}

static int fill(struct agent *g, struct snapshot *s, const struct evidence *v, struct err *e)
{
	struct arena *a = s->a;
	Guest__AppInfo *i = &s->info;
	struct facts f;

	if (evidence_facts(v, g->app.vm_config, &f, e))
		return -1;
	guest__app_info__init(i);
	i->app_id = bytes_of(a, f.app.app_id);
	i->instance_id = bytes_of(a, f.app.instance_id);
	i->compose_hash = bytes_of(a, f.app.compose_hash);
	i->device_id = pb_bytes(a, f.device_id, sizeof f.device_id);
	i->mr_aggregated = pb_bytes(a, f.mr_aggregated, sizeof f.mr_aggregated);
	i->os_image_hash = pb_bytes(a, f.os_image_hash, f.has_os_image_hash ? sizeof f.os_image_hash : 0);
	bool text = str_is_utf8(f.app.key_provider.p, f.app.key_provider.n) &&
		    (!f.app.key_provider.n || !memchr(f.app.key_provider.p, 0, f.app.key_provider.n));
	i->key_provider_info = arena_dup(a, f.app.key_provider.p, text ? f.app.key_provider.n : 0);
	i->tcb_info = tcb_info(g, v, &f, a, e);
	i->app_name = g->app.name;
	i->vm_config = g->app.vm_config;
	i->cloud_vendor = (char *)(uintptr_t)g->cloud_vendor;
	i->cloud_product = (char *)(uintptr_t)g->cloud_product;
	if (!i->tcb_info)
		return -1;
	return arena_bad(a) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

struct log_state log_state_now(void)
{
	auto_free char *path = str_format("%s/runtime_events.log", runtime_dir());
	struct stat st = { 0 };

	if (path && stat(path, &st))
		st = (struct stat){ 0 };
	return (struct log_state){ .changed = st.st_mtim, .size = st.st_size };
}

bool log_state_is(struct log_state s)
{
	struct log_state now = log_state_now();

	return s.size == now.size && s.changed.tv_sec == now.changed.tv_sec &&
	       s.changed.tv_nsec == now.changed.tv_nsec;
}

static struct snapshot *snapshot_new(struct agent *g, struct err *e)
{
	static const uint8_t zero[TEE_REPORT_DATA];
	struct arena *a = arena_new(256 << 20);
	struct snapshot *s = a ? arena_alloc(a, sizeof *s) : NULL;

	if (!s) {
		arena_free(a);
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	s->a = a;
	s->log = log_state_now(); // before: an event in between makes it stale, not wrong
	struct evidence *v = evidence_get_first(g, zero, a, e);
	int rc = v ? fill(g, s, v, e) : -1;
	if (v)
		evidence_done(v);
	if (rc) {
		snapshot_free(s);
		return NULL;
	}
	return s;
}

// The snapshot as it stands now; called and returned with the lock held, so that one caller makes it.
static struct snapshot *current(struct agent *g, struct err *e)
{
	if (g->info && log_state_is(g->info->log))
		return g->info;
	struct snapshot *s = snapshot_new(g, e);
	if (!s)
		return NULL;
	snapshot_free(g->info);
	return g->info = s;
}

static void copy_out(const Guest__AppInfo *from, bool hide, struct arena *a, Guest__AppInfo *out)
{
	out->app_id = pb_bytes(a, from->app_id.data, from->app_id.len);
	out->instance_id = pb_bytes(a, from->instance_id.data, from->instance_id.len);
	out->compose_hash = pb_bytes(a, from->compose_hash.data, from->compose_hash.len);
	out->device_id = pb_bytes(a, from->device_id.data, from->device_id.len);
	out->mr_aggregated = pb_bytes(a, from->mr_aggregated.data, from->mr_aggregated.len);
	out->os_image_hash = pb_bytes(a, from->os_image_hash.data, from->os_image_hash.len);
	out->key_provider_info = arena_str(a, from->key_provider_info);
	out->tcb_info = arena_str(a, hide ? "" : from->tcb_info);
	out->vm_config = arena_str(a, hide ? "" : from->vm_config);
	out->app_name = from->app_name; // these live as long as the agent
	out->cloud_vendor = from->cloud_vendor;
	out->cloud_product = from->cloud_product;
}

int info_fill(struct agent *g, bool external, struct arena *a, Guest__AppInfo *out, struct err *e)
{
	demo_kick(g);
	pthread_mutex_lock(&g->lock);
	const struct snapshot *s = current(g, e);
	if (s)
		copy_out(&s->info, external && !g->app.public_tcbinfo, a, out);
	pthread_mutex_unlock(&g->lock);
	out->app_cert = demo_text(g, a);
	return s ? 0 : -1;
}
