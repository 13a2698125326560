// vm_config: what the host says about the machine. A claim: wrong values give other registers than the quoted
// ones.
#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "core/measure/measure.h"

static int fault_at(struct fault *f, const char *text)
{
	return fault_set(f, "vm_config.format", text, 0);
}

static bool has(struct json obj, const char *name, struct json *v)
{
	return json_get(obj, name, v) && json_kind(*v) != JSON_NULL;
}

static int number(struct json obj, const char *name, uint64_t max, uint64_t *out)
{
	struct json v;

	return has(obj, name, &v) ? json_u64(v, max, out) : 0;
}

static int number32(struct json obj, const char *name, uint32_t *out)
{
	uint64_t v = *out;

	if (number(obj, name, UINT32_MAX, &v))
		return -1;
	*out = (uint32_t)v;
	return 0;
}

static int flag(struct json obj, const char *name, bool *out)
{
	struct json v;

	return has(obj, name, &v) ? json_bool(v, out) : 0;
}

static int maybe(struct json obj, const char *name, int *out)
{
	struct json v;
	bool b;

	*out = -1;
	if (!has(obj, name, &v))
		return 0;
	if (json_bool(v, &b))
		return -1;
	*out = b;
	return 0;
}

static int text(struct json obj, const char *name, struct wr *scratch, struct span *out)
{
	struct json v;
	size_t n;

	*out = (struct span){ 0 };
	if (!has(obj, name, &v))
		return 0;
	if (json_kind(v) != JSON_STRING || scratch->bad ||
	    json_string(v, scratch->p + scratch->n, scratch->cap - scratch->n, &n))
		return -1;
	*out = span_of(scratch->p + scratch->n, n);
	scratch->n += n;
	return 0;
}

// Exactly three numbers: "a.b.c".
static int version(struct span s, uint32_t out[3])
{
	struct rd in = rd_span(s);

	for (int i = 0; i < 3; i++) {
		uint32_t v = 0, digits = 0;

		for (; rd_left(&in) && *in.p >= '0' && *in.p <= '9' && digits < 5; digits++)
			v = v * 10 + (rd_u8(&in) - (uint32_t)'0');
		if (!digits || (i < 2 && rd_u8(&in) != '.'))
			return -1;
		out[i] = v;
	}
	return in.bad || rd_left(&in) ? -1 : 0;
}

static int base64_member(struct json obj, const char *name, struct wr *scratch, struct span *out)
{
	struct json v;
	struct span s;
	size_t at = scratch->n;

	if (!json_get(obj, name, &v) || json_plain(v, &s) || base64_decode(scratch, s))
		return -1;
	*out = span_of(scratch->p + at, scratch->n - at);
	return 0;
}

static int read_machine(struct vm_config *c, struct wr *scratch, struct json root, struct fault *f)
{
	struct span qemu;

	if (number32(root, "cpu_count", &c->cpu_count) ||
	    number(root, "memory_size", UINT64_MAX, &c->memory_size) ||
	    number32(root, "num_nics", &c->num_nics) || number32(root, "num_gpus", &c->num_gpus) ||
	    number32(root, "num_nvswitches", &c->num_nvswitches) ||
	    number32(root, "num_verity_volumes", &c->num_verity_volumes) ||
	    number(root, "pci_hole64_size", UINT64_MAX, &c->pci_hole64_size) ||
	    flag(root, "hugepages", &c->hugepages) || flag(root, "hotplug_off", &c->hotplug_off) ||
	    flag(root, "swtpm", &c->swtpm) || maybe(root, "qemu_single_pass_add_pages", &c->two_pass) ||
	    maybe(root, "pic", &c->pic))
		return fault_at(f, "a member of vm_config has the wrong type");
	if (text(root, "qemu_version", scratch, &qemu) || (qemu.n && version(qemu, c->qemu)))
		return fault_at(f, "qemu_version is not three numbers");
	return 0;
}

int vm_config_read(struct vm_config *c, struct wr *scratch, struct span json, struct fault *f)
{
	struct json root, v;
	struct span tee, variant;

	*c = (struct vm_config){ .num_nics = 1 };
	if (json_parse(&root, json, NULL) || json_kind(root) != JSON_OBJECT)
		return fault_at(f, "vm_config is not a JSON object");
	if (has(root, "os_image_hash", &v)) {
		if (json_hex(v, c->os_image_hash, sizeof c->os_image_hash)) {
			if (json_string_size(v) || json_kind(v) != JSON_STRING)
				return fault_at(f, "os_image_hash is not 32 bytes of hex");
		} else {
			c->has_image_hash = true;
		}
	}
	if (read_machine(c, scratch, root, f))
		return -1;
	if (text(root, "image", scratch, &c->image) ||
	    text(root, "ovmf_variant", scratch, &c->ovmf_variant) || text(root, "tee", scratch, &tee) ||
	    text(root, "tdx_attestation_variant", scratch, &variant) ||
	    text(root, "mr_config", scratch, &c->mr_config))
		return fault_at(f, "a member of vm_config has the wrong type");
	if (variant.n && !span_is(variant, "legacy") && !span_is(variant, "lite"))
		return fault_at(f, "tdx_attestation_variant is neither legacy nor lite");
	if (c->ovmf_variant.n && !span_is(c->ovmf_variant, "pre202505"))
		return fault_set(f, "measure.firmware", "firmware layout is not pre202505", 0);
	c->lite = span_is(variant, "lite");
	if (span_is(tee, "soft"))
		c->profile = MEASURE_SOFT;
	if (has(root, "tdx_measurement", &v) &&
	    (base64_member(v, "checksum_file", scratch, &c->tdx_checksum_file) ||
	     base64_member(v, "measurement", scratch, &c->tdx_measurement)))
		return fault_at(f, "tdx_measurement is not {checksum_file, measurement} in base64");
	return 0;
}
