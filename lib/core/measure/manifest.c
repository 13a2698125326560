// An image folder's manifest: sha256sum.txt (whose own hash is the image's identity) and metadata.json.
#include "core/codec/hex.h"
#include "core/codec/json.h"
#include "core/hash/sha2.h"
#include "core/measure/measure.h"

enum { LINES_MAX = 64, LINE_MAX = 64 + 2 + 128, MANIFEST_MAX = LINES_MAX * LINE_MAX };

static int bad(struct fault *f, const char *text, size_t line)
{
	return fault_set(f, "image.manifest", text, line);
}

// Flat names of printable ASCII: no folders, nothing hidden, nothing that reads differently elsewhere.
static bool name_ok(struct span s)
{
	if (!s.n || s.n > 128 || s.p[0] == '.' || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '/' || s.p[i] == '\\')
			return false;
	return true;
}

// One line without its newline: "<64 lower-case hex>  <name>".
static int read_line(uint8_t digest[32], struct span *name, struct span line)
{
	if (line.n < 67 || line.p[64] != ' ' || line.p[65] != ' ')
		return -1;
	for (size_t i = 0; i < 64; i++)
		if (line.p[i] >= 'A' && line.p[i] <= 'F')
			return -1;
	*name = span_sub(line, 66, line.n - 66);
	return hex_decode(digest, 32, span_sub(line, 0, 64)) || !name_ok(*name) ? -1 : 0;
}

int image_checksum(uint8_t out[32], struct span text, const char *want, struct fault *f)
{
	struct span seen[LINES_MAX];
	bool found = false;
	size_t n = 0;

	if (text.n > MANIFEST_MAX)
		return bad(f, "checksum file is too long", text.n);
	for (size_t at = 0; at < text.n; n++) {
		size_t end = at;
		uint8_t digest[32];

		while (end < text.n && text.p[end] != '\n')
			end++;
		if (n == LINES_MAX || read_line(digest, &seen[n], span_sub(text, at, end - at)))
			return bad(f, "checksum file has a line that is not \"<sha256>  <flat name>\"",
				   n + 1);
		for (size_t i = 0; i < n; i++)
			if (span_eq(seen[i], seen[n]))
				return bad(f, "checksum file names a file twice", n + 1);
		if (span_is(seen[n], want)) {
			found = true;
			for (size_t i = 0; i < 32; i++)
				out[i] = digest[i];
		}
		at = end + 1;
	}
	return found ? 0 : fault_set(f, "image.unlisted", "checksum file does not list this file", n);
}

int measurement_bound(const uint8_t os_image_hash[32], struct span checksum_file, struct span cbor,
		      struct fault *f)
{
	uint8_t got[32], listed[32];

	sha256(checksum_file.p, checksum_file.n, got);
	if (!span_eq(span_of(got, 32), span_of(os_image_hash, 32)))
		return fault_set(f, "image.hash", "checksum file is not the one that os_image_hash names", 0);
	if (image_checksum(listed, checksum_file, "measurement.tdx.cbor", f))
		return -1;
	sha256(cbor.p, cbor.n, got);
	if (!span_eq(span_of(got, 32), span_of(listed, 32)))
		return fault_set(f, "image.file", "measurement.tdx.cbor is not the file that the image lists",
				 0);
	return 0;
}

static int text_member(struct json obj, const char *name, struct wr *scratch, struct span *out)
{
	struct json v;
	size_t n;

	*out = (struct span){ 0 };
	if (!json_get(obj, name, &v) || json_kind(v) == JSON_NULL)
		return 0;
	if (scratch->bad || json_string(v, scratch->p + scratch->n, scratch->cap - scratch->n, &n))
		return -1;
	*out = span_of(scratch->p + scratch->n, n);
	scratch->n += n;
	return 0;
}

int image_metadata_read(struct image_metadata *m, struct wr *scratch, struct span json, struct fault *f)
{
	struct json root, dev;

	*m = (struct image_metadata){ 0 };
	if (json_parse(&root, json, NULL) || json_kind(root) != JSON_OBJECT)
		return fault_set(f, "image.metadata", "metadata.json is not a JSON object", 0);
	if (text_member(root, "bios", scratch, &m->bios) ||
	    text_member(root, "kernel", scratch, &m->kernel) ||
	    text_member(root, "initrd", scratch, &m->initrd) ||
	    text_member(root, "cmdline", scratch, &m->cmdline) ||
	    text_member(root, "rootfs", scratch, &m->rootfs) ||
	    text_member(root, "version", scratch, &m->version) ||
	    text_member(root, "ovmf_variant", scratch, &m->ovmf_variant) ||
	    (json_get(root, "is_dev", &dev) && json_bool(dev, &m->is_dev)))
		return fault_set(f, "image.metadata", "a member of metadata.json has the wrong type", 0);
	if (!name_ok(m->bios) || !name_ok(m->kernel) || !name_ok(m->initrd) || !m->cmdline.n)
		return fault_set(f, "image.metadata", "metadata.json lacks bios, kernel, initrd or cmdline",
				 0);
	if (m->ovmf_variant.n && !span_is(m->ovmf_variant, "pre202505"))
		return fault_set(f, "measure.firmware", "firmware layout is not pre202505", 0);
	return 0;
}
