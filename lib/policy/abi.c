#include "policy/abi.h"

#include <string.h>

#include "core/hash/keccak.h"

#define BOOT_TUPLE "((address,bytes32,address,bytes32,bytes32,bytes32,bytes32,string,string[]))"

static const uint8_t zeros[ABI_WORD];

void abi_selector(struct wr *w, const char *signature)
{
	uint8_t hash[32];

	keccak256(signature, strlen(signature), hash);
	wr_put(w, hash, 4);
}

void abi_u64(struct wr *w, uint64_t v)
{
	wr_put(w, zeros, ABI_WORD - 8);
	wr_be64(w, v);
}

void abi_right(struct wr *w, const void *p, size_t n)
{
	wr_put(w, zeros, ABI_WORD - n);
	wr_put(w, p, n);
}

static size_t padded(size_t n)
{
	return (n + ABI_WORD - 1) / ABI_WORD * ABI_WORD;
}

void abi_bytes(struct wr *w, const void *p, size_t n)
{
	abi_u64(w, n);
	wr_put(w, p, n);
	wr_put(w, zeros, padded(n) - n);
}

static void texts(struct wr *w, const struct boot_info *b)
{
	size_t at = b->n_advisory_ids * ABI_WORD;

	abi_u64(w, b->n_advisory_ids);
	for (size_t i = 0; i < b->n_advisory_ids; i++) {
		abi_u64(w, at);
		at += ABI_WORD + padded(strlen(b->advisory_ids[i]));
	}
	for (size_t i = 0; i < b->n_advisory_ids; i++)
		abi_bytes(w, b->advisory_ids[i], strlen(b->advisory_ids[i]));
}

// What is absent is zeros, as in upstream's server.
void abi_boot_call(struct wr *w, const struct boot_info *b, enum policy_kind kind)
{
	size_t head = 9 * ABI_WORD, tcb = strlen(b->tcb_status);

	abi_selector(w, kind == POLICY_APP ? "isAppAllowed" BOOT_TUPLE : "isKmsAllowed" BOOT_TUPLE);
	abi_u64(w, ABI_WORD);
	abi_right(w, b->app_id, b->has_app_id ? sizeof b->app_id : 0);
	abi_right(w, b->compose_hash, b->has_compose_hash ? ABI_WORD : 0);
	abi_right(w, b->instance_id, b->has_instance_id ? sizeof b->instance_id : 0);
	abi_right(w, b->device_id, ABI_WORD);
	abi_right(w, b->mr_aggregated, ABI_WORD);
	abi_right(w, b->mr_system, ABI_WORD);
	abi_right(w, b->os_image_hash, b->has_os_image_hash ? ABI_WORD : 0);
	abi_u64(w, head);
	abi_u64(w, head + ABI_WORD + padded(tcb));
	abi_bytes(w, b->tcb_status, tcb);
	texts(w, b);
}

static int read_word(struct span s, size_t at, uint64_t *out)
{
	if (at % ABI_WORD || at > s.n || s.n - at < ABI_WORD || memcmp(s.p + at, zeros, ABI_WORD - 8))
		return -1;
	struct rd r = rd_from(s.p + at + ABI_WORD - 8, 8);
	*out = rd_be64(&r);
	return 0;
}

// The string whose offset stands at `at`, in the tail of `words` words of head.
static int read_string(struct span s, size_t at, size_t words, char text[static ABI_TEXT_MAX + 1])
{
	uint64_t offset, n;

	if (read_word(s, at, &offset) || offset < words * ABI_WORD || offset > s.n ||
	    read_word(s, offset, &n))
		return -1;
	size_t from = (size_t)offset + ABI_WORD;
	if (n > ABI_TEXT_MAX || padded((size_t)n) > s.n - from || memchr(s.p + from, 0, (size_t)n))
		return -1;
	memcpy(text, s.p + from, (size_t)n);
	text[n] = 0;
	return 0;
}

int abi_read_verdict(struct span data, bool *allowed, char text[static ABI_TEXT_MAX + 1])
{
	uint64_t yes;

	if (read_word(data, 0, &yes) || yes > 1 || read_string(data, ABI_WORD, 2, text))
		return -1;
	*allowed = yes;
	return 0;
}

int abi_read_text(struct span data, char text[static ABI_TEXT_MAX + 1])
{
	return read_string(data, 0, 1, text);
}

int abi_read_address(struct span data, uint8_t out[static 20])
{
	if (data.n != ABI_WORD || memcmp(data.p, zeros, 12))
		return -1;
	memcpy(out, data.p + 12, 20);
	return 0;
}

int abi_read_u64(struct span data, uint64_t *out)
{
	return data.n == ABI_WORD ? read_word(data, 0, out) : -1;
}
