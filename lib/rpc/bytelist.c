#include "rpc/bytelist.h"

int bytelist_read(struct json v, uint8_t *out, size_t cap, size_t *n)
{
	struct json item;
	uint64_t byte;

	*n = 0;
	if (json_kind(v) != JSON_ARRAY)
		return -1;
	for (struct json_iter it = json_iter(v); json_next(&it, NULL, &item);) {
		if (*n == cap || json_u64(item, UINT8_MAX, &byte))
			return -1;
		out[(*n)++] = (uint8_t)byte;
	}
	return 0;
}

void bytelist_write(struct sb *b, const void *p, size_t n)
{
	const uint8_t *at = p;

	sb_chr(b, '[');
	for (size_t i = 0; i < n; i++)
		sb_fmt(b, i ? ",%u" : "%u", at[i]);
	sb_chr(b, ']');
}
