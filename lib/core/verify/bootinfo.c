#include "core/verify/bootinfo.h"
#include "core/codec/json.h"

static void hex_member(struct wr *out, const char *key, const uint8_t *p, size_t n)
{
	wr_str(out, ",\"");
	wr_str(out, key);
	wr_str(out, "\":");
	wr_json_hex(out, p, n);
}

void boot_info_write_json(struct wr *out, const struct boot_info *b)
{
	wr_str(out, "{\"teeVariant\":");
	wr_json(out, span_str(b->tee_variant));
	hex_member(out, "mrAggregated", b->mr_aggregated, sizeof b->mr_aggregated);
	hex_member(out, "osImageHash", b->os_image_hash, b->has_os_image_hash ? sizeof b->os_image_hash : 0);
	hex_member(out, "mrSystem", b->mr_system, sizeof b->mr_system);
	hex_member(out, "appId", b->app_id, b->has_app_id ? sizeof b->app_id : 0);
	hex_member(out, "composeHash", b->compose_hash, b->has_compose_hash ? sizeof b->compose_hash : 0);
	hex_member(out, "instanceId", b->instance_id, b->has_instance_id ? sizeof b->instance_id : 0);
	hex_member(out, "deviceId", b->device_id, sizeof b->device_id);
	hex_member(out, "keyProviderInfo", b->key_provider_info, b->key_provider_info_n);
	wr_str(out, ",\"tcbStatus\":");
	wr_json(out, span_str(b->tcb_status));
	wr_str(out, ",\"advisoryIds\":[");
	for (size_t i = 0; i < b->n_advisory_ids; i++) {
		if (i)
			wr_u8(out, ',');
		wr_json(out, span_str(b->advisory_ids[i]));
	}
	wr_str(out, "]}");
}
