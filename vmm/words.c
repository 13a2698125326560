#include "words.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/strings.h"

enum { LINE = 256 };

// The most telling first. Without a head the line has its own code.
static const struct {
	const char *mark, *head;
} words[] = {
	{ "dstack-boot: ", NULL },
	{ "dstack-init: ", NULL },
	{ "dm-verity device corrupted", "guest.verity: root image is corrupted: " },
	{ "Kernel panic - not syncing: ", "guest.panic: " },
};
enum { WORDS = sizeof words / sizeof *words };

// The part of a line that begins with a code ("stage.what: "), behind an optional time; NULL without one.
static const char *coded(const char *at)
{
	if (*at == '[') {
		at += strcspn(at, "]");
		if (strncmp(at, "] ", 2) != 0)
			return NULL;
		at += 2;
	}
	size_t stage = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
	size_t what = at[stage] == '.' ? strspn(at + stage + 1, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;
	return stage && what && !strncmp(at + stage + 1 + what, ": ", 2) ? at : NULL;
}

static void printable(char out[static LINE], const char *from, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n && k + 1 < LINE; i++)
		if (from[i] >= ' ' && from[i] <= '~')
			out[k++] = from[i];
	out[k] = 0;
}

bool words_last(char *out, size_t cap, const char *text, size_t n)
{
	char line[LINE];
	size_t best = WORDS;

	for (size_t at = 0; at < n;) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t len = end ? (size_t)(end - text) - at : n - at;

		printable(line, text + at, len);
		at += len + 1;
		for (size_t w = 0; w < WORDS && w <= best; w++) { // a later line of the same kind wins
			const char *found = strstr(line, words[w].mark);

			if (found && !words[w].head)
				found = coded(found + strlen(words[w].mark));
			if (!found)
				continue;
			best = w;
			snprintf(out, cap, "%s%s", words[w].head ? words[w].head : "", found);
		}
	}
	return best < WORDS;
}

size_t words_strip(enum words_strip *state, char *p, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (*state == STRIP_SEQUENCE)
			*state = c >= '@' && c <= '~' ? STRIP_PLAIN : STRIP_SEQUENCE;
		else if (*state == STRIP_ESCAPE)
			*state = c == '[' ? STRIP_SEQUENCE : STRIP_PLAIN;
		else if (c == 27)
			*state = STRIP_ESCAPE;
		else
			p[k++] = c;
	}
	return k;
}

// The value of n bytes, unescaped; false when it has no valid escapes.
static bool unescape(char *out, size_t cap, const char *p, size_t n)
{
	size_t k = 0, one;

	for (size_t i = 0; i < n && k + 1 < cap; i++) {
		uint8_t c = (uint8_t)p[i];

		if (p[i] == '%') {
			if (n - i < 3 || hex_read(&c, 1, p + i + 1, 2, &one) || !c) {
				*out = 0;
				return false;
			}
			i += 2;
		}
		out[k++] = (char)c;
	}
	out[k] = 0;
	return true;
}

bool words_param(const void *query, size_t n, const char *name, char *out, size_t cap)
{
	const char *p = query, *end = p + n;
	size_t len = strlen(name);

	*out = 0;
	while (p < end) {
		const char *stop = memchr(p, '&', (size_t)(end - p));
		size_t k = (size_t)((stop ? stop : end) - p);

		if (k > len && p[len] == '=' && !memcmp(p, name, len))
			return unescape(out, cap, p + len + 1, k - len - 1);
		if (k == len && !memcmp(p, name, len))
			return true; // without a value
		p += k + 1;
	}
	return false;
}
