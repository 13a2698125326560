#include "tarball.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

void tar_add(struct sb *b, const struct tar_entry *t)
{
	char h[512] = { 0 };
	unsigned sum = 0;

	memcpy(h, t->name, strnlen(t->name, 100));
	snprintf(h + 100, 8, "%07o", 0644);
	snprintf(h + 124, 12, "%011zo", t->says ? t->says : t->n);
	memset(h + 148, ' ', 8);
	h[156] = t->type;
	if (t->link)
		snprintf(h + 157, 100, "%s", t->link);
	memcpy(h + 257,
	       "ustar\0"
	       "00",
	       8);
	for (size_t i = 0; i < sizeof h; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum + t->bad_sum);
	sb_put(b, h, sizeof h);
	for (size_t i = 0; i < t->n; i += 512) {
		char block[512] = { 0 };
		size_t k = t->n - i < 512 ? t->n - i : 512;

		if (t->data)
			memcpy(block, (const char *)t->data + i, k);
		sb_put(b, block, sizeof block);
	}
}

void tar_end(struct sb *b)
{
	static const char zeros[1024];

	sb_put(b, zeros, sizeof zeros);
}

void tar_gzip(struct sb *out, const struct sb *tar)
{
	z_stream z = { 0 };
	size_t cap = tar->n + tar->n / 1000 + 200;
	uint8_t *p = malloc(cap);

	if (!p || deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	z.next_in = (z_const Bytef *)tar->p;
	z.avail_in = (uInt)tar->n;
	z.next_out = p;
	z.avail_out = (uInt)cap;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	sb_put(out, p, z.total_out);
	deflateEnd(&z);
	free(p);
}
