// tarball - archives for tests of the unpacker, also such as no honest program makes.
#pragma once
#include "base/sb.h"

struct tar_entry {
	const char *name, *link;
	char type;        // '0' file, '5' folder, '2' link, ..
	const void *data; // NULL: zeros
	size_t n;
	size_t says; // the size in the header, 0: n
	bool bad_sum;
};

void tar_add(struct sb *b, const struct tar_entry *t);
void tar_end(struct sb *b);
void tar_gzip(struct sb *out, const struct sb *tar);
