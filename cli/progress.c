#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void progress_init(struct progress *p, bool quiet)
{
	*p = (struct progress){ .live = isatty(2), .quiet = quiet };
}

void progress_stage(struct progress *p, const char *fmt, ...)
{
	va_list ap;

	progress_end(p, true);
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof p->text, fmt, ap);
	va_end(ap);
	p->began = now_s();
	p->open = true;
	progress_tick(p);
}

void progress_tick(struct progress *p)
{
	if (p->open && p->live && !p->quiet)
		fprintf(stderr, "\r\033[K  %-52s %6.1f s", p->text, now_s() - p->began);
}

void progress_end(struct progress *p, bool ok)
{
	if (!p->open)
		return;
	p->open = false;
	if (!p->quiet)
		fprintf(stderr, "%s%s %-52s %6.1f s\n", p->live ? "\r\033[K" : "", ok ? "✓" : "✗", p->text,
			now_s() - p->began);
}
