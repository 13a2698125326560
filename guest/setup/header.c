#include "header.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec/json.h"

enum {
	BIN = 4096,
	HDR_MIN = 4096 + 4096,
	HDR_MAX = 4 * 1024 * 1024,
	CSUM_AT = 448,
	CSUM_SIZE = 64,
	DIGEST = 32,
	STRIPES = 4000,
	ITERATIONS_MAX = 10 * 1000 * 1000, // more would only hold the boot up
	TEXT = 96,
};

struct binary {
	uint64_t size, seqid;
	struct span json; // without the zeros behind it
};

static int refuse(struct err *e, const char *what)
{
	return err_code(e, ERR_DENIED, "disk.header", "encryption header: %s", what);
}

bool header_is_luks(struct span first)
{
	struct span m = span_sub(first, 0, 6);

	return span_eq(m, span_of("LUKS\xba\xbe", 6)) || span_eq(m, span_of("SKUL\xba\xbe", 6));
}

static bool all_zero(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i])
			return false;
	return true;
}

// SHA-256 over the whole copy with its checksum field as zeros.
static bool checksum_holds(struct span copy, struct span csum)
{
	static const uint8_t zero[CSUM_SIZE];
	uint8_t digest[DIGEST];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
		  EVP_DigestUpdate(ctx, copy.p, CSUM_AT) == 1 &&
		  EVP_DigestUpdate(ctx, zero, sizeof zero) == 1 &&
		  EVP_DigestUpdate(ctx, copy.p + CSUM_AT + CSUM_SIZE, copy.n - CSUM_AT - CSUM_SIZE) == 1 &&
		  EVP_DigestFinal_ex(ctx, digest, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	return ok && span_eq(span_of(digest, DIGEST), span_sub(csum, 0, DIGEST)) &&
	       all_zero(span_sub(csum, DIGEST, CSUM_SIZE - DIGEST));
}

static int read_binary(struct span area, uint64_t at, const char *magic, struct binary *out, struct err *e)
{
	struct span copy = span_sub(area, at, BIN);
	struct rd r = rd_span(copy);
	struct span mark = rd_bytes(&r, 6);
	uint16_t version = rd_be16(&r);

	out->size = rd_be64(&r);
	out->seqid = rd_be64(&r);
	struct span label = rd_bytes(&r, 48), alg = rd_bytes(&r, 32);
	rd_bytes(&r, 64 + 40); // salt, uuid
	struct span subsystem = rd_bytes(&r, 48);
	uint64_t offset = rd_be64(&r);
	struct span padding = rd_bytes(&r, 184), csum = rd_bytes(&r, CSUM_SIZE);
	if (r.bad || !span_eq(mark, span_of(magic, 6)) || version != 2)
		return refuse(e, "not LUKS2, or one copy is missing");
	if (!all_zero(label) || !all_zero(subsystem))
		return refuse(e, "has a label or subsystem");
	if (memcmp(alg.p, "sha256", 7) != 0)
		return refuse(e, "checksum is not SHA-256");
	if (offset != at || out->size < HDR_MIN || out->size > HDR_MAX || out->size & (out->size - 1) ||
	    !all_zero(padding))
		return refuse(e, "offset or size is wrong");
	copy = span_sub(area, at, out->size);
	if (!copy.n || !checksum_holds(copy, csum))
		return refuse(e, "checksum does not hold");
	out->json = span_sub(copy, BIN, copy.n - BIN);
	const uint8_t *end = memchr(out->json.p, 0, out->json.n);
	if (!end || !all_zero(span_of(end, (size_t)(out->json.p + out->json.n - end))))
		return refuse(e, "metadata does not end");
	out->json.n = (size_t)(end - out->json.p);
	return 0;
}

// Exactly these members, no more.
static bool has_only(struct json obj, const char *const *names, size_t n)
{
	struct json v;

	if (json_kind(obj) != JSON_OBJECT || json_count(obj) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!json_get(obj, names[i], &v))
			return false;
	return true;
}
#define HAS_ONLY(obj, ...)                                                                                   \
	has_only(obj, (const char *const[]){ __VA_ARGS__ },                                                  \
		 sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

static bool is_text(struct json obj, const char *name, const char *want)
{
	struct json v;

	return json_get(obj, name, &v) && json_is(v, want);
}

static bool is_number(struct json obj, const char *name, uint64_t min, uint64_t max)
{
	struct json v;
	uint64_t n;

	return json_get(obj, name, &v) && !json_u64(v, max, &n) && n >= min;
}

// Sizes and offsets are decimal texts.
static bool decimal(struct json obj, const char *name, uint64_t *out)
{
	struct json v;
	char text[24];

	if (!json_get(obj, name, &v) || json_cstr(v, text, sizeof text) || !*text || strlen(text) > 18)
		return false;
	*out = 0;
	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9' || (text[0] == '0' && text[1]))
			return false;
		*out = *out * 10 + (uint64_t)(*c - '0');
	}
	return true;
}

static bool is_base64(struct json obj, const char *name)
{
	struct json v;
	char text[TEXT];

	if (!json_get(obj, name, &v) || json_cstr(v, text, sizeof text) || !*text)
		return false;
	return text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")] == 0;
}

// The name of the one key slot: a change of key goes from 0 to 1 and back.
static const char *slot_name(struct json slots)
{
	struct json v;

	return json_get(slots, "1", &v) ? "1" : "0";
}

static bool keyslot_is_ours(struct json slots, uint64_t hdr_size)
{
	struct json slot, af, area, kdf;
	uint64_t offset, size;

	if (!HAS_ONLY(slots, slot_name(slots)) || !json_get(slots, slot_name(slots), &slot) ||
	    !HAS_ONLY(slot, "type", "key_size", "af", "area", "kdf") || !json_get(slot, "af", &af) ||
	    !json_get(slot, "area", &area) || !json_get(slot, "kdf", &kdf))
		return false;
	return is_text(slot, "type", "luks2") && is_number(slot, "key_size", HEADER_KEY, HEADER_KEY) &&
	       HAS_ONLY(af, "type", "stripes", "hash") && is_text(af, "type", "luks1") &&
	       is_number(af, "stripes", STRIPES, STRIPES) && is_text(af, "hash", "sha256") &&
	       HAS_ONLY(area, "type", "offset", "size", "encryption", "key_size") &&
	       is_text(area, "type", "raw") && decimal(area, "offset", &offset) &&
	       decimal(area, "size", &size) && offset >= 2 * hdr_size &&
	       size >= (uint64_t)HEADER_KEY * STRIPES && size <= HEADER_AREA &&
	       offset <= HEADER_AREA - size && is_text(area, "encryption", "aes-xts-plain64") &&
	       is_number(area, "key_size", HEADER_KEY, HEADER_KEY) &&
	       HAS_ONLY(kdf, "type", "hash", "iterations", "salt") && is_text(kdf, "type", "pbkdf2") &&
	       is_text(kdf, "hash", "sha256") && is_number(kdf, "iterations", 1000, ITERATIONS_MAX) &&
	       is_base64(kdf, "salt");
}

static bool segment_is_ours(struct json segments)
{
	struct json s;
	uint64_t offset;

	return HAS_ONLY(segments, "0") && json_get(segments, "0", &s) &&
	       HAS_ONLY(s, "type", "offset", "size", "iv_tweak", "encryption", "sector_size") &&
	       is_text(s, "type", "crypt") && decimal(s, "offset", &offset) && offset == HEADER_AREA &&
	       is_text(s, "size", "dynamic") && is_text(s, "iv_tweak", "0") &&
	       is_text(s, "encryption", "aes-xts-plain64") && is_number(s, "sector_size", 512, 512);
}

static bool list_is(struct json obj, const char *name, const char *only)
{
	struct json list, item;
	struct json_iter it;

	if (!json_get(obj, name, &list) || json_kind(list) != JSON_ARRAY || json_count(list) != 1)
		return false;
	it = json_iter(list);
	return json_next(&it, NULL, &item) && json_is(item, only);
}

static bool digest_is_ours(struct json digests, const char *slot)
{
	struct json d;

	return HAS_ONLY(digests, "0") && json_get(digests, "0", &d) &&
	       HAS_ONLY(d, "type", "keyslots", "segments", "hash", "iterations", "salt", "digest") &&
	       is_text(d, "type", "pbkdf2") && list_is(d, "keyslots", slot) && list_is(d, "segments", "0") &&
	       is_text(d, "hash", "sha256") && is_number(d, "iterations", 1000, ITERATIONS_MAX) &&
	       is_base64(d, "salt") && is_base64(d, "digest");
}

static int check_metadata(const struct binary *b, struct err *e)
{
	struct json doc, slots, tokens, segments, digests, config;
	uint64_t json_size, area_size;

	if (json_parse(&doc, b->json, NULL) ||
	    !HAS_ONLY(doc, "keyslots", "tokens", "segments", "digests", "config") ||
	    !json_get(doc, "keyslots", &slots) || !json_get(doc, "tokens", &tokens) ||
	    !json_get(doc, "segments", &segments) || !json_get(doc, "digests", &digests) ||
	    !json_get(doc, "config", &config))
		return refuse(e, "metadata has other members");
	if (json_kind(tokens) != JSON_OBJECT || json_count(tokens))
		return refuse(e, "has tokens");
	if (!keyslot_is_ours(slots, b->size))
		return refuse(e, "key slot is not the one that we make");
	if (!segment_is_ours(segments))
		return refuse(e, "data segment is not aes-xts-plain64 at 16 MiB");
	if (!digest_is_ours(digests, slot_name(slots)))
		return refuse(e, "digest is not the one that we make");
	if (!HAS_ONLY(config, "json_size", "keyslots_size") || !decimal(config, "json_size", &json_size) ||
	    !decimal(config, "keyslots_size", &area_size) || json_size != b->size - BIN ||
	    area_size > HEADER_AREA - 2 * b->size)
		return refuse(e, "has flags, requirements or wrong sizes");
	return 0;
}

int header_check(struct span area, struct err *e)
{
	struct binary first, second;

	if (area.n < HEADER_AREA)
		return refuse(e, "disk is too small");
	if (read_binary(area, 0, "LUKS\xba\xbe", &first, e) ||
	    read_binary(area, first.size, "SKUL\xba\xbe", &second, e))
		return -1;
	if (first.size != second.size || first.seqid != second.seqid || !span_eq(first.json, second.json))
		return refuse(e, "its two copies differ");
	return check_metadata(&first, e);
}

// The second copy stands behind the first, whose size a broken first one does not tell.
static int find_second(struct span area, struct binary *out, uint64_t *at, struct err *e)
{
	for (*at = HDR_MIN; *at <= HDR_MAX; *at *= 2)
		if (!read_binary(area, *at, "SKUL\xba\xbe", out, e) && out->size == *at)
			return 0;
	return refuse(e, "neither of its copies holds");
}

int header_odd_one(struct span area, uint64_t *at, struct err *e)
{
	struct binary b;

	if (area.n < HEADER_AREA)
		return refuse(e, "disk is too small");
	if (!read_binary(area, 0, "LUKS\xba\xbe", &b, e) && !check_metadata(&b, e)) {
		*at = b.size;
		return 0;
	}
	*at = 0;
	uint64_t second;
	return find_second(area, &b, &second, e) ? -1 : check_metadata(&b, e);
}
