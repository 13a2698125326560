// html - HTML made from a page of named parts and from values; a value is text, always, and cannot be more.
//
// A page is one file: a line `<!-- part NAME -->` begins a part, which ends where the next begins. In a part
// {{1}} to {{9}} stand for values; there is no way to write one unescaped. Attributes that hold a value must
// be in quotes. Nothing here is for values in scripts, styles or names of attributes.
#pragma once
#include <stddef.h>
#include "base/sb.h"

// Text and quoted attributes: what HTML would read is escaped, what is not UTF-8 or a control character
// (but tab and line feed) becomes U+FFFD.
void html_text(struct sb *b, const char *s);
// b->bad when the page has no such part or it wants more values.
void html_part(struct sb *b, const char *page, const char *name, const char *const values[], size_t n);
#define HTML_PART(b, page, name, ...)                                                                        \
	html_part((b), (page), (name), (const char *const[]){ __VA_ARGS__ },                                 \
		  sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))
