#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "core/codec/json.h"

enum { TEXT_MAX = 128 << 10 };

static bool one_of(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(name, *list))
			return true;
	return false;
}

static enum stage stage_of(const struct claim *c)
{
	static const char *const image[] = { "os_image", "mrtd",        "rtmr0", "rtmr1",
					     "rtmr2",    "measurement", NULL };
	static const char *const events[] = { "event_log", "app_id",      "compose_hash",
					      "identity",  "instance_id", "key_provider",
					      "config_id", "app_info",    NULL };

	if (one_of(c->name, image))
		return STAGE_IMAGE;
	return one_of(c->name, events) || str_starts(c->code, "events.") ? STAGE_EVENTS : STAGE_QUOTE;
}

enum stage answer_stage(const struct trust_result *r, const struct err *e)
{
	if (r->verdict.ok)
		return STAGE_NONE;
	for (size_t i = 0; i < r->verdict.n; i++)
		if (!r->verdict.claim[i].ok)
			return stage_of(&r->verdict.claim[i]);
	if (e->class == ERR_SYSTEM || e->class == ERR_BUG)
		return STAGE_INTERNAL;
	return r->has_quote ? STAGE_IMAGE : STAGE_QUOTE; // a claim is missing
}

static void hex_member(struct sb *b, const char *name, const void *p, size_t n)
{
	sb_json_key(b, name);
	sb_chr(b, '"');
	sb_hex(b, p, n);
	sb_chr(b, '"');
}

static void flag(struct sb *b, const char *name, bool value)
{
	sb_json_key(b, name);
	sb_str(b, value ? "true" : "false");
}

static void null(struct sb *b, const char *name)
{
	sb_json_key(b, name);
	sb_str(b, "null");
}

static void key_provider(struct sb *b, const struct boot_info *boot)
{
	struct json root, name, id;
	char text[64], *digits = NULL;

	sb_json_key(b, "key_provider");
	if (!boot->key_provider_info_n ||
	    json_parse(&root, span_of(boot->key_provider_info, boot->key_provider_info_n), NULL) ||
	    !json_get(root, "name", &name) || json_cstr(name, text, sizeof text) ||
	    !json_get(root, "id", &id) || json_kind(id) != JSON_STRING ||
	    !(digits = malloc(json_string_size(id) + 1)) || json_cstr(id, digits, json_string_size(id) + 1)) {
		sb_str(b, "null");
	} else {
		sb_str(b, "{");
		sb_json_key(b, "name");
		sb_json_str(b, text);
		sb_json_key(b, "id");
		sb_json_str(b, digits);
		sb_str(b, "}");
	}
	free(digits);
}

static void app_info(struct sb *b, const struct boot_info *i)
{
	sb_json_key(b, "app_info");
	sb_str(b, "{");
	hex_member(b, "app_id", i->app_id, i->has_app_id ? sizeof i->app_id : 0);
	hex_member(b, "compose_hash", i->compose_hash, i->has_compose_hash ? sizeof i->compose_hash : 0);
	hex_member(b, "instance_id", i->instance_id, i->has_instance_id ? sizeof i->instance_id : 0);
	hex_member(b, "device_id", i->device_id, sizeof i->device_id);
	hex_member(b, "mr_system", i->mr_system, sizeof i->mr_system);
	hex_member(b, "mr_aggregated", i->mr_aggregated, sizeof i->mr_aggregated);
	hex_member(b, "os_image_hash", i->os_image_hash, i->has_os_image_hash ? sizeof i->os_image_hash : 0);
	hex_member(b, "key_provider_info", i->key_provider_info, i->key_provider_info_n);
	sb_str(b, "}");
}

static void boot_info(struct sb *b, const struct boot_info *i)
{
	uint8_t *text = malloc(TEXT_MAX);
	struct wr w = wr_to(text, text ? TEXT_MAX : 0);

	boot_info_write_json(&w, i);
	b->bad |= w.bad;
	if (!w.bad) {
		sb_json_key(b, "boot_info");
		sb_put(b, w.p, w.n);
	}
	free(text);
}

static void tcb(struct sb *b, const struct trust_result *r)
{
	sb_json_key(b, "tcb_status");
	if (r && r->has_quote)
		sb_json_str(b, tcb_status_name(r->quote.tcb.status));
	else
		sb_str(b, "null");
	sb_json_key(b, "advisory_ids");
	sb_str(b, "[");
	for (size_t i = 0; r && r->has_quote && i < r->quote.tcb.n; i++) {
		sb_json_next(b);
		sb_json_str(b, r->quote.tcb.advisory[i]);
	}
	sb_str(b, "]");
}

// The registers that differ, for whoever asked for it.
static void rtmr_debug(struct sb *b, const struct trust_result *r)
{
	static const char *const names[] = { "rtmr0", "rtmr1", "rtmr2", NULL };
	bool begun = false;

	for (size_t i = 0; i < r->verdict.n; i++) {
		const struct claim *c = &r->verdict.claim[i];

		if (c->ok || !one_of(c->name, names))
			continue;
		if (!begun) {
			sb_json_key(b, "rtmr_debug");
			sb_str(b, "[");
		}
		begun = true;
		sb_json_next(b);
		sb_str(b, "{");
		sb_json_key(b, "rtmr");
		sb_json_str(b, c->name);
		sb_json_key(b, "actual");
		sb_json_str(b, c->value);
		sb_json_key(b, "explanation");
		sb_json_str(b, c->detail);
		sb_str(b, "}");
	}
	if (begun)
		sb_str(b, "]");
}

static bool stage_holds(const struct trust_result *r, enum stage s, const char *needed)
{
	const struct claim *c = r ? verdict_find(&r->verdict, needed) : NULL;

	if (!c || !c->ok)
		return false;
	for (size_t i = 0; i < r->verdict.n; i++)
		if (!r->verdict.claim[i].ok && stage_of(&r->verdict.claim[i]) == s)
			return false;
	return true;
}

static bool is_snp(const struct trust_result *r)
{
	const struct claim *c = r->has_quote ? verdict_find(&r->verdict, "platform") : NULL;

	return c && c->ok && !strcmp(c->value, "sev-snp");
}

// What holds: of SEV-SNP the document behind the host data stands for the events, and an allowed launch
// measurement for the image.
static void stages(struct sb *b, const struct answer *a)
{
	const struct trust_result *r = a->result;
	bool snp = r && is_snp(r), quote = r && r->has_quote && stage_holds(r, STAGE_QUOTE, "quote");
	bool image = quote && a->failed != STAGE_IMAGE;

	flag(b, "quote_verified", quote);
	flag(b, "event_log_verified", quote && stage_holds(r, STAGE_EVENTS, snp ? "config_id" : "event_log"));
	flag(b, "os_image_hash_verified", image && stage_holds(r, STAGE_IMAGE, snp ? "measurement" : "mrtd"));
	flag(b, "acpi_tables_verified", false); // their digests are the log's
	if (r && r->machine.has_image) {
		flag(b, "os_image_is_dev", r->machine.is_dev);
		sb_json_key(b, "os_image_version");
		sb_json_str(b, r->machine.version);
	} else {
		null(b, "os_image_is_dev");
		null(b, "os_image_version");
	}
	sb_json_key(b, "tee_variant");
	sb_str(b, snp                                    ? "\"dstack-amd-sev-snp\""
		  : r && r->has_quote && r->quote.is_tdx ? "\"dstack-tdx\""
							 : "null");
}

static void details(struct sb *b, const struct answer *a)
{
	const struct trust_result *r = a->result;
	bool valid = r && a->failed == STAGE_NONE && r->verdict.ok;

	sb_json_key(b, "details");
	sb_str(b, "{");
	stages(b, a);
	if (r && r->has_quote)
		hex_member(b, "report_data", r->quote.report_data, sizeof r->quote.report_data);
	else
		null(b, "report_data");
	tcb(b, r);
	if (valid) {
		key_provider(b, &r->boot);
		app_info(b, &r->boot);
		boot_info(b, &r->boot);
	} else {
		null(b, "key_provider");
		null(b, "app_info");
	}
	if (r && a->debug)
		rtmr_debug(b, r);
	sb_str(b, "}");
}

static void reason(struct sb *b, const struct answer *a)
{
	static const char *const heads[] = {
		[STAGE_QUOTE] = "Quote verification failed",
		[STAGE_EVENTS] = "Event log verification failed",
		[STAGE_IMAGE] = "OS image hash verification failed",
		[STAGE_CERTIFICATE] = "Certificate verification failed",
		[STAGE_INTERNAL] = "Internal error",
	};
	char text[600];

	sb_json_key(b, "reason");
	if (a->failed == STAGE_NONE) {
		sb_str(b, "null");
		return;
	}
	snprintf(text, sizeof text, "%s: %s", heads[a->failed], a->err->text);
	sb_json_str(b, text);
}

static void verdict(struct sb *b, const struct trust_result *r)
{
	uint8_t *text = malloc(TEXT_MAX);
	struct wr w = wr_to(text, text ? TEXT_MAX : 0);

	sb_json_key(b, "verdict");
	if (r) {
		trust_json(&w, r);
		b->bad |= w.bad;
		sb_put(b, w.p, w.bad ? 0 : w.n);
	} else {
		sb_str(b, "null");
	}
	free(text);
}

void answer_members(struct sb *out, const struct answer *a)
{
	bool valid = a->failed == STAGE_NONE && a->result && a->result->verdict.ok;

	flag(out, "is_valid", valid);
	details(out, a);
	reason(out, a);
	verdict(out, a->result);
}

void answer_json(struct sb *out, const struct answer *a)
{
	sb_str(out, "{");
	answer_members(out, a);
	sb_str(out, "}");
}
