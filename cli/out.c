#include "out.h"

#include <string.h>

void out_json_text(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", f);
		else if ((unsigned char)*s < 0x20)
			fprintf(f, "\\u%04x", (unsigned)*s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

// Characters, not bytes: names may hold UTF-8.
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void out_table(FILE *f, const char *const *const *rows, size_t n)
{
	size_t wide[OUT_COLUMNS_MAX] = { 0 };

	for (size_t r = 0; r < n; r++)
		for (size_t c = 0; c < OUT_COLUMNS_MAX && rows[r][c]; c++)
			if (width(rows[r][c]) > wide[c])
				wide[c] = width(rows[r][c]);
	for (size_t r = 0; r < n; r++) {
		for (size_t c = 0; c < OUT_COLUMNS_MAX && rows[r][c]; c++) {
			bool last = c + 1 == OUT_COLUMNS_MAX || !rows[r][c + 1];
			fputs(rows[r][c], f);
			for (size_t pad = width(rows[r][c]); !last && pad < wide[c] + 2; pad++)
				fputc(' ', f);
		}
		fputc('\n', f);
	}
}
