#include "core/attest/eventlog.h"
#include "core/codec/utf8.h"
#include "core/hash/sha2.h"

static const char acpi_data[] = "ACPI DATA";
enum { TYPE_PLATFORM_CONFIG = 10 };

bool event_is_acpi(const struct event *e)
{
	return e->imr == 0 && e->type == TYPE_PLATFORM_CONFIG && span_is(e->payload, acpi_data);
}

void eventlog_name_acpi(struct eventlog *log, bool tpm)
{
	static const char *const plain[] = { "acpi-loader", "acpi-rsdp", "acpi-tables" };
	static const char *const with_tpm[] = { "acpi-loader", "acpi-rsdp", "acpi-tpmlog", "acpi-tables" };
	const char *const *names = tpm ? with_tpm : plain;
	size_t n = tpm ? 4 : 3;

	for (size_t i = 0, seen = 0; i < log->n && seen < n; i++)
		if (event_is_acpi(&log->e[i]))
			log->e[i].name = span_str(names[seen++]);
}

struct event event_runtime(struct span name, struct span payload, uint8_t version)
{
	return (struct event){
		.imr = 3, .type = EVENT_RUNTIME, .version = version, .name = name, .payload = payload
	};
}

int event_name_check(struct span name, uint8_t version, struct fault *f)
{
	if (version != 1 && version != 2)
		return fault_set(f, "events.version", "runtime event version is neither 1 nor 2", 0);
	if (!name.n || name.n > EVENT_NAME_MAX)
		return fault_set(f, "events.name", "runtime event name is empty or too long", 0);
	if (!utf8_is(name))
		return fault_set(f, "events.name", "runtime event name is not UTF-8", 0);
	for (size_t i = 0; version == 1 && i < name.n; i++)
		if (name.p[i] == ':')
			return fault_set(
				f, "events.name",
				"version-1 event name contains ':', so two events could share a digest", i);
	return 0;
}

// RFC 8785 section 3.2.2.2
static void json_text(struct wr *out, struct span s)
{
	wr_u8(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		static const char names[] = "btn?fr"; // 8..13

		if (c == '"' || c == '\\') {
			wr_u8(out, '\\');
			wr_u8(out, c);
		} else if (c >= 8 && c <= 13 && c != 11) {
			wr_u8(out, '\\');
			wr_u8(out, (uint8_t)names[c - 8]);
		} else if (c < 0x20) {
			wr_str(out, "\\u00");
			wr_hex(out, &c, 1);
		} else {
			wr_u8(out, c);
		}
	}
	wr_u8(out, '"');
}

void event_preimage_v2(struct wr *out, struct span name, struct span payload)
{
	wr_str(out, "{\"name\":");
	json_text(out, name);
	wr_str(out, ",\"payload\":\"");
	wr_hex(out, payload.p, payload.n);
	wr_str(out, "\",\"type\":134217729}");
}

// The preimage is hashed in pieces: a payload may be megabytes and there is no heap here.
static void digest_v2(uint8_t out[EVENT_DIGEST], const struct event *e)
{
	uint8_t head[16 + 6 * EVENT_NAME_MAX], piece[128];
	struct wr w = wr_to(head, sizeof head);
	struct sha512 s;

	sha384_init(&s);
	wr_str(&w, "{\"name\":");
	json_text(&w, e->name);
	sha512_add(&s, head, w.n);
	sha512_add(&s, ",\"payload\":\"", 12);
	for (size_t at = 0; at < e->payload.n; at += sizeof piece / 2) {
		size_t left = e->payload.n - at;

		w = wr_to(piece, sizeof piece);
		wr_hex(&w, e->payload.p + at, left < sizeof piece / 2 ? left : sizeof piece / 2);
		sha512_add(&s, piece, w.n);
	}
	sha512_add(&s, "\",\"type\":134217729}", 19);
	sha384_end(&s, out);
}

int event_digest(uint8_t out[EVENT_DIGEST], const struct event *e, struct fault *f)
{
	static const uint8_t head[] = { 0x01, 0x00, 0x00, 0x08, ':' };
	struct sha512 s;

	if (event_name_check(e->name, e->version, f))
		return -1;
	if (e->version == 2) {
		digest_v2(out, e);
		return 0;
	}
	sha384_init(&s);
	sha512_add(&s, head, sizeof head);
	sha512_add(&s, e->name.p, e->name.n);
	sha512_add(&s, ":", 1);
	sha512_add(&s, e->payload.p, e->payload.n);
	sha384_end(&s, out);
	return 0;
}

void register_extend(uint8_t reg[EVENT_DIGEST], const uint8_t digest[EVENT_DIGEST])
{
	struct sha512 s;

	sha384_init(&s);
	sha512_add(&s, reg, EVENT_DIGEST);
	sha512_add(&s, digest, EVENT_DIGEST);
	sha384_end(&s, reg);
}

static void clear(void *p, size_t n)
{
	for (uint8_t *b = p; n; n--)
		*b++ = 0;
}

// The digest of an event of register 3. One that came along must be the same: what is shown is what was
// hashed.
static int runtime_digest(uint8_t out[EVENT_DIGEST], const struct event *e, size_t i, struct fault *f)
{
	if (e->type != EVENT_RUNTIME)
		return fault_set(f, "events.type", "event of register 3 is not a runtime event", i);
	if (event_digest(out, e, f)) {
		f->at = i;
		return -1;
	}
	if (e->digest.n && !span_eq(e->digest, span_of(out, EVENT_DIGEST)))
		return fault_set(f, "events.digest", "digest of a runtime event is not that of its content",
				 i);
	return 0;
}

static int check_content(const struct event *e, size_t i, struct fault *f)
{
	uint8_t want[EVENT_DIGEST], got[EVENT_DIGEST];

	if (runtime_digest(want, e, i, f))
		return -1;
	if (e->version == 1)
		return 0;
	sha384(e->preimage.p, e->preimage.n, got);
	if (!span_eq(span_of(want, sizeof want), span_of(got, sizeof got)))
		return fault_set(f, "events.preimage",
				 "preimage is not the canonical form of name and payload", i);
	return 0;
}

int event_check(const struct event *e, size_t i, struct fault *f)
{
	if (e->imr > 3)
		return fault_set(f, "events.imr", "event of a register that does not exist", i);
	if (e->imr != 3 && e->type == EVENT_RUNTIME)
		return fault_set(f, "events.type", "runtime event in a register of the boot", i);
	if (e->imr != 3)
		return e->version == 1
			       ? 0
			       : fault_set(f, "events.version", "boot event claims to be of version 2", i);
	if (e->version == 2 && !e->preimage.n)
		return fault_set(f, "events.preimage", "version-2 event without preimage", i);
	if (e->version == 1 && e->preimage.n)
		return fault_set(f, "events.preimage", "version-1 event with a preimage", i);
	if (e->type != EVENT_RUNTIME || e->version == 2 || e->digest.n)
		return check_content(e, i, f);
	if (event_name_check(e->name, e->version, f)) { // nothing to compare: the replay computes the digest
		f->at = i;
		return -1;
	}
	return 0;
}

static int fold(uint8_t reg[EVENT_DIGEST], const struct event *e, size_t i, struct fault *f)
{
	uint8_t digest[EVENT_DIGEST];

	if (e->imr == 3) {
		if (runtime_digest(digest, e, i, f))
			return -1;
		register_extend(reg, digest);
	} else if (e->type == EVENT_RUNTIME) {
		return fault_set(f, "events.type", "runtime event in a register of the boot", i);
	} else if (e->digest.n != EVENT_DIGEST) {
		return fault_set(f, "events.digest", "boot event has no SHA-384 digest", i);
	} else {
		register_extend(reg, e->digest.p);
	}
	return 0;
}

int eventlog_replay(uint8_t rtmr[4][EVENT_DIGEST], const struct eventlog *log, struct fault *f)
{
	clear(rtmr, 4 * EVENT_DIGEST);
	for (size_t i = 0; i < log->n; i++) {
		const struct event *e = &log->e[i];

		if (e->imr > 3)
			return fault_set(f, "events.imr", "event of a register that does not exist", i);
		if (fold(rtmr[e->imr], e, i, f))
			return -1;
	}
	return 0;
}

int eventlog_replay_runtime(uint8_t rtmr3[EVENT_DIGEST], const struct eventlog *log, bool boottime,
			    struct fault *f)
{
	clear(rtmr3, EVENT_DIGEST);
	for (size_t i = 0; i < log->n; i++) {
		const struct event *e = &log->e[i];

		if (e->imr != 3)
			continue;
		if (fold(rtmr3, e, i, f))
			return -1;
		if (boottime && span_is(e->name, "boot-mr-done"))
			break;
	}
	return 0;
}

int eventlog_same_runtime(const struct eventlog *log, const struct eventlog *runtime, struct fault *f)
{
	size_t j = 0;

	for (size_t i = 0; i < log->n; i++) {
		const struct event *e = &log->e[i], *r = &runtime->e[j];

		if (event_check(e, i, f))
			return -1;
		if (e->imr != 3)
			continue;
		if (j++ == runtime->n || !span_eq(e->name, r->name) || !span_eq(e->payload, r->payload) ||
		    e->version != r->version)
			return fault_set(f, "events.disagree", "the two lists of runtime events differ", i);
	}
	if (j && j != runtime->n)
		return fault_set(f, "events.disagree", "the two lists of runtime events differ", j);
	return 0;
}

int eventlog_same_boot(const struct eventlog *log, const uint8_t quoted[4][EVENT_DIGEST], struct fault *f)
{
	uint8_t rtmr[3][EVENT_DIGEST];
	bool whole = false;

	clear(rtmr, sizeof rtmr);
	for (size_t i = 0; i < log->n; i++) {
		const struct event *e = &log->e[i];

		if (e->imr > 2)
			continue;
		whole |= !event_is_acpi(e);
		if (fold(rtmr[e->imr], e, i, f))
			return -1;
	}
	for (size_t i = 0; whole && i < 3; i++)
		if (!span_eq(span_of(rtmr[i], EVENT_DIGEST), span_of(quoted[i], EVENT_DIGEST)))
			return fault_set(f, "events.boot",
					 "boot events of the log do not fold to the quoted register", i);
	return 0;
}

// What the boot measures before boot-mr-done, and what it adds until system-ready.
struct system_event {
	const char *name;
	struct span *to;
	bool early;
};

static int system_event(struct app_events *app, const struct system_event *s, bool *seen,
			const struct event *e, size_t i, struct fault *f)
{
	if (*seen)
		return fault_set(f, "events.duplicate", "a system event occurs twice before system-ready", i);
	if (s->early && app->boot_mr_done)
		return 0;
	*seen = true;
	*s->to = e->payload;
	return 0;
}

static int app_event(struct app_events *app, bool *seen, const struct event *e, size_t i, struct fault *f)
{
	const struct system_event system[] = {
		{ "app-id", &app->app_id, true },
		{ "compose-hash", &app->compose_hash, true },
		{ "instance-id", &app->instance_id, true },
		{ "gpu-policy-hash", &app->gpu_policy_hash, true },
		{ "key-provider", &app->key_provider, false },
		{ "os-image-hash", &app->os_image_hash, false },
		{ "storage-fs", &app->storage_fs, false },
		{ "deployment-seed", &app->deployment_seed, true },
	};

	for (size_t k = 0; k < sizeof system / sizeof *system; k++)
		if (span_is(e->name, system[k].name))
			return system_event(app, &system[k], &seen[k], e, i, f);
	if (span_is(e->name, "boot-mr-done")) {
		if (app->boot_mr_done)
			return fault_set(f, "events.duplicate",
					 "boot-mr-done occurs twice before system-ready", i);
		app->boot_mr_done = true;
	}
	if (span_is(e->name, "init-script-hash") && !app->boot_mr_done) {
		if (app->n_init_scripts == APP_SCRIPTS_MAX)
			return fault_set(f, "events.limit", "too many init scripts", i);
		app->init_scripts[app->n_init_scripts++] = e->payload;
	}
	return 0;
}

int app_events_read(struct app_events *app, const struct eventlog *runtime, struct fault *f)
{
	bool seen[8] = { false };

	clear(app, sizeof *app);
	for (size_t i = 0; i < runtime->n; i++) {
		const struct event *e = &runtime->e[i];

		if (e->imr != 3)
			continue;
		if (span_is(e->name, "system-ready")) {
			app->system_ready = true;
			break;
		}
		if (app_event(app, seen, e, i, f))
			return -1;
	}
	return 0;
}
