// answer - reads the agent's JSON answers, and wipes what it read. Private to the library.
//
// Trusts nothing: RFC 8259 to the letter, UTF-8 checked, depth up to 32, lists up to 64, nothing behind the
// object. A field may come once; fields that are not asked for are checked and passed over.
#pragma once

#include "dstack.h"

enum dstack_answer_kind {
	ANSWER_TEXT,  // char *            absent: ""
	ANSWER_HEX,   // struct dstack_bytes
	ANSWER_TEXTS, // struct dstack_texts
	ANSWER_HEXES, // struct dstack_list
	ANSWER_BOOL,  // bool
};

struct dstack_answer_field {
	const char *name;
	enum dstack_answer_kind kind;
	void *to;      // zeroed before; what was read stays there on failure, to be freed
	bool optional; // may be absent or null
	bool seen;
};

#define ANSWER_LIST_MAX 64

// 0, or -1 with *why a constant text ("no memory" is dstack_no_memory itself).
extern const char dstack_no_memory[];
int dstack_answer_read(const char *text, size_t n, struct dstack_answer_field *f, size_t count,
		       const char **why) DSTACK_MUST_CHECK;
bool dstack_answer_is_utf8(const char *s, size_t n);

void dstack_answer_wipe_free(void *p, size_t n); // NULL is fine
void dstack_answer_text_free(char **s);
void dstack_answer_list_free(struct dstack_list *l);
void dstack_answer_texts_free(struct dstack_texts *l);
