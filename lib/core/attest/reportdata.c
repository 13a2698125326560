#include "core/attest/reportdata.h"
#include "core/hash/keccak.h"
#include "core/hash/sha2.h"

enum { CONTENT_MAX = 64 * 1024 };

// The Keccak functions hash one buffer: tag and content are joined on the stack.
static int joined(uint8_t out[64], struct span hash, struct span tag, struct span content, struct fault *f)
{
	static const struct {
		const char *name;
		void (*fn)(const void *p, size_t n, uint8_t *out);
	} known[] = {
		{ "sha3-256", sha3_256 },   { "sha3-384", sha3_384 },   { "sha3-512", sha3_512 },
		{ "keccak256", keccak256 }, { "keccak384", keccak384 }, { "keccak512", keccak512 },
	};
	uint8_t text[CONTENT_MAX];
	struct wr w = wr_to(text, sizeof text);

	wr_span(&w, tag);
	wr_u8(&w, ':');
	wr_span(&w, content);
	if (w.bad)
		return fault_set(f, "report_data.size", "report data content is too long for this hash",
				 content.n);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (span_is(hash, known[i].name)) {
			known[i].fn(text, w.n, out);
			return 0;
		}
	return fault_set(f, "report_data.hash", "unknown hash algorithm", 0);
}

static void sha2_long(uint8_t out[64], bool is_384, struct span tag, struct span content)
{
	struct sha512 s;

	if (is_384)
		sha384_init(&s);
	else
		sha512_init(&s);
	sha512_add(&s, tag.p, tag.n);
	sha512_add(&s, ":", 1);
	sha512_add(&s, content.p, content.n);
	if (is_384)
		sha384_end(&s, out);
	else
		sha512_end(&s, out);
}

int report_data_make(uint8_t out[64], struct span hash, struct span tag, struct span content, struct fault *f)
{
	struct sha256 s;

	for (size_t i = 0; i < 64; i++)
		out[i] = 0;
	if (span_is(hash, "raw")) {
		if (content.n != 64)
			return fault_set(f, "report_data.size", "raw report data must be 64 bytes",
					 content.n);
		for (size_t i = 0; i < 64; i++)
			out[i] = content.p[i];
		return 0;
	}
	if (!hash.n || span_is(hash, "sha512") || span_is(hash, "sha384")) {
		sha2_long(out, span_is(hash, "sha384"), tag, content);
		return 0;
	}
	if (!span_is(hash, "sha256"))
		return joined(out, hash, tag, content, f);
	sha256_init(&s);
	sha256_add(&s, tag.p, tag.n);
	sha256_add(&s, ":", 1);
	sha256_add(&s, content.p, content.n);
	sha256_end(&s, out);
	return 0;
}

void report_data_tagged(uint8_t out[64], const char *tag, struct span content)
{
	sha2_long(out, false, span_str(tag), content);
}
