// fault - why a function of the freestanding core refused its input.
//
// `code` is the stable reason (as in struct err), `text` says it in words, `at` is the offset in the input or
// the index of the item it is about. Both strings are constants, so a fault never needs freeing.
#pragma once
#include <stddef.h>

struct fault {
	const char *code, *text;
	size_t at;
};

int fault_set(struct fault *f, const char *code, const char *text, size_t at); // returns -1
