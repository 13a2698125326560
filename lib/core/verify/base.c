// The base of a TD: which image, and whether MRTD and RTMR0-2 are what that image gives on this machine.
#include "core/verify/parts.h"

static bool fail(struct verify *v, const char *value, const char *code, const char *detail)
{
	verdict_fail(&v->verdict, "os_image", span_str(value), v->quote.anchor, code, detail);
	return false;
}

// The machine as the host describes it: a claim that other registers would betray.
static bool config_is_sound(struct verify *v)
{
	if (v->config_fault.code) {
		fail_fault(&v->verdict, "os_image", v->quote.anchor, &v->config_fault);
		return false;
	}
	if (v->config.profile == MEASURE_SOFT && v->quote.anchor != ANCHOR_DEVELOPMENT)
		return fail(v, "soft", "measure.soft_profile",
			    "the software TEE's profile is for quotes under a development root only");
	if (!v->has_image_hash)
		return fail(
			v, "", "measure.base_unverified",
			"vm_config has no os_image_hash, so nothing says what the base should measure to");
	return true;
}

static void fail_image(struct verify *v, const struct fault *f)
{
	char text[65];
	struct wr w = wr_to(text, sizeof text);

	wr_hex(&w, v->config.os_image_hash, 32);
	verdict_fail(&v->verdict, "os_image", span_of(text, w.n), v->quote.anchor, f->code, f->text);
}

static bool unknown(struct fault *f, const char *text)
{
	fault_set(f, "measure.base_unverified", text, 0);
	return false;
}

// The measurement that came along, when exactly this image is allowed by its hash.
static bool carried(struct verify *v, struct verify_image *out, struct fault *f)
{
	const struct vm_config *c = &v->config;

	*out = (struct verify_image){ 0 };
	if (expect_bytes(v->expect, "os_image_hash", span_of(c->os_image_hash, 32)) != EXPECT_HELD)
		return unknown(f, "this image is not here, and the expectations do not allow it by its hash");
	if (!c->tdx_measurement.n)
		return unknown(f, "this image is not here, and the evidence brings no measurement of it");
	if (!measure_memory_ok(c))
		return unknown(f, "at this memory size the measurement that came along does not hold");
	if (measurement_bound(c->os_image_hash, c->tdx_checksum_file, c->tdx_measurement, f) ||
	    measurement_tdx_read(&out->m, c->tdx_measurement, f))
		return false;
	for (size_t i = 0; i < MEASURE_LEN; i++)
		out->kernel[i] = out->m.kernel[i];
	return true;
}

static const struct verify_image *find_image(struct verify *v, struct verify_image *room,
					     const struct verify_image *given)
{
	struct fault f;

	if (given)
		return given;
	if (v->image_fault.code && !span_is(span_str(v->image_fault.code), "measure.base_unverified")) {
		fail_image(v, &v->image_fault);
		return NULL;
	}
	if (carried(v, room, &f))
		return room;
	if (v->image_fault.code && span_is(span_str(f.code), "measure.base_unverified"))
		f.text = v->image_fault.text; // where it was looked for
	fail_image(v, &f);
	return NULL;
}

static void claim_image(struct verify *v, const struct verify_image *image)
{
	struct boot_info *b = &v->boot;
	struct claim *c = expect_claim(v, "os_image", "os_image_hash", span_of(v->config.os_image_hash, 32),
				       "image.not_expected");
	char text[sizeof c->detail];
	struct wr w = wr_to(text, sizeof text);

	for (size_t i = 0; i < 32; i++)
		b->os_image_hash[i] = v->config.os_image_hash[i];
	b->has_os_image_hash = true;
	if (!c->ok || !*image->version)
		return;
	wr_str(&w, "version ");
	wr_str(&w, image->version);
	wr_str(&w, image->is_dev ? ", a development image" : "");
	TEXT_PUT(c->detail, text_done(&w));
}

static void judge_register(struct verify *v, const struct expect *want, uint32_t i)
{
	static const char *const names[] = { "rtmr0", "rtmr1", "rtmr2" };
	static const char *const codes[] = { "measure.rtmr0", "measure.rtmr1", "measure.rtmr2" };
	static const char *const causes[] = {
		"firmware settings, memory size or ACPI tables differ",
		"kernel, initrd size or memory size differ from the image's",
		"kernel command line or initrd differ from the image's",
	};
	const uint8_t *got = v->quote.td.rtmr[i];
	struct span w = span_of(want->value, MEASURE_LEN);
	struct claim *c =
		verdict_equal(&v->verdict, names[i], span_of(got, 48), &w, v->quote.anchor, codes[i]);
	char text[sizeof c->detail];
	struct wr o = wr_to(text, sizeof text);

	if (c->ok)
		return;
	measure_explain(&o, want, i, &v->evidence.env.log);
	if (!o.n) {
		o = wr_to(text, sizeof text);
		wr_str(&o, causes[i]);
		wr_str(&o, " (expected ");
		wr_hex(&o, want->value, 8);
		wr_str(&o, ".., got ");
		wr_hex(&o, got, 8);
		wr_str(&o, "..)");
	}
	TEXT_PUT(c->detail, text_done(&o));
}

void base_judge(struct verify *v, const struct verify_image *given)
{
	struct verify_image room;
	struct measured want;
	struct fault f;

	if (!config_is_sound(v))
		return;
	const struct verify_image *image = find_image(v, &room, given);

	if (!image)
		return;
	claim_image(v, image);
	if (measure_expect(&want, &image->m, image->kernel, &v->config, &v->evidence.env.log, &f)) {
		fail_fault(&v->verdict, "rtmr0", v->quote.anchor, &f);
		return;
	}
	struct span mrtd = span_of(want.mrtd, MEASURE_LEN);

	verdict_equal(&v->verdict, "mrtd", span_of(v->quote.td.mr_td, 48), &mrtd, v->quote.anchor,
		      "measure.mrtd");
	for (uint32_t i = 0; i < 3; i++)
		judge_register(v, &want.rtmr[i], i);
}
