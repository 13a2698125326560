#include "boot.h"

#include <stdio.h>
#include <string.h>

#include "base/strings.h"

static int bad(struct err *e, const char *member, const char *want)
{
	return err_code(e, ERR_INPUT, "auth.request", "invalid authorization request: %s is not %s", member,
			want);
}

static const char *digits(const char *text)
{
	return str_starts(text, "0x") ? text + 2 : text;
}

// `has` not NULL: the text may be empty.
static int bytes(uint8_t *out, size_t n, bool *has, const char *text, const char *member, struct err *e)
{
	char want[32];

	if (has) {
		*has = *digits(text) != 0;
		if (!*has)
			return 0;
	}
	snprintf(want, sizeof want, "%zu bytes in hex", n);
	return hex_exact(out, n, digits(text)) ? 0 : bad(e, member, want);
}

// A name as Intel and AMD give them. Reasons and logs quote it, so it can be nothing else.
static int words(char *out, size_t cap, const char *text, const char *member, struct err *e)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", text[i]))
			return bad(e, member, "a name of letters, digits, - _ and .");
	if (n >= cap)
		return bad(e, member, "as short as any genuine one");
	memcpy(out, text, n + 1);
	return 0;
}

static int texts(struct boot_info *b, const Auth__BootInfo *in, struct err *e)
{
	const char *provider = digits(in->keyproviderinfo);

	if (words(b->tee_variant, sizeof b->tee_variant, in->teevariant, "teeVariant", e) ||
	    words(b->tcb_status, sizeof b->tcb_status, in->tcbstatus, "tcbStatus", e))
		return -1;
	if (strcmp(in->anchor, "") && strcmp(in->anchor, "intel") && strcmp(in->anchor, "amd") &&
	    strcmp(in->anchor, "development"))
		return bad(e, "anchor", "intel, amd or development");
	snprintf(b->anchor, sizeof b->anchor, "%s", *in->anchor ? in->anchor : "intel");
	if (hex_read(b->key_provider_info, sizeof b->key_provider_info, provider, strlen(provider),
		     &b->key_provider_info_n))
		return bad(e, "keyProviderInfo", "hex of at most 1024 bytes");
	if (in->n_advisoryids > BOOT_ADVISORIES_MAX)
		return bad(e, "advisoryIds", "a list of at most 32");
	for (b->n_advisory_ids = 0; b->n_advisory_ids < in->n_advisoryids; b->n_advisory_ids++)
		if (words(b->advisory_ids[b->n_advisory_ids], sizeof b->advisory_ids[0],
			  in->advisoryids[b->n_advisory_ids], "advisoryIds", e))
			return -1;
	return 0;
}

int boot_read(struct boot_info *out, const Auth__BootInfo *in, struct err *e)
{
	*out = (struct boot_info){ .has_app_id = true, .has_compose_hash = true };
	return texts(out, in, e) ||
			       bytes(out->mr_aggregated, 32, NULL, in->mraggregated, "mrAggregated", e) ||
			       bytes(out->mr_system, 32, NULL, in->mrsystem, "mrSystem", e) ||
			       bytes(out->app_id, 20, NULL, in->appid, "appId", e) ||
			       bytes(out->compose_hash, 32, NULL, in->composehash, "composeHash", e) ||
			       bytes(out->device_id, 32, NULL, in->deviceid, "deviceId", e) ||
			       bytes(out->instance_id, 20, &out->has_instance_id, in->instanceid,
				     "instanceId", e) ||
			       bytes(out->os_image_hash, 32, &out->has_os_image_hash, in->osimagehash,
				     "osImageHash", e)
		       ? -1
		       : 0;
}
