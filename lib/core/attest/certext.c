#include "core/attest/certext.h"
#include "core/codec/der.h"
#include "core/codec/msgpack.h"
#include "core/codec/scale.h"

void app_info_write(struct wr *out, const struct app_info *i)
{
	mp_wr_array(out, 9);
	mp_wr_bin(out, i->app_id);
	mp_wr_bin(out, i->compose_hash);
	mp_wr_bin(out, i->instance_id);
	mp_wr_bin(out, i->device_id);
	mp_wr_bin(out, i->mr_system);
	mp_wr_bin(out, i->mr_aggregated);
	mp_wr_bin(out, i->os_image_hash);
	mp_wr_bin(out, i->key_provider_info);
	if (!i->has_scripts) {
		mp_wr_nil(out);
		return;
	}
	mp_wr_array(out, i->n_scripts);
	for (size_t k = 0; k < i->n_scripts; k++)
		mp_wr_bin(out, i->scripts[k]);
}

int app_info_read(struct app_info *info, struct wr *scratch, struct span bytes, struct fault *f)
{
	struct rd in = rd_span(bytes);
	struct span *const to[] = { &info->app_id,        &info->compose_hash,     &info->instance_id,
				    &info->device_id,     &info->mr_system,        &info->mr_aggregated,
				    &info->os_image_hash, &info->key_provider_info };
	uint32_t n = mp_rd_array(&in);

	*info = (struct app_info){ 0 };
	if (n != 9 && n != 8)
		in.bad = true;
	for (size_t i = 0; i < 8; i++)
		*to[i] = mp_rd_bytes(&in, scratch);
	if (n == 9 && mp_peek(&in) == MP_NIL) {
		mp_rd_nil(&in);
	} else if (n == 9) {
		info->has_scripts = true;
		info->n_scripts = mp_rd_array(&in);
		if (info->n_scripts > APP_INFO_SCRIPTS_MAX)
			in.bad = true;
		for (size_t i = 0; i < info->n_scripts && !in.bad; i++)
			info->scripts[i] = mp_rd_bytes(&in, scratch);
	}
	if (in.bad || rd_left(&in))
		return fault_set(f, "ratls.app_info", "malformed app info extension", bytes.n - rd_left(&in));
	return 0;
}

void octet_string_write(struct wr *out, struct span payload)
{
	wr_u8(out, 0x04);
	if (payload.n < 0x80) {
		wr_u8(out, (uint8_t)payload.n);
	} else if (payload.n < 0x100) {
		wr_u8(out, 0x81);
		wr_u8(out, (uint8_t)payload.n);
	} else if (payload.n < 0x10000) {
		wr_u8(out, 0x82);
		wr_be16(out, (uint16_t)payload.n);
	} else {
		wr_u8(out, 0x83);
		wr_u8(out, (uint8_t)(payload.n >> 16));
		wr_be16(out, (uint16_t)payload.n);
		if (payload.n >> 24)
			out->bad = true;
	}
	wr_span(out, payload);
}

int octet_string_read(struct span *payload, struct span der, struct fault *f)
{
	struct rd in = rd_span(der);

	*payload = der_take(&in, DER_OCTET_STRING);
	if (in.bad || rd_left(&in))
		return fault_set(f, "ratls.extension", "extension does not hold one DER OCTET STRING", 0);
	return 0;
}

static uint32_t crc32_of(struct span s)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < s.n; i++) {
		crc ^= s.p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

void event_log_pack(struct wr *out, struct span json)
{
	static const uint8_t head[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255 };

	wr_str(out, "ELGZv1");
	wr_put(out, head, sizeof head);
	for (size_t at = 0;;) { // RFC 1951 section 3.2.4
		size_t n = json.n - at < 0xffff ? json.n - at : 0xffff;

		wr_u8(out, at + n == json.n);
		wr_le16(out, (uint16_t)n);
		wr_le16(out, (uint16_t)~n);
		wr_put(out, json.p + at, n);
		at += n;
		if (at == json.n)
			break;
	}
	wr_le32(out, crc32_of(json));
	wr_le32(out, (uint32_t)json.n);
}

static const char confirm[] = "please sign cert:";

static void read_config(struct rd *in, struct csr *csr)
{
	csr->has_org = scale_rd_bool(in);
	if (csr->has_org)
		csr->org = scale_rd_bytes(in);
	csr->subject = scale_rd_bytes(in);
	csr->n_names = scale_rd_count(in, CSR_NAMES_MAX);
	for (size_t i = 0; i < csr->n_names; i++)
		csr->names[i] = scale_rd_bytes(in);
	csr->server_auth = scale_rd_bool(in);
	csr->client_auth = scale_rd_bool(in);
	csr->ext_quote = scale_rd_bool(in);
	if (csr->version == 1)
		return;
	csr->ext_app_info = scale_rd_bool(in);
	csr->has_not_before = scale_rd_bool(in);
	csr->not_before = csr->has_not_before ? rd_le64(in) : 0;
	csr->has_not_after = scale_rd_bool(in);
	csr->not_after = csr->has_not_after ? rd_le64(in) : 0;
}

int csr_read(struct csr *csr, struct span bytes, int version, struct fault *f)
{
	struct rd in = rd_span(bytes);
	struct span word = scale_rd_bytes(&in);

	*csr = (struct csr){ .version = version, .confirmed = span_is(word, confirm) };
	if (version != 1 && version != 2)
		return fault_set(f, "csr.version", "signing request is of an unknown version", 0);
	csr->pubkey = scale_rd_bytes(&in);
	read_config(&in, csr);
	if (version == 1) {
		csr->quote = scale_rd_bytes(&in);
		csr->event_log = scale_rd_bytes(&in);
	} else {
		csr->attestation = rd_bytes(&in, rd_left(&in));
	}
	if (in.bad || rd_left(&in))
		return fault_set(f, "csr.format", "Failed to parse csr", bytes.n - rd_left(&in));
	return 0;
}

void csr_write(struct wr *out, const struct csr *csr)
{
	scale_wr_bytes(out, span_str(confirm));
	scale_wr_bytes(out, csr->pubkey);
	wr_u8(out, csr->has_org);
	if (csr->has_org)
		scale_wr_bytes(out, csr->org);
	scale_wr_bytes(out, csr->subject);
	scale_wr_compact(out, csr->n_names);
	for (size_t i = 0; i < csr->n_names; i++)
		scale_wr_bytes(out, csr->names[i]);
	wr_u8(out, csr->server_auth);
	wr_u8(out, csr->client_auth);
	wr_u8(out, csr->ext_quote);
	if (csr->version == 1) {
		scale_wr_bytes(out, csr->quote);
		scale_wr_bytes(out, csr->event_log);
		return;
	}
	wr_u8(out, csr->ext_app_info);
	wr_u8(out, csr->has_not_before);
	if (csr->has_not_before)
		wr_le64(out, csr->not_before);
	wr_u8(out, csr->has_not_after);
	if (csr->has_not_after)
		wr_le64(out, csr->not_after);
	wr_span(out, csr->attestation);
}
