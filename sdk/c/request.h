// request - writes the JSON of a call into a bounded buffer that is wiped as it grows and when it goes.
// Private to the library. Going over the limit or out of memory sticks and is looked at once, before sending.
#pragma once

#include "dstack.h"

// Bytes that grow up to a limit and leave nothing behind.
struct dstack_buffer {
	char *p;
	size_t n, size, max;
	bool over, no_memory;
};

void dstack_buffer_free(struct dstack_buffer *b);
void dstack_put(struct dstack_buffer *b, const char *p, size_t n);
void dstack_put_str(struct dstack_buffer *b, const char *s);
void dstack_put_name(struct dstack_buffer *b, const char *name); // with the comma before it
void dstack_put_quoted(struct dstack_buffer *b, const char *s);  // UTF-8
void dstack_put_hex(struct dstack_buffer *b, const char *name, const void *data, size_t n);
void dstack_put_bool(struct dstack_buffer *b, const char *name, bool v);
void dstack_put_time(struct dstack_buffer *b, const char *name, uint64_t v); // nothing for 0
bool dstack_put_text(struct dstack_buffer *b, const char *name,
		     const char *s) DSTACK_MUST_CHECK; // false: not UTF-8; NULL is ""
